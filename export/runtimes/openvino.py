"""Intel's OpenVINO, which reads `.tflite` with code of its own: what agrees with it owes nothing to LiteRT."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgan.export import runtimes
from kgan.export.runtimes import Absent, Inputs, processes


def root() -> Path:
    """The folder that the package is looked for in, where this Python has none."""
    return runtimes.folder() / "openvino"


def run(file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """As of a `Runtime`."""
    if importlib.util.find_spec("openvino"):
        return processes.run("openvino", file, inputs)
    if not (root() / "openvino").is_dir():
        raise Absent(f"the package openvino is neither installed nor in {root()}: make verify puts it there")
    return processes.run("openvino", file, inputs, environment={"PYTHONPATH": str(root())})
