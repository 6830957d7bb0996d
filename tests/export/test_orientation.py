"""kgan.export.orientation: as Pillow reads it, whatever stands in the file."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kgan.export.orientation import orientation, upright
from kgan.pictures import images

pytestmark = pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's

PICTURE = np.zeros((24, 40, 3), np.uint8)  # each corner is another colour
PICTURE[:12, :20], PICTURE[:12, 20:], PICTURE[12:, :20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def exif(*entries: bytes, order: str = "<", magic: int = 42, directory: int = 8, count: int | None = None) -> bytes:
    """A TIFF file with one directory of these entries, which `count` may belie."""
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HL", magic, directory)
    return head + struct.pack(order + "H", len(entries) if count is None else count) + b"".join(entries) + bytes(4)


def entry(value: int, order: str = "<", tag: int = 0x0112, kind: int = 3) -> bytes:
    return struct.pack(order + "HHLHH", tag, kind, 1, value, 0)


def jpeg(tiff: bytes | None = None, before: bytes = b"") -> bytes:
    """PICTURE, with segments `before` the one of EXIF."""
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG", quality=95, subsampling=0)
    data = buffer.getvalue()
    segment = b"" if tiff is None else b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    return data[:2] + before + segment + data[2:]


def assert_as_pillow(data: bytes) -> None:
    own = upright(tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE"), tf.constant(data)).numpy()
    pillows = images.decode(data)
    assert own.shape == pillows.shape
    assert np.abs(own.astype(int) - pillows).max() <= 2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_in_both_byte_orders(value: int, order: str) -> None:
    others = entry(7, order, tag=0x0100), entry(5, order, tag=0x011A)
    data = jpeg(exif(others[0], entry(value, order), others[1], order=order))
    assert orientation(tf.constant(data)) == value
    assert_as_pillow(data)
    assert images.decode(data).shape == ((24, 40, 3) if value < 5 else (40, 24, 3))


def test_the_segment_need_not_be_the_first() -> None:
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 10) + b"\xff\xe1Exif\0\0\0\0"
    xmp = b"\xff\xe1" + struct.pack(">H", 2 + 6) + b"http:/"
    data = jpeg(exif(entry(6)), comment + xmp + b"\xff\xff")
    assert orientation(tf.constant(data)) == 6
    assert_as_pillow(data)


@pytest.mark.parametrize(
    "tiff",
    {
        "no EXIF": None,
        "empty": b"",
        "no tag": exif(entry(6, tag=0x0100)),
        "zero": exif(entry(0)),
        "nine": exif(entry(9)),
        "a type that is none": exif(entry(6, kind=77)),
        "wrong order": b"XX" + exif(entry(6))[2:],
        "wrong magic": exif(entry(6), magic=43),
        "directory beyond the end": exif(entry(6), directory=2**31),
        "directory at the last octet": exif(entry(6), directory=8 + 2 + 12 + 4 - 1),
        "cut in the entry": exif(entry(6))[:-8],
        "cut in the head": exif(entry(6))[:7],
        "mixed orders": exif(entry(6, ">"), order="<"),
    }.items(),
    ids=lambda case: case[0],
)
def test_without_sense_it_is_upright_as_stored(tiff: tuple[str, bytes | None]) -> None:
    data = jpeg(tiff[1])
    assert orientation(tf.constant(data)) == 1
    assert_as_pillow(data)


def test_more_entries_promised_than_there_are() -> None:
    data = jpeg(exif(entry(6), count=65535))
    assert orientation(tf.constant(data)) == 6
    assert_as_pillow(data)


def test_a_file_of_nothing_but_segments_keeps_no_server_busy() -> None:
    data = tf.constant(b"\xff\xd8" + b"\xff" * 10_000_000)
    start = time.process_time()
    assert orientation(data) == 1
    assert time.process_time() - start < 10


def test_every_cut_and_many_damages_are_survived() -> None:
    """Any answer from 1 to 8 will do, and no error."""
    random, whole = np.random.default_rng(0), jpeg(exif(entry(6), entry(1, tag=0x0100)))
    read = tf.function(orientation).get_concrete_function(tf.TensorSpec((), tf.string))
    for end in range(64):
        assert 1 <= read(tf.constant(whole[:end])) <= 8
    for _ in range(200):
        octets = bytearray(whole)
        for place in random.integers(0, 60, 3):
            octets[place] = random.integers(256)
        assert 1 <= read(tf.constant(bytes(octets))) <= 8
