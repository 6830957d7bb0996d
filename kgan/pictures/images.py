"""The one place that knows pictures: files of any kind in, uint8 in the middle, [-1, 1] for the networks.

Arrays are [H, W, 3], RGB in sRGB; with transparency [H, W, 4], where it is asked for. uint8 x stands for the float
x / 127.5 - 1, the range that a generator's tanh produces.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import threading
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageOps

from kgan import files
from kgan.errors import UserError
from kgan.pictures import folders

MEGAPIXELS = 128.0  # of a picture that is read, unless more are allowed; a phone's largest have 108 or 200
ALONE = 40e6  # pixels above which pictures are decoded one after the other: several at once could fill the memory
STRIP = 2**20  # pixels that are scaled to 8 bits at once

# How each kind is written, by suffix: Pillow's name of it and what it is told.
Kind = tuple[str, dict[str, int | str]]
JPEG: Kind = ("JPEG", {"quality": 95})
TIFF: Kind = ("TIFF", {"compression": "tiff_lzw"})
WRITTEN: dict[str, Kind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), JPEG),
    ".png": ("PNG", {}),
    ".apng": ("PNG", {}),
    ".webp": ("WEBP", {"quality": 95}),
    ".avif": ("AVIF", {"quality": 90}),
    ".gif": ("GIF", {}),
    ".bmp": ("BMP", {}),
    **dict.fromkeys((".tif", ".tiff"), TIFF),
}
SUFFIXES = tuple(WRITTEN)
OPAQUE = ("JPEG", "BMP")  # kinds that hold no transparency
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "FLI")  # kinds whose frames follow each other in time
PAGED = "TIFF"

_opening = threading.Lock()
_alone = threading.Lock()


def find(folder: str | Path) -> list[Path]:
    """The pictures directly in `folder`, sorted by name; a `UserError` where the folder is missing."""
    return folders.look(folder).pictures


def read(path: str | Path, least: int = 0, most: float = MEGAPIXELS, transparent: bool = False) -> np.ndarray:
    """Read a picture as uint8 [H, W, 3] in sRGB, upright as its EXIF orientation says, transparency on white.

    Of an animation it is the first frame. Deeper channels are scaled to 8 bits by the depth of the format alone:
    16 bits by 65535, 12 bits by 4095, floats from [0, 1].

    Args:
      path: of the file.
      least: pixels a side that are enough, 0 for all: a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size where
        that leaves as many, which takes a fraction of the time.
      most: megapixels that a picture may have, and thousands of pixels a side; its header says how many it has.
      transparent: give uint8 [H, W, 4] where any pixel is transparent.

    Raises:
      UserError: the file is missing, truncated, no picture, no regular file or too large.
    """
    with opened(path, str(path), most) as image:
        return _decode(image, least, transparent)


def decode(data: bytes, name: str = "the picture") -> np.ndarray:
    """As `read`, from the bytes of a file; `name` is used in errors."""
    with opened(BytesIO(data), name, MEGAPIXELS) as image:
        return _decode(image)


@contextlib.contextmanager
def opened(source: str | Path | BytesIO, name: str, most: float = MEGAPIXELS) -> Iterator[Image.Image]:
    """A file as Pillow's picture of it, whose header alone is read; whatever fails in the block is the file's fault.

    Raises:
      UserError: the file is missing, no regular file, no picture, or has more than `most` megapixels; or anything was
        raised inside the block.
    """
    try:
        if not isinstance(source, BytesIO) and Path(source).exists() and not Path(source).is_file():
            raise UserError(f"{name} is no regular file, but a folder, a pipe or a device.")
        # Pillow has one limit for the whole process: within the lock it gives way to ours, which each call may choose.
        with _opening:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(source, formats=folders.formats())
            finally:
                Image.MAX_IMAGE_PIXELS = limit
        with image:
            check_size(image, name, most)
            yield image
    except FileNotFoundError:
        raise UserError(f"There is no file {name}.") from None
    except UserError:
        raise
    except Image.UnidentifiedImageError:
        raise UserError(f"{name} cannot be read as a picture: {_unknown(name)}.") from None
    except Exception as error:  # decoders raise errors of every kind on damaged files
        kind = "" if isinstance(error, OSError | SyntaxError | ValueError) else f"{type(error).__name__} "
        raise UserError(f"{name} cannot be read as a picture: {kind}{error or type(error).__name__}.") from error


def _unknown(name: str) -> str:
    """Why Pillow did not recognize a file."""
    suffix = Path(name).suffix.lower()
    hint = folders.HINTS.get(suffix)
    return f"{suffix} files are not read ({hint})" if hint else "it holds none of a known kind"


def check_size(image: Image.Image, name: str, most: float) -> None:
    """A `UserError` where a picture has more than `most` megapixels, or as many thousands of pixels a side."""
    width, height = image.size
    if width * height > most * 1e6 or max(image.size) > most * 1e3:
        needed = int(max(width * height / 1e6, max(image.size) / 1e3)) + 1
        raise UserError(
            f"{name} has {width} x {height} pixels, and more than {most:g} megapixels, or {most:g} thousand pixels a "
            f"side, are not read unless allowed: --max_megapixels={needed} of kgan translate, or "
            f"--config.data.max_megapixels={needed} of kgan train."
        )


def _decode(image: Image.Image, least: int = 0, transparent: bool = False) -> np.ndarray:
    if least:
        image.draft(None, (least, least))  # does nothing to other kinds of files
    with _alone if image.width * image.height > ALONE else contextlib.nullcontext():
        return array_of(image, transparent)


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says, or as it is where its EXIF data are damaged."""
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image  # which copies it, turned or not
    except Exception:
        return image


