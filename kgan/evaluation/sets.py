"""Sets of pictures to measure: folders, and what a filter makes of one."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from kgan import files
from kgan.errors import UserError
from kgan.filters.loading import Filter
from kgan.pictures import images


@dataclass
class Pictures:
    """A set of pictures under the `name` that it has in the table, each decoded once to see that it can be.

    Attributes:
      paths: of the readable ones, sorted.
      names: by which they pair with others, without suffix.
      shapes: (height, width) of each.
      broken: a sentence for each of the others.
      colours: how many are in "colour", in "greyscale" and "with transparency".
      sha256: of the readable files' bytes, in this order and whatever their names.
      made: whether a model made them, of the centred squares of other pictures.
    """

    name: str
    paths: list[Path]
    names: list[str]
    shapes: list[tuple[int, int]]
    broken: list[str]
    colours: dict[str, int]
    sha256: str
    made: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def sizes(self) -> dict[str, int]:
        """How many there are of each "height x width"."""
        return dict(Counter(f"{height} x {width}" for height, width in self.shapes))

    def read(self, number: int) -> np.ndarray:
        return images.read(self.paths[number])

    def each(self, what: str, order: Iterable[int] | None = None) -> Iterator[int]:
        """Their numbers, or those of `order`, with a progress bar."""
        return iter(tqdm(list(range(len(self)) if order is None else order), f"{self.name}: {what}", unit="picture"))

    def in_order(self) -> list[int]:
        """The numbers in the order of the names, in which frame10 follows frame9."""

        def key(number: int) -> list[tuple[int, str]]:
            parts = re.findall(r"\d+|\D+", self.names[number])
            return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]

        return sorted(range(len(self)), key=key)


def inspect(folder: str | Path, name: str = "") -> Pictures:
    """Decode and hash every picture of a folder; a `UserError` where fewer than two can be read."""
    paths = images.find(folder)

    def look(path: Path) -> tuple[bytes, tuple[int, int], str] | str:
        try:
            data = path.read_bytes()
            height, width = images.decode(data, str(path)).shape[:2]
            return hashlib.sha256(data).digest(), (height, width), _colours(data)
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        looks = list(zip(paths, pool.map(look, paths), strict=True))
    broken = [found for _, found in looks if isinstance(found, str)]
    readable = {path: found for path, found in looks if not isinstance(found, str)}
    if len(readable) < 2:
        raise UserError(
            f"{folder} holds {len(readable) or 'no'} readable picture{'s' * (not readable)}"
            f"{f', and {len(broken)} broken' if broken else ''}: sets of pictures are compared, of two "
            f"{', '.join(images.SUFFIXES)} files at the very least and better of thousands."
        )
    for sentence in broken:
        print(f"Skipped. {sentence}", file=sys.stderr)
    digests, shapes, colours = zip(*readable.values(), strict=True)
    return Pictures(
        name=name or str(folder),
        paths=list(readable),
        names=[path.stem for path in readable],
        shapes=list(shapes),
        broken=broken,
        colours=dict(Counter(colours)),
        sha256=hashlib.sha256(b"".join(digests)).hexdigest(),
    )


def _colours(data: bytes) -> str:
    with Image.open(BytesIO(data)) as opened:
        if "A" in opened.getbands() or "transparency" in opened.info:
            return "with transparency"
        return "greyscale" if len(opened.getbands()) == 1 and opened.mode != "P" else "colour"


def translated(filters: Sequence[Filter], name: str, inputs: Pictures, folder: Path) -> Pictures:
    """What a filter makes of the centred square of each input at the size of its card, as PNG files in `folder`.

    `filters` are the same one, asked for different labels, which the inputs get in turn.
    """
    shape = filters[0].size or (filters[0].card.image_size, filters[0].card.image_size)
    paths, digest = [], hashlib.sha256()
    for number in inputs.each(f"through {name}"):
        picture = images.resize(images.center_square(inputs.read(number)), shape)
        made = filters[number % len(filters)](picture)
        data = images.encode(made)
        digest.update(hashlib.sha256(data).digest())
        paths.append(folder / f"{number:08d}.png")
        files.write_bytes(paths[-1], data)
    shapes = [shape] * len(paths)
    return Pictures(name, paths, inputs.names, shapes, [], {"colour": len(paths)}, digest.hexdigest(), made=True)


def partners(pictures: Pictures, others: Pictures, metrics: Sequence[str]) -> list[int]:
    """For each of `pictures` the number of the one in `others` that has its name, whatever the suffix.

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
    found = [theirs[name] for name in mine]
    for name, (height, width), number in zip(mine, pictures.shapes, found, strict=True):
        high, wide = others.shapes[number]
        if not pictures.made and abs(height * wide - width * high) > max(high, wide):  # by more than a pixel
            raise UserError(
                f"{compare} pixel by pixel, but {name} is {height} x {width} in {pictures.name} and {high} x {wide} in "
                f"{others.name}: cut both alike."
            )
    return found


def _by_name(pictures: Pictures, compare: str) -> dict[str, int]:
    found = {name: number for number, name in enumerate(pictures.names)}
    if len(found) < len(pictures):
        name = Counter(pictures.names).most_common(1)[0][0]
        raise UserError(f"{compare}, but {pictures.name} has more than one called {name}: leave one.")
    return found
