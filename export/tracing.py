"""A Keras network as TensorFlow writes it into files: a traced function, and the variables that it reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from kgan.types import Shape, Tensor

Shapes: TypeAlias = dict[str, Shape]  # of float32 inputs, by name


def to_uint8(image: Tensor) -> Tensor:
    """Pixels in [-1, 1] as uint8, as `kgan.pictures.images.to_uint8` has it."""
    return tf.cast(tf.round((tf.clip_by_value(image, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)


def trace(draw: Callable[[dict[str, Tensor]], Tensor], shapes: Shapes, output: str = "image") -> Any:
    """`draw`, from inputs by name to pictures, as a concrete function of tensors of these names and shapes.

    It returns the pictures under the name `output`.
    """

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        return {output: draw(dict(zip(shapes, tensors, strict=True)))}

    specs = [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()]
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def weights(model: keras.Model) -> tf.Module:
    """The variables that a traced function reads, to be handed over with it in the model's place.

    Given a Keras 3 model, TensorFlow's converter would silently leave its weights out of the `.tflite`, and a
    SavedModel would hold all of Keras' own functions too.
    """
    module = tf.Module(name="generator")
    module.weights = [variable.value for variable in model.variables]
    return module
