"""Pictures on their way to a step: read once, resized once, kept or streamed, and taken in an order that repeats.

Pictures are decoded by Pillow in a pool of threads (it releases the interpreter's lock), resized once as uint8, and
kept where they fit in memory; what does not fit is decoded again ahead of its use. The same code feeds both engines.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from kgan.errors import UserError
from kgan.pictures import images

FITS = ("crop", "stretch")  # the centred square, or all of it regardless of the aspect, as the official codes do


@dataclass
class Source:
    """Pictures that exist somewhere, by index.

    Attributes:
      where: what people call the place: a folder.
      items: files, pairs of files, or arrays.
      read: an item, and the pixels a side that are enough, to uint8 [h, w, C]; a `UserError` where it is broken.
      paired: C is 6, two pictures of the same size; else 3.
    """

    where: str
    items: Sequence[Any]
    read: Callable[[Any, int], np.ndarray]
    paired: bool = False

    def files(self, index: int) -> list[Path]:
        """Those that make the picture; none where it lies in memory."""
        item = self.items[index]
        return [] if isinstance(item, np.ndarray) else [item] if isinstance(item, Path) else list(item)


def folder(path: Path) -> Source:
    """The pictures directly in a folder; a `UserError` where it is missing."""
    return Source(str(path), images.find(path), lambda item, least: images.read(item, least=least))


def memory(where: str, pictures: np.ndarray) -> Source:
    """uint8 [N, h, w, 3 or 6]."""
    return Source(where, list(pictures), lambda item, _: item, paired=pictures.shape[-1] == 6)


def fit_to(image: np.ndarray, size: int, fit: str) -> np.ndarray:
    """uint8 [h, w, C] to [size, size, C]."""
    if fit == "crop":
        image = images.center_square(image)
    if image.shape[-1] == 3:
        return images.resize(image, (size, size))
    parts = np.split(image, image.shape[-1] // 3, axis=-1)
    return np.concatenate([images.resize(np.ascontiguousarray(part), (size, size)) for part in parts], axis=-1)


def first(source: Source, count: int, size: int, fit: str) -> dict[int, np.ndarray]:
    """The first `count` usable pictures, or as many as there are, by index: uint8 [size, size, C]."""
    found: dict[int, np.ndarray] = {}
    for index, item in enumerate(source.items):
        if len(found) == count:
            break
        try:
            found[index] = fit_to(source.read(item, 2 * size), size, fit)
        except UserError as error:
            warnings.warn(f"A test picture is left out: {error}", stacklevel=2)
    if not found:
        raise UserError(nothing_in(source.where, 0, 1))
    return found


def nothing_in(where: str, usable: int, least: int) -> str:
    """The sentence for a folder with too few pictures."""
    return (
        f"{where} holds {usable} usable pictures and at least {least} {'is' if least == 1 else 'are'} needed: "
        f"{', '.join(images.SUFFIXES)} files directly in this folder were looked for."
    )


class Pictures:
    """The usable pictures of a source, as uint8 [size, size, C], by index.

    A picture that cannot be read is named in one warning and left out; `kept` has the source's indices of the others.

    Raises:
      UserError: fewer than two are usable.
    """

    def __init__(self, source: Source, size: int, fit: str, keep: bool) -> None:
        self.source, self.size, self.fit = source, size, fit
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="pictures")
        self._pixels: np.ndarray | None = None
        self._pending: dict[int, Future[np.ndarray]] = {}
        # Streamed pictures are decoded once now too: which are usable must not depend on where they are kept.
        loaded = list(self._pool.map(lambda i: self._try(i, keep), range(len(source.items))))
        broken = [result for result in loaded if isinstance(result, str)]
        if broken:
            warnings.warn(f"{len(broken)} of {len(loaded)} pictures are left out: {'; '.join(broken)}", stacklevel=2)
        self.kept = [i for i, result in enumerate(loaded) if not isinstance(result, str)]
        if len(self.kept) < 2:
            raise UserError(nothing_in(source.where, len(self.kept), 2))
        if keep:
            self._pool.shutdown()
            self._pixels = np.stack([picture for picture in loaded if isinstance(picture, np.ndarray)])

    def __len__(self) -> int:
        return len(self.kept)

    def _try(self, item: int, keep: bool) -> np.ndarray | str | None:
        """The picture, or None where it is not to be kept, or why it cannot be read."""
        try:
            picture = self._load(item)
            return picture if keep else None
        except UserError as error:
            return str(error)

    def _load(self, item: int) -> np.ndarray:
        # Twice the pixels leave the antialiasing enough to work on; see `images.read`.
        return fit_to(self.source.read(self.source.items[item], 2 * self.size), self.size, self.fit)

    def _load_or_replace(self, index: int) -> np.ndarray:
        """A file that broke after the first look must not end a long training."""
        try:
            return self._load(self.kept[index])
        except UserError as error:
            warnings.warn(f"{error} Its neighbour takes its place.", stacklevel=2)
            return self._load(self.kept[(index + 1) % len(self)])

    def fingerprint(self) -> dict[str, Any]:
        """How many, and a hash of the files' names and sizes in bytes (of the pixels where there are no files)."""
        total = hashlib.sha256()
        for item in self.kept:
            files = self.source.files(item)
            if not files:
                total.update(self.source.items[item].tobytes())
            for file in files:
                total.update(f"{file.name} {file.stat().st_size}\n".encode())
        return {"pictures": len(self), "sha256": total.hexdigest()[:16]}

    def hand_over(self) -> np.ndarray:
        """All of them, uint8 [N, size, size, C], where they are kept; `take` has none after that."""
        assert self._pixels is not None
        pixels, self._pixels = self._pixels, None
        return pixels

    @property
    def bytes(self) -> float:
        """Of those that are kept; infinite where they are streamed."""
        return float("inf") if self._pixels is None else self._pixels.nbytes

    def expect(self, indices: np.ndarray) -> None:
        """Start decoding, in parallel, what `take` will ask for."""
        if self._pixels is None:
            for i in map(int, indices):
                if i not in self._pending:
                    self._pending[i] = self._pool.submit(self._load_or_replace, i)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """uint8 [len(indices), size, size, C]."""
        if self._pixels is not None:
            return self._pixels[indices]
        self.expect(indices)
        pictures = {i: self._pending.pop(i).result() for i in dict.fromkeys(map(int, indices))}
        return np.stack([pictures[i] for i in map(int, indices)])


