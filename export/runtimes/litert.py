"""LiteRT on this machine's processor, through XNNPACK: the reference among runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgan.export.runtimes import Inputs
from kgan.litert import Model


def run(file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """The picture, float32 [H, W, 3], that a `.tflite` draws of each of `inputs`; a `UserError` if it is damaged."""
    model = Model(file)
    return [model.named(each)["image"][0] for each in inputs]
