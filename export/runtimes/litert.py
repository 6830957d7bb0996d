"""LiteRT on this machine's processor, through XNNPACK: the reference among runtimes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from kgan.errors import UserError
from kgan.export.runtimes import Inputs
from kgan.quiet import quiet


def run(file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """The picture, float32 [H, W, 3], that a `.tflite` draws of each of `inputs`; a `UserError` if it is damaged."""
    try:
        with quiet():
            interpreter = Interpreter(str(file), num_threads=os.cpu_count())
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{file} cannot be loaded by LiteRT: it is damaged.") from error
    draw = interpreter.get_signature_runner()
    return [draw(**each)["image"][0] for each in inputs]
