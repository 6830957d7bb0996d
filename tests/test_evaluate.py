"""`kgan evaluate`, with colours in the place of Inception's features: seconds, and distances known beforehand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from kgan import commands, images
from kgan import evaluate as command
from kgan.card import Card
from kgan.errors import UserError
from kgan.evaluate import evaluate, table
from kgan.loading import Filter

Seen = list[tuple[int, ...]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Features are the mean colour; the shapes of the pictures that they were computed of are collected here."""
    shapes: Seen = []

    def network(resize: str, path: object) -> tuple[command.Extract, dict[str, str]]:
        def extract(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
            for picture in pictures:
                shapes.append(picture.shape)
                yield picture.mean(axis=(0, 1))[None]

        return extract, {"network": "colours"}

    monkeypatch.setattr(command, "_network", network)
    monkeypatch.setattr(command, "DIMENSIONS", 3)
    return shapes


def fill(folder: Path, seed: int, count: int = 6, size: tuple[int, int] = (8, 8), low: int = 0) -> Path:
    """Plain pictures of random colours in [low, low + 100)."""
    for i, colour in enumerate(np.random.default_rng(seed).integers(low, low + 100, (count, 3), np.uint8)):
        images.write(folder / f"{i}.png", np.broadcast_to(colour, (*size, 3)).copy())
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Dark inputs, and a reference that is their negative."""
    source = fill(tmp_path / "dark", seed=0)
    for path in images.find(source):
        images.write(tmp_path / "bright" / path.name, 255 - images.read(path))
    return source, tmp_path / "bright"


def loads(monkeypatch: pytest.MonkeyPatch, run: Callable[[np.ndarray], np.ndarray] = np.negative, **card: Any) -> None:
    monkeypatch.setattr(command, "load", lambda path: Filter(run, Card(**{"image_size": 8, **card})))


def test_a_perfect_filter_is_at_no_distance_and_none_is_at_a_large_one(
    folders: tuple[Path, Path], seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(monkeypatch)
    source, reference = folders
    report = evaluate(reference, [reference], ["a.keras", "b.tflite"], source, cache=tmp_path / "cache")
    rows = {row["name"]: row for row in report["results"]}
    assert list(rows) == ["no filter", "a.keras", "b.tflite", str(reference)]
    assert [row["count"] for row in rows.values()] == [6] * 4
    for name in ("a.keras", "b.tflite", str(reference)):
        assert abs(rows[name]["fid"]) < 1e-6
        assert rows[name]["kid"] < 0 < rows["no filter"]["kid"]
    before, after = (np.stack([images.read(path)[0, 0] for path in images.find(folder)]) for folder in folders)
    assert rows["no filter"]["fid"] == pytest.approx(np.square(before.mean(0) - after.mean(0)).sum(), rel=1e-6)


def test_a_model_gets_the_centred_square_at_the_size_of_its_card(
    tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reference = fill(tmp_path / "a", 0, 2, (8, 20)), fill(tmp_path / "b", 1, 2, (12, 12))
    loads(monkeypatch, image_size=16)
    report = evaluate(reference, (), ["m"], source, cache=tmp_path / "cache")
    assert seen == [(12, 12, 3)] * 2 + [(8, 20, 3)] * 2 + [(16, 16, 3)] * 2
    assert [row["sizes"] for row in report["results"]] == [{"8 x 20": 2}, {"16 x 16": 2}]
    assert any("m has pictures of 16 x 16 pixels, the reference of 12 x 12" in text for text in report["warnings"])
    loads(monkeypatch, image_size=16, size=(8, 24))
    evaluate(reference, (), ["m"], source, cache=tmp_path / "cache")
    assert seen[6:] == [(8, 24, 3)] * 2


def test_features_of_a_folder_are_computed_once_for_each_content(
    folders: tuple[Path, Path], seen: Seen, tmp_path: Path
) -> None:
    source, reference = folders
    first = evaluate(reference, [source], cache=tmp_path / "cache")
    assert len(seen) == 12
    (reference / "0.png").rename(reference / "00.png")  # same order, same content
    again = evaluate(reference, [source], cache=tmp_path / "cache")
    assert len(seen) == 12 and again["results"] == first["results"]
    evaluate(reference, [source], resize="legacy", cache=tmp_path / "cache")
    assert len(seen) == 24
    images.write(reference / "1.png", np.zeros((8, 8, 3), np.uint8))
    assert evaluate(reference, [source], cache=tmp_path / "cache")["results"] != first["results"]
    assert len(seen) == 30
    assert not [path for path in (tmp_path / "cache/features").iterdir() if path.suffix != ".f32"]


def test_nothing_is_kept_of_a_run_that_ends_early(
    folders: tuple[Path, Path], seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.images, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate(folders[1], [folders[0]], cache=tmp_path / "cache")
    assert not list((tmp_path / "cache/features").iterdir())


def test_a_cache_that_cannot_be_written_is_done_without(
    folders: tuple[Path, Path], seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert evaluate(folders[1], [folders[0]], cache=tmp_path / "file")["results"]
    assert "cannot be written" in capsys.readouterr().err


def test_broken_pictures_are_named_and_others_of_any_kind_read(
    folders: tuple[Path, Path], seen: Seen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, reference = folders
    for mode in ("L", "RGBA", "P"):
        Image.new(mode, (8, 8)).save(source / f"{mode}.png")
    (source / "torn.png").write_bytes((source / "0.png").read_bytes()[:45])
    report = evaluate(reference, [source], cache=tmp_path / "cache")
    assert f"Skipped. {source / 'torn.png'} cannot be read" in capsys.readouterr().err
    assert report["results"][0]["count"] == 9
    assert [len(folder["skipped"]) for folder in report["folders"]] == [0, 1]
    assert report["folders"][1]["kinds"] == {".png": 9}


def test_few_pictures_and_unequal_counts_are_said_to_mislead(tmp_path: Path, seen: Seen, monkeypatch: Any) -> None:
    monkeypatch.setattr(command, "DIMENSIONS", 3)
    few, many, reference = (
        fill(tmp_path / name, i, count) for i, (name, count) in enumerate([("a", 2), ("b", 9), ("r", 9)])
    )
    said = "\n".join(evaluate(reference, [few, many], cache=tmp_path / "cache")["warnings"])
    assert "FID of 2 pictures is biased upward" in said and "different counts" in said
    assert not evaluate(reference, [many], cache=tmp_path / "cache")["warnings"]
    assert not evaluate(reference, [few, many], metrics=["kid"], cache=tmp_path / "cache")["warnings"]


def test_what_cannot_be_measured_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    source, reference = folders
    empty, one, broken = tmp_path / "empty", fill(tmp_path / "one", 0, 1), fill(tmp_path / "broken", 0, 1)
    empty.mkdir()
    (broken / "torn.png").write_bytes(b"torn")
    for arguments, said in [
        ({"generated": [empty]}, "empty holds no readable pictures: "),
        ({"generated": [one]}, "one holds 1 readable picture: "),
        ({"generated": [broken]}, "broken holds 1 readable picture, and 1 broken: "),
        ({"generated": [tmp_path / "gone"]}, "There is no folder"),
        ({"models": ["m"]}, "--model=... needs --input"),
        ({"models": [tmp_path / "gone.keras"], "source": source}, "There is no model"),
        ({}, "nothing to measure"),
        ({"source": source, "metrics": ["fid", "lpips"]}, "--metrics=lpips is unknown"),
        ({"source": source, "metrics": []}, "--metrics= is unknown"),
        ({"source": source, "resize": "bilinear"}, "--resize=bilinear is unknown"),
        ({"source": source, "weights_path": tmp_path}, "weights fid_inception_2015.npz are missing"),
    ]:
        with pytest.raises(UserError, match=said):
            evaluate(reference, cache=tmp_path / "cache", **arguments)  # type: ignore[arg-type]


def run(*arguments: str) -> None:
    with flagsaver.flagsaver():
        flags.FLAGS.unparse_flags()
        commands.run(command.main, ["kgan evaluate", *arguments])


def test_the_command_prints_a_table_and_writes_the_report(
    folders: tuple[Path, Path], seen: Seen, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    loads(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    output = tmp_path / "deep/report.json"
    arguments = ["--model=m,n", f"--input={folders[0]}", f"--reference={folders[1]}", f"--output={output}"]
    with pytest.raises(SystemExit) as status:
        run(*arguments)
    assert not status.value.code
    report = json.loads(output.read_text())
    assert table(report) in capsys.readouterr().out
    assert [row["name"] for row in report["results"]] == ["no filter", "m", "n"]
    assert report["protocol"]["seed"] == 0 and report["protocol"]["resize"].startswith("clean, to 299 x 299")
    assert set(report["protocol"]["versions"]) == {"python", "kgan", "keras", "numpy", "pillow"}
    assert [folder["count"] for folder in report["folders"]] == [6, 6]
    sheet = images.read(output.with_suffix(".png"))  # six rows of input, m, n below a line of titles
    assert sheet.shape == (14 + 6 * 10 + 2, 3 * 10 + 2, 3)
    np.testing.assert_array_equal(sheet[20, 16], 255 - sheet[20, 6])
    for mistake, said in [
        (arguments[:2], "--reference=FOLDER is missing"),
        ([*arguments[:3], f"--output={tmp_path}"], "is a folder: name a file"),
        ([*arguments, "--resize=bilinear"], "--resize=bilinear: value should be one of <clean|legacy>"),
    ]:
        with pytest.raises(SystemExit, match="2"):
            run(*mistake)
        assert said in capsys.readouterr().err


def test_the_table_leaves_out_what_was_not_measured() -> None:
    results = [{"name": "no filter", "count": 100, "fid": 290.4}, {"name": "m", "count": 9, "fid": 7.0}]
    lines = table({"results": results}).splitlines()
    assert lines == ["           pictures     FID", "no filter       100  290.40", "m                 9    7.00"]


def test_a_mistake_is_one_line_before_any_engine_starts() -> None:
    arguments = [sys.executable, "-m", "kgan", "evaluate", "--reference=nowhere", "--generated=nowhere"]
    done = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "none"})
    assert done.returncode == 2
    assert done.stderr.startswith("kgan: There is no folder nowhere: ") and done.stderr.count("\n") == 1
