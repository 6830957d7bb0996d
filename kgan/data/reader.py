"""Batches for training: every one is a function of (seed, step), so a run resumes anywhere and repeats nothing.

Crop and flip happen inside the compiled step, from offsets that travel with the batch. Where all pictures fit, the
device holds them as uint8, and only their numbers travel.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from kgan.data.sources import (
    FITS,
    Order,
    PictureStore,
    Source,
    crop_and_flip,
    first,
    free_memory,
    memory,
    random_generator,
)
from kgan.errors import UserError
from kgan.labels import Labels
from kgan.pictures import emoji, folders, images
from kgan.settings import Checks, choice, free
from kgan.types import Batch, Tensor

AHEAD = 4  # steps of pictures that are decoded before they are asked for
ON_DEVICE = 2 * 2**30  # bytes of pictures that a device is asked to hold at most


@dataclass
class Data:
    """What all kinds of data share.

    Attributes:
      root: the folder that holds everything else; "emoji:..." means the embedded set, unless a folder has this name.
      fit: "crop" cuts the centred square before resizing; "stretch" ignores the aspect, as the official codes do.
      enlarge: pictures are resized to this times the training size, then cropped at random.
      flip: mirror half of the pictures.
      memory: "auto" keeps decoded pictures where all of them take less than a quarter of the memory that is free; on
        the device itself where they take less than 2 GiB.
      max_megapixels: larger pictures are left out, since a small file may hold a huge one.
      subject: how the pictures are cut, for the filter's card: "face", "center" or "none".
    """

    root: str = free("")  # a run compares the fingerprint of its pictures instead
    fit: str = choice(*FITS)
    enlarge: float = 286 / 256  # the official load and crop sizes
    flip: bool = True
    memory: str = free(choice("auto", "keep", "stream"))
    max_megapixels: float = free(images.MEGAPIXELS)
    subject: str = free(choice("none", "face", "center"))

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot be; of their files only `open` knows."""
        checks = Checks(self, "data")
        checks.not_negative("max_megapixels")
        checks.at_least(1, "enlarge")

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> "Reader":
        """Look at every file, and return the `Reader` of batches of its arguments.

        Raises:
          UserError: settings that cannot be, or pictures that are not there.
        """
        raise NotImplementedError

    def vendors(self, wanted: int) -> list[str]:
        """The vendors in a root such as "emoji:fluent3d:google", `wanted` of them; none where pictures lie in files."""
        if not self.root:
            raise UserError("data.root is not set: it names the folder that holds the pictures.")
        named = self.embedded()
        if named is None:
            return []
        if len(named) != wanted:
            example = ":".join(("emoji", *emoji.VENDORS[:wanted]))
            raise UserError(
                f"data.root={self.root}: {wanted} of the vendors are wanted, as in {example}, or the name of a folder."
            )
        return named

    def embedded(self) -> list[str] | None:
        """The vendors that a root such as "emoji:google" names, all where none; None where it is a folder."""
        kind, *named = self.root.split(":")
        return named if kind == "emoji" and not Path(self.root).is_dir() else None


