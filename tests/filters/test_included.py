"""The models that come with kgan: found by name, small, with a card that says what they reached, and they draw."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from pathlib import Path

import numpy as np
import pytest

from kgan.filters import card, generators, included, loading

LARGEST, TOGETHER = 6e6, 16e6  # bytes


def test_found_by_name_unless_something_of_that_name_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (name, *_) = included.names()
    assert included.find(name) == included.FOLDER / f"{name}.keras"
    assert included.find("nothing.keras") == Path("nothing.keras")
    (tmp_path / name).mkdir()
    assert included.find(name) == Path(name)


def test_they_are_small() -> None:
    sizes = [(included.FOLDER / f"{name}.keras").stat().st_size for name in included.names()]
    assert max(sizes) <= LARGEST and sum(sizes) <= TOGETHER


@pytest.mark.parametrize("name", included.names())
def test_each_has_a_card_and_draws(name: str) -> None:
    about = card.read(included.FOLDER / f"{name}.keras")
    assert about is not None and about.system and about.export["recipe"] == "half"
    digest = hashlib.sha256((included.FOLDER / f"{name}.keras").read_bytes()).hexdigest()
    assert about.export["sha256"] == digest and about.export["file"] == f"{name}.keras"
    assert about.training["reached"].keys() == {"data", "terms", "command", "minutes", "measured", "measured_by"}
    size = about.image_size
    if about.kind == "generator":
        generator = generators.load(name)
        pictures = generator([0, 1])
    else:
        loaded = loading.load(name)
        loaded = loaded.asked(about.labels.examples()[0]) if about.labels else loaded
        grey = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
        pictures = np.stack([loaded(picture) for picture in grey])
    assert pictures.shape == (2, size, size, 3)
    assert np.isfinite(pictures.astype(float)).all() and np.abs(pictures[0] - pictures[1].astype(float)).max() > 0


@pytest.mark.parametrize("name", included.names())
def test_a_card_names_the_settings_that_there_are(name: str) -> None:
    about = card.read(included.FOLDER / f"{name}.keras")
    assert about is not None
    settings = importlib.import_module(f"kgan.systems.{about.system}").Settings
    assert set(about.training["config"]["system"]) == {field.name for field in dataclasses.fields(settings)}
