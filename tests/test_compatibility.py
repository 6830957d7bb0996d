"""What an earlier version wrote and typed still works: included filters, checkpoints, command lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny
from helpers.steps import train_eagerly

import kgan
from kgan.training import checkpoint

GOLDEN = Path(__file__).with_name("golden")


def test_an_included_filter_of_then_loads_and_draws() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    result = kgan.load("onesided_selfie2anime")(picture)
    assert result.shape == picture.shape and result.std() > 0


def test_a_checkpoint_of_then_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Step 4 of tests/helpers/tiny.py, saved by version 0.1.0 when all modules still lay in one folder.

    Its Adam stays the one of then, in every sitting, though that of new runs is another.
    """
    shutil.copyfile(GOLDEN / "checkpoint_0.1.0.npz", tmp_path / "checkpoint-00000004.npz")
    config = tiny.get_config()
    for begin, steps in ((4, 6), (6, 7)):
        config.training.steps = steps
        train_eagerly(config, tmp_path)
        printed = capsys.readouterr().out
        assert f"going on after step {begin}" in printed
        assert "system.epsilon_place stays 'before', as this run computed so far. (New runs: 'after'.)" in printed
        arrays, about = checkpoint.load(tmp_path / f"checkpoint-0000000{steps}.npz")
        assert about["step"] == arrays["step"] == steps
        assert about["config"]["system"]["epsilon_place"] == "before" and config.system.epsilon_place == "after"