class Order:
    """Which picture comes when: all of them once in every epoch, shuffled anew, by (seed, stream, position) alone."""

    def __init__(self, count: int, seed: int, stream: int) -> None:
        self.count, self.seed, self.stream = count, seed, stream
        self._epoch, self._permutation = -1, np.empty(0, np.int64)

    def __call__(self, start: int, number: int) -> np.ndarray:
        """Indices of the pictures at positions start to start + number - 1 of the endless sequence."""
        return np.array([self._at(position) for position in range(start, start + number)], np.int64)

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, generator(self.seed, self.stream, epoch).permutation(self.count)
        return int(self._permutation[place])


def crop_and_flip(pictures: Any, offset: Any, flip: Any, size: int) -> Any:
    """uint8 [B, L, L, C] to float [B, size, size, C] in [-1, 1]: offset [B, 2] is top and left, flip [B] 0 or 1."""
    steps = ops.arange(size, dtype="int32")
    rows = offset[:, :1] + steps  # [B, size]
    columns = offset[:, 1:] + ops.where(flip[:, None] > 0, size - 1 - steps, steps)  # [B, size]
    x = ops.cast(pictures, "float32")  # first: TensorFlow's CPU kernels complain of moving uint8
    x = ops.take_along_axis(x, rows[:, :, None, None], axis=1)
    x = ops.take_along_axis(x, columns[:, None, :, None], axis=2)
    return x / 127.5 - 1


def generator(*key: int) -> np.random.Generator:
    """Random numbers that depend on the key's integers alone, the same on every machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def free_memory() -> int:
    """Bytes that a new process could use, as Linux says; elsewhere a cautious 4 GiB."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 * 2**30
