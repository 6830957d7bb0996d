"""Batches for training: every one is a function of (seed, step), so a run resumes anywhere and repeats nothing.

Crop and flip happen inside the compiled step, from offsets that travel with the batch. Where all pictures fit, the
device holds them as uint8, and only their numbers travel.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from kgan.data.sources import FITS, Order, Pictures, Source, crop_and_flip, first, free_memory, generator, memory
from kgan.errors import UserError
from kgan.pictures import emoji, images
from kgan.settings import Checks, choice, free

Batch = dict[str, np.ndarray]
AHEAD = 4  # steps of pictures that are decoded before they are asked for
ON_DEVICE = 2 * 2**30  # bytes of pictures that a device is asked to hold at most


@dataclass
class Data:
    """What all kinds of data share.

    Attributes:
      root: the folder that holds everything else; "emoji:..." means the embedded set.
      fit: "crop" cuts the centred square before resizing; "stretch" ignores the aspect, as the official codes do.
      enlarge: pictures are resized to this times the training size, then cropped at random.
      flip: mirror half of the pictures.
      memory: "auto" keeps decoded pictures where all of them take less than a quarter of the memory that is free; on
        the device itself where they take less than 2 GiB.
      subject: how the pictures are cut, for the filter's card: "face", "center" or "none".
    """

    root: str = free("")  # a run compares the fingerprint of its pictures instead
    fit: str = choice(*FITS)
    enlarge: float = 286 / 256  # the official load and crop sizes
    flip: bool = True
    memory: str = free(choice("auto", "keep", "stream"))
    subject: str = free(choice("none", "face", "center"))

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot be; of their files only `open` knows."""
        Checks(self, "data")

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> "Reader":
        """Look at every file; see `Reader`."""
        raise NotImplementedError

    def vendors(self, wanted: int) -> list[str]:
        """Of a root such as "emoji:fluent3d:google"; none where the pictures lie in files."""
        if not self.root:
            raise UserError("data.root is not set: it names the folder that holds the pictures.")
        kind, *named = self.root.split(":")
        if kind != "emoji":
            return []
        if len(named) != wanted:
            example = ":".join(("emoji", *emoji.VENDORS[:wanted]))
            raise UserError(f"data.root={self.root}: {wanted} of the vendors are wanted, as in {example}.")
        return named


class Reader:
    """Batches of one or more streams of pictures, and what `prepare` needs to crop and flip them inside the step.

    Args:
      train: by stream; each has an order of its own, and one crop and flip a picture.
      test: by stream, for sample sheets and measures while the training goes on.
      size: pixels a side that the step sees.
      batch_size: pictures of each stream in a batch.
      batches: batches in a step.

    Attributes:
      labels: what the pictures are labelled with, where they are.
    """

    labels: Any = None

    def __init__(
        self,
        data: Data,
        train: dict[str, Source],
        test: dict[str, Source],
        size: int,
        batch_size: int,
        batches: int,
        seed: int,
    ) -> None:
        self.size, self.batch_size, self.batches, self.seed = size, batch_size, batches, seed
        self.fit, self.flip = data.fit, data.flip
        self.load_size = max(size, round(size * data.enlarge))
        count = sum(len(source.items) * (2 if source.paired else 1) for source in train.values())
        fits = count * self.load_size**2 * 3 < 0.25 * free_memory()
        keep = data.memory == "keep" or (data.memory == "auto" and fits)
        self.train = {name: Pictures(train[name], self.load_size, self.fit, keep) for name in sorted(train)}
        self.test = test
        self.orders = {name: Order(len(self.train[name]), seed, stream) for stream, name in enumerate(self.train)}
        self._first, self._position = 0, 0
        self._next = -1  # the step whose pictures are expected
        self.handed_over = False

    def begin(self, step: int, image: int) -> None:
        """Where batches had other sizes before: each of a step's has had `image` pictures when `step` begins."""
        self._first, self._position = step * self.batches, image * self.batches

    def hand_over(self) -> Batch:
        """All pictures of each stream, uint8 [N, L, L, C], for the device: batches have their numbers [B] from now on.

        Empty where they are not kept, or are too many.
        """
        if sum(pictures.bytes for pictures in self.train.values()) > ON_DEVICE:
            return {}
        self.handed_over = True
        return {name: pictures.hand_over() for name, pictures in self.train.items()}

    def position(self, number: int) -> int:
        """Of batch `number`'s first picture in the endless order of its stream."""
        return self._position + (number - self._first) * self.batch_size

    def step(self, step: int) -> tuple[Batch, ...]:
        """The batches of step `step` (0-based): uint8 pictures at load size, with crop offsets and flips."""
        if self._next != step:
            for ahead in range(AHEAD):
                self._expect(step + ahead)
        self._next = step + 1
        self._expect(step + AHEAD)
        return tuple(self.batch(step * self.batches + i) for i in range(self.batches))

    def _expect(self, step: int) -> None:
        if self.handed_over:
            return
        for name, pictures in self.train.items():
            for i in range(self.batches):
                pictures.expect(self.indices(name, step * self.batches + i))

    def indices(self, name: str, number: int) -> np.ndarray:
        """Which pictures of a stream are in batch `number`."""
        return self.orders[name](self.position(number), self.batch_size)

    def batch(self, number: int) -> Batch:
        """Batch `number` since the beginning of the training."""
        batch: Batch = {}
        room = self.load_size - self.size + 1
        for stream, (name, pictures) in enumerate(self.train.items()):
            draws, chosen = generator(self.seed, 100 + stream, number), self.indices(name, number)
            batch[name] = chosen.astype(np.int32) if self.handed_over else pictures.take(chosen)
            batch[f"{name}_offset"] = draws.integers(0, room, (len(chosen), 2), np.int32)
            batch[f"{name}_flip"] = draws.integers(0, 2, len(chosen), np.int32) * np.int32(self.flip)
        return batch

    def prepare(self, batch: dict[str, Any], held: dict[str, Any] | None = None) -> dict[str, Any]:
        """Inside the step: crop, flip and scale; each stream float [B, size, size, C] in [-1, 1].

        Args:
          batch: of `step`, as tensors.
          held: what `hand_over` gave, likewise.
        """
        return {name: self.cut(batch, held or {}, name) for name in self.train}

    def cut(self, batch: dict[str, Any], held: dict[str, Any], name: str) -> Any:
        """`prepare` for one stream."""
        pictures = ops.take(held[name], batch[name], axis=0) if name in held else batch[name]
        return crop_and_flip(pictures, batch[f"{name}_offset"], batch[f"{name}_flip"], self.size)

    def fingerprint(self) -> dict[str, Any]:
        """Of each stream, how many pictures and a hash of their names and sizes: what an exact resume relies on."""
        return {name: pictures.fingerprint() for name, pictures in self.train.items()}

    def validation(self, count: int) -> dict[str, np.ndarray]:
        """The first `count` usable test pictures of each stream, or as many as there are: float32 in [-1, 1]."""
        found = {name: first(source, count, self.size, self.fit) for name, source in self.test.items()}
        return {name: images.to_float(np.stack(list(pictures.values()))) for name, pictures in found.items()}

    def samples(self, count: int) -> dict[str, np.ndarray]:
        """As `validation`, exactly `count` of each: again from the first where there are fewer."""
        return {name: found[np.arange(count) % len(found)] for name, found in self.validation(count).items()}


def embedded(vendor: str, split: str) -> Source:
    """A vendor's emoji."""
    return memory(f"emoji:{vendor}", emoji.load(vendor, split))
