"""The models that come with kgan: found by name, small, with a card that says what they reached, and they draw."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from pathlib import Path

import numpy as np
import pytest

from kgan.filters import card, generators, included, loading
from kgan.pictures import emoji, images
from kgan.training import Training

LARGEST, TOGETHER, TFLITES = 6e6, 16e6, 5e6  # bytes
FILTERS = [name for name in included.names() if included.tflite(name)]


def test_found_by_name_unless_something_of_that_name_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (name, *_) = included.names()
    assert included.find(name) == included.FOLDER / f"{name}.keras"
    assert included.find("nothing.keras") == Path("nothing.keras")
    assert included.tflite(FILTERS[0]) == included.FOLDER / f"{FILTERS[0]}_dynamic_wi8_afp32.tflite"
    assert included.tflite("nothing.keras") is None
    for hidden in {name, FILTERS[0]}:
        (tmp_path / hidden).mkdir()
        assert included.find(hidden) == Path(hidden)
        assert included.tflite(hidden) is None


def test_they_are_small() -> None:
    sizes = [(included.FOLDER / f"{name}.keras").stat().st_size for name in included.names()]
    assert max(sizes) <= LARGEST and sum(sizes) <= TOGETHER
    assert sum(path.stat().st_size for path in included.FOLDER.glob("*.tflite")) <= TFLITES


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
        assert loaded.streams
        loaded = loaded.with_label(about.labels.examples()[0]) if about.labels else loaded
        grey = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
        pictures = np.stack([loaded(picture) for picture in grey])
    assert pictures.shape == (2, size, size, 3)
    assert np.isfinite(pictures.astype(float)).all() and np.abs(pictures[0] - pictures[1].astype(float)).max() > 0


@pytest.mark.parametrize("path", sorted(included.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_card_names_settings_that_there_are(path: Path) -> None:
    about = card.read(path)
    assert about is not None
    settings = importlib.import_module(f"kgan.systems.{about.system}").Settings
    config = about.training["config"]
    assert config["system"].keys() <= {field.name for field in dataclasses.fields(settings)}
    assert config["training"].keys() <= {field.name for field in dataclasses.fields(Training)}


def test_the_filters_without_dropout_have_a_tflite() -> None:
    cards = {name: card.read(included.find(name)) for name in included.names()}
    assert [name for name, about in cards.items() if about and about.kind == "filter" and not about.dropout] == FILTERS
    assert {path.stem for path in included.FOLDER.glob("*.tflite")} == {f"{name}_dynamic_wi8_afp32" for name in FILTERS}


@pytest.mark.parametrize("name", FILTERS)
def test_each_tflite_has_a_card_and_draws_what_its_keras_draws(name: str) -> None:
    path, about = included.tflite(name), card.read(included.find(name))
    assert path is not None and about is not None
    own = card.read(path)
    assert own is not None and own.size == (about.image_size, about.image_size)
    assert own.export["file"] == path.name and own.export["recipe"] == "dynamic_wi8_afp32"
    assert own.export["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert own.export["verification"]["serving_default"]["psnr"] >= 40
    assert (own.crop, own.labels, own.training) == (about.crop, about.labels, about.training)
    label = about.labels.examples()[0] if about.labels else None
    picture = images.resize(emoji.load("fluent3d", "test")[0], own.size)
    pictures = [loading.load(model)(picture, label).astype(float) for model in (path, name)]
    assert 10 * np.log10(255**2 / np.mean((pictures[0] - pictures[1]) ** 2)) >= 38  # one picture, in 8 bits


def test_other_sizes_than_the_tflite_s_are_left_to_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, for photos: Keras is loaded once, when the first picture of another size comes."""
    opened: list[Path] = []
    load = loading.load

    def counted(path: str | Path) -> loading.Filter:
        opened.append(included.find(path))
        return load(path)

    monkeypatch.setattr(loading, "load", counted)
    name = "onesided_selfie2anime"
    tflite, keras = included.tflite(name), included.find(name)
    photos = loading.load_for_photos(name)
    assert (photos.size, photos.multiple) == (None, 4) and photos.card == load(name).card
    square, wide = np.zeros((128, 128, 3), np.uint8), np.zeros((128, 136, 3), np.uint8)
    photos(square)
    photos(square[:-1])  # padded to 128 x 128
    assert opened == [tflite]
    assert photos(wide).shape == wide.shape and photos(wide[:, :132]).shape == (128, 132, 3)
    assert opened == [tflite, keras]
    assert loading.load_for_photos(keras).size is None and opened[2:] == [keras]
