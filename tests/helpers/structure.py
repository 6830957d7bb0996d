"""Networks at their published sizes, without allocating them: what they are made of, and golden files that say so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


class Structure(NamedTuple):
    """Path, shape and whether it is trained, of each variable; and the shapes of the outputs."""

    variables: tuple[tuple[str, tuple[int, ...], bool], ...]
    outputs: Any

    @property
    def count(self) -> int:
        """How many numbers are trained."""
        return sum(int(np.prod(shape)) for _, shape, trained in self.variables if trained)


def structure(build: Callable[[], keras.Model], inputs: tuple[int, ...] | None = None) -> Structure:
    """What a network is made of, without its weights; and its outputs for such inputs, or for any."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = build()
            trained = {variable.path for variable in model.trainable_variables}
            variables = tuple((v.path, tuple(v.shape), v.path in trained) for v in model.variables)
            return Structure(variables, model.compute_output_shape(inputs) if inputs else model.output_shape)
    finally:
        keras.utils.clear_session()  # else the next StatelessScope would allocate them


def assert_golden(name: str, title: str, networks: dict[str, Structure]) -> None:
    """Names are keys of checkpoints, quantization recipes and importers: they change on purpose or not at all."""
    lines = [f"# {title}: path and shape of every variable, * where it is not trained."]
    for heading, network in networks.items():
        lines += ["", f"[{heading}]"]
        lines += [
            f"{path} {'x'.join(map(str, shape))}{'' if trained else ' *'}" for path, shape, trained in network.variables
        ]
    text, golden = "\n".join(lines) + "\n", GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text(), (
        f"The variables of {title} changed. Where that is meant, regenerate the file and look at its diff:\n"
        "  UPDATE_GOLDEN=1 python -m pytest tests/systems -k golden"
    )
