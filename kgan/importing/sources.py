"""What a kind of checkpoint makes of files: networks, the settings they were trained with, and facts for the card."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import keras

from kgan.errors import UserError
from kgan.importing.files import Tensors
from kgan.importing.tables import Network
from kgan.labels import Labels


@dataclass(frozen=True)
class Wishes:
    """What files do not say and users may.

    Attributes:
      labels: what a generator may be asked for.
      image_size: pixels a side that it was trained at; 0 for what the official code has.
      moving: use the running statistics of norms at test, as PyTorch's eval mode, where the official test does not.
      dropout: drop out at test too, as the official test of pix2pix.
    """

    labels: Labels | None = None
    image_size: int = 0
    moving: bool = False
    dropout: bool = False


class Part(NamedTuple):
    """The tensors of one network, and what file or checkpoint call it: "G_A", "genA2B"; "" where neither does."""

    role: str
    tensors: Tensors


def unchanged(model: keras.Model) -> keras.Model:
    """The generator itself."""
    return model


@dataclass(frozen=True)
class Source:
    """Everything that is known of a checkpoint.

    Attributes:
      title: of the code that wrote it, for people.
      settings: of the system that goes on with it.
      shown: those of them that the files show; the others are the official code's.
      networks: those in the files.
      card: fields of `kgan.filters.card.Card` for its generators.
      finish: what a generator becomes as a filter, from RGB to RGB.
      moments: endings of the names of Adam's two averages, where the files have them.
      whole: all networks of the system, which a training needs.
      config, preset: the installed config that goes on with it, and its settings of the system.
    """

    title: str
    settings: Any
    shown: dict[str, Any]
    networks: Sequence[Network]
    card: dict[str, Any] = field(default_factory=dict)
    finish: Callable[[keras.Model], keras.Model] = unchanged
    moments: tuple[str, str] | None = None
    whole: Sequence[str] = ()
    config: str = ""
    preset: Any = None

    @property
    def generators(self) -> list[Network]:
        return [each for each in self.networks if each.attribute.startswith("generator")]


class Shown(dict[str, Any]):
    """Settings that networks show, which must agree."""

    def add(self, tensors: Tensors, **fields: Any) -> None:
        """What one network shows; a `UserError` where another showed other values."""
        for name, value in fields.items():
            if self.setdefault(name, value) != value:
                raise UserError(
                    f"{tensors.file} has another network of another size: system.{name} is {value} there and "
                    f"{self[name]} in the other."
                )

    def set_in(self, settings: Any) -> None:
        """Give the system's settings what the networks show: the same object, which their builders hold."""
        for name, value in self.items():
            setattr(settings, name, value)


def parts_of(files: list[Tensors], roles: Mapping[str, str]) -> list[Part]:
    """The networks of files that hold one each, named by role as latest_net_G_A.pth, or of one that holds several.

    None where the names of several files do not end in as many roles.

    Raises:
      UserError: a tensor belongs to no network.
    """
    if len(files) > 1:
        parts = [Part(role_of(each.file, roles), each) for each in files]
        names = {part.role for part in parts}
        return parts if "" not in names and len(names) == len(files) else []
    (tensors,) = files
    parts = [Part(role, tensors.below(f"{role}.")) for role in roles]
    parts = [part for part in parts if part.tensors.stored]
    if not parts:
        return [Part(role_of(tensors.file, roles), tensors)]
    if sum(len(part.tensors.stored) for part in parts) < len(tensors.stored):
        stray = next(name for name in tensors if not name.startswith(tuple(f"{part.role}." for part in parts)))
        raise UserError(f"{tensors.file} has the tensor {stray}, which belongs to none of its networks.")
    return parts


def role_of(path: Path, roles: Mapping[str, str]) -> str:
    """The role that ends a file's name, as in latest_net_G_A.pth or 200000-G.ckpt; "" where none does."""
    longest = sorted(roles, key=len, reverse=True)
    return next((each for each in longest if re.search(rf"(^|[_-]){re.escape(each)}$", path.stem)), "")
