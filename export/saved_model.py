"""A Keras generator as a TensorFlow SavedModel: one network, three named signatures.

| signature         | input                                        | output                                    |
|-------------------|----------------------------------------------|-------------------------------------------|
| `serving_default` | `image` float32 [B, H, W, 3] in [-1, 1]      | `image`, the same                         |
| `serving_uint8`   | `image` uint8 [B, H, W, 3]                   | `image`, the same                         |
| `serving_bytes`   | `image_bytes` string [B], JPEGs and PNGs     | `image_bytes` string [B], PNGs as large   |

A network that takes a label has the input `label` beside each of these, float32 [B, C], a row a picture.
H and W are free for a network that is: sides are reflected up to its multiple and cropped back. For a network of a
fixed size they are that size, and only `serving_bytes` resizes (bicubic, antialiased) there and back. It turns a JPEG
upright as its EXIF says (a PNG's EXIF is not read), and puts transparency on white.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kgan.export import tracing
from kgan.export.orientation import upright
from kgan.filters.loading import apply, inputs_of
from kgan.layers.batch import statistics
from kgan.precision import float32_copy
from kgan.quiet import quiet


def fixed_size(model: keras.Model) -> tuple[int, int] | None:
    """(height, width) where the network takes only that."""
    _, height, width, _ = inputs_of(model)["image"]
    return (height, width) if height and width else None


def describe(model: keras.Model) -> dict[str, Any]:
    """Signatures for a card: name, shape (None where free) and dtype of each input, which the output shares.

    For a network that takes a label, that of every signature too.
    """
    shape = [None, *(fixed_size(model) or (None, None)), 3]
    signatures = {
        "serving_default": {"name": "image", "shape": shape, "dtype": "float32"},
        "serving_uint8": {"name": "image", "shape": shape, "dtype": "uint8"},
        "serving_bytes": {"name": "image_bytes", "shape": [None], "dtype": "string"},
    }
    inputs = inputs_of(model)
    if "label" not in inputs:
        return {"signatures": signatures}
    return {
        "signatures": signatures,
        "label": {"name": "label", "shape": [None, inputs["label"][1]], "dtype": "float32"},
    }


class Serving:
    """The functions behind the signatures.

    Args:
      model: [B, H, W, 3] in [-1, 1] to the same.
      multiple, smallest: as of the filter's card.
    """

    def __init__(self, model: keras.Model, multiple: int, smallest: int) -> None:
        self.model = model
        self.multiple, self.smallest = multiple, smallest
        self.size = fixed_size(model)
        self.one_by_one = statistics(model) == "batch"

    def signatures(self) -> dict[str, Any]:
        """The concrete function behind each signature, by name."""
        calls = {
            "serving_default": self.translate,
            "serving_uint8": self.translate_uint8,
            "serving_bytes": self.translate_bytes,
        }
        card = describe(self.model)
        label = [tf.TensorSpec(**card["label"])] if "label" in card else []
        return {
            name: tf.function(calls[name], autograph=False).get_concrete_function(tf.TensorSpec(**tensor), *label)
            for name, tensor in card["signatures"].items()
        }

    def translate(self, image: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"image": self._translate(image, label)}

    def translate_uint8(self, image: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"image": tracing.to_uint8(self._translate(_to_float(image), label))}

    def translate_bytes(self, image_bytes: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        # One at a time: pictures differ in size, and ten at once, the default, would need ten times the memory.
        rows = (image_bytes,) if label is None else (image_bytes, label)
        encoded = tf.map_fn(lambda row: self._file(*row), rows, parallel_iterations=1, fn_output_signature=tf.string)
        return {"image_bytes": encoded}

    def _translate(self, image: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        """[B, H, W, 3] in [-1, 1] to the same, whatever the sides where the network leaves them free."""
        height, width = tf.shape(image)[1], tf.shape(image)[2]
        if not self.size:
            image = tf.gather(image, _reflected(height, self.multiple, self.smallest), axis=1)
            image = tf.gather(image, _reflected(width, self.multiple, self.smallest), axis=2)
        if self.one_by_one:  # else a picture's normalization, and so the answer, would depend on its company
            result = tf.map_fn(lambda row: apply(self.model, row[None])[0], image, fn_output_signature=tf.float32)
        else:
            result = apply(self.model, image, label)
        return result[:, :height, :width]

    def _file(self, data: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """The bytes of a picture's file, and its label [C], to those of its translation's."""
        label = None if label is None else label[None]
        image = _to_float(_decode(data))[None]
        size = tf.shape(image)[1:3]
        image = self._translate(_resize(image, self.size) if self.size else image, label)
        image = _resize(image, size) if self.size else image
        return tf.io.encode_png(tracing.to_uint8(image)[0])


def _reflected(side: tf.Tensor, multiple: int, smallest: int) -> tf.Tensor:
    """Indices 0, 1 .. side - 1 and on, reflected at the ends, as many as `kgan.filters.loading.padding` asks for."""
    added = -(-tf.maximum(side, smallest) // multiple) * multiple - side
    period = tf.maximum(2 * (side - 1), 1)
    index = tf.range(side + added) % period
    return tf.minimum(index, period - index)


def _decode(data: tf.Tensor) -> tf.Tensor:
    """JPEG or PNG to uint8 [H, W, 3], decoded as accurately as Pillow does; a JPEG upright as its EXIF says."""

    def jpeg() -> tf.Tensor:
        return upright(tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), data)

    def png() -> tf.Tensor:
        rgba = tf.cast(tf.io.decode_png(data, channels=4), tf.float32)
        color, alpha = rgba[..., :3], rgba[..., 3:] / 255
        return tf.cast(tf.round(color * alpha + 255 * (1 - alpha)), tf.uint8)

    return tf.cond(tf.io.is_jpeg(data), jpeg, png)


def _resize(image: tf.Tensor, size: Any) -> tf.Tensor:
    return tf.clip_by_value(tf.image.resize(image, size, "bicubic", antialias=True), -1.0, 1.0)


def _to_float(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image, tf.float32) / 127.5 - 1.0


def write(model: keras.Model, folder: str | Path, multiple: int = 4, smallest: int = 8) -> None:
    """Write the SavedModel of `model` into `folder`.

    Args:
      model: [B, H, W, 3] in [-1, 1] to the same, or to a dict whose "image" is that.
      folder: created where it is missing.
      multiple: what the network divides the sides of a picture by, and smallest: what they must at least measure; of
        no effect for a network of fixed size.
    """
    model = float32_copy(model)
    with quiet():
        signatures = Serving(model, multiple, smallest).signatures()
        tf.saved_model.save(tracing.weights(model), str(folder), signatures=signatures)
