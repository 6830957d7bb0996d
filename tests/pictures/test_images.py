"""What files become: depths, colour profiles, transparency, limits, and damage of every kind."""

from __future__ import annotations

import os
import struct
import threading
import tracemalloc
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from kgan.errors import UserError
from kgan.pictures import images

RAMP = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)  # n * 257


def png(width: int, height: int, depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A PNG of zeros, whatever its size in a few hundred kB at most."""

    row = bytes(1 + (width * depth * {0: 1, 2: 3, 6: 4}[colour] + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("white", [65535, 256, 255])
def test_sixteen_bits_are_scaled_by_their_depth_alone(tmp_path: Path, suffix: str, white: int) -> None:
    values = (RAMP.astype(np.float64) * (white / 65535)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    result = images.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(result[..., 0], np.round(values / 257))
    assert (result == result[..., :1]).all()


def tiff(values: np.ndarray, bits: int, packed: bytes, form: int = 1, photometric: int = 1) -> bytes:
    """An uncompressed grey TIFF of any depth."""
    tags = ImageFileDirectory_v2()
    for number, value in {
        **{256: values.shape[1], 257: values.shape[0], 258: bits, 259: 1, 262: photometric, 277: 1},
        **{278: values.shape[0], 279: len(packed), 339: form, 273: 0},
    }.items():
        tags[number] = value
    return b"II*\0\x08\0\0\0" + tags.tobytes(8) + packed


def test_twelve_bits_reach_white() -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(16, 256)
    pairs = values.reshape(-1, 2).astype(np.uint32)
    packed = b"".join(((a << 12) | b).to_bytes(3, "big") for a, b in pairs.tolist())
    result = images.decode(tiff(values, 12, packed))
    np.testing.assert_array_equal(result[..., 0], np.round(values * (255 / 4095)))


def test_other_depths() -> None:
    values = np.linspace(0, 2**32 - 1, 256).astype(np.uint32)[None]
    expected = np.round(values / (2**32 - 1) * 255)
    np.testing.assert_array_equal(images.decode(tiff(values, 32, values.tobytes()))[..., 0], expected)
    signed = np.array([[-5, 0, 2**14, 2**15 - 1]], np.int16)
    assert images.decode(tiff(signed, 16, signed.tobytes(), form=2))[0, :, 0].tolist() == [0, 0, 128, 255]
    inverted = images.decode(tiff(RAMP, 16, RAMP.tobytes(), photometric=0))
    np.testing.assert_array_equal(inverted[..., 0], 255 - RAMP // 257)


@pytest.mark.parametrize("suffix", [".tif", ".pfm"])
def test_floats_are_shares_of_white(tmp_path: Path, suffix: str) -> None:
    values = np.array([[-1, 0, 0.25, 0.5, 1, 7, np.nan]], np.float32)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    assert images.read(tmp_path / f"a{suffix}")[0, :, 0].tolist() == [0, 0, 64, 128, 255, 255, 0]


def test_a_large_deep_picture_takes_bounded_memory() -> None:
    data = png(4000, 4000, 16)
    tracemalloc.start()
    picture = images.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert picture.shape == (4000, 4000, 3)
    assert peak < 8 * 16e6  # bytes a pixel, where floats took 8 for each copy; Pillow's own are not counted


# Colour profiles.


def with_gamma(gamma: float) -> bytes:
    """sRGB's profile, but with another curve of its three channels."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    start = profile.index(b"para", 128 + 4)
    profile[start : start + 40] = (
        b"para" + bytes(4) + struct.pack(">HHi", 0, 0, round(gamma * 65536)) + profile[start + 16 : start + 40]
    )
    return bytes(profile)


def test_a_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """Linear light of 0.2140 is sRGB's 127 of 255."""
    linear = np.full((8, 8, 3), round(0.2140 * 255), np.uint8)
    Image.fromarray(linear).save(tmp_path / "a.png", icc_profile=with_gamma(1.0))
    assert np.abs(images.read(tmp_path / "a.png").astype(int) - 127).max() <= 3
    clear = np.dstack([linear, np.full((8, 8), 128, np.uint8)])
    Image.fromarray(clear).save(tmp_path / "b.png", icc_profile=with_gamma(1.0))
    kept = images.read(tmp_path / "b.png", transparent=True)
    assert np.abs(kept[..., :3].astype(int) - 127).max() <= 3 and (kept[..., 3] == 128).all()


def test_srgb_itself_and_damaged_profiles_change_nothing(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for profile in (images.srgb_profile(), b"no profile", images.srgb_profile()[:200]):
        for mode in ("RGB", "L"):
            Image.fromarray(picture).convert(mode).save(tmp_path / "a.png", icc_profile=profile)
            expected = np.asarray(Image.fromarray(picture).convert(mode).convert("RGB"))
            np.testing.assert_array_equal(images.read(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tiff"])
def test_written_pictures_carry_a_profile_of_srgb(tmp_path: Path, suffix: str) -> None:
    picture = np.full((16, 16, 3), 77, np.uint8)
    images.write(tmp_path / f"a{suffix}", picture)
    with Image.open(tmp_path / f"a{suffix}") as image:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert np.abs(images.read(tmp_path / f"a{suffix}").astype(int) - 77).max() <= 2


# Limits and damage.


def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path) -> None:
    (tmp_path / "wide.png").write_bytes(png(20_000, 10_000, 1))
    with warnings.catch_warnings(action="error"):
        with pytest.raises(UserError, match=r"wide\.png has 20000 x 10000 pixels.* --max_megapixels=201 of kgan trans"):
            images.read(tmp_path / "wide.png")
        assert images.read(tmp_path / "wide.png", most=201).shape == (10_000, 20_000, 3)
    (tmp_path / "tall.png").write_bytes(png(1, 200_000))
    with pytest.raises(UserError, match=r"--max_megapixels=201"):
        images.read(tmp_path / "tall.png")
    assert Image.MAX_IMAGE_PIXELS  # Pillow's own limit is as it was


def test_a_picture_of_ninety_megapixels_is_read_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(10_000, 9_500, 1))
    with warnings.catch_warnings(action="error"):
        assert images.read(tmp_path / "a.png").shape == (9_500, 10_000, 3)


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
def test_bombs_in_chunks_are_bounded(name: bytes) -> None:
    packed = zlib.compress(bytes(200 * 2**20))
    start = b"name\0\1\0\0\0" if name == b"iTXt" else b"name\0\0"
    tracemalloc.start()
    with pytest.raises(UserError, match="cannot be read as a picture"):
        images.decode(png(4, 4, extra=chunk(name, start + packed)))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "WEBP", "PNG", "JPEG", "ICO", "TGA", "PPM"])
