"""Where exported files run: a module for each runtime, all with the same `run(file, inputs) -> pictures`.

What a runtime needs beside kgan's own packages lies in a folder of its own, where `kgan.export.runtimes.install` puts
it. A module whose runtime is not there raises `Absent`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from kgan.errors import UserError

VARIABLE = "KGAN_RUNTIMES"
CACHE = Path("~/.cache/kgan/runtimes")

Inputs: TypeAlias = dict[str, np.ndarray]  # of one picture, by name, each [1, ...]


class Absent(UserError):
    """A runtime that this machine does not have, or that does not read such files; the sentence says how to get it."""


class Runtime(Protocol):
    """A module of this package, which runs `.tflite` files in one way."""

    __name__: str

    def run(self, file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
        """The picture, float32 [H, W, 3], that the `.tflite` file draws of each of `inputs`.

        Raises:
          Absent: the runtime is not on this machine, or does not read such files.
          UserError: it is, and cannot run the file.
        """


def folder() -> Path:
    """Where runtimes lie: the folder $KGAN_RUNTIMES, else ~/.cache/kgan/runtimes."""
    return Path(os.environ.get(VARIABLE) or CACHE).expanduser().absolute()