def array_of(image: Image.Image, transparent: bool = False) -> np.ndarray:
    """A picture of any of Pillow's modes as uint8 [H, W, 3] in sRGB, on white; or [H, W, 4], if `transparent`.

    It is turned upright; of a file with several frames it is the one at hand.
    """
    image.load()  # here, so that what fails below are the EXIF data
    upright = _upright(image)
    image = _eight_bits(upright, *_white(image)) if image.mode.startswith("I") or image.mode == "F" else upright
    if not image.has_transparency_data:
        return np.asarray(_srgb(image))
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    alpha = image.getchannel("A")
    colour = _srgb(image.convert("RGB"))
    if alpha.getextrema() == (255, 255):
        return np.asarray(colour)
    colour.putalpha(alpha)
    if transparent:
        return np.asarray(colour)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), colour).convert("RGB"))


def _eight_bits(image: Image.Image, white: float, inverted: bool) -> Image.Image:
    """Scale grey of 12, 16 or 32 bits, or in floats, to 8 bits; in strips, so that memory does not fill."""
    values = np.asarray(image)
    grey = np.empty(values.shape, np.uint8)
    rows = max(1, STRIP // values.shape[1])
    for top in range(0, len(values), rows):
        strip = values[top : top + rows].astype(np.float64)
        if white > 2**31:
            strip %= 2**32  # unsigned in the file, signed in Pillow
        strip = np.clip(np.nan_to_num(strip * (255 / white)), 0, 255)
        grey[top : top + rows] = np.round(255 - strip if inverted else strip)
    result = Image.fromarray(grey)
    result.info["icc_profile"] = image.info.get("icc_profile")
    return result


def _white(image: Image.Image) -> tuple[float, bool]:
    """The number that stands for white, by the format's depth: 1 in floats, 65535 in 16 bits; or for black, if true."""
    if image.mode == "F":
        return 1, False
    depth = _tag(image, 258, 32 if getattr(image, "tag_v2", None) else 16)
    depth = 16 if image.mode.startswith("I;16") and depth > 16 else depth
    signed, inverted = _tag(image, 339, 1) == 2, _tag(image, 262, 1) == 0
    return 2 ** (depth - signed) - 1, inverted


def _tag(image: Image.Image, number: int, default: int) -> int:
    """The first value of a TIFF's tag; `default` where there is none."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    return int(value[0] if isinstance(value, tuple) else value)


def _srgb(image: Image.Image) -> Image.Image:
    """Convert an opaque picture of 8 bits a channel to RGB in sRGB, by its ICC profile where it has a sound one."""
    profile = image.info.get("icc_profile")
    if profile:
        if image.mode not in ("L", "RGB", "CMYK"):
            image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
        elif image.mode == "RGB" and profile[16:20] == b"GRAY":
            image = image.convert("L")
        transform = _to_srgb(profile, image.mode)
        if transform:
            return ImageCms.applyTransform(image, transform) or image
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a profile to sRGB; None where it is damaged, of other channels, or sRGB itself."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK":
            return transform
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
        probe = Image.fromarray(cube).convert(mode)
        result = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
        difference = result - np.asarray(probe.convert("RGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return transform if np.abs(difference).max() > 1 else None


@functools.cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB that written pictures carry: the same bytes at all times."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes([7, 208, 0, 1, 0, 1, *[0] * 6]) + profile[36:84] + bytes(16) + profile[100:]  # its date


def remarks(image: Image.Image) -> set[str]:
    """What a picture holds that a single opaque one does not: "transparency", "animation", "pages", by its header."""
    kinds = {"transparency"} if image.has_transparency_data else set()
    if getattr(image, "is_animated", False) and image.format in (*ANIMATED, PAGED):
        kinds.add("pages" if image.format == PAGED else "animation")
    return kinds


REMARKS = {
    "transparency": "with transparency (laid on white)",
    "animation": "animated (the first frame alone)",
    "pages": "of several pages (the first alone)",
}


def remarked(counts: dict[str, int]) -> str:
    """The words about how many pictures are transparent or animated, with a comma before each; empty for none."""
    return "".join(f", {counts[kind]:,} {words}" for kind, words in REMARKS.items() if counts.get(kind))


def on_edge_colour(image: np.ndarray) -> np.ndarray:
    """The colours of uint8 [H, W, 4] as [H, W, 3], in invisible pixels the mean colour at the edge of the visible ones.

    A filter then sees no border where the picture ends.
    """
    visible = image[..., 3] > 0
    colour = image[..., :3].copy()
    padded = np.pad(visible, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge = visible & ~inside
    if not visible.all():
        colour[~visible] = np.round(colour[edge].mean(axis=0)) if edge.any() else 255
    return colour


def resize(image: np.ndarray, size: tuple[int, int], nearest: bool = False) -> np.ndarray:
    """uint8 [H, W, 3] to uint8 [*size, 3] where size = (height, width): bicubic, antialiased when it shrinks.

    With `nearest` each pixel is one of the picture's own, as label maps need it. [H, W] likewise.
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((width, height), method))


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


