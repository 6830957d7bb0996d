"""Sets of pictures to measure: folders, and what a filter makes of one."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kgan.errors import UserError
from kgan.filters.loading import Filter
from kgan.pictures import folders, images


@dataclass
class PictureSet:
    """The readable pictures of a folder, sorted by path.

    Attributes:
      name: what the set is called in the table.
      paths: where the pictures lie.
      names: the files' names without suffix, by which pictures pair with those of another set.
      shapes: (height, width) of each.
      broken: a sentence for each file that could not be read.
      colours: how many are in "colour", in "greyscale" and "with transparency".
      formats: how many files are of each kind, such as "JPEG", by their content.
      remarks: how many are animated or of several pages, of which the first alone is measured.
      left_out: the sentence about files that are no pictures; empty where there are none.
      sha256: over the contents of the files in their order, whatever their names.
      by_model: whether a model made the pictures, of the centred squares of others.
    """

    name: str
    paths: list[Path]
    names: list[str]
    shapes: list[tuple[int, int]]
    broken: list[str]
    colours: dict[str, int]
    sha256: str
    by_model: bool = False
    formats: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    left_out: str = ""

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def sizes(self) -> dict[str, int]:
        """How many pictures there are of each "height x width"."""
        return dict(Counter(f"{height} x {width}" for height, width in self.shapes))

    def read(self, number: int) -> np.ndarray:
        """The picture of this number, uint8 [H, W, 3]."""
        return images.read(self.paths[number])

    def each(self, what: str, order: Iterable[int] | None = None) -> Iterator[int]:
        """The pictures' numbers, all or those of `order`, with a progress bar that says `what` is done."""
        return iter(tqdm(list(range(len(self)) if order is None else order), f"{self.name}: {what}", unit="picture"))

    def in_order(self) -> list[int]:
        """The pictures' numbers in the order of their names, in which frame10 follows frame9."""

        def key(number: int) -> list[tuple[int, str]]:
            parts = re.findall(r"\d+|\D+", self.names[number])
            return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]

        return sorted(range(len(self)), key=key)


def inspect(folder: str | Path, name: str = "") -> PictureSet:
    """Decode and hash every picture of a folder.

    Args:
      name: the set's; default: the folder's path.

    Raises:
      UserError: fewer than two can be read.
    """
    listing = folders.look(folder)
    paths = listing.pictures

    def look(path: Path) -> tuple[bytes, tuple[int, int], str, str, set[str]] | str:
        try:
            data = path.read_bytes()
            height, width = images.decode(data, str(path)).shape[:2]
            return hashlib.sha256(data).digest(), (height, width), *_kind(data, path)
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}."

    with ThreadPoolExecutor() as pool:
        reading = tqdm(pool.map(look, paths), f"reading {folder}", len(paths), False, delay=2, unit="picture")
        looks = list(zip(paths, reading, strict=True))
    broken = [look for _, look in looks if isinstance(look, str)]
    readable = {path: look for path, look in looks if not isinstance(look, str)}
    if len(readable) < 2:
        raise UserError(
            f"{folder} holds {len(readable) or 'no'} readable picture{'s' * (not readable)}"
            f"{f', and {len(broken)} broken' if broken else ''}: sets of pictures are compared, of two "
            f"files such as .jpg, .png, .webp, .avif or .tiff at the very least and better of thousands."
            f"{listing.left_out}"
        )
    for sentence in broken:
        print(f"Skipped. {sentence}", file=sys.stderr)
    digests, shapes, colours, formats, kinds = zip(*readable.values(), strict=True)
    remarks = dict(Counter(kind for each in kinds for kind in each))
    print(f"{folder}: {folders.counted(len(readable), 'picture')}{images.remarked(remarks)}.{listing.left_out}")
    return PictureSet(
        name=name or str(folder),
        paths=list(readable),
        names=[path.stem for path in readable],
        shapes=list(shapes),
        broken=broken,
        colours=dict(Counter(colours)),
        sha256=hashlib.sha256(b"".join(digests)).hexdigest(),
        formats=dict(Counter(formats)),
        remarks=remarks,
        left_out=listing.left_out.strip(),
    )


