"""Training without the seconds that a graph takes to be traced: for tests of the loop around the steps."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.training import Config, Training, checkpoint
from kgan.training.run import train
from kgan.types import Batch, Tensor


class Stub:
    """In the place of `engine.Compiled`: costs nothing and changes nothing."""

    def __init__(self, system: Any, *_: Any) -> None:
        self.system = system

    def cost(self, *_: Any) -> engine.Cost:
        return engine.Cost(1.0, 1.0, 1.0)

    def __call__(self, *several: Any) -> dict[str, Any]:
        return {"cycle_a": np.float32(1) if len(several) == 1 else np.arange(len(several), dtype=np.float32)}


class Eager(Stub):
    """The step itself, operation by operation. Up to eight of a tiny system take less time than its graph."""

    def __init__(self, system: Any, step: Callable[..., dict[str, Tensor]], devices: int = 1, *held: Batch) -> None:
        super().__init__(system)
        assert devices == 1
        self.step, self.held = step, held

    def __call__(self, *several: Any) -> dict[str, Any]:
        arguments = [keras.tree.map_structure(ops.convert_to_tensor, (batches, *self.held)) for batches in several]
        rows = [self.step(*each) for each in arguments]
        return rows[0] if len(rows) == 1 else {name: ops.stack([row[name] for row in rows]) for name in rows[0]}


def train_eagerly(config: Config, workdir: Path) -> Path:
    """As `train`, operation by operation where the backend can: a step under JAX runs compiled alone."""
    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() != "jax":
            patch.setattr(engine, "Compiled", Eager)
        return train(config, workdir)


def schedule(**changes: Any) -> Training:
    """Four steps with a checkpoint after two, in float32 on any device."""
    short = Training(steps=4, batch_size=2, log_every=2, save_every=2, sample_every=4, samples=1, tensorboard=False)
    return dataclasses.replace(short, **{"precision": "float32", **changes})


def assert_resumes(config: Config, folder: Path) -> Path:
    """A run of two checkpoints, gone on with from its first, ends in the same bytes; returns where it lies.

    That a compiled step does so too, test_run.py proves with CycleGAN.
    """
    half, steps = config.training.save_every, config.training.steps
    assert steps == 2 * half
    straight, resumed = train_eagerly(config, folder / "straight"), folder / "resumed"
    resumed.mkdir()
    shutil.copy(straight / f"checkpoint-{half:08d}.npz", resumed)
    train_eagerly(config, resumed)
    begun = checkpoint.load(straight / f"checkpoint-{half:08d}.npz")[1]["sha256"]
    ends = [checkpoint.load(run / f"checkpoint-{steps:08d}.npz")[1]["sha256"] for run in (straight, resumed)]
    assert ends[0] == ends[1] != begun
    files = [path.name for path in straight.glob("*.keras")]
    assert files and all((resumed / name).read_bytes() == (straight / name).read_bytes() for name in files)
    return resumed
