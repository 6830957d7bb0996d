"""Layers that move pixels: reflection, nearest upsampling, channels to pixels, blur; differentiable twice."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kgan.types import Shape, Tensor


@keras.saving.register_keras_serializable("kgan")
class ReflectionPadding2D(keras.layers.Layer):
    """Mirrors the border without repeating the edge pixel, as tf.pad(mode="REFLECT").

    Made of slices and concatenations: XNNPACK has kernels for these and none for MIRROR_PAD, which costs a phone about
    twice the time of the whole network.

    Args:
      padding: pixels on every side, or ((top, bottom), (left, right)).

    Shapes: [B, H, W, C] to [B, top + H + bottom, left + W + right, C]; each side smaller than the map.
    """

    def __init__(self, padding: int | tuple[tuple[int, int], tuple[int, int]] = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(padding, int):
            padding = ((padding, padding), (padding, padding))
        (top, bottom), (left, right) = padding
        if min(top, bottom, left, right) < 0:
            raise ValueError(f"{self.name}: padding must not be negative, got {padding}.")
        self.padding = ((top, bottom), (left, right))

    def _check(self, shape: Shape) -> None:
        for size, sides, axis in zip(shape[1:3], self.padding, ("high", "wide"), strict=True):
            if size is not None and size <= max(sides):
                raise ValueError(
                    f"{self.name}: a map {size} pixels {axis} cannot be reflected by {max(sides)}: "
                    "the picture is too small for this network; use larger pictures or fewer strided layers."
                )

    def build(self, input_shape: Shape) -> None:
        self._check(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        (top, bottom), (left, right) = self.padding
        return (
            batch,
            None if height is None else height + top + bottom,
            None if width is None else width + left + right,
            channels,
        )

    def call(self, inputs: Tensor) -> Tensor:
        self._check(inputs.shape)  # a model of any size is built before the picture's is known
        (top, bottom), (left, right) = self.padding
        x = inputs
        if top or bottom:
            before = [x[:, i : i + 1] for i in range(top, 0, -1)]
            after = [x[:, -i - 1 : -i] for i in range(1, bottom + 1)]
            x = ops.concatenate([*before, x, *after], axis=1)
        if left or right:
            before = [x[:, :, i : i + 1] for i in range(left, 0, -1)]
            after = [x[:, :, -i - 1 : -i] for i in range(1, right + 1)]
            x = ops.concatenate([*before, x, *after], axis=2)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


@ops.custom_gradient
def nearest_double(x: Tensor) -> Tensor:
    """Every pixel becomes a 2x2 block; see `NearestUpsampling2D`."""
    if None in x.shape[1:3]:  # traced for any size, where ops.image.resize asks whether the unknown sides are positive
        outputs = ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
    else:
        height, width = x.shape[1:3]
        outputs = ops.image.resize(x, (2 * height, 2 * width), interpolation="nearest")

    def gradient(*args: Any, upstream: Any = None) -> Any:
        """Each pixel was copied four times: its gradient is the sum over the 2x2 block."""
        upstream = args[0] if upstream is None else upstream
        return 4 * ops.average_pool(upstream, 2, strides=2, padding="valid")

    return outputs, gradient


@keras.saving.register_keras_serializable("kgan")
class NearestUpsampling2D(keras.layers.Layer):
    """Every pixel becomes a 2x2 block: [B, H, W, C] to [B, 2 H, 2 W, C].

    Exports as one RESIZE_NEAREST_NEIGHBOR. TensorFlow's own gradient of a nearest resize has no XLA kernel and no
    second derivative; this one has both, since it is made of an average pooling.
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        return (batch, None if height is None else 2 * height, None if width is None else 2 * width, channels)

    def call(self, inputs: Tensor) -> Tensor:
        return nearest_double(inputs)


@keras.saving.register_keras_serializable("kgan")
class DepthToSpace2D(keras.layers.Layer):
    """Four channels of a pixel become the channel of a 2x2 block: [B, H, W, 4 C] to [B, 2 H, 2 W, C].

    The channels are ordered by row of the block, then by column, then by channel, as TensorFlow's DEPTH_TO_SPACE has
    it. (PyTorch's PixelShuffle orders by channel first.) Source: Shi et al. 2016, arXiv 1609.05158.
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        return (batch, height and 2 * height, width and 2 * width, channels // 4)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.depth_to_space(inputs, 2)


@keras.saving.register_keras_serializable("kgan")
class Blur2D(keras.layers.Layer):
    """Each channel with [1, 2, 1] x [1, 2, 1] / 16, zeros outside: what keeps resampling from aliasing.

    Shapes: [B, H, W, C] to the same. Source: Zhang 2019, arXiv 1904.11486; StyleGAN, arXiv 1812.04948, section 2.1.
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, inputs: Tensor) -> Tensor:
        taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
        kernel = np.broadcast_to(taps[:, :, None, None], (3, 3, inputs.shape[-1], 1))
        return ops.depthwise_conv(inputs, ops.convert_to_tensor(kernel, inputs.dtype), padding="same")
