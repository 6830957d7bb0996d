"""The embedded pictures: 811 emoji at 64 px, each drawn by three vendors, on white; for demos, tests and first tries.

They lie in `assets/emoji.zip`, 2.6 MB: `index.csv` and for each vendor one WebP sheet of 16 pictures a row, in the
order of the index. `assets/ATTRIBUTION.md` says whose they are. Every tenth emoji is a test picture, for all vendors
the same.

From the original files (a folder a vendor of 64 px PNGs named by code point, and index.csv) it is made by
`python -c "from kgan.pictures import emoji; emoji.pack('path/to/emoji', 'kgan/assets/emoji.zip')"`.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from kgan import files
from kgan.errors import UserError
from kgan.pictures import images

VENDORS = ("fluent3d", "google", "twitter")
SPLITS = ("train", "test", "all")
SHAPES = ("unpaired", "paired", "labelled", "single")
SIZE = 64
COLUMNS = 16
QUALITY = 92  # of the WebP sheets: 31 to 33 dB against the originals, most of it the halved resolution of colour

ASSET = Path(__file__).parents[1] / "assets" / "emoji.zip"


class Emoji(NamedTuple):
    """A row of the index. code: its code points in hex, "1f32d"; split: "train" or "test"."""

    code: str
    split: str
    short_name: str
    category: str


def index(split: str = "all") -> list[Emoji]:
    """The emoji of "train" (728), "test" (83) or "all" (811), sorted by code."""
    if split not in SPLITS:
        raise UserError(f"The emoji have no split '{split}': choose one of {', '.join(SPLITS)}.")
    with zipfile.ZipFile(ASSET) as archive:
        emoji = _parse(archive.read("index.csv").decode())
    return [one for one in emoji if split in (one.split, "all")]


def names(split: str = "all") -> list[str]:
    """The short names ("hotdog") of the emoji, in the order of `load`'s pictures."""
    return [emoji.short_name for emoji in index(split)]


def load(vendor: str, split: str = "all") -> np.ndarray:
    """A vendor's pictures as uint8 [N, 64, 64, 3], RGB, sorted by code: the n-th is the same emoji for every vendor."""
    if vendor not in VENDORS:
        raise UserError(f"No emoji by '{vendor}' are embedded: choose one of {', '.join(VENDORS)}.")
    codes = {emoji.code for emoji in index(split)}
    with zipfile.ZipFile(ASSET) as archive:
        sheet = images.decode(archive.read(f"{vendor}.webp"), f"{vendor}.webp in {ASSET}")
    rows = sheet.shape[0] // SIZE
    tiles = sheet.reshape(rows, SIZE, COLUMNS, SIZE, 3).swapaxes(1, 2).reshape(-1, SIZE, SIZE, 3)
    return tiles[[n for n, emoji in enumerate(index()) if emoji.code in codes]]


def unpack(folder: str | Path, shape: str, a: str = "fluent3d", b: str = "twitter") -> Path:
    """Write the emoji as PNG files into the new folder `folder`, laid out as the systems read their data.

    Args:
      folder: must not exist yet, or be empty; appears complete or not at all.
      shape: "unpaired": trainA/ trainB/ testA/ testB/, A drawn by vendor `a` and B by vendor `b`;
        "paired": train/A/ train/B/ test/A/ test/B/, where equal names are the same emoji;
        "labelled": images/ by all three vendors, and labels.csv with the columns file, vendor, split;
        "single": images/ by vendor `a`.
      a, b: vendors.

    Returns:
      The folder as a Path.
    """
    folder = Path(folder)
    if shape not in SHAPES:
        raise UserError(f"The emoji cannot be laid out as '{shape}': choose one of {', '.join(SHAPES)}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already: the emoji are written into a new folder. Remove it or name another.")
    with files.replacing(folder) as unfinished:
        for name, data in _files(shape, a, b):
            path = unfinished / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def _files(shape: str, a: str, b: str) -> Iterator[tuple[str, bytes]]:
    """The name below the folder and the bytes of each file that `unpack` writes."""
    if shape == "single":
        for emoji, png in _pngs(a):
            yield f"images/{emoji.code}.png", png
    elif shape == "labelled":
        labels = ["file,vendor,split"]
        for vendor in VENDORS:
            for emoji, png in _pngs(vendor):
                name = f"{vendor}_{emoji.code}.png"
                labels.append(f"{name},{vendor},{emoji.split}")
                yield f"images/{name}", png
        yield "labels.csv", ("\n".join(labels) + "\n").encode()
    else:
        slash = "/" if shape == "paired" else ""
        for domain, vendor in (("A", a), ("B", b)):
            for emoji, png in _pngs(vendor):
                yield f"{emoji.split}{slash}{domain}/{emoji.code}.png", png


def _pngs(vendor: str) -> Iterator[tuple[Emoji, bytes]]:
    """Each emoji with a vendor's picture of it as a PNG file."""
    for emoji, picture in zip(index(), load(vendor), strict=True):
        yield emoji, images.encode(picture, ".png")


def pack(source: str | Path, target: str | Path) -> None:
    """Make `target` (the zip) from the original files in `source`; the same files give the same bytes."""
    source = Path(source)
    text = (source / "index.csv").read_text(encoding="utf-8")
    codes = [emoji.code for emoji in _parse(text)]
    if codes != sorted(codes):
        raise UserError(f"{source / 'index.csv'} must be sorted by code.")
    members = {"index.csv": text.encode()}
    for vendor in VENDORS:
        sheet = np.full((-(-len(codes) // COLUMNS) * SIZE, COLUMNS * SIZE, 3), 255, np.uint8)
        for n, code in enumerate(codes):
            top, left = n // COLUMNS * SIZE, n % COLUMNS * SIZE
            sheet[top : top + SIZE, left : left + SIZE] = images.read(source / vendor / f"{code}.png")
        buffer = io.BytesIO()
        Image.fromarray(sheet).save(buffer, "WEBP", quality=QUALITY, method=6)
        members[f"{vendor}.webp"] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # dated 1980: a plain name would put the time inside
    files.write_bytes(target, buffer.getvalue())


def _parse(text: str) -> list[Emoji]:
    return [Emoji(**row) for row in csv.DictReader(io.StringIO(text))]
