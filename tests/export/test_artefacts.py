"""kgan.export.artefacts: what is settled, and what a card says of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from kgan import files
from kgan.export.artefacts import Artefact, settle, verified_card
from kgan.export.verify import Measurement
from kgan.filters import card
from kgan.filters.card import Card


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder with a file and a folder of before, each with a card, and one more file."""
    (tmp_path / "output" / "a_saved_model").mkdir(parents=True)
    for name in ("a.tflite", "a.json", "a_saved_model/card.json", "a_saved_model/old", "b.tflite"):
        (tmp_path / "output" / name).write_text("of before")
    return tmp_path / "output"


def new_file(folder: Path) -> Path:
    path = folder / "a.tflite"
    path.write_text("new")
    Card(name="new").write(path)
    return path


def new_folder(folder: Path) -> Path:
    path = folder / "a_saved_model"
    path.mkdir()
    (path / "saved_model.pb").write_text("new")
    Card(name="new").write(path)
    return path


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_holds_replaces_what_was_there(output: Path) -> None:
    for path in (new_file(output.parent), new_folder(output.parent)):
        settle(path, output, holds=True)
    assert names(output) == {
        "a.tflite",
        "a.json",
        "b.tflite",
        "a_saved_model/card.json",
        "a_saved_model/saved_model.pb",
    }
    for name in ("a.tflite", "a_saved_model"):
        about = card.read(output / name)
        assert about is not None and about.name == "new"
    assert (output / "a.tflite").read_text() == "new"
    assert names(output.parent) == {f"output/{name}" for name in names(output)}


def test_what_is_refused_takes_what_was_there_with_it(output: Path) -> None:
    for path in (new_file(output.parent), new_folder(output.parent)):
        settle(path, output, holds=False)
    assert [path.name for path in output.iterdir()] == ["b.tflite"]


def test_a_card_says_what_was_found_of_each_signature() -> None:
    about = Card(name="tiny", export={"inputs": ["z"]})
    measurements = [
        Measurement("a", name, 7, "abc", 2, floor, 0.5, 0.25, psnr)
        for name, floor, psnr in (("generate", 100.0, 120.0), ("mix", 90.0, 95.0))
    ]
    artefact = Artefact("a", "saved_model", about, lambda path: None, lambda path: measurements)
    export = verified_card(artefact, measurements).export
    assert list(export) == ["file", "recipe", "inputs", "bytes", "sha256", "versions", "verification"]
    assert (export["file"], export["recipe"], export["bytes"], export["sha256"]) == ("a", "saved_model", 7, "abc")
    assert export["verification"]["mix"] == {
        "pictures": 2,
        "max_difference": 0.5,
        "mean_difference": 0.25,
        "psnr": 95.0,
        "floor": 90.0,
    }
    assert about.export == {"inputs": ["z"]}


def test_a_second_runtime_has_its_own_key() -> None:
    measurements = [Measurement("a", "serving_default", 7, "abc", 2, 40.0, psnr=50.0)]
    measurements.append(dataclasses.replace(measurements[0], runtime="arm64", psnr=45.0))
    artefact = Artefact("a", "float32", Card(), lambda path: None, lambda path: measurements)
    verification = verified_card(artefact, measurements).export["verification"]
    assert {name: each["psnr"] for name, each in verification.items()} == {
        "serving_default": 50.0,
        "serving_default in arm64": 45.0,
    }


def test_a_file_of_before_never_lies_beside_a_card_that_is_not_its_own(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, moves = new_file(output.parent), []

    def watched(source: Path, target: Path) -> None:
        moves.append((target.name, (output / "a.tflite").exists(), (output / "a.json").exists()))
        place(source, target)

    place = files.place
    monkeypatch.setattr(files, "place", watched)
    settle(path, output, holds=True)
    assert moves == [("a.json", False, False), ("a.tflite", False, True)]