def test_damage_of_any_kind_is_a_sentence_whatever_the_suffix(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    buffer = BytesIO()
    Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(buffer, kind)
    data, path = buffer.getvalue(), tmp_path / "photo.jpg"
    for trial in range(60):
        damaged = bytearray(data[: random.integers(1, len(data))] if trial % 2 else data)
        for place in random.integers(0, len(damaged), 8):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        with warnings.catch_warnings(action="ignore"):
            try:
                assert images.read(path).dtype == np.uint8
            except UserError as error:
                assert "photo.jpg" in str(error)


def test_what_a_decoder_raises_is_the_file_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images.write(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    for error in (RuntimeError("no"), MemoryError(), KeyError("x"), RecursionError()):

        def failing(image: Image.Image, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(Image.Image, "load", failing)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", failing)
        with pytest.raises(UserError, match=rf"a\.png cannot be read as a picture: {type(error).__name__}"):
            images.read(tmp_path / "a.png")


def test_a_pipe_is_refused_and_never_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    said = []

    def read() -> None:
        with pytest.raises(UserError, match="is no regular file") as error:
            images.read(tmp_path / "a.png")
        said.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert said
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(UserError, match="is no regular file"):
            images.read(path)


# Transparency.


def test_colours_behind_the_edge_are_those_of_the_edge() -> None:
    image = np.zeros((6, 6, 4), np.uint8)
    image[2:4, 2:4] = (200, 100, 50, 255)
    image[2, 2, 3] = 1
    colour = images.on_edge_colour(image)
    assert (colour == (200, 100, 50)).all()
    assert (images.on_edge_colour(np.zeros((3, 3, 4), np.uint8)) == 255).all()


def test_label_maps_keep_their_colours() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 100, 255], np.uint8), (40, 50, 3))
    small = images.resize(labels, (17, 13), nearest=True)
    assert set(np.unique(small)) <= {0, 100, 255} and not set(np.unique(images.resize(labels, (17, 13)))) <= {
        0,
        100,
        255,
    }
