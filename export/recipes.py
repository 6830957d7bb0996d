"""What may be done to the weights on the way to `.tflite`, and how much of the picture each way must keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kgan.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A named setting of TensorFlow's converter.

    Attributes:
      name: part of the exported file's name.
      floor: the PSNR in dB, at peak 2 (pixels in [-1, 1]), below which an exported file is refused.
      configure: sets up a `tf.lite.TFLiteConverter`.
    """

    name: str
    floor: float
    configure: Callable[[Any], None]


def float32(converter: Any) -> None:
    """Weights and arithmetic as trained."""
    converter.optimizations = []


def float16(converter: Any) -> None:
    """Weights stored in 16 bits: half the download. CPUs still compute in float32, GPUs in float16."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def dynamic(converter: Any) -> None:
    """Weights of convolutions and dense layers in 8 bits, activations quantized on the fly: a quarter of the download,
    the fastest on CPUs; normalization stays in float32."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", 100.0, float32),
        Recipe("float16", 60.0, float16),
        Recipe("dynamic", 40.0, dynamic),
    )
}


def get(name: str) -> Recipe:
    """The recipe of that name, or a `UserError` that lists those there are."""
    if name not in RECIPES:
        raise UserError(f"There is no export recipe '{name}': choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
