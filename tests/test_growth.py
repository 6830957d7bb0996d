"""A system that grows: the loop changes level, pictures and step, and goes on from any of them bit for bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kgan import card, checkpoint, training
from kgan.data import Unlabelled
from kgan.errors import UserError
from kgan.systems.stylegan import Settings

SETTINGS = Settings(
    image_size=16,
    latent_size=8,
    mapping_layers=2,
    filters=16,
    filters_most=4,
    stable_kimg=0.024,
    fade_kimg=0.016,
    batches=(1, 2, 1),
    repeats=1,
    minibatch_group=2,
)
STEPS = 8  # 8 px in batches of 8 to step 3; at 16 px in batches of 4 a fade of four steps, and one of rest


def config(**changes: int) -> training.Config:
    schedule = training.Training(
        steps=STEPS, batch_size=4, save_every=1, sample_every=4, log_every=1, samples=2, keep=20, tensorboard=False
    )
    return training.Config(
        "growing", SETTINGS, Unlabelled(root="emoji:google"), dataclasses.replace(schedule, **changes)
    )


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.train(config(), tmp_path_factory.mktemp("growth") / "straight")


def test_a_run_goes_through_all_levels(straight: Path) -> None:
    assert [(s.first_step, s.image_size, s.batch_size) for s in training.stages(config())] == [(0, 8, 8), (3, 16, 4)]
    alphas = {
        step: float(checkpoint.load(straight / f"checkpoint-{step:08d}.npz")[0]["synthesis/fade/alpha"])
        for step in range(1, STEPS + 1)
    }
    assert list(alphas.values()) == [1, 1, 1, 0, 0.25, 0.5, 0.75, 1]
    rows = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert {path.name for path in (straight / "samples").iterdir()} == {f"step-0000000{i}.png" for i in (0, 4, 8)}
    about = card.read(straight / "generator.keras")
    assert about is not None and about.kind == "generator"
    assert about.image_size == 16 and about.size == (16, 16) and about.training["steps"] == STEPS


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_resumed_run_ends_in_the_same_bytes(straight: Path, tmp_path: Path, step: int) -> None:
    """From within a level, from a level's end, whose successor forgets the moments, and from the middle of a fade."""
    shutil.copy(straight / f"checkpoint-{step:08d}.npz", tmp_path)
    training.train(config(save_every=STEPS), tmp_path)
    arrays, others = (checkpoint.load(folder / f"checkpoint-{STEPS:08d}.npz") for folder in (straight, tmp_path))
    different = [name for name in arrays[0] if arrays[0][name].tobytes() != others[0][name].tobytes()]
    assert not different and arrays[1]["sha256"] == others[1]["sha256"]


def test_each_level_sees_each_picture_once_an_epoch() -> None:
    """The order goes on from level to level, whatever the batches: 8, 8, 8, then 4, 4 and so on."""
    experiment = config()
    first, second = training.stages(experiment)
    small, large = (training.open_data(experiment, stage) for stage in (first, second))
    places = [small.indices("image", n) for n in range(3)] + [large.indices("image", n) for n in range(3, 8)]
    assert [len(place) for place in places] == [8, 8, 8, 4, 4, 4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(places), large.orders["image"](0, 44))
    assert small.batch(0)["image"].shape == (8, 8, 8, 3) and large.batch(3)["image"].shape == (4, 16, 16, 3)


def test_growth_begins_from_nothing(straight: Path, tmp_path: Path) -> None:
    experiment = config()
    experiment.training.init_from = str(straight)
    with pytest.raises(UserError, match="StyleGAN grows from nothing"):
        training.train(experiment, tmp_path / "run")
