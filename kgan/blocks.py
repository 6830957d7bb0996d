"""Blocks that systems share: functions from a Keras tensor to a Keras tensor, every layer named on purpose.

Names are keys: checkpoints, quantization recipes and golden files refer to them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import keras

from kgan.layers import ReflectionPadding2D, SpectralNormalization
from kgan.precision import variable_dtype
from kgan.types import Tensor

Norm = Callable[[Tensor, str], Tensor]  # (x, name) to normalized x


class Initial:
    """Seeded starting values: each request differs, and all follow from `seed`.

    Args:
      scheme: "normal" for N(0, 0.02) kernels and zero biases (DCGAN's, most official codes), "pytorch" for that
        library's default: kernels and biases uniform within 1 / sqrt(fan_in).
    """

    def __init__(self, seed: int, scheme: str = "normal") -> None:
        if scheme not in ("normal", "pytorch"):
            raise ValueError(f"The initializer is 'normal' or 'pytorch', got {scheme!r}.")
        self._seeds = itertools.count(seed * 100_003)
        self._scheme = scheme

    def seed(self) -> int:
        return next(self._seeds)

    def kernel(self) -> keras.initializers.Initializer:
        if self._scheme == "normal":
            return keras.initializers.RandomNormal(stddev=0.02, seed=self.seed())
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=self.seed())

    def gamma(self) -> keras.initializers.Initializer:
        """N(1, 0.02), the official codes' for the scale of a norm."""
        return keras.initializers.RandomNormal(1.0, 0.02, seed=self.seed())

    def bias(self, fan_in: int) -> keras.initializers.Initializer:
        if self._scheme == "normal":
            return keras.initializers.Zeros()
        bound = 1 / math.sqrt(fan_in)
        return keras.initializers.RandomUniform(-bound, bound, seed=self.seed())


def conv(
    x: Tensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    initial: Initial,
    strides: int = 1,
    reflect: int | tuple[tuple[int, int], tuple[int, int]] = 0,
    pad: int = 0,
    use_bias: bool = True,
    spectral: bool = False,
) -> Tensor:
    """Padding by reflection or (`pad`) by zeros, then a valid convolution, spectrally normalized or not."""
    if reflect:
        x = ReflectionPadding2D(reflect, name=f"{name}_pad")(x)
    if pad:
        x = keras.layers.ZeroPadding2D(pad, name=f"{name}_pad")(x)
    layer: keras.layers.Layer = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        use_bias=use_bias,
        kernel_initializer=initial.kernel(),
        bias_initializer=initial.bias(x.shape[-1] * kernel_size**2),
        name=name,
    )
    if spectral:
        layer = SpectralNormalization(layer, seed=initial.seed(), name=f"{name}_sn")
    return layer(x)


def dense(x: Tensor, units: int, *, name: str, initial: Initial, use_bias: bool = True) -> Tensor:
    """A dense layer on [B, C]."""
    return keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=initial.kernel(),
        bias_initializer=initial.bias(x.shape[-1]),
        name=name,
    )(x)


def residual_block(
    x: Tensor, *, name: str, norm: Norm, initial: Initial, use_bias: bool = True, between: Norm | None = None
) -> Tensor:
    """x + norm(conv(relu(norm(conv(x))))): two reflected 3x3 convolutions at constant width, and `between` them."""
    y = conv(x, x.shape[-1], 3, name=f"{name}_conv1", initial=initial, reflect=1, use_bias=use_bias)
    y = keras.layers.ReLU(name=f"{name}_relu")(norm(y, f"{name}_norm1"))
    y = between(y, f"{name}_dropout") if between else y
    y = conv(y, x.shape[-1], 3, name=f"{name}_conv2", initial=initial, reflect=1, use_bias=use_bias)
    return keras.layers.Add(name=f"{name}_add")([x, norm(y, f"{name}_norm2")])


def transposed(
    x: Tensor, filters: int, kernel_size: int, *, name: str, initial: Initial, use_bias: bool = True
) -> Tensor:
    """A transposed convolution that doubles height and width as torch's with padding 1 does; kernels of 3 or 4."""
    layer = keras.layers.Conv2DTranspose(
        filters,
        kernel_size,
        2,
        padding="same" if kernel_size == 4 else "valid",
        use_bias=use_bias,
        kernel_initializer=initial.kernel(),
        bias_initializer=initial.bias(filters * kernel_size**2),
        name=name,
    )
    x = layer(x)
    return x if kernel_size == 4 else keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(x)


def tanh(x: Tensor) -> Tensor:
    """The picture in [-1, 1], computed and returned in the variables' dtype."""
    return keras.layers.Activation("tanh", dtype=variable_dtype(), name="image_tanh")(x)
