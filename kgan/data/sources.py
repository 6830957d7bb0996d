"""Pictures on their way to a step: read once, resized once, kept or streamed, and taken in an order that repeats.

Pictures are decoded by Pillow in a pool of threads (it releases the interpreter's lock), resized once as uint8, and
kept where they fit in memory; what does not fit is decoded again ahead of its use. The same code feeds both engines.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from tqdm import tqdm

from kgan.errors import Remark, UserError
from kgan.pictures import folders, images
from kgan.types import Tensor

PATIENCE = 2.0  # seconds of reading before a progress bar is shown
FITS = ("crop", "stretch")  # the centred square, or all of it regardless of the aspect, as the official codes do


@dataclass
class Source:
    """Pictures that nobody has decoded yet: files, pairs of files, or arrays in memory.

    Attributes:
      where: what people call the place: a folder.
      items: paths, pairs of paths, or uint8 arrays.
      read: from an item, and the pixels a side that are enough, to uint8 [h, w, C]; a `UserError` where it is broken.
      paired: C is 6, two pictures of the same size; else 3.
      nearest: of the first three channels and of the others, whether they are resized without mixing colours.
      listings: of the folders, which say what in them is no picture.
    """

    where: str
    items: Sequence[Any]
    read: Callable[[Any, int], np.ndarray]
    paired: bool = False
    nearest: tuple[bool, ...] = (False, False)
    listings: list[folders.Listing] = field(default_factory=list)

    def files(self, index: int) -> list[Path]:
        """The one or two files of a picture; none where it lies in memory."""
        item = self.items[index]
        return [] if isinstance(item, np.ndarray) else [item] if isinstance(item, Path) else list(item)

    @property
    def left_out(self) -> str:
        """The sentences about files that are no pictures, a space before each; empty where there are none."""
        several = len(self.listings) > 1
        return "".join(
            f" In {each.folder}:{each.left_out}" if several else each.left_out
            for each in self.listings
            if each.left_out
        )


def folder(path: Path, most: float = images.MEGAPIXELS) -> Source:
    """The pictures directly in a folder, without its subfolders; a `UserError` where it is missing.

    A picture may have `most` megapixels.
    """
    listing = folders.look(path)
    return Source(
        str(path), listing.pictures, lambda item, least: images.read(item, least=least, most=most), listings=[listing]
    )


def memory(where: str, pictures: np.ndarray) -> Source:
    """The pictures of an array, uint8 [N, h, w, 3 or 6]."""
    return Source(where, list(pictures), lambda item, _: item, paired=pictures.shape[-1] == 6)


def fit_to(image: np.ndarray, size: int, fit: str, nearest: Sequence[bool] = (False, False)) -> np.ndarray:
    """Make a picture square, from uint8 [h, w, C] to uint8 [size, size, C].

    Args:
      fit: one of `FITS`.
      nearest: for each three channels, whether they are resized without mixing colours.
    """
    if fit == "crop":
        image = images.center_square(image)
    parts = [np.ascontiguousarray(part) for part in np.split(image, image.shape[-1] // 3, axis=-1)]
    resized = [images.resize(part, (size, size), own) for part, own in zip(parts, nearest, strict=False)]
    return np.concatenate(resized, axis=-1) if len(resized) > 1 else resized[0]


def first(source: Source, count: int, size: int, fit: str) -> dict[int, np.ndarray]:
    """The first `count` usable pictures, or as many as there are, by index: uint8 [size, size, C].

    No other is decoded but those among them that are broken.
    """
    pictures: dict[int, np.ndarray] = {}
    for index, item in enumerate(source.items):
        if len(pictures) == count:
            break
        try:
            pictures[index] = fit_to(source.read(item, 2 * size), size, fit, source.nearest)
        except UserError as error:
            warnings.warn(f"A test picture is left out: {error}", Remark, stacklevel=2)
    if not pictures:
        raise UserError(too_few(source, 0, 1))
    return pictures


def too_few(source: Source, usable: int, least: int) -> str:
    """The sentence for a folder with too few pictures."""
    return (
        f"{source.where} holds {usable} usable pictures and at least {least} {'is' if least == 1 else 'are'} needed: "
        f"files such as .jpg, .png, .webp, .avif or .tiff were looked for directly in this folder.{source.left_out}"
    )


class PictureStore:
    """The usable pictures of a source, as uint8 [size, size, C], by number: in memory, or decoded again when asked for.

    A picture that cannot be read is named in one warning and left out.

    Args:
      keep: hold all of them in memory.

    Attributes:
      usable: by number, the index in the source.
      remarks: how many files are transparent or animated, by the words of `images.REMARKS`.
      sides: of each usable picture the shorter side as it is stored, in pixels; of a pair the shortest.

    Raises:
      UserError: fewer than two are usable.
    """

    def __init__(self, source: Source, size: int, fit: str, keep: bool) -> None:
        self.source, self.size, self.fit = source, size, fit
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="pictures")
        self._pixels: np.ndarray | None = None  # where they are kept
        self._pending: dict[int, Future[np.ndarray]] = {}  # by number, what is being decoded
        # Streamed pictures are decoded once now too: which are usable must not depend on where they are kept.
        self.remarks: Counter[str] = Counter()
        numbers = range(len(source.items))
        reading = tqdm(numbers, f"reading {source.where}", unit="picture", delay=PATIENCE, leave=False)
        results: list[np.ndarray | str | None] = []
        self.sides: list[int] = []
        for result, remarks, side in self._pool.map(lambda i: self._try(i, keep), numbers):
            results.append(result)
            self.remarks.update(remarks)
            if not isinstance(result, str):
                self.sides.append(side)
            reading.update()
        reading.close()
        broken = [result for result in results if isinstance(result, str)]
        if broken:
            warnings.warn(
                f"{len(broken)} of {len(results)} pictures are left out: {'; '.join(broken)}", Remark, stacklevel=2
            )
        self.usable = [i for i, result in enumerate(results) if not isinstance(result, str)]
        if len(self) < 2:
            raise UserError(too_few(source, len(self), 2))
        if keep:
            self._pool.shutdown()
            self._pixels = np.stack([picture for picture in results if isinstance(picture, np.ndarray)])

    def __len__(self) -> int:
        return len(self.usable)

    def _try(self, index: int, keep: bool) -> tuple[np.ndarray | str | None, set[str], int]:
        """The picture, or None where it is not to be kept, or why it cannot be read; its files' remarks; its side."""
        try:
            picture = self._load(index)
        except UserError as error:
            return str(error), set(), 0
        remarks: set[str] = set()
        files = self.source.files(index)
        sides = [] if files else [min(self.source.items[index].shape[:2])]
        for file in files:
            with contextlib.suppress(UserError), images.opened(file, str(file), float("inf")) as image:
                remarks |= images.remarks(image)
                sides.append(min(image.size))
        return picture if keep else None, remarks, min(sides, default=self.size)

    def __str__(self) -> str:
        """The sentence that says how many pictures there are, and of which files there are none."""
        remarked = images.remarked(self.remarks)
        noun = "pair" if self.source.paired else "picture"
        return f"{self.source.where}: {folders.counted(len(self), noun)}{remarked}.{self.source.left_out}"

    def enlarged(self, size: int) -> str:
        """The sentence that says how many are smaller than `size` pixels a side; empty where none is."""
        small = sum(side < size for side in self.sides)
        if not small:
            return ""
        all_of_them = "all" if small == len(self) else f"{small:,} of {len(self):,}"
        return (
            f"{self.source.where}: {all_of_them} are smaller than the {size} px of this training and are enlarged, "
            "so that what is drawn will be as soft."
        )

    def _load(self, index: int) -> np.ndarray:
        # Twice the pixels leave the antialiasing enough to work on; see `images.read`.
        source = self.source
        return fit_to(source.read(source.items[index], 2 * self.size), self.size, self.fit, source.nearest)

    def _load_or_replace(self, number: int) -> np.ndarray:
        """A file that broke after the first look must not end a long training: the next picture takes its place."""
        for neighbour in range(number, number + len(self)):
            try:
                return self._load(self.usable[neighbour % len(self)])
            except UserError as error:
                warnings.warn(f"{error} Its neighbour takes its place.", Remark, stacklevel=2)
        raise UserError(f"Not one picture of {self.source.where} can be read any more: is the disk still there?")

    def fingerprint(self) -> dict[str, Any]:
        """How many pictures, and a hash of their files' names and sizes in bytes, or of the pixels in memory."""
        total = hashlib.sha256()
        for index in self.usable:
            files = self.source.files(index)
            if not files:
                total.update(self.source.items[index].tobytes())
            for file in files:
                total.update(f"{file.name} {file.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        return {"pictures": len(self), "sha256": total.hexdigest()[:16]}

    def hand_over(self) -> np.ndarray:
        """All of them, uint8 [N, size, size, C], where they are kept; `take` has none after that."""
        assert self._pixels is not None
        pixels, self._pixels = self._pixels, None
        return pixels

    @property
    def bytes(self) -> float:
        """What all of them take in memory; infinite where they are not kept."""
        return float("inf") if self._pixels is None else self._pixels.nbytes

    def expect(self, numbers: np.ndarray) -> None:
        """Start decoding, in parallel, what `take` will ask for."""
        if self._pixels is None:
            for i in map(int, numbers):
                if i not in self._pending:
                    self._pending[i] = self._pool.submit(self._load_or_replace, i)

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """The pictures of these numbers, uint8 [len(numbers), size, size, C]."""
        if self._pixels is not None:
            return self._pixels[numbers]
        self.expect(numbers)
        pictures = {i: self._pending.pop(i).result() for i in dict.fromkeys(map(int, numbers))}
        return np.stack([pictures[i] for i in map(int, numbers)])


class Order:
    """Which picture comes when: all of them once in every epoch, shuffled anew, by (seed, stream, position) alone."""

    def __init__(self, count: int, seed: int, stream: int) -> None:
        self.count, self.seed, self.stream = count, seed, stream
        self._epoch, self._permutation = -1, np.empty(0, np.int64)

    def __call__(self, start: int, number: int) -> np.ndarray:
        """Numbers of the pictures at positions start to start + number - 1 of the endless sequence."""
        return np.array([self._at(position) for position in range(start, start + number)], np.int64)

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        if epoch != self._epoch:
            self._epoch, self._permutation = (
                epoch,
                random_generator(self.seed, self.stream, epoch).permutation(self.count),
            )
        return int(self._permutation[place])


def crop_and_flip(pictures: Tensor, offset: Tensor, flip: Tensor, size: int) -> Tensor:
    """Cut uint8 [B, L, L, C] to float32 [B, size, size, C] in [-1, 1], each picture in a place of its own.

    Args:
      offset: int32 [B, 2], the top and the left of each cut.
      flip: int32 [B], 1 where the cut is mirrored, else 0.
    """
    steps = ops.arange(size, dtype="int32")
    rows = offset[:, :1] + steps  # [B, size]
    columns = offset[:, 1:] + ops.where(flip[:, None] > 0, size - 1 - steps, steps)  # [B, size]
    x = ops.cast(pictures, "float32")  # first: TensorFlow's CPU kernels complain of moving uint8
    x = ops.take_along_axis(x, rows[:, :, None, None], axis=1)
    x = ops.take_along_axis(x, columns[:, None, :, None], axis=2)
    return x / 127.5 - 1


def random_generator(*key: int) -> np.random.Generator:
    """A source of random numbers that depend on the integers of the key alone, the same on every machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def free_memory() -> int:
    """Bytes of memory that a new process could use, as Linux says; elsewhere a cautious 4 GiB."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 * 2**30
