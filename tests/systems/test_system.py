"""A system without a discriminator: a student that learns to draw what a teacher draws."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan import engine
from kgan.data import Unpaired
from kgan.losses import l1
from kgan.optimizers import LinearDecay, adam
from kgan.systems.system import System, named
from kgan.training import Config, Training, checkpoint
from kgan.training.run import train


def teacher(x: Any) -> Any:
    """The negative."""
    return -x


class Student(System):
    """One convolution of one pixel."""

    def __init__(self, steps: int) -> None:
        super().__init__(name="student")
        self.generator = named("generator", self._build)
        self.rate = LinearDecay(0.01, steps, 1)
        self.generator_optimizer = adam("generator_optimizer", self.rate, 0.9, 0.999, 1e-8)
        self.ready(0)

    @staticmethod
    def _build() -> keras.Model:
        image = keras.Input((None, None, 3), name="image")
        conv = keras.layers.Conv2D(3, 1, kernel_initializer="zeros", name="conv")
        return keras.Model(image, {"image": conv(image)}, name="generator")

    def generator_variables(self) -> list[keras.Variable]:
        return list(self.generator.trainable_variables)

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        image = batches[0]["a"]
        terms, _ = self.minimize(
            self.generator_optimizer,
            self.generator_variables(),
            lambda: ({"distance": l1(self.generator(image, training=True)["image"], teacher(image))}, ()),
        )
        self.step.assign_add(1)
        return terms

    def generators(self) -> dict[str, keras.Model]:
        return {"generator": self.generator}

    def sample(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"a": batch["a"], "drawn": self.generator(batch["a"], training=False)["image"]}


@dataclasses.dataclass
class Settings:
    image_size: int = 16

    @property
    def batches_per_step(self) -> int:
        return 1

    def check(self) -> None:
        pass

    def create(self, steps: int, seed: int, labels: Any = None) -> Student:
        return Student(steps)


def test_a_system_with_one_optimizer_learns() -> None:
    """The kernel's diagonal goes from 0 to the teacher's -1: 60 steps of 0.01 at most each."""
    system, random = Student(100), np.random.default_rng(0)
    step = engine.Compiled(system, system.train_step)
    batches = [({"a": random.uniform(-1, 1, (2, 16, 16, 3)).astype("float32")},) for _ in range(60)]
    losses = [float(engine.to_host(step(each))["distance"]) for each in batches]
    assert losses[-1] < 0.6 * losses[0]
    kernel = ops.convert_to_numpy(system.generator.get_layer("conv").kernel)[0, 0]
    assert (np.diag(kernel) < -0.4).all() and np.abs(kernel - np.diag(np.diag(kernel))).max() < 0.2
    assert system.progress({"distance": 0.5, "other": 0.25}) == "loss 0.75"
    assert [name.partition("/")[0] for name in system.state()] == (
        ["generator"] * 2 + ["generator_optimizer"] * 5 + ["step"]
    )


def test_the_loop_trains_it(tmp_path: Path) -> None:
    training = Training(steps=4, log_every=2, sample_every=2, save_every=2, samples=2, precision="float32")
    config = Config("student", Settings(), Unpaired(root="emoji:fluent3d:google"), training)
    train(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4] and all(0 < line["distance"] < 1 for line in lines)
    arrays, _ = checkpoint.load(tmp_path / "checkpoint-00000004.npz")
    assert {path.partition("/")[0] for path in arrays} == {"generator", "generator_optimizer", "step"}
    # Each step goes 0.01 towards the negative.
    np.testing.assert_allclose(np.diag(arrays["generator/conv/kernel"][0, 0]), -0.04, atol=0.005)
    assert (tmp_path / "generator.keras").is_file() and (tmp_path / "samples" / "step-00000004.png").is_file()
