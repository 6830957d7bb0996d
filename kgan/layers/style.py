"""StyleGAN's own layers: learned constant, noise, style, fade, truncation and minibatch deviation.

Karras, Laine and Aila 2019, arXiv 1812.04948; fade and deviation: Karras et al. 2018 (ProGAN), arXiv 1710.10196.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kgan.layers.equalized import EqualizedDense
from kgan.layers.normalization import AdaIN
from kgan.precision import at_least_float32
from kgan.types import Shape, Tensor


@keras.saving.register_keras_serializable("kgan")
class LearnedConstant(keras.layers.Layer):
    """[B, ...] to [B, height, width, channels]: the same learned map, ones at the start, for every row of the input."""

    def __init__(self, shape: tuple[int, int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, input_shape: Shape) -> None:
        self.constant = self.add_weight(name="constant", shape=self.shape, initializer="ones")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self.shape)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.repeat(ops.convert_to_tensor(self.constant)[None], ops.shape(inputs)[0], axis=0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": self.shape}


@keras.saving.register_keras_serializable("kgan")
class Noise(keras.layers.Layer):
    """x + strength noise, one strength a channel, zero at the start.

    The noise [B, H, W, 1] is an argument. Where none is given, the layer's own is taken: one picture of noise for
    all images, drawn once from `seed` and kept as a variable that is not trained.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, inputs_shape: Shape, noise_shape: Shape | None = None) -> None:
        _, height, width, channels = inputs_shape
        self.strength = self.add_weight(name="strength", shape=(channels,), initializer="zeros")
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.fixed = self.add_weight(
            name="fixed", shape=(1, height, width, 1), initializer=initializer, trainable=False
        )

    def compute_output_shape(self, inputs_shape: Shape, noise_shape: Shape | None = None) -> Shape:
        return inputs_shape

    def call(self, inputs: Tensor, noise: Tensor | None = None) -> Tensor:
        return inputs + self.strength * (self.fixed if noise is None else ops.cast(noise, inputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("kgan")
class Bias(keras.layers.Layer):
    """x + bias, one a channel, zero at the start: for a convolution after which something else comes first."""

    def build(self, input_shape: Shape) -> None:
        self.bias = self.add_weight(name="bias", shape=input_shape[-1:], initializer="zeros")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, inputs: Tensor) -> Tensor:
        return inputs + self.bias


@keras.saving.register_keras_serializable("kgan")
class Style(keras.layers.Layer):
    """(s + 1) IN(x) + b, where s and b are a learned affine function of w: paper, section 2, "A" and AdaIN.

    Args:
      index: which row of ws [B, layers, W] is this layer's w.

    Shapes: x [B, H, W, C] and ws to [B, H, W, C].
    """

    def __init__(self, index: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.index, self.seed = index, seed
        self.adain = AdaIN(epsilon=1e-8, name="adain", dtype=self.dtype_policy)

    def build(self, inputs_shape: Shape, ws_shape: Shape) -> None:
        self.affine = EqualizedDense(
            2 * inputs_shape[-1], gain=1.0, seed=self.seed, name="affine", dtype=self.dtype_policy
        )
        self.affine.build((ws_shape[0], ws_shape[-1]))
        self.adain.build(inputs_shape)

    def compute_output_shape(self, inputs_shape: Shape, ws_shape: Shape) -> Shape:
        return inputs_shape

    def call(self, inputs: Tensor, ws: Tensor) -> Tensor:
        scale, shift = ops.split(self.affine(ws[:, self.index]), 2, axis=-1)
        return self.adain(inputs, scale + 1, shift)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "index": self.index, "seed": self.seed}


@keras.saving.register_keras_serializable("kgan")
class Fade(keras.layers.Layer):
    """old + alpha (new - old), with one alpha for all of a network, which its training sets: 1 at the start."""

    def build(self, old_shape: Shape, new_shape: Shape) -> None:
        if not self.built:  # shared by all levels
            self.alpha = self.add_weight(name="alpha", shape=(), initializer="ones", trainable=False, autocast=False)

    def compute_output_shape(self, old_shape: Shape, new_shape: Shape) -> Shape:
        return new_shape

    def call(self, old: Tensor, new: Tensor) -> Tensor:
        below, above = at_least_float32(old), at_least_float32(new)
        return ops.cast(below + ops.cast(self.alpha, below.dtype) * (above - below), new.dtype)


@keras.saving.register_keras_serializable("kgan")
class Truncation(keras.layers.Layer):
    """w [B, W] and psi [B, 1] to ws [B, layers, W]: mean + psi (w - mean) for layers below `cutoff`, w for the others.

    Args:
      layers: of the synthesis network.
      cutoff: how many of them, from the coarsest, are truncated.

    Attributes:
      mean: [W], the average w, which a training follows. Paper, appendix B.
    """

    def __init__(self, layers: int, cutoff: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layers, self.cutoff = layers, cutoff

    def build(self, w_shape: Shape, psi_shape: Shape) -> None:
        self.mean = self.add_weight(
            name="mean", shape=w_shape[-1:], initializer="zeros", trainable=False, autocast=False
        )

    def compute_output_shape(self, w_shape: Shape, psi_shape: Shape) -> Shape:
        return (w_shape[0], self.layers, w_shape[-1])

    def call(self, w: Tensor, psi: Tensor) -> Tensor:
        x = at_least_float32(w)[:, None]  # [B, 1, W]
        mean, psi = ops.cast(self.mean, x.dtype), ops.cast(psi, x.dtype)[:, None]
        cut = min(self.cutoff, self.layers)
        # Not ops.repeat: TILE has no kernel on many phones.
        rows = [mean + psi * (x - mean)] * cut + [x] * (self.layers - cut)
        return ops.cast(ops.concatenate(rows, axis=1), w.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layers": self.layers, "cutoff": self.cutoff}


@keras.saving.register_keras_serializable("kgan")
class MinibatchDeviation(keras.layers.Layer):
    """One more channel: how much the images of a group differ, a single number for each group.

    The standard deviation over the group, sqrt(variance + 1e-8), is averaged over pixels and channels: 1e-4 for equal
    images.

    Args:
      group: images in a group; the greatest common divisor with a device's share of the batch where that is no multiple
        of it.
      strided: image i is with i + B/group, i + 2 B/group ..., as in the official code, and not with its neighbours.
        Then what a group is depends on how many devices share the batch.

    Shapes: [B, H, W, C] to [B, H, W, C + 1]. Source: ProGAN, section 3.
    """

    def __init__(self, group: int = 4, strided: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if group < 1:
            raise ValueError(f"{self.name}: group must be at least 1, got {group}.")
        self.group, self.strided = group, strided

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], input_shape[-1] + 1)

    def call(self, inputs: Tensor) -> Tensor:
        batch, height, width, channels = inputs.shape
        group = self.group if batch is None else math.gcd(self.group, batch)
        axis, lead = (0, (group, -1)) if self.strided else (1, (-1, group))
        x = ops.reshape(at_least_float32(inputs), (*lead, height, width, channels))
        x = x - ops.mean(x, axis=axis, keepdims=True)
        deviation = ops.mean(ops.sqrt(ops.mean(x * x, axis=axis) + 1e-8), axis=(1, 2, 3))  # [groups]
        deviation = ops.tile(deviation, group) if self.strided else ops.repeat(deviation, group)
        plane = ops.ones_like(inputs[..., :1]) * ops.cast(deviation, inputs.dtype)[:, None, None, None]
        return ops.concatenate([inputs, plane], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group": self.group, "strided": self.strided}
