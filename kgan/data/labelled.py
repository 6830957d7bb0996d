"""Pictures with labels, of one set or of several at once: StarGAN, and StyleGAN with labels."""

import dataclasses
import hashlib
import math
from pathlib import Path
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np

from kgan.data.labelling import Answers, LabelledPictures, Labelling, read
from kgan.data.reader import Data, Reader
from kgan.data.sources import first, memory, random_generator
from kgan.errors import UserError
from kgan.labels import Group, Labels, LabelSet
from kgan.pictures import emoji, images
from kgan.settings import Checks, choice
from kgan.types import Batch

Rows: TypeAlias = np.ndarray | EllipsisType  # bool [B], or all


@dataclasses.dataclass
class Labelled(Data):
    """Batches of pictures, their labels, and labels to be given to them.

    {"image": [B, H, W, 3], "label" and "target": [B, W], "known" and "target_known": [B, C]}, where C counts the values
    of all sets, W also the mask (`kgan.labels`), and what is not known (another set's labels, an empty cell) is 0 in
    all of them. Targets are the labels of one set's pictures in the batch, shuffled, as in the official code.

    Attributes:
      root: "emoji" means the embedded pictures, labelled with their vendor; "emoji:google:twitter" only those.
      sets: one or more.
      turns: with several sets, each batch takes its "rows" from all sets in turn, or "batches" are of one set each, in
        turn, as in the official code.
      label_dropout: share of the groups that a target leaves out while training, though never all of a picture's, so
        that later one may ask for a hair colour alone. Not in the official code.
    """

    sets: tuple[Labelling, ...] = dataclasses.field(default_factory=lambda: (Labelling(),))
    turns: str = choice("rows", "batches")
    label_dropout: float = 0.0

    def check(self) -> None:
        super().check()
        Checks(self, "data").share("label_dropout")
        if not self.sets:
            raise UserError("data.sets is empty: it says where the labels stand.")
        for number, each in enumerate(self.sets):
            Checks(each, f"data.sets[{number}]")

    def open(self, size: int, batch_size: int, batches: int, seed: int) -> "LabelledReader":
        self.check()
        if self.turns == "batches" and math.gcd(batches, len(self.sets)) > 1:
            raise UserError(
                f"With data.turns=batches and {batches} batches a step, the last of which is the generator's, it would "
                f"never see some of the {len(self.sets)} sets: set data.turns=rows, or another system.n_critic."
            )
        sets = {"pictures": self._embedded()} if self.embedded() is not None else self._read()
        return LabelledReader(self, sets, size, batch_size, batches, seed)

    def _embedded(self) -> LabelledPictures:
        """The emoji of the vendors that `root` names, or of all."""
        vendors = self.embedded() or list(emoji.VENDORS)
        pictures = {split: [emoji.load(vendor, split) for vendor in vendors] for split in ("train", "test")}
        answers: dict[str, list[Answers]] = {
            split: [{"vendor": (vendor,)} for vendor, own in zip(vendors, each, strict=True) for _ in own]
            for split, each in pictures.items()
        }
        train, test = (
            memory(f"the embedded emoji by {', '.join(vendors)}", np.concatenate(each)) for each in pictures.values()
        )
        return LabelledPictures((Group("vendor", tuple(vendors)),), train, test, answers["train"], answers["test"])

    def _read(self) -> dict[str, LabelledPictures]:
        """The sets that lie in folders, by name."""
        if not self.root:
            raise UserError("data.root is not set: it names the folder that holds the pictures.")
        sets: dict[str, LabelledPictures] = {}
        for labelling in self.sets:
            name, root = labelling.folder or "pictures", Path(self.root).expanduser() / labelling.folder
            if name in sets:
                raise UserError(f"data.sets names {name} twice: each set has a folder of its own.")
            sets[name] = read(root, labelling, self.max_megapixels)
        return sets


