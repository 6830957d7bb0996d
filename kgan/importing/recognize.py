"""Which kind of checkpoint files are: each file in `kinds` is asked whether its networks are in them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from kgan.errors import UserError
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
    files = [read(path) for path in paths]
    for name in (kind,) if kind else KINDS:
        source = _module(name).open_files(files, wishes or Wishes())
        if source:
            for network in source.networks:
                network.check()
            size, multiple = source.settings.image_size, source.card.get("multiple", 4)
            if size < 8 or size % multiple:
                raise UserError(f"--size={size} is not possible: sides of its pictures are multiples of {multiple}.")
            return source
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


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"{kinds.__name__}.{kind}")


def _names(files: Sequence[Tensors]) -> str:
    return ", ".join(str(each.file) for each in files)


def _first(tensors: Tensors) -> str:
    """The first three names, for people to recognize."""
    names = [f"{tensors.prefix}{name}"[:80] for name in tensors][:3]
    return ", ".join(names)
