"""LiteRT's kernels for ARM64, the processors of phones, in an emulator: QEMU runs a Python of that kind.

The numbers are those of a phone's processor; the time says nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgan.export import runtimes
from kgan.export.runtimes import Absent, Inputs, processes

EMULATOR = Path("usr/bin/qemu-aarch64")
SITE = Path("site")  # where Python packages lie


def root() -> Path:
    """The folder that holds the emulator, and below it what ARM64 programs take for the system's root."""
    return runtimes.folder() / "arm64"


def run(file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """As of a `Runtime`."""
    if platform.machine() in ("aarch64", "arm64"):
        raise Absent("this machine's own processor is ARM64: the lane litert is that")
    pythons = sorted(root().glob("usr/bin/python3.*"))
    if not (root() / EMULATOR).is_file() or not pythons:
        raise Absent(f"there is no emulator of ARM64 in {root()}: make verify puts it there")
    python: list[str | Path] = [root() / EMULATOR, "-L", root(), pythons[0]]
    return processes.run("litert", file, inputs, python, {"PYTHONPATH": str(root() / SITE), "PYTHONHOME": ""})
