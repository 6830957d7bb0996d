"""A Keras generator as a TensorFlow SavedModel: one network, three named signatures.

| signature         | input                                        | output                                    |
|-------------------|----------------------------------------------|-------------------------------------------|
| `serving_default` | `image` float32 [B, H, W, 3] in [-1, 1]      | `image`, the same                         |
| `serving_uint8`   | `image` uint8 [B, H, W, 3]                   | `image`, the same                         |
| `serving_bytes`   | `image_bytes` string [B], JPEGs and PNGs     | `image_bytes` string [B], PNGs as large   |

A network that takes a label has the input `label` beside each of these, float32 [B, C], a row a picture.
H and W are free for a network that is: sides are reflected up to its multiple and cropped back. For a network of a
fixed size they are that size, and only `serving_bytes` resizes (bicubic, antialiased) there and back. TensorFlow cannot
read EXIF: `serving_bytes` takes pictures as they are stored; transparency goes on white.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kgan.filters.loading import apply, inputs_of
from kgan.layers.batch import statistics
from kgan.precision import float32_copy
from kgan.quiet import quiet


def describe(size: tuple[int, int] | None) -> dict[str, Any]:
    """The signatures for a card: name, shape (None where free) and dtype of each input, which the output shares."""
    shape = [None, *(size or (None, None)), 3]
    return {
        "serving_default": {"name": "image", "shape": shape, "dtype": "float32"},
        "serving_uint8": {"name": "image", "shape": shape, "dtype": "uint8"},
        "serving_bytes": {"name": "image_bytes", "shape": [None], "dtype": "string"},
    }


def describe_label(width: int | None) -> dict[str, Any]:
    """The second input of every signature, for a network that takes one."""
    return {"name": "label", "shape": [None, width], "dtype": "float32"}


class Serving:
    """The functions behind the signatures; `multiple` and `smallest` are those of the filter's card."""

    def __init__(self, model: keras.Model, multiple: int, smallest: int) -> None:
        self.model = model
        self.multiple, self.smallest = multiple, smallest
        inputs = inputs_of(model)
        height, width = inputs["image"][1:3]
        self.size: tuple[int, int] | None = (height, width) if height and width else None
        self.alone = statistics(model) == "batch"
        self.label = [tf.TensorSpec(**describe_label(inputs["label"][1]))] if "label" in inputs else []

    def signatures(self) -> dict[str, Any]:
        """Name to concrete function."""
        calls = {
            "serving_default": self.translate,
            "serving_uint8": self.translate_uint8,
            "serving_bytes": self.translate_bytes,
        }
        specs = {name: tf.TensorSpec(**spec) for name, spec in describe(self.size).items()}
        return {name: tf.function(call).get_concrete_function(specs[name], *self.label) for name, call in calls.items()}

    def translate(self, image: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"image": self._translate(image, label)}

    def translate_uint8(self, image: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"image": _to_uint8(self._translate(_to_float(image), label))}

    def translate_bytes(self, image_bytes: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        # One at a time: pictures differ in size, and ten at once, the default, would need ten times the memory.
        given = (image_bytes,) if label is None else (image_bytes, label)
        encoded = tf.map_fn(lambda one: self._one(*one), given, parallel_iterations=1, fn_output_signature=tf.string)
        return {"image_bytes": encoded}

    def _translate(self, image: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        """Float [B, H, W, 3] to the same, whatever the sides where the network leaves them free."""
        height, width = tf.shape(image)[1], tf.shape(image)[2]
        if not self.size:
            image = tf.gather(image, _reflected(height, self.multiple, self.smallest), axis=1)
            image = tf.gather(image, _reflected(width, self.multiple, self.smallest), axis=2)
        if self.alone:  # else a picture's normalization, and so the answer, would depend on its company in the batch
            drawn = tf.map_fn(lambda one: apply(self.model, one[None])[0], image, fn_output_signature=tf.float32)
        else:
            drawn = apply(self.model, image, label)
        return drawn[:, :height, :width]

    def _one(self, data: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """The bytes of a picture, and its label [C], to those of its translation."""
        label = None if label is None else label[None]
        image = _to_float(_decode(data))[None]
        size = tf.shape(image)[1:3]
        image = self._translate(_resize(image, self.size) if self.size else image, label)
        image = _resize(image, size) if self.size else image
        return tf.io.encode_png(_to_uint8(image)[0])


def _reflected(side: tf.Tensor, multiple: int, smallest: int) -> tf.Tensor:
    """Indices 0, 1 .. side - 1 and on, reflected at the ends, as many as `kgan.filters.loading.padding` asks for."""
    added = tf.maximum(-side % multiple, smallest - side)
    period = tf.maximum(2 * (side - 1), 1)
    index = tf.range(side + added) % period
    return tf.minimum(index, period - index)


def _decode(data: tf.Tensor) -> tf.Tensor:
    """JPEG or PNG to uint8 [H, W, 3], decoded as accurately as Pillow does."""

    def jpeg() -> tf.Tensor:
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")

    def png() -> tf.Tensor:
        rgba = tf.cast(tf.io.decode_png(data, channels=4), tf.float32)
        color, alpha = rgba[..., :3], rgba[..., 3:] / 255
        return tf.cast(tf.round(color * alpha + 255 * (1 - alpha)), tf.uint8)

    return tf.cond(tf.io.is_jpeg(data), jpeg, png)


def _resize(image: tf.Tensor, size: Any) -> tf.Tensor:
    return tf.clip_by_value(tf.image.resize(image, size, "bicubic", antialias=True), -1.0, 1.0)


def _to_float(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def _to_uint8(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round((tf.clip_by_value(image, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)


def write(model: keras.Model, folder: str | Path, multiple: int = 4, smallest: int = 8) -> None:
    """Write the SavedModel of `model` into `folder`.

    Args:
      model: [B, H, W, 3] in [-1, 1] to the same, or to a dict whose "image" is that.
      folder: created where it is missing.
      multiple: what the network divides the sides of a picture by, and smallest: what they must at least measure; of
        no effect for a network of fixed size.
    """
    model = float32_copy(model)
    # Only the variables are handed over: given the model, TensorFlow would write all of Keras' own functions too.
    holder = tf.Module(name="generator")
    holder.weights = [variable.value for variable in model.variables]
    with quiet():
        tf.saved_model.save(holder, str(folder), signatures=Serving(model, multiple, smallest).signatures())
