"""Pictures for training: every batch is a function of (seed, step), so a run resumes anywhere and repeats nothing.

Pictures are decoded by Pillow in a pool of threads (it releases the interpreter's lock), resized once to `load_size`
as uint8, and kept where they fit in memory; what does not fit is decoded again ahead of its use. The same code feeds
both engines. Crop and flip happen inside the compiled step, from offsets that travel with the batch.
"""

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from kgan import images
from kgan.errors import UserError
from kgan.settings import check_choices, choice

Batch = dict[str, np.ndarray]
AHEAD = 4  # steps of pictures that are decoded before they are asked for


@dataclass
class Unpaired:
    """Two folders of pictures that show the two domains, nothing matched.

    Attributes:
      root: the folder that holds the others; "emoji:fluent3d:google" means the embedded set, first vendor to second.
      train_a, train_b, test_a, test_b: folders inside `root`; tests feed sample sheets, and may be missing.
      fit: "crop" cuts the centred square before resizing; "stretch" ignores the aspect, as the official codes do.
      enlarge: pictures are resized to this times the training size, then cropped at random (286 / 256 = 1.12).
      flip: mirror half of the pictures.
      memory: "auto" keeps decoded pictures where both domains take less than a quarter of the memory that is free.
      subject: how the pictures are cut, for the filter's card: "face", "center" or "none".
    """

    root: str = ""
    train_a: str = "trainA"
    train_b: str = "trainB"
    test_a: str = "testA"
    test_b: str = "testB"
    fit: str = choice("crop", "stretch")
    enlarge: float = 1.12
    flip: bool = True
    memory: str = choice("auto", "keep", "stream")
    subject: str = choice("none", "face", "center")

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> "UnpairedReader":
        """Look at every file; see `UnpairedReader`."""
        check_choices(self, "data")
        return UnpairedReader(self, size, batch_size, batches, seed)


class Pictures:
    """The usable pictures of one folder (or array), as uint8 [size, size, 3], by index.

    A file that cannot be read is named in one warning and left out.

    Raises:
      UserError: the folder is missing or holds fewer than two usable pictures.
    """

    def __init__(self, source: Path | np.ndarray, size: int, fit: str, keep: bool, least: int = 2) -> None:
        self.size, self.fit, self.least = size, fit, least
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="pictures")
        if isinstance(source, np.ndarray):
            self.names = [f"picture {i}" for i in range(len(source))]
            self._sources: Sequence[Any] = list(source)
        else:
            self.names = [str(path) for path in images.find(source)]
            self._sources = self.names
        self._kept: np.ndarray | None = None
        self._pending: dict[int, Future[np.ndarray]] = {}
        self._check(source, keep)

    def __len__(self) -> int:
        return len(self._sources)

    def _check(self, source: Path | np.ndarray, keep: bool) -> None:
        # Streamed pictures are decoded once now too: which are usable must not depend on where they are kept.
        loaded = list(self._pool.map(lambda i: self._try(i, keep), range(len(self._sources))))
        broken = [(name, result) for name, result in zip(self.names, loaded, strict=True) if isinstance(result, str)]
        if broken:
            listed = "; ".join(reason for _, reason in broken)
            warnings.warn(f"{len(broken)} of {len(loaded)} pictures are left out: {listed}", stacklevel=2)
        usable = [i for i, result in enumerate(loaded) if not isinstance(result, str)]
        if len(usable) < self.least:
            raise UserError(
                f"{source} holds {len(usable)} usable pictures and at least {self.least} are needed: "
                f"{', '.join(images.SUFFIXES)} files directly in this folder were looked for."
            )
        self.names = [self.names[i] for i in usable]
        self._sources = [self._sources[i] for i in usable]
        if keep:
            self._pool.shutdown()
            self._kept = np.stack([picture for picture in loaded if isinstance(picture, np.ndarray)])

    def _try(self, index: int, keep: bool) -> np.ndarray | str | None:
        """The picture, or None where it is not to be kept, or why it cannot be read."""
        try:
            picture = self._load(index)
            return picture if keep else None
        except UserError as error:
            return str(error)

    def _load(self, index: int) -> np.ndarray:
        source = self._sources[index]
        # Twice the pixels leave the antialiasing enough to work on; see `images.read`.
        image = source if isinstance(source, np.ndarray) else images.read(source, least=2 * self.size)
        if self.fit == "crop":
            image = images.center_square(image)
        return images.resize(image, (self.size, self.size))

    def _load_or_replace(self, index: int) -> np.ndarray:
        """A file that broke after the first look must not end a long training."""
        try:
            return self._load(index)
        except UserError as error:
            warnings.warn(f"{error} Its neighbour takes its place.", stacklevel=2)
            return self._load((index + 1) % len(self))

    def fingerprint(self) -> dict[str, Any]:
        """How many, and a hash of the files' names and sizes in bytes (of the pixels where there are no files)."""
        total = hashlib.sha256()
        for name, source in zip(self.names, self._sources, strict=True):
            if isinstance(source, np.ndarray):
                total.update(source.tobytes())
            else:
                total.update(f"{Path(name).name} {Path(name).stat().st_size}\n".encode())
        return {"pictures": len(self), "sha256": total.hexdigest()[:16]}

    def expect(self, indices: np.ndarray) -> None:
        """Start decoding, in parallel, what `take` will ask for."""
        if self._kept is None:
            for i in map(int, indices):
                if i not in self._pending:
                    self._pending[i] = self._pool.submit(self._load_or_replace, i)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """uint8 [len(indices), size, size, 3]."""
        if self._kept is not None:
            return self._kept[indices]
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


