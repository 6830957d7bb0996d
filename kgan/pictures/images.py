"""The one place that knows pictures: files of any kind in, uint8 in the middle, [-1, 1] for the networks.

Arrays are [H, W, 3], RGB. uint8 x stands for the float x / 127.5 - 1, the range that a generator's tanh produces.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from kgan import files
from kgan.errors import UserError

# What Pillow raises on damaged files.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def find(folder: str | Path) -> list[Path]:
    """The pictures directly in `folder`, sorted by name; a `UserError` where the folder is missing."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: a folder with {', '.join(SUFFIXES)} pictures was looked for.")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def read(path: str | Path, least: int = 0) -> np.ndarray:
    """Read a picture as uint8 [H, W, 3], upright as its EXIF orientation says, transparency on white.

    Args:
      path: of the file.
      least: pixels a side that are enough, 0 for all: a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size where
        that leaves as many, which takes a fraction of the time.

    Raises:
      UserError: the file is missing, truncated or no picture.
    """
    return _decode(path, str(path), least)


def decode(data: bytes, name: str = "the picture") -> np.ndarray:
    """As `read`, from the bytes of a file; `name` is used in errors."""
    return _decode(BytesIO(data), name)


def _decode(source: str | Path | BytesIO, name: str, least: int = 0) -> np.ndarray:
    try:
        with Image.open(source) as image:
            if least:
                image.draft(None, (least, least))  # does nothing to other kinds of files
            return np.asarray(flatten(_upright(image)))
    except FileNotFoundError:
        raise UserError(f"There is no file {name}.") from None
    except BROKEN as error:
        raise UserError(f"{name} cannot be read as a picture: {error}.") from error


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says, or as it is where its EXIF data are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except (*BROKEN, TypeError, KeyError) as error:
        if isinstance(error, OSError):  # of the pixels, which are decoded here first
            raise
        return image


def flatten(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: transparency is composited on white, 16-bit grey is scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        scale = 255 / 65535 if image.mode.startswith("I") and values.max(initial=0) > 255 else 1.0
        image = Image.fromarray(np.clip(np.round(values * scale), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3] to uint8 [*size, 3] where size = (height, width): bicubic, antialiased when it shrinks."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def center_square(image: np.ndarray) -> np.ndarray:
    """The largest centred square of [H, W, 3]."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def to_float(image: np.ndarray) -> np.ndarray:
    """uint8 in [0, 255] to float32 in [-1, 1]."""
    return image.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Float in [-1, 1] (clipped) to uint8, rounded to the nearest."""
    return np.round((np.clip(np.asarray(image, np.float32), -1, 1) + 1) * 127.5).astype(np.uint8)


def encode(image: np.ndarray, suffix: str = ".png") -> bytes:
    """uint8 [H, W, 3] to the bytes of a file of that kind; JPEG and WebP at quality 95."""
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    if suffix.lower() not in formats:
        raise UserError(f"Pictures are written as {', '.join(SUFFIXES)}, not as '{suffix}'.")
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, formats[suffix.lower()], quality=95)
    return buffer.getvalue()


def write(path: str | Path, image: np.ndarray) -> None:
    """Write uint8 [H, W, 3]; the suffix chooses the kind; never leaves half a file."""
    path = Path(path)
    files.write_bytes(path, encode(image, path.suffix))


def grid(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str] = (), gap: int = 2) -> np.ndarray:
    """Rows of equally large uint8 pictures as one sheet on white, with a title above each column where given."""
    height, width = rows[0][0].shape[:2]
    header = 14 if titles else 0
    columns = max(len(row) for row in rows)
    shape = (header + len(rows) * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = header + gap + i * (height + gap), gap + j * (width + gap)
            sheet[top : top + height, left : left + width] = image
    if titles:
        page = Image.fromarray(sheet)
        pen = ImageDraw.Draw(page)
        for j, title in enumerate(titles):
            pen.text((gap + j * (width + gap) + 1, 1), title, fill="black")
        sheet = np.asarray(page)
    return sheet
