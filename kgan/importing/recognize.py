"""Which kind of checkpoint files are: each file in `kinds` is asked whether its networks are in them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from kgan.errors import UserError
from kgan.filters.card import LARGEST_SIDE
from kgan.importing import kinds
from kgan.importing.files import Tensors, read
from kgan.importing.sources import Source, Wishes

KINDS = tuple(module.name for module in pkgutil.iter_modules(kinds.__path__))


def open_checkpoint(paths: Sequence[str | Path], wishes: Wishes | None = None, kind: str = "") -> Source:
    """What lies in the files of a checkpoint.

    Args:
      paths: one file, or the files of several networks of one training.
      wishes: what the files do not say.
      kind: one of KINDS; else the first whose networks are in the files.

    Raises:
      UserError: a file cannot be read, holds no network of the kind, or of any, or lacks a part of one.
    """
    if kind and kind not in KINDS:
        raise UserError(f"--as={kind} is no kind of checkpoint: there are {', '.join(KINDS)}.")
    wishes, files = wishes or Wishes(), [read(path) for path in paths]
    inner: list[Tensors] = files
    while inner:
        for name in (kind,) if kind else KINDS:
            if source := _module(name).open_files(inner, wishes):
                for network in source.networks:
                    network.check()
                _check_wishes(source, wishes)
                return source
        boxes = [each.unboxed() for each in inner]
        inner = [each for each in boxes if each] if all(boxes) else []
    if kind:
        raise UserError(f"{_names(files)} is no {_module(kind).TITLE}: it has tensors such as {_first(files[0])}.")
    if len(files) > 1:
        raise UserError(
            f"{_names(files)} are no networks of one training that kgan knows: names of several files must end in what "
            "they hold, as the official code has it: G_A, G_B, D_A and D_B, or G and D."
        )
    titles = "; ".join(f"{_module(name).TITLE} ({name})" for name in KINDS)
    raise UserError(
        f"{_names(files)} holds no network that kgan knows, but {_first(files[0])} and so on. Known are: {titles}."
    )


def _check_wishes(source: Source, wishes: Wishes) -> None:
    """A `UserError` where a wish cannot be, or changes nothing."""
    size, multiple = source.settings.image_size, source.card.get("multiple", 4)
    if wishes.image_size not in (0, size):
        raise UserError(f"--size={wishes.image_size} is not possible: networks in the file fit {size} px alone.")
    if not 8 <= size <= LARGEST_SIDE or size % multiple:
        raise UserError(
            f"--size={size} is not possible: sides of its pictures are multiples of {multiple}, up to {LARGEST_SIDE}."
        )
    unheeded = {
        "--labels": wishes.labels and not source.card.get("labels"),
        "--eval": wishes.moving and not source.card.get("batch_norm"),
        "--dropout": wishes.dropout and not source.card.get("dropout"),
    }
    for flag, idle in unheeded.items():
        if idle:
            raise UserError(f"{flag} changes nothing in these networks of {source.title}: leave it out.")


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"{kinds.__name__}.{kind}")


def _names(files: Sequence[Tensors]) -> str:
    return ", ".join(str(each.file) for each in files)


def _first(tensors: Tensors) -> str:
    """The first three names, for people to recognize."""
    names = [f"{tensors.prefix}{name}"[:80] for name in tensors][:3]
    return ", ".join(names)