class Reader:
    """Batches of one or more streams of pictures, from files to the tensors of a step.

    `step(i)` is what the host prepares for step i, and `prepare` what the compiled step makes of each of its batches.

    Args:
      train: by stream; each has an order of its own, and one crop and flip a picture.
      test: by stream, for sample sheets and measures while the training goes on.
      size: pixels a side that the step sees.
      batch_size: pictures of each stream in a batch.
      batches: batches in a step.
      seed: of orders, crops and flips.

    Attributes:
      labels: what the pictures are labelled with; None where they are not.
    """

    labels: Labels | None = None

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
        self.train = {name: PictureStore(train[name], self.load_size, self.fit, keep) for name in sorted(train)}
        self.test = test
        self.orders = {name: Order(len(self.train[name]), seed, stream) for stream, name in enumerate(self.train)}
        self._first, self._position = 0, 0
        self._next = -1  # the step whose pictures are expected
        self.handed_over = False

    def summary(self) -> list[str]:
        """A sentence for each folder: how many pictures it holds, and what else is left out."""
        lines = {str(pictures): None for pictures in self.train.values()}
        train = [pictures.source.items for pictures in self.train.values()]
        for source in self.test.values():
            in_memory = bool(source.items) and not source.files(0)
            if not in_memory and source.items not in train:
                noun = "pair" if source.paired else "picture"
                lines[f"{source.where}: {folders.counted(len(source.items), noun)} to test on.{source.left_out}"] = None
            elif any(source is pictures.source for pictures in self.train.values()):
                lines[f"{source.where}: none to test on, so that sheets and measures are of training pictures."] = None
        return list(lines)

    def enlarged(self, size: int) -> list[str]:
        """A sentence for each folder that holds training pictures smaller than `size` pixels a side."""
        return list(dict.fromkeys(line for pictures in self.train.values() if (line := pictures.enlarged(size))))

    def begin(self, step: int, image: int) -> None:
        """Begin at `step`, where batches had other sizes before: each batch of a step together `image` pictures.

        Where the size changed more than once, this is called for each change, in order.
        """
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
        """The place of batch `number`'s first picture in the endless order of its stream."""
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
        """The numbers of the pictures of a stream in batch `number`, int64 [B]."""
        return self.orders[name](self.position(number), self.batch_size)

    def batch(self, number: int) -> Batch:
        """Batch `number` since the beginning of the training.

        By stream: pictures uint8 [B, L, L, C], or their numbers int32 [B] once they are handed over; "NAME_offset" and
        "NAME_flip" for `crop_and_flip`.
        """
        batch: Batch = {}
        room = self.load_size - self.size + 1
        for stream, (name, pictures) in enumerate(self.train.items()):
            draws, numbers = random_generator(self.seed, 100 + stream, number), self.indices(name, number)
            batch[name] = numbers.astype(np.int32) if self.handed_over else pictures.take(numbers)
            batch[f"{name}_offset"] = draws.integers(0, room, (len(numbers), 2), np.int32)
            batch[f"{name}_flip"] = draws.integers(0, 2, len(numbers), np.int32) * np.int32(self.flip)
        return batch

    def prepare(self, batch: Batch, pictures: Batch | None = None) -> Batch:
        """Inside the step: crop, flip and scale; each stream float32 [B, size, size, C] in [-1, 1].

        Args:
          batch: one of `step`, as tensors.
          pictures: what `hand_over` gave, as tensors.
        """
        return {name: self.cut(batch, pictures or {}, name) for name in self.train}

    def cut(self, batch: Batch, pictures: Batch, name: str) -> Tensor:
        """Do what `prepare` does, for one stream."""
        chosen = ops.take(pictures[name], batch[name], axis=0) if name in pictures else batch[name]
        return crop_and_flip(chosen, batch[f"{name}_offset"], batch[f"{name}_flip"], self.size)

    def fingerprint(self) -> dict[str, Any]:
        """By stream, how many pictures there are and a hash of their names and sizes: a resume relies on the same."""
        return {name: pictures.fingerprint() for name, pictures in self.train.items()}

    def validation(self, count: int) -> Batch:
        """The first `count` usable test pictures of each stream, or as many as there are.

        By stream: float32 [N, size, size, 3] in [-1, 1].
        """
        pictures = {name: first(source, count, self.size, self.fit) for name, source in self.test.items()}
        return {name: images.to_float(np.stack(list(each.values()))) for name, each in pictures.items()}

    def samples(self, count: int) -> Batch:
        """As `validation`, exactly `count` of each: again from the first where there are fewer."""
        return {name: rows[np.arange(count) % len(rows)] for name, rows in self.validation(count).items()}


def embedded(vendor: str, split: str) -> Source:
    """The embedded emoji of a vendor; `split` is "train" or "test"."""
    return memory(f"the embedded emoji by {vendor}", emoji.load(vendor, split))