class LabelledReader(Reader):
    """One stream of pictures a set, joined into batches of "image", and the labels that belong to them."""

    labels: Labels

    def __init__(self, data: Labelled, sets: dict[str, LabelledPictures], *arguments: int) -> None:
        label_sets = tuple(LabelSet(name, each.groups) for name, each in sets.items())
        self.labels = Labels(label_sets, optional=data.label_dropout > 0)
        train = {name: each.train for name, each in sets.items()}
        super().__init__(data, train, {name: each.test for name, each in sets.items()}, *arguments)
        self.turns, self.dropout = data.turns, data.label_dropout
        self.names = list(sets)
        self._before = dict.fromkeys(sets, 0)  # with batches in turn, pictures of a set before batch `_first`
        self._vectors = {}  # of the pictures that could be read
        for k, (name, each) in enumerate(sets.items()):
            label, known = self._label(k, each.train_answers)
            usable = self.train[name].usable
            self._vectors[name] = label[usable], known[usable]
        self._test_vectors = {name: self._label(k, each.test_answers) for k, (name, each) in enumerate(sets.items())}

    def _label(self, number: int, answers: list[Answers]) -> tuple[np.ndarray, np.ndarray]:
        """label [N, W] and known [N, C] of pictures of set `number`, as in a batch."""
        label, known = np.zeros((2, len(answers), self.labels.classes), np.float32)
        for place in self.labels.places():
            if place.set == number:
                for row, answer in enumerate(answers):
                    if place.group.name in answer:
                        label[row, place.slice] = [v in answer[place.group.name] for v in place.group.values]
                        known[row, place.slice] = 1
        return self.labels.masked(label, number), known

    def begin(self, step: int, image: int) -> None:
        number = step * self.batches
        if number > self._first:
            size = (image * self.batches - self._position) // (number - self._first)  # of a batch until now
            for name in self.names:
                self._before[name] += size * self._turns(name, number)
        super().begin(step, image)

    def _turns(self, name: str, number: int) -> int:
        """How many batches from `_first` on and before batch `number` are a set's, where batches take turns."""
        own, sets = self.names.index(name), len(self.names)
        return len(range(self._first + (own - self._first) % sets, number, sets))

    def _rows(self, name: str, number: int) -> tuple[np.ndarray, int]:
        """Which rows of batch `number` are of a set, bool [B], and how many of its rows came before."""
        own, sets = self.names.index(name), len(self.names)
        if self.turns == "batches":
            before = self._before[name] + self._turns(name, number) * self.batch_size
            return np.full(self.batch_size, number % sets == own), before
        start = self.position(number)
        return (start + np.arange(self.batch_size)) % sets == own, -(-(start - own) // sets)

    def indices(self, name: str, number: int) -> np.ndarray:
        rows, before = self._rows(name, number)
        return self.orders[name](before, int(rows.sum()))

    def batch(self, number: int) -> Batch:
        size, draws = self.load_size, random_generator(self.seed, 100, number)
        numbers, pixels = (self.batch_size,), (self.batch_size, size, size, 3)
        batch: dict[str, np.ndarray] = {
            "image": np.empty(numbers, np.int32) if self.handed_over else np.empty(pixels, np.uint8),
            "image_offset": draws.integers(0, size - self.size + 1, (self.batch_size, 2), np.int32),
            "image_flip": draws.integers(0, 2, self.batch_size, np.int32) * np.int32(self.flip),
        }
        batch |= self._empty(self.batch_size)
        for name, pictures in self.train.items():
            rows, own = self._rows(name, number)[0], self.indices(name, number)
            if len(own):
                batch["image"][rows] = self._offset[name] + own if self.handed_over else pictures.take(own)
                label, known = self._vectors[name]
                self._fill(batch, rows, label[own], known[own], draws.permutation(len(own)))
        if self.dropout:
            self._drop(batch, draws)
        return batch

    def _empty(self, rows: int) -> Batch:
        """Labels and targets of `rows` pictures of which nothing is known."""
        widths = {"label": self.labels.width, "known": self.labels.classes}
        widths |= {"target": self.labels.width, "target_known": self.labels.classes}
        return {name: np.zeros((rows, width), np.float32) for name, width in widths.items()}

    def _fill(self, batch: Batch, rows: Rows, label: np.ndarray, known: np.ndarray, order: np.ndarray) -> None:
        """Write the labels of a set's rows, and as targets the same in another order."""
        batch["label"][rows], batch["known"][rows] = label, known
        batch["target"][rows], batch["target_known"][rows] = label[order], known[order]

    def _drop(self, batch: Batch, draws: np.random.Generator) -> None:
        """Leave groups out of the batch's targets, though never all that a target has."""
        places = list(self.labels.places())
        dropped = draws.uniform(size=(self.batch_size, len(places))) < self.dropout
        known = np.stack([batch["target_known"][:, place.slice].any(-1) for place in places], -1)
        dropped &= (known & ~dropped).any(-1, keepdims=True)
        for place, out in zip(places, dropped.T, strict=True):
            batch["target"][out, place.slice] = batch["target_known"][out, place.slice] = 0

    def hand_over(self) -> Batch:
        sets = super().hand_over()
        # Where the pictures of a set begin among all.
        self._offset = dict(zip(sets, np.cumsum([0, *map(len, sets.values())]), strict=False))
        return {"image": np.concatenate(list(sets.values()))} if sets else {}

    def prepare(self, batch: Batch, pictures: Batch | None = None) -> Batch:
        labels = {name: batch[name] for name in ("label", "known", "target", "target_known")}
        return {"image": self.cut(batch, pictures or {}, "image"), **labels}

    def fingerprint(self) -> dict[str, Any]:
        """What a reader without labels says of its pictures, and a hash of the labels of each set."""
        fingerprint = super().fingerprint()
        for name, (label, known) in self._vectors.items():
            total = hashlib.sha256(label.tobytes() + known.tobytes())
            fingerprint[name]["labels"] = total.hexdigest()[:16]
        return fingerprint

    def validation(self, count: int) -> Batch:
        """The first usable test pictures, from all sets in turn; targets are the labels of the next one of its set."""
        parts = []
        for k, (name, source) in list(enumerate(self.test.items()))[:count]:
            pictures = first(source, len(range(k, count, len(self.names))), self.size, self.fit)
            items, rows = list(pictures), self._empty(len(pictures))
            label, known = self._test_vectors[name]
            self._fill(rows, ..., label[items], known[items], np.roll(range(len(items)), -1))
            parts.append({"image": images.to_float(np.stack(list(pictures.values()))), **rows})
        turns = sorted((row, k) for k, part in enumerate(parts) for row in range(len(part["image"])))
        return {name: np.stack([parts[k][name][row] for row, k in turns]) for name in parts[0]}
