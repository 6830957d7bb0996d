"""What pictures can be labelled with: sets of groups of values, as vectors for a network and as words for people.

A set is what one collection of pictures is labelled with: CelebA with hair, gender and age, RaFD with expressions. A
group is a question with one answer. `Labels` orders the answers of all sets into one vector of zeros and ones; where
there are several sets, a one-hot vector follows that says which set is meant: StarGAN's mask (Choi et al. 2018,
arXiv 1711.09020, section 3.2).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from kgan.errors import UserError


@dataclasses.dataclass(frozen=True)
class Group:
    """A question and its answers.

    Attributes:
      name: "hair".
      values: "black", "blonde" and so on. The one value "yes" makes a flag, which is either there or not.
      flags: the values are attributes that a classifier judges one by one, as all of CelebA's: a picture may have none
        of them, and yet one is chosen as a target. Else exactly one holds.
    """

    name: str
    values: tuple[str, ...]
    flags: bool = False

    @property
    def answers(self) -> tuple[str, ...]:
        """The words that people may choose: the values, or "yes" and "no" for a flag."""
        return self.values if len(self.values) > 1 else ("yes", "no")

    def vector(self, answer: str) -> np.ndarray:
        """The part of a label that says `answer`: float32 [len(values)], one where the value is chosen."""
        return np.array([value == answer for value in self.values], np.float32)


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """What one collection of pictures is labelled with: its name and the groups."""

    name: str
    groups: tuple[Group, ...]


class Place(NamedTuple):
    """A group, the index of its set, and where its values begin in the vector."""

    group: Group
    set: int
    start: int

    @property
    def slice(self) -> slice:
        return slice(self.start, self.start + len(self.group.values))


@dataclasses.dataclass(frozen=True)
class Labels:
    """The sets in the order of the vector.

    Attributes:
      sets: at least one, each with at least one group.
      optional: a target may leave out groups of its set: the generator was trained to leave them to itself.

    Raises:
      UserError: a name or value holds a comma or an equals sign, which `vector` could not read.
    """

    sets: tuple[LabelSet, ...]
    optional: bool = False

    def __post_init__(self) -> None:
        for group, _, _ in self.places():
            for word in (group.name, *group.values):
                if not word or set(word) & {",", "="}:
                    raise UserError(f"{word!r} cannot be a label of {group.name!r}: it is empty or holds , or =.")

    def places(self) -> Iterator[Place]:
        """All groups, in the order of the vector."""
        start = 0
        for number, each in enumerate(self.sets):
            for group in each.groups:
                yield Place(group, number, start)
                start += len(group.values)

    @property
    def classes(self) -> int:
        """How many values there are in all sets: what a classifier tells apart."""
        return sum(len(place.group.values) for place in self.places())

    @property
    def width(self) -> int:
        """The length of the vector: the classes and, with several sets, the mask."""
        return self.classes + (len(self.sets) if len(self.sets) > 1 else 0)

    def masked(self, label: np.ndarray, number: int) -> np.ndarray:
        """Add to a label of set `number`, [..., classes], the mask that says so: [..., width]."""
        mask = np.zeros((*label.shape[:-1], self.width - self.classes), np.float32)
        mask[..., number : number + 1] = 1
        return np.concatenate([label, mask], -1)

    def vector(self, text: str) -> np.ndarray:
        """The vector of words such as "hair=blonde,eyes=blue": float32 [width].

        Raises:
          UserError: no such group or value, groups of two sets, or one that must be named too.
        """
        answers: dict[Place, str] = {}
        for part in text.split(","):
            name, equals, answer = (word.strip() for word in part.partition("="))
            if not equals:
                raise UserError(f"{part.strip()!r} is no label: write {self.example()}. There are {self.describe()}.")
            place = self._find(name)
            if place in answers:
                raise UserError(f"{name} is named twice in {text!r}.")
            if answer not in place.group.answers:
                near = difflib.get_close_matches(answer, place.group.answers, 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise UserError(f"{name} is never {answer!r}: it is {_either(place.group.answers)}.{hint}")
            answers[place] = answer
        first = next(iter(answers))
        if stray := next((place for place in answers if place.set != first.set), None):
            raise UserError(
                f"{first.group.name} belongs to {self.sets[first.set].name} and {stray.group.name} to "
                f"{self.sets[stray.set].name}: name labels of one set at a time."
            )
        missing = [p.group.name for p in self.places() if p.set == first.set and p not in answers]
        if missing and not self.optional:
            raise UserError(
                f"{' and '.join(missing)} must be named too: this filter was trained with a value of every group, "
                f"as in {self.example(first.set)}."
            )
        label = np.zeros(self.classes, np.float32)
        for place, answer in answers.items():
            label[place.slice] = place.group.vector(answer)
        return self.masked(label, first.set)

    def _find(self, name: str) -> Place:
        """The group of this name, which may be "hair", or "celeba.hair" where several sets have it."""
        places = [p for p in self.places() if name in (p.group.name, f"{self.sets[p.set].name}.{p.group.name}")]
        if not places:
            raise UserError(f"There is no label group {name!r}: there are {self.describe()}.")
        if len(places) > 1:
            full = [f"{self.sets[place.set].name}.{name}" for place in places]
            raise UserError(f"Several sets have {name}: write {_either(tuple(full))}.")
        return places[0]

    def describe(self) -> str:
        """All groups and their answers in words: 'hair (black, blonde) and eyes (blue, red)'."""
        return " and ".join(f"{p.group.name} ({', '.join(p.group.answers)})" for p in self.places())

    def example(self, number: int = 0) -> str:
        """A label of set `number` in words: 'hair=black,eyes=blue'."""
        return ",".join(f"{group.name}={group.answers[0]}" for group in self.sets[number].groups)

    def examples(self) -> list[np.ndarray]:
        """Whole targets, float32 [width] each, in which every value occurs at least once.

        An exported filter is verified on them.
        """
        targets = []
        for number, each in enumerate(self.sets):
            for i in range(max(len(group.answers) for group in each.groups)):
                answers = {group.name: group.answers[i % len(group.answers)] for group in each.groups}
                label = np.zeros(self.classes, np.float32)
                for place in self.places():
                    if place.set == number:
                        label[place.slice] = place.group.vector(answers[place.group.name])
                targets.append(self.masked(label, number))
        return targets

    def domains(self, label: np.ndarray) -> dict[str, np.ndarray]:
        """Targets for a sheet of samples: each value of each group, asked of every picture.

        The other groups of that set stay the picture's own; a picture of another set borrows those of the next picture
        that has some. A flag is turned round.

        Args:
          label: [B, width], the pictures' own.

        Returns:
          By title: targets [B, width].
        """
        names = [value for place in self.places() for value in place.group.values]
        targets = {}
        for place in self.places():
            own = self._borrowed(label, place.set)
            for value in place.group.values:
                target = own.copy()
                flag = len(place.group.values) == 1
                target[:, place.slice] = 1 - own[:, place.slice] if flag else place.group.vector(value)
                title = f"not {place.group.name}" if flag else value
                if names.count(value) > 1 and not flag:
                    title = f"{place.group.name} {value}"
                targets[title] = self.masked(target, place.set)
        return targets

    def _borrowed(self, label: np.ndarray, number: int) -> np.ndarray:
        """The pictures' own values of set `number` alone, [B, classes]; see `domains` for pictures that have none."""
        inside = np.zeros(self.classes, np.float32)
        for place in self.places():
            inside[place.slice] = place.set == number
        if len(self.sets) == 1:
            return label[:, : self.classes]
        has = np.flatnonzero(label[:, self.classes + number])
        rows = [has[np.argmax(has >= i)] if len(has) else i for i in range(len(label))]
        return label[rows, : self.classes] * inside

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Labels:
        """The labels that dataclasses.asdict made into `values`; KeyError or TypeError where they are none."""

        def group(values: dict[str, Any]) -> Group:
            return Group(values["name"], tuple(values["values"]), bool(values["flags"]))

        sets = tuple(LabelSet(each["name"], tuple(map(group, each["groups"]))) for each in values["sets"])
        return cls(sets, bool(values["optional"]))


def _either(words: tuple[str, ...]) -> str:
    """Words as a choice: 'a, b or c'."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