def _kind(data: bytes, path: Path) -> tuple[str, str, set[str]]:
    """Which of `PictureSet.colours` and `formats` counts a picture, and its remarks but for transparency."""
    with images.opened(BytesIO(data), str(path)) as image:
        colour = "greyscale" if len(image.getbands()) == 1 and image.mode != "P" else "colour"
        remarks = images.remarks(image)
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        return "with transparency" if "transparency" in remarks else colour, kind, remarks - {"transparency"}


def translate(filters: Sequence[Filter], name: str, inputs: PictureSet, folder: Path) -> PictureSet:
    """What a filter makes of the centred square of each input, at the size of its card, as PNG files in `folder`.

    Args:
      filters: one filter, asked for each of several labels, which the inputs get in turn.
      name: the set's.
    """
    size = filters[0].size or (filters[0].card.image_size, filters[0].card.image_size)

    def outputs() -> Iterator[np.ndarray]:
        for number in inputs.each(f"through {name}"):
            yield filters[number % len(filters)](images.resize(images.center_square(inputs.read(number)), size))

    return write(name, inputs.names, outputs(), folder)


def write(name: str, names: list[str], pictures: Iterable[np.ndarray], folder: Path) -> PictureSet:
    """The set of what a model makes, uint8 [H, W, 3] each, as PNG files in `folder`; arguments as its attributes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, shapes, digest = [], [], hashlib.sha256()
    for number, picture in enumerate(pictures):
        data = images.encode(picture)
        digest.update(hashlib.sha256(data).digest())
        shapes.append((picture.shape[0], picture.shape[1]))
        paths.append(folder / f"{number:08d}.png")
        paths[-1].write_bytes(data)
    return PictureSet(name, paths, names, shapes, [], {"colour": len(paths)}, digest.hexdigest(), by_model=True)


def partners(pictures: PictureSet, others: PictureSet, metrics: Sequence[str], by_pixel: bool = True) -> list[int]:
    """The number of the picture in `others` that has the same name, whatever the suffix, for each of `pictures`.

    Args:
      metrics: for which they should pair, named in errors.
      by_pixel: they are compared pixel by pixel, and need one aspect.

    Raises:
      UserError: a picture of either has no partner, two, or one of another aspect.
    """
    compare = f"--metrics={','.join(metrics)} compares pictures of the same name"
    mine, theirs = (_by_name(side, compare) for side in (pictures, others))
    alone = [f"{name} is in {pictures.name} only" for name in sorted(mine.keys() - theirs.keys())]
    alone += [f"{name} is in {others.name} only" for name in sorted(theirs.keys() - mine.keys())]
    if alone:
        raise UserError(
            f"{compare}, but {pictures.name} has {len(mine)}, {others.name} {len(theirs)}, and {len(alone)} stand "
            f"alone: {', '.join(alone[:3])}{' ...' if len(alone) > 3 else ''}."
        )
    numbers = [theirs[name] for name in mine]
    for name, (height, width), number in zip(mine, pictures.shapes, numbers, strict=True):
        their_height, their_width = others.shapes[number]
        difference = abs(height * their_width - width * their_height)
        if by_pixel and not pictures.by_model and difference > max(their_height, their_width):  # by more than a pixel
            raise UserError(
                f"{compare} pixel by pixel, but {name} is {height} x {width} in {pictures.name} and {their_height} x "
                f"{their_width} in {others.name}: cut both alike."
            )
    return numbers


def _by_name(pictures: PictureSet, compare: str) -> dict[str, int]:
    """The pictures' numbers by their names; a `UserError` that begins with `compare` where two have the same."""
    numbers = {name: number for number, name in enumerate(pictures.names)}
    if len(numbers) < len(pictures):
        name = Counter(pictures.names).most_common(1)[0][0]
        raise UserError(f"{compare}, but {pictures.name} has more than one called {name}: leave one.")
    return numbers