class UnpairedReader:
    """Batches {"a", "b"} of two domains, and what `prepare` needs to crop and flip them inside the step.

    Args:
      size: pixels a side that the step sees.
      batch_size: pictures of each domain in a batch.
      batches: batches in a step.
    """

    def __init__(self, data: Unpaired, size: int, batch_size: int, batches: int, seed: int) -> None:
        self.size, self.batch_size, self.batches, self.seed, self.flip = size, batch_size, batches, seed, data.flip
        self.load_size = max(size, round(size * data.enlarge))
        self._next = -1  # the step whose pictures are expected
        train, test = self._sources(data)
        keep = data.memory == "keep" or (data.memory == "auto" and self._fits(train))
        self.train = {name: Pictures(source, self.load_size, data.fit, keep) for name, source in train.items()}
        self._test = {name: (source, data.fit) for name, source in test.items()}
        self.orders = {
            name: Order(len(pictures), seed, stream)
            for stream, (name, pictures) in enumerate(sorted(self.train.items()))
        }

    def _sources(self, data: Unpaired) -> tuple[dict[str, Any], dict[str, Any]]:
        if data.root.startswith("emoji:"):
            from kgan import emoji

            named = data.root.split(":")[1:]
            if len(named) != 2:
                raise UserError(f"data.root={data.root}: two vendors are wanted, as in emoji:fluent3d:google.")
            vendors = dict(zip("ab", named, strict=True))
            return tuple(  # type: ignore[return-value]
                {name: emoji.load(vendor, split) for name, vendor in vendors.items()} for split in ("train", "test")
            )
        if not data.root:
            raise UserError("data.root is not set: it names the folder that holds trainA and trainB.")
        root = Path(data.root).expanduser()
        train = {"a": root / data.train_a, "b": root / data.train_b}
        test = {"a": root / data.test_a, "b": root / data.test_b}
        return train, {name: path if path.is_dir() else train[name] for name, path in test.items()}

    def _fits(self, train: dict[str, Any]) -> bool:
        count = sum(
            len(source) if isinstance(source, np.ndarray) else len(images.find(source)) for source in train.values()
        )
        return count * self.load_size**2 * 3 < 0.25 * free_memory()

    def step(self, step: int) -> tuple[Batch, ...]:
        """The batches of step `step` (0-based): uint8 pictures at load size, with crop offsets and flips."""
        if self._next != step:
            for ahead in range(AHEAD):
                self._expect(step + ahead)
        self._next = step + 1
        self._expect(step + AHEAD)
        return tuple(self._batch(step * self.batches + i) for i in range(self.batches))

    def _expect(self, step: int) -> None:
        for name, pictures in self.train.items():
            pictures.expect(self._indices(name, step * self.batches, self.batches))

    def _indices(self, name: str, batch: int, number: int = 1) -> np.ndarray:
        return self.orders[name](batch * self.batch_size, number * self.batch_size)

    def _batch(self, number: int) -> Batch:
        batch: Batch = {}
        for stream, (name, pictures) in enumerate(sorted(self.train.items())):
            draws = generator(self.seed, 100 + stream, number)
            room = self.load_size - self.size + 1
            batch[name] = pictures.take(self._indices(name, number))
            batch[f"{name}_offset"] = draws.integers(0, room, (self.batch_size, 2), np.int32)
            batch[f"{name}_flip"] = draws.integers(0, 2, self.batch_size, np.int32) * np.int32(self.flip)
        return batch

    def prepare(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Inside the step: crop, flip and scale; {"a": float [B, size, size, 3] in [-1, 1], "b": ...}."""
        return {
            name: crop_and_flip(batch[name], batch[f"{name}_offset"], batch[f"{name}_flip"], self.size)
            for name in sorted(self.train)
        }

    def fingerprint(self) -> dict[str, Any]:
        """Of each domain, how many pictures and a hash of their names and sizes: what an exact resume relies on."""
        return {name: pictures.fingerprint() for name, pictures in self.train.items()}

    def samples(self, count: int) -> dict[str, np.ndarray]:
        """The first `count` test pictures of each domain, whole, float32 [count, size, size, 3]."""
        result = {}
        for name, (source, fit) in self._test.items():
            first = source[:count] if isinstance(source, np.ndarray) else source
            pictures = Pictures(first, self.size, fit, keep=True, least=1)
            result[name] = images.to_float(pictures.take(np.arange(count) % len(pictures)))
        return result


def crop_and_flip(pictures: Any, offset: Any, flip: Any, size: int) -> Any:
    """uint8 [B, L, L, 3] to float [B, size, size, 3] in [-1, 1]: offset [B, 2] is top and left, flip [B] 0 or 1."""
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
