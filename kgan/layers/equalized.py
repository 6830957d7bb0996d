"""Equalized learning rate: weights are kept near N(0, 1) and scaled when used, so that Adam treats all layers alike.

Karras et al. 2018 (ProGAN), arXiv 1710.10196, section 4.1.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kgan.layers.resampling import nearest_double
from kgan.types import Shape, Tensor

GAIN = math.sqrt(2)  # He et al. 2015, for layers that a (leaky) ReLU follows


class _Equalized(keras.layers.Layer):
    """A layer whose kernel is kept at unit deviation and scaled where it is used.

    Args:
      gain: the used kernel has the deviation gain / sqrt(fan_in) at the start.
      rate: factor of this layer's learning rate: kernel and bias are divided by it when kept, multiplied when used.
      seed: of the kernel.
    """

    def __init__(
        self, gain: float = GAIN, rate: float = 1.0, use_bias: bool = True, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if gain <= 0 or rate <= 0:
            raise ValueError(f"{self.name}: gain and rate must be positive, got {gain} and {rate}.")
        self.gain, self.rate, self.use_bias, self.seed = gain, rate, use_bias, seed

    def _add(self, shape: tuple[int, ...]) -> None:
        """Weights for a kernel whose last axis is the output's."""
        self.scale = self.gain * self.rate / math.sqrt(math.prod(shape[:-1]))
        initializer = keras.initializers.RandomNormal(stddev=1 / self.rate, seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros") if self.use_bias else None

    def _biased(self, x: Tensor) -> Tensor:
        return x if self.bias is None else x + self.bias * self.rate

    def get_config(self) -> dict[str, Any]:
        config = {"gain": self.gain, "rate": self.rate, "use_bias": self.use_bias, "seed": self.seed}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("kgan")
class EqualizedDense(_Equalized):
    """x kernel scale + bias: [B, C] to [B, units]."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Shape) -> None:
        self._add((input_shape[-1], self.units))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def call(self, inputs: Tensor) -> Tensor:
        return self._biased(ops.matmul(inputs, self.kernel * self.scale))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("kgan")
class EqualizedConv2D(_Equalized):
    """A convolution padded with zeros to keep the size; after a doubling, or before a halving, of the map.

    Args:
      resample: "up": nearest-by-2 before the convolution; "down": 2x2 average after it; "none".
      fused: one convolution of stride 2 does both, with 16 products a small pixel where the two steps take 36. The
        result is the same but for rounding.

    Shapes: [B, H, W, C] to [B, H, W, filters], H and W twice or half as large where resampled.
    """

    def __init__(
        self, filters: int, kernel_size: int, resample: str = "none", fused: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if resample not in ("none", "up", "down"):
            raise ValueError(f"{self.name}: resample is 'none', 'up' or 'down', got {resample!r}.")
        self.filters, self.kernel_size, self.resample, self.fused = filters, kernel_size, resample, fused

    def build(self, input_shape: Shape) -> None:
        self._add((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def resampled(side: int | None) -> int | None:
            return None if side is None else {"none": side, "up": 2 * side, "down": side // 2}[self.resample]

        return (input_shape[0], *map(resampled, input_shape[1:3]), self.filters)

    def call(self, inputs: Tensor) -> Tensor:
        x, kernel = inputs, self.kernel * self.scale
        if self.fused and self.resample == "up":
            # A transposed convolution reads its kernel backwards.
            kernel = ops.transpose(_widened(ops.flip(kernel, (0, 1))), (0, 1, 3, 2))
            return self._biased(ops.conv_transpose(x, kernel, strides=2, padding="same"))
        if self.fused and self.resample == "down":
            return self._biased(ops.conv(x, _widened(kernel) / 4, strides=2, padding="same"))
        if self.resample == "up":
            x = nearest_double(x)
        x = ops.conv(x, kernel, padding="same")
        if self.resample == "down":
            x = ops.average_pool(x, 2, strides=2)
        return self._biased(x)

    def get_config(self) -> dict[str, Any]:
        config = {"filters": self.filters, "kernel_size": self.kernel_size}
        return {**super().get_config(), **config, "resample": self.resample, "fused": self.fused}


def _widened(kernel: Tensor) -> Tensor:
    """[k, k, C, D] to [k + 1, k + 1, C, D]: the sum of its four places within a block of 2x2."""
    kernel = ops.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    return kernel[1:, 1:] + kernel[:-1, 1:] + kernel[1:, :-1] + kernel[:-1, :-1]
