"""Filters are measured while they train, and the best is kept; the step itself is a stub that writes its number."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import tiny
from helpers.steps import Stub
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kgan
from kgan import engine
from kgan.errors import UserError
from kgan.filters import card
from kgan.filters.card import Card
from kgan.metrics import kid
from kgan.pictures import images
from kgan.pretrained import inception, weights
from kgan.training import checkpoint, run, validation
from kgan.training.run import train
from kgan.training.validation import Validation, better


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Inception's place: the mean colour, from -1 to 1."""

    def features(network: object, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for picture in pictures:
            assert picture.dtype == np.uint8
            yield images.to_float(picture).mean(axis=(0, 1))[None]

    monkeypatch.setattr(weights, "find", lambda *arguments: Path())
    monkeypatch.setattr(inception, "load", lambda path: None)
    monkeypatch.setattr(inception, "features", features)


class Reader:
    def __init__(self, **counts: int) -> None:
        random = np.random.default_rng(0)
        shapes = {name: (count, 8, 8, 3) for name, count in counts.items()}
        self.pictures = {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}

    def validation(self, count: int) -> dict[str, np.ndarray]:
        return {name: pictures[:count] for name, pictures in self.pictures.items()}


class System:
    """A copies what it should look like, B its input, C is given no pictures at all."""

    def __init__(self) -> None:
        self.numbers: list[list[int]] = []

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"a": ("y", "x"), "b": ("y", "x"), "c": ("", "y")}

    def translated(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.numbers.append(batch["number"].tolist())
        return {"a": batch["x"], "b": batch["y"], "c": np.zeros((len(batch["number"]), 8, 8, 3), np.float32)}


@pytest.mark.usefixtures("colours")
def test_filters_are_measured_against_the_domain_that_judges_them() -> None:
    validated, reader, system = Validation(10), Reader(x=9, y=7), System()
    validated.read(reader, system)
    results = validated.measure(system, 3)
    assert system.numbers == [[0, 1, 2], [3, 4, 5], [6]] and validated.measured == 7
    assert [measures["pictures"] for measures in results.values()] == [7, 7, 7]
    assert results["a"]["image_size"] == 8
    x, y = (
        np.stack([images.to_float(images.to_uint8(picture)).mean(axis=(0, 1)) for picture in pictures[:7]])
        for pictures in reader.pictures.values()
    )
    assert results["a"]["kid"] == pytest.approx(100 * kid.distance(x, x))
    assert results["b"]["kid"] == pytest.approx(100 * kid.distance(y, x))
    assert results["a"]["kid_unchanged"] == results["b"]["kid_unchanged"] == results["b"]["kid"]
    # B is its input, so that each output's own input is the nearest; what A draws has nothing to do with it.
    assert results["b"]["match"] == 1 > results["a"]["match"] and "match" not in results["c"]
    assert abs(results["a"]["fid"]) < 1e-9 < results["b"]["fid"] and results["c"]["fid"] > 0
    validated.read(Reader(x=2, y=2), system)  # a level later: other pictures
    assert abs(validated.measure(system, 3)["a"]["fid"]) < 1e-9


@pytest.mark.usefixtures("colours")
def test_too_few_pictures_and_pictures_of_no_numbers_are_refused() -> None:
    validated, system = Validation(10), System()
    with pytest.raises(UserError, match="there is 1: both compare sets of two"):
        validated.read(Reader(x=9, y=1), system)
    reader = Reader(x=2, y=2)
    reader.pictures["y"][1, 0, 0, 0] = np.nan
    validated.read(reader, system)
    with pytest.raises(UserError, match="b draws what is no number"):
        validated.measure(system, 2)


@pytest.mark.usefixtures("colours")
def test_pictures_of_one_domain_alone_cannot_measure() -> None:
    with pytest.raises(UserError, match=r"the data has none \(y\)\. Set training\.evaluate_every=0"):
        Validation(10).read(Reader(x=9), System())


def test_a_lower_kid_is_better_where_they_compare() -> None:
    now = {"kid": 5.0, "pictures": 100, "image_size": 64}
    assert better(now, None)
    assert better(now, {**now, "kid": 5.1}) and not better(now, now) and not better(now, {**now, "kid": 4.9})
    assert better(now, {**now, "kid": 1.0, "image_size": 32}) and better(now, {**now, "kid": 1.0, "pictures": 50})


# --- in the loop -------------------------------------------------------------------------------------------------

AB = {2: 9.0, 4: 7.0, 6: 8.0, 8: 7.0, 10: 6.5, 12: 6.5}
BA = {2: 1.0, 4: 2.0, 6: 0.5, 8: 0.25, 10: 3.0, 12: 3.0}


class Numbered(Stub):
    """A step that makes the first weights of the averaged generators the number of the step."""

    def __call__(self, _: Any) -> dict[str, Any]:
        self.system.step.assign_add(1)
        for network in self.system.generators().values():
            network.weights[0].assign(keras.ops.full(network.weights[0].shape, float(self.system.step)))
        return {"cycle_a": np.float32(1)}


def script(monkeypatch: pytest.MonkeyPatch) -> None:
    """KID by the step, as above."""

    class Scripted:
        def __init__(self, count: int) -> None:
            self.count = self.measured = count

        def read(self, reader: Any, system: Any) -> None:
            assert reader.validation(self.count)

        def measure(self, system: Any, batch_size: int) -> dict[str, dict[str, float]]:
            step = int(system.step.value)
            return {
                name: {"kid": by_step[step], "fid": float(step), "pictures": self.count, "image_size": 32}
                for name, by_step in (("generator_ab", AB), ("generator_ba", BA))
            }

    monkeypatch.setattr(weights, "present", lambda name: True)
    monkeypatch.setattr(run, "Validation", Scripted)
    monkeypatch.setattr(engine, "Compiled", Numbered)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twelve steps that nothing disturbed."""
    workdir = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as monkeypatch:
        script(monkeypatch)
        train(tiny.changed(steps=12, evaluate_every=2, save_every=4), workdir)
    return workdir


def best(workdir: Path) -> dict[str, tuple[int, float, int]]:
    """Of both filters, by the card: step and KID, and what the file itself says of its step."""
    bests = {}
    for name in ("generator_ab", "generator_ba"):
        about = card.read(workdir / f"best_{name}.keras")
        assert about is not None
        measures, network = about.training["validation"], keras.saving.load_model(workdir / f"best_{name}.keras")
        assert measures["step"] == about.training["steps"]
        bests[name] = measures["step"], measures["kid"], int(np.asarray(network.weights[0]).flat[0])
    return bests


def rows(workdir: Path, key: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


def test_the_log_holds_the_figures(straight: Path) -> None:
    assert rows(straight, "kid_generator_ab") == AB and rows(straight, "kid_generator_ba") == BA
    assert rows(straight, "fid_generator_ba") == {step: float(step) for step in BA}
    events = EventAccumulator(str(straight / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("kid_generator_ab")] == list(AB.items())


@pytest.mark.usefixtures("scripted")
def test_a_run_that_was_stopped_keeps_the_same_best(straight: Path, tmp_path: Path) -> None:
    """Also where it was killed after a better one than the checkpoint knows of."""
    stopped = tmp_path / "stopped"
    train(tiny.changed(steps=8, evaluate_every=2, save_every=4), stopped)
    assert best(stopped) == {"generator_ab": (4, 7.0, 4), "generator_ba": (8, 0.25, 8)}
    killed = shutil.copytree(stopped, tmp_path / "killed")
    checkpoint.paths(killed)[-1].unlink()  # of step 8; that of 4 is left
    for folder in (stopped, killed):
        train(tiny.changed(steps=12, evaluate_every=2, save_every=4), folder)
        assert best(folder) == best(straight) == {"generator_ab": (10, 6.5, 10), "generator_ba": (8, 0.25, 8)}
        assert rows(folder, "kid_generator_ab") == AB


@pytest.mark.usefixtures("scripted")
def test_the_settings_may_change_between_sittings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny.changed(steps=4), tmp_path)
    assert not list(tmp_path.glob("best_*")) and not rows(tmp_path, "kid_generator_ab")
    train(tiny.changed(steps=6, evaluate_every=3), tmp_path)
    assert rows(tmp_path, "kid_generator_ab") == {6: 8.0}
    train(tiny.changed(steps=10, evaluate_every=4, evaluate_count=50), tmp_path)
    assert best(tmp_path)["generator_ba"] == (8, 0.25, 8)
    assert "Measured by 50 pictures of each domain." in capsys.readouterr().out


@pytest.mark.usefixtures("scripted")
def test_a_new_run_does_not_inherit_the_best_of_another(straight: Path, tmp_path: Path) -> None:
    for path in straight.glob("best_*"):
        shutil.copy(path, tmp_path)
    train(tiny.changed(steps=2, evaluate_every=2), tmp_path)
    assert best(tmp_path) == {"generator_ab": (2, 9.0, 2), "generator_ba": (2, 1.0, 2)}


def test_a_run_goes_on_without_measures_where_weights_are_missing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "Compiled", Numbered)
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    train(tiny.changed(steps=2, evaluate_every=1), tmp_path / "run")
    assert "not measured: Inception's weights are missing" in capsys.readouterr().out
    assert not list((tmp_path / "run").glob("best_*"))


def test_what_a_card_says_of_another_file_is_not_what_the_best_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that was killed between the card and its file leaves the new card beside the file of before."""
    path = validation.best_of(tmp_path, "generator_ab")
    path.write_bytes(b"new")
    reached = {"validation": {"kid": 1.0}}
    new, old = (hashlib.sha256(data).hexdigest() for data in (b"new", b"old"))
    Card(training=reached, sha256=(new, old)).write(path)
    assert validation.measures_of(tmp_path, "generator_ab") == {"kid": 1.0}
    path.write_bytes(b"old")
    assert validation.measures_of(tmp_path, "generator_ab") is None
    assert "the best is chosen anew: its card best_generator_ab.json is of another file." in capsys.readouterr().out
    Card(training=reached).write(path)  # as version 0.1.0 wrote it
    assert validation.measures_of(tmp_path, "generator_ab") == {"kid": 1.0}


def test_wrong_weights_are_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    (tmp_path / inception.NAME).write_bytes(b"other")
    with pytest.raises(UserError, match=r"fid_inception_2015\.npz"):
        train(tiny.changed(evaluate_every=2), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"evaluate_every": -1}, "training.evaluate_every must not be negative, got -1"),
        ({"evaluate_count": 1}, "training.evaluate_count must be at least 2, got 1"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        train(tiny.changed(**changes), tmp_path / "run")


def check_the_log(workdir: Path) -> None:
    """What the log says of a filter is what its file makes of the test pictures."""
    config = tiny.changed(steps=1, evaluate_every=1, evaluate_count=5)
    train(config, workdir)
    test = config.data.open(32, 1, 1, seed=0).validation(5)
    filtered = kgan.load(workdir / "best_generator_ab.keras")
    sets = [[filtered(images.to_uint8(picture)) for picture in test["a"]], list(map(images.to_uint8, test["b"]))]
    network = inception.load(weights.folder())
    fake, real = (np.concatenate(list(inception.features(network, pictures))) for pictures in sets)
    assert rows(workdir, "kid_generator_ab")[1] == pytest.approx(100 * kid.distance(fake, real), rel=1e-3)
    reached = validation.measures_of(workdir, "generator_ab")
    assert reached and reached["kid"] == rows(workdir, "kid_generator_ab")[1] and reached["pictures"] == 5


@pytest.mark.usefixtures("colours")
def test_the_log_is_of_the_saved_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "present", lambda name: True)
    monkeypatch.setattr(engine, "Compiled", Numbered)
    check_the_log(tmp_path)


@pytest.mark.slow
def test_with_inception_itself(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shared / "weights" / inception.NAME).is_file():
        pytest.skip(f"needs {inception.NAME} in {shared / 'weights'}")
    monkeypatch.setenv(weights.VARIABLE, str(shared / "weights"))
    monkeypatch.setattr(engine, "Compiled", Numbered)
    check_the_log(tmp_path)


def test_a_line_says_how_the_measures_compare() -> None:
    of = {"pictures": 100, "image_size": 64, "kid_unchanged": 23.18}
    first, worse = {"kid": 15.283, "match": 0.09, **of}, {"kid": 25.0, "match": 0.5, **of}
    line = "KID x 100 15.28 (of the inputs 23.18), match 0.09"
    assert validation.sentence(first, None) == line
    assert validation.sentence(first, worse) == f"{line}; the best so far"
    assert validation.sentence(first, {**first, "image_size": 128}) == line
    assert validation.sentence(worse, first) == (
        "KID x 100 25.00 (of the inputs 23.18), match 0.50, no nearer than the inputs; the best was 15.28"
    )
    noise = {"kid": 3.0, "pictures": 9, "image_size": 8}
    assert validation.sentence(noise, {**noise, "kid": 4.0}) == "KID x 100 3.00; the best so far"
