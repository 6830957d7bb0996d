"""Pictures upright as their EXIF says, by TensorFlow's operations alone: inside a SavedModel nothing else can read it.

A camera stores what its sensor sees, and notes in tag 0x0112 how it was held. A JPEG is a row of segments: FF, a
marker, two bytes of length and so many bytes. In the segment of marker E1 that begins with "Exif" and two zeros lies a
TIFF file: its byte order ("II", the little end first, or "MM"), the number 42, and where its first directory is, a
number of entries of 12 bytes, each a tag, a type, a count and a value. (Exif 2.32; TIFF 6.0.)
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

ORIENTATION, SHORT = 0x0112, 3
SEGMENTS = 100  # are looked at; cameras put EXIF first, and a file made of nothing else must not keep a server busy
EXIF = int.from_bytes(b"Exif\0\0", "big")
LITTLE, BIG = (int.from_bytes(order, "big") for order in (b"II", b"MM"))


def upright(image: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """Turn and mirror a picture [H, W, 3] as `data`, the bytes of the JPEG file that it was decoded from, asks."""
    value = orientation(data)

    def one_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(value == tf.constant(values, tf.int64))

    turned = tf.cond(value >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    mirrored = tf.cond(one_of(2, 3, 6, 7), lambda: turned[:, ::-1], lambda: turned)
    return tf.cond(one_of(3, 4, 7, 8), lambda: mirrored[::-1], lambda: mirrored)


def orientation(data: tf.Tensor) -> tf.Tensor:
    """What EXIF calls the orientation, 1 to 8 as int64, in the bytes of a JPEG file; 1, which is upright, where it is
    missing or makes no sense."""
    tiff = _tiff(_ended(tf.io.decode_raw(data, tf.uint8)))
    order = _number(tiff, 0, 2)
    little = order == LITTLE
    directory = _number(tiff, 4, 4, little)
    size = tf.size(tiff, tf.int64)
    count = tf.minimum(_number(tiff, directory, 2, little), size // 12)
    entry = directory + 2 + 12 * tf.range(count)  # [entries], where each begins
    entry = tf.boolean_mask(entry, entry + 12 < size)
    tag, kind = _number(tiff, entry, 2, little), _number(tiff, entry + 2, 2, little)
    values, value = _number(tiff, entry + 4, 4, little), _number(tiff, entry + 8, 2, little)
    is_orientation = (tag == ORIENTATION) & (kind == SHORT) & (values == 1) & (value >= 1) & (value <= 8)
    is_tiff = (little | (order == BIG)) & (_number(tiff, 2, 2, little) == 42)
    return tf.concat([tf.boolean_mask(value, is_orientation & is_tiff), [1]], 0)[0]


def _tiff(octets: tf.Tensor) -> tf.Tensor:
    """The TIFF file inside a JPEG's octets, empty where there is none."""

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        return (_number(octets, at, 2) == 0xFFE1) & (_number(octets, at + 4, 6) == EXIF)

    def searching(at: tf.Tensor) -> tf.Tensor:
        marker = _number(octets, at, 2)
        segment = (marker >= 0xFF00) & (marker != 0xFFDA) & (marker != 0xFFD9)  # no scan yet, and not the end
        return segment & ~is_exif(at)

    def after(at: tf.Tensor) -> tf.Tensor:
        filled = _number(octets, at, 2) == 0xFFFF  # any number of FF may stand before a marker
        return (at + tf.where(filled, tf.constant(1, tf.int64), 2 + _number(octets, at + 2, 2)),)

    (at,) = tf.while_loop(searching, after, (tf.constant(2, tf.int64),), maximum_iterations=SEGMENTS)
    end = tf.where(is_exif(at), at + 2 + _number(octets, at + 2, 2), 0)
    return _ended(octets[at + 10 : end])


def _ended(octets: tf.Tensor) -> tf.Tensor:
    """Octets with a zero after the last, which `_number` reads for whatever lies beyond."""
    return tf.concat([octets, tf.zeros(1, tf.uint8)], 0)


def _number(octets: tf.Tensor, at: tf.Tensor | int, count: int, little: tf.Tensor | bool = False) -> tf.Tensor:
    """Whole numbers of `count` octets each, at one place or several, as int64 of the shape of `at`."""
    place = tf.convert_to_tensor(at, tf.int64)[..., None] + tf.range(count, dtype=tf.int64)
    digits = tf.cast(tf.gather(octets, tf.minimum(place, tf.size(octets, tf.int64) - 1)), tf.int64)
    return tf.reduce_sum(tf.where(little, digits, digits[..., ::-1]) * 256 ** np.arange(count), -1)