def encode(image: np.ndarray, suffix: str = ".png", profile: bytes | None = None) -> bytes:
    """uint8 [H, W, 3 or 4] to the bytes of a file of that kind; JPEG and WebP at quality 95.

    Kinds without transparency get it laid on white. `profile` is the ICC profile that goes into the file.
    """
    return save([image], suffix, profile=profile)


def save(
    frames: Sequence[np.ndarray], suffix: str, profile: bytes | None = None, **options: int | list[int] | bool
) -> bytes:
    """One or more pictures of uint8 [H, W, 3 or 4] to the bytes of a file of that kind; `options` are Pillow's."""
    if suffix.lower() not in WRITTEN:
        raise UserError(f"Pictures are written as {', '.join(SUFFIXES)}, not as '{suffix}'.")
    kind, settings = WRITTEN[suffix.lower()]
    first, *others = [Image.fromarray(laid_on_white(frame) if kind in OPAQUE else frame) for frame in frames]
    if others:
        options |= {"save_all": True}
    buffer = BytesIO()
    try:
        more = {"append_images": others} if others else {}
        first.save(buffer, kind, **settings, **options, **more, **({"icc_profile": profile} if profile else {}))
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        raise UserError(f"{first.width} x {first.height} pixels cannot be written as {suffix}: {error}.") from error
    return buffer.getvalue()


def laid_on_white(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3 or 4] to [H, W, 3]."""
    if image.shape[-1] == 3:
        return image
    white = Image.new("RGBA", image.shape[1::-1], "white")
    return np.asarray(Image.alpha_composite(white, Image.fromarray(image)).convert("RGB"))


def write(path: str | Path, image: np.ndarray) -> None:
    """Write uint8 [H, W, 3 or 4] with a profile of sRGB; the suffix chooses the kind; never leaves half a file."""
    path = Path(path)
    files.write_bytes(path, encode(image, path.suffix, srgb_profile()))


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
