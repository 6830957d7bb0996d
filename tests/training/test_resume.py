"""Every system goes on from a checkpoint bit for bit; tests/test_training.py has CycleGAN killed, on both engines."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kgan.data import Data, Labelled, Paired, Unpaired
from kgan.systems import pix2pix, stargan, ugatit
from kgan.training import Config, Training, checkpoint
from kgan.training.run import train

SMALL: dict[str, Any] = {"image_size": 16, "filters": 2, "discriminator_filters": 2, "discriminator_layers": 2}
EXPERIMENTS: dict[str, tuple[Any, Data]] = {
    "ugatit": (
        ugatit.Settings(
            light=True, image_size=32, filters=2, residual_blocks=1, discriminator_layers=4, ema=0.9, cam_weight=10.0
        ),
        Unpaired(root="emoji:fluent3d:google"),
    ),
    "stargan": (
        stargan.Settings(**SMALL, residual_blocks=1, n_critic=2, ema=0.9),
        Labelled(root="emoji:google:twitter", label_dropout=0.5),
    ),
    "pix2pix": (
        pix2pix.Settings(**SMALL | {"image_size": 32}, depth=5, dropout="paper", ema=0.9),
        Paired(root="emoji:fluent3d:google"),
    ),
}


@pytest.mark.parametrize("name", [pytest.param("ugatit", marks=pytest.mark.slow), "stargan", "pix2pix"])
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path, name: str) -> None:
    settings, data = EXPERIMENTS[name]
    schedule = Training(steps=6, batch_size=2, save_every=3, sample_every=6, log_every=3, samples=1, tensorboard=False)
    config = Config(name, settings, data, schedule)
    straight = train(config, tmp_path / "straight")
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    shutil.copy(straight / "checkpoint-00000003.npz", resumed)
    train(config, resumed)
    ends = [checkpoint.load(folder / "checkpoint-00000006.npz") for folder in (straight, resumed)]
    assert ends[0][1]["sha256"] == ends[1][1]["sha256"]
    assert ends[0][1]["sha256"] != checkpoint.load(straight / "checkpoint-00000003.npz")[1]["sha256"]
    for file in straight.glob("*.keras"):
        assert (resumed / file.name).is_file()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install kgan[jax]")
def test_the_same_under_jax() -> None:
    """This test and the one-sided filter's in a process whose engine is JAX; test_growth.py has StyleGAN's."""
    here = Path(__file__).parents[1]
    files = [str(here / name) for name in ("training/test_resume.py", "systems/test_onesided.py")]
    quickly = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    options = ["-q", "-p", "no:cacheprovider", "-k", "same_bytes", "-m", "slow or not slow"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": quickly},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout
