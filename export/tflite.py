"""A Keras generator as one `.tflite` file: static shape, float32 in and out, the image as the only output."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from kgan.errors import UserError
from kgan.export.recipes import Recipe
from kgan.filters.loading import apply, inputs_of
from kgan.precision import float32_copy
from kgan.quiet import quiet


def convert(model: keras.Model, size: tuple[int, int], recipe: Recipe) -> bytes:
    """Convert for pictures of one size.

    Args:
      model: [B, H, W, 3] in [-1, 1] to the same, or to a dict whose "image" is that; other outputs are left out.
      size: (height, width) in pixels, multiples of what the network divides.
      recipe: what to do to the weights.

    Returns:
      The bytes of a `.tflite` whose signature `serving_default` takes "image" float32 [1, *size, 3], and where the
      model has one "label" float32 [1, C], to "image".

    Raises:
      UserError: the network holds an operation that `.tflite` has no kernel for.
    """
    model = float32_copy(model)
    holder = tf.Module(name="generator")
    # The variables themselves: handed a Keras 3 model, the converter would silently leave the weights out of the file.
    holder.weights = [variable.value for variable in model.variables]

    # The batch of 1 is fixed here: left open, it would bring SHAPE, PACK and RESHAPE into the file.
    specs = [tf.TensorSpec((1, *size, 3), tf.float32, name="image")]
    if "label" in (inputs := inputs_of(model)):
        specs.append(tf.TensorSpec((1, inputs["label"][1]), tf.float32, name="label"))

    @tf.function(input_signature=specs)
    def translate(image: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"image": tf.ensure_shape(apply(model, image, label), (1, *size, 3))}

    return converted(translate, holder, recipe, model.name)


def converted(function: Any, holder: tf.Module, recipe: Recipe, name: str) -> bytes:
    """A `tf.function` with an input signature, whose variables `holder` has, as the bytes of a `.tflite`; see above."""
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], holder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        recipe.configure(converter)
        try:
            return bytes(converter.convert())
        except ConverterError as error:
            raise UserError(f"{name} cannot be converted to .tflite: {_reason(error)}.") from error


def _reason(error: ConverterError) -> str:
    """The line of the converter's page that names the operations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "ops:" in line.lower()]
    return (named or lines or ["the converter gave no reason"])[-1].rstrip(".")
