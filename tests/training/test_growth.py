"""A system that grows: the loop changes level, pictures and step, and goes on from any of them bit for bit."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.steps import schedule, train_eagerly

from kgan import engine
from kgan.data import Labelled, Unlabelled
from kgan.errors import UserError
from kgan.filters import card, generators
from kgan.systems.stylegan import Settings
from kgan.systems.system import Stage
from kgan.training import Config, checkpoint
from kgan.training.config import open_data, stages
from kgan.training.resume import init_from
from kgan.training.run import train
from kgan.training.window import open_window

SETTINGS = Settings(
    image_size=16,
    latent_size=8,
    mapping_layers=2,
    filters=16,
    filters_most=4,
    stable_kimg=0.032,
    fade_kimg=0.016,
    batches=(1, 2, 1),
    repeats=1,
    minibatch_group=2,
)
STEPS = 10  # 8 px in batches of 8 to step 4; at 16 px in batches of 4 a fade of four steps, and two of rest


def config(**changes: Any) -> Config:
    growing = schedule(steps=STEPS, batch_size=4, sample_every=STEPS, log_every=1, samples=2, keep=20)
    labelled = Labelled(root="emoji:google:twitter", enlarge=1.0)
    return Config("growing", SETTINGS, labelled, dataclasses.replace(growing, **changes))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_eagerly(config(), tmp_path_factory.mktemp("growth") / "straight")


def resumed(run: Path, step: int, folder: Path, by: Callable[[Config, Path], Path] = train_eagerly) -> Path:
    """Where a checkpoint of `run` goes on to the end."""
    folder.mkdir()
    shutil.copy(run / f"checkpoint-{step:08d}.npz", folder)
    return by(config(save_every=STEPS), folder)


def arrays(run: Path, step: int = STEPS) -> dict[str, np.ndarray]:
    return checkpoint.load(run / f"checkpoint-{step:08d}.npz")[0]


def different(one: Path, other: Path) -> list[str]:
    """Names of the arrays that do not end in the same bytes."""
    ends, others = arrays(one), arrays(other)
    return [name for name in ends.keys() | others.keys() if ends[name].tobytes() != others[name].tobytes()]


def test_a_run_goes_through_all_levels(straight: Path) -> None:
    assert [(s.first_step, s.image_size, s.batch_size) for s in stages(config())] == [(0, 8, 8), (4, 16, 4)]
    assert [float(arrays(straight, step)["synthesis/fade/alpha"]) for step in (2, 4, 6, 8, 10)] == [1, 1, 0.25, 0.75, 1]
    assert int(arrays(straight)["generator_optimizer/iteration"]) == 6  # forgotten once
    rows = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert {path.name for path in (straight / "samples").iterdir()} == {"step-00000000.png", "step-00000010.png"}
    about = card.read(straight / "generator.keras")
    assert about is not None and about.kind == "generator"
    assert about.image_size == 16 and about.size == (16, 16) and about.training["steps"] == STEPS


def test_labels_are_learned_and_asked_for(straight: Path) -> None:
    begun, ended = arrays(straight, 2), arrays(straight)
    for name in ("mapping/label_dense/kernel", "ema_mapping/label_dense/kernel", "discriminator/logits/kernel"):
        assert (begun[name] != ended[name]).any(), name
    generator = generators.load(straight / "generator.keras")
    google, twitter = (generator([1], 1.0, generator.label(f"vendor={vendor}")) for vendor in ("google", "twitter"))
    assert google.shape == (1, 16, 16, 3) and np.abs(google - twitter).max() > 1e-3


@pytest.mark.parametrize("step", [4, 6])
def test_a_resumed_run_ends_in_the_same_bytes(straight: Path, tmp_path: Path, step: int) -> None:
    """From a level's end, whose successor forgets the moments, and from the middle of a fade."""
    assert not different(straight, resumed(straight, step, tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install kgan[jax]")
def test_growth_on_jax(straight: Path, tmp_path: Path) -> None:
    """Resumed from the middle of a fade it ends in the same bytes, and it goes on from there where TensorFlow began."""
    code = "import sys, test_growth as this; this.on_jax(*map(this.Path, sys.argv[1:]))"
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": str(Path(__file__).parents[1]),  # where `helpers` lies
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    }
    command = [sys.executable, "-c", code, str(straight), str(tmp_path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not different(tmp_path / "straight", tmp_path / "resumed")

    ends, others = arrays(straight), arrays(tmp_path / "from_tensorflow")
    assert ends.keys() == others.keys() and int(others["step"]) == STEPS
    for name, array in ends.items():
        if name.endswith(("/fixed", "/alpha", "/iteration", "/learning_rate")):
            np.testing.assert_array_equal(array, others[name], err_msg=name)
        if name.startswith(("mapping/", "synthesis/", "discriminator/")):
            # Four steps of .001 on other draws; from other starting weights they would differ by 1.
            np.testing.assert_allclose(array, others[name], rtol=0, atol=0.02, err_msg=name)


def on_jax(begun: Path, folder: Path) -> None:
    """What `test_growth_on_jax` runs in a process of its own."""
    straight = train(config(save_every=6, sample_every=100), folder / "straight")
    resumed(straight, 6, folder / "resumed", train)
    resumed(begun, 6, folder / "from_tensorflow", train)


def test_each_level_sees_each_picture_once_an_epoch() -> None:
    """The order goes on from level to level, whatever the batches: 8, 8, 8, 8, then 4, 4 and so on."""
    experiment = dataclasses.replace(config(), data=Unlabelled(root="emoji:google"))
    first, second = stages(experiment)
    small, large = (open_data(experiment, stage) for stage in (first, second))
    places = [small.indices("image", n) for n in range(4)] + [large.indices("image", n) for n in range(4, 10)]
    assert [len(place) for place in places] == [8, 8, 8, 8, 4, 4, 4, 4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(places), large.orders["image"](0, 56))
    assert small.batch(0)["image"].shape == (8, 8, 8, 3) and large.batch(4)["image"].shape == (4, 16, 16, 3)


def test_a_window_ends_with_its_stage_or_with_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages begin at steps 0 and 4, and the training takes ten steps, or three."""
    monkeypatch.setattr(engine, "Compiled", lambda *_: "compiled")
    experiment = dataclasses.replace(config(), data=Unlabelled(root="emoji:google"))
    first, second = stages(experiment)
    system = SETTINGS.create(STEPS, 0)
    for steps, stage, start, until in ((10, first, 2, 4), (10, second, 4, 10), (10, second, 7, 10), (3, first, 0, 3)):
        changed = experiment.replace("training", steps=steps)
        reader = open_data(changed, stage)
        assert open_window(changed, system, stage, reader, start) == (stage, reader, "compiled", start, until)


def test_init_from_begins_growth_at_the_size_of_the_generator(straight: Path, tmp_path: Path) -> None:
    """All that it consists of, in the averaged generator too, so that step 0 draws what it draws."""
    with pytest.raises(UserError, match="draws pictures of 16 px, and the training would begin with 8"):
        train(config(init_from=str(straight)), tmp_path / "run")
    trained = keras.saving.load_model(straight / "generator.keras", compile=False)
    labels = open_data(config(), stages(config())[0]).labels
    for ema_kimg in (0.0, SETTINGS.ema_kimg):
        system = dataclasses.replace(SETTINGS, start_size=16, ema_kimg=ema_kimg).create(STEPS, 3, labels)
        init_from(system, str(straight))
        system.enter(Stage(0, 0, 16, 4), anew=True)  # as the training does before its first step
        generator = system.generators()["generator"]
        inputs = {tensor.name: None for tensor in generator.inputs}
        inputs |= {
            "z": system.latents(range(2)),
            "psi": np.full((2, 1), 0.5, "float32"),
            "label": np.eye(2, labels.classes),
        }
        np.testing.assert_array_equal(generator(inputs)["image"], trained(inputs)["image"])
