"""A network as one `.tflite` file: static shape, float32 in and out, the image as the only output."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from kgan.errors import UserError
from kgan.export import tracing
from kgan.export.runtimes import Inputs
from kgan.export.tracing import Shapes
from kgan.filters.loading import apply, inputs_of
from kgan.precision import float32_copy
from kgan.quiet import quiet

if TYPE_CHECKING:
    from kgan.export.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Convertible:
    """A network traced for one picture of one size: what recipes make `.tflite` files of.

    Attributes:
      name: of the network, for errors.
      function: concrete, from float32 tensors [1, ...] by name to {"image": float32 [1, H, W, 3]}.
      weights: the variables that it reads.
    """

    name: str
    function: Any
    weights: tf.Module

    def convert(self, optimize: bool = False, weight_types: Sequence[str] = ()) -> bytes:
        """The bytes of a `.tflite`, by TensorFlow's converter.

        Args:
          optimize: store the weights in fewer bits.
          weight_types: the dtypes to choose from, where they are not to be integers of 8 bits.

        Raises:
          UserError: the network holds an operation that `.tflite` has no kernel for.
        """
        with quiet():
            converter = tf.lite.TFLiteConverter.from_concrete_functions([self.function], self.weights)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            converter.target_spec.supported_types = [tf.as_dtype(name) for name in weight_types]
            converter.optimizations = [tf.lite.Optimize.DEFAULT] if optimize else []
            try:
                return bytes(converter.convert())
            except Exception as error:  # the converter's own, and what TensorFlow raises before it comes to that
                raise UserError(f"{self.name} cannot be converted to .tflite: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """The line of the converter's page that names the operations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    operations = [line for line in lines if "ops:" in line.lower()]
    return (operations or lines or ["the converter gave no reason"])[-1].rstrip(".")


def input_shapes(model: keras.Model, size: tuple[int, int]) -> Shapes:
    """What a filter's `.tflite` takes: one picture of `size` (height, width) and, where the network has one, a label.

    The batch of 1 is fixed: left open, it would bring SHAPE, PACK and RESHAPE into the file.
    """
    shapes: Shapes = {"image": (1, *size, 3)}
    if "label" in (inputs := inputs_of(model)):
        shapes["label"] = (1, inputs["label"][1])
    return shapes


def describe(shapes: Shapes) -> dict[str, Any]:
    """Inputs and output as a card describes them."""
    tensors = {name: {"name": name, "shape": list(shape), "dtype": "float32"} for name, shape in shapes.items()}
    label = {"label": tensors["label"]} if "label" in tensors else {}
    return {"input": tensors["image"], "output": tensors["image"], **label}


def convertible(model: keras.Model, size: tuple[int, int]) -> Convertible:
    """A filter in float32, [B, H, W, 3] in [-1, 1] to the same, traced for one picture of `size`.

    Where it returns a dict, its "image" is the picture, and other outputs are left out.
    """
    shapes = input_shapes(model, size)

    def draw(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.ensure_shape(apply(model, inputs["image"], inputs.get("label")), shapes["image"])

    try:
        with quiet():
            return Convertible(model.name, tracing.trace(draw, shapes), tracing.weights(model))
    except Exception as error:  # a layer of Keras or TensorFlow that does not take this size
        raise UserError(
            f"{model.name} cannot be exported for {size[0]}x{size[1]} pictures: {_reason(error)}."
        ) from error


def convert(model: keras.Model, size: tuple[int, int], recipe: Recipe, calibration: Sequence[Inputs] = ()) -> bytes:
    """A filter as the bytes of a `.tflite` for pictures of one size.

    Args:
      model: as of `convertible`, of any precision.
      size: (height, width) in pixels, multiples of what the network divides.
      recipe: what to do to the weights.
      calibration: inputs for recipes that need some.

    Returns:
      A file whose signature `serving_default` takes "image" float32 [1, *size, 3], and where the model has one "label"
      float32 [1, C], to "image".

    Raises:
      UserError: the network holds an operation that `.tflite` has no kernel for.
    """
    return recipe.quantize(convertible(float32_copy(model), size), calibration)
