"""CIE L*a*b*, for colorization: lightness in, colour out, and an RGB picture again at the end.

All in the ranges that pix2pix's networks see: RGB in [-1, 1], L / 50 - 1, and a and b divided by 110. sRGB, D65.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from kgan.precision import at_least_float32
from kgan.types import Shape, Tensor

# Linear sRGB to XYZ divided by the white point (IEC 61966-2-1), and XYZ's f to L a b.
_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_TO_XYZ = (_XYZ / _XYZ.sum(axis=1, keepdims=True)).T
_TO_LAB = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]]).T
_SCALE = np.array([50.0, 110.0, 110.0])
_OFFSET = np.array([-16.0, 0.0, 0.0])
_KNEE = 6 / 29


def rgb_to_lab(image: Tensor) -> Tensor:
    """[B, H, W, 3] in [-1, 1] to L / 50 - 1, a / 110, b / 110."""
    x = (at_least_float32(image) + 1) / 2
    linear = ops.where(x > 0.04045, ops.power((ops.maximum(x, 0.04045) + 0.055) / 1.055, 2.4), x / 12.92)
    xyz = _matmul(linear, _TO_XYZ)
    cubic = ops.power(ops.maximum(xyz, _KNEE**3), 1 / 3)
    f = ops.where(xyz > _KNEE**3, cubic, xyz / (3 * _KNEE**2) + 4 / 29)
    return (_matmul(f, _TO_LAB) + _constant(_OFFSET, f)) / _constant(_SCALE, f) - _constant(np.array([1.0, 0, 0]), f)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of `rgb_to_lab`; colours that no screen shows are clipped to [-1, 1]."""
    lab = at_least_float32(lab)
    lab = (lab + _constant(np.array([1.0, 0, 0]), lab)) * _constant(_SCALE, lab) - _constant(_OFFSET, lab)
    f = _matmul(lab, np.linalg.inv(_TO_LAB))
    xyz = ops.where(f > _KNEE, f * f * f, 3 * _KNEE**2 * (f - 4 / 29))
    linear = ops.clip(_matmul(xyz, np.linalg.inv(_TO_XYZ)), 0.0, 1.0)
    x = ops.where(
        linear > 0.0031308, 1.055 * ops.power(ops.maximum(linear, 0.0031308), 1 / 2.4) - 0.055, 12.92 * linear
    )
    return 2 * x - 1


def _constant(value: np.ndarray, like: Tensor) -> Tensor:
    return ops.convert_to_tensor(value, dtype=like.dtype)


def _matmul(x: Tensor, matrix: np.ndarray) -> Tensor:
    """[B, H, W, 3] by [3, 3], written out: a product with a constant matrix would export as a quantizable layer."""
    columns = [sum(x[..., i : i + 1] * float(matrix[i, j]) for i in range(3)) for j in range(3)]
    return ops.concatenate(columns, axis=-1)


@keras.saving.register_keras_serializable("kgan")
class Lightness(keras.layers.Layer):
    """RGB [B, H, W, 3] to L [B, H, W, 1]."""

    def call(self, inputs: Tensor) -> Tensor:
        return ops.cast(rgb_to_lab(inputs)[..., :1], self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable("kgan")
class Colored(keras.layers.Layer):
    """The RGB picture [B, H, W, 3] with its own lightness and the colour ab [B, H, W, 2]."""

    def call(self, inputs: Tensor, colour: Tensor) -> Tensor:
        light = rgb_to_lab(inputs)[..., :1]
        return lab_to_rgb(ops.concatenate([light, ops.cast(colour, light.dtype)], axis=-1))

    def compute_output_shape(self, inputs_shape: Shape, colour_shape: Shape) -> Shape:
        return inputs_shape
