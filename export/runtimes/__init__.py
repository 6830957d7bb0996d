"""Where exported files run: a module for each runtime, all with the same `run(file, inputs) -> pictures`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from kgan.errors import UserError

Inputs: TypeAlias = dict[str, np.ndarray]  # of one picture, by name, each [1, ...]


class Absent(UserError):
    """A runtime that this machine does not have; the sentence says what is missing and how to get it."""


class Runtime(Protocol):
    """A module of this package, which runs `.tflite` files in one way."""

    __name__: str

    def run(self, file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
        """The picture, float32 [H, W, 3], that the `.tflite` file draws of each of `inputs`."""
