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
from helpers.commands import status
from PIL import Image

from kgan import evaluation
from kgan.commands import evaluate as command
from kgan.errors import UserError
from kgan.evaluation import evaluate, measures
from kgan.filters.card import Card
from kgan.filters.loading import Filter
from kgan.labels import Group, Labels, LabelSet
from kgan.metrics.report import better, table
from kgan.pictures import film, images

Shapes = list[tuple[int, ...]]


@pytest.fixture
def inception_shapes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """Features are the mean colour; the shapes of the pictures that they were computed of are collected here."""
    shapes: Shapes = []

    def network(resize: str, path: object) -> tuple[measures.Extract, dict[str, str]]:
        def extract(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
            for picture in pictures:
                shapes.append(picture.shape)
                yield picture.mean(axis=(0, 1))[None]

        return extract, {"network": "colours"}

    monkeypatch.setattr(measures, "_inception", network)
    monkeypatch.setattr(measures, "DIMENSIONS", 3)
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


def loads(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., np.ndarray] = np.negative, label_size: int = 0, **card: Any
) -> None:
    monkeypatch.setattr(evaluation, "load", lambda path: Filter(run, Card(**{"image_size": 8, **card}), label_size))


def test_a_perfect_filter_is_at_no_distance_and_none_is_at_a_large_one(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_kid_to_the_reference_and_its_mean_with_kid_to_the_inputs(
    tmp_path: Path, inception_shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two colours in each set, 0 and 3, 6 and 6: the kernel of (r, r, r) and (s, s, s) is (r s + 1)^3."""
    for name, levels in (("inputs", (0, 3)), ("real", (6, 6))):
        for i, level in enumerate(levels):
            images.write(tmp_path / name / f"{i}.png", np.full((8, 8, 3), level, np.uint8))
    loads(monkeypatch, lambda pixels: pixels + np.float32(12 / 255))  # of [-1, 1]: six grey levels more, 6 and 9
    arguments = {"models": ["m"], "metrics": ["kid"], "cache": tmp_path / "cache"}
    untouched, model = evaluate(tmp_path / "real", source=tmp_path / "inputs", **arguments)["results"]
    real, inputs, among = 37**3, 1, {"untouched": 1, "model": 55**3}  # of pairs of different pictures
    to_real = {"untouched": (1 + 19**3) / 2, "model": (37**3 + 55**3) / 2}
    to_inputs = {"untouched": (1 + 1 + 1 + 10**3) / 4, "model": (1 + 1 + 19**3 + 28**3) / 4}
    for name, row in (("untouched", untouched), ("model", model)):
        kid = among[name] + real - 2 * to_real[name]
        assert row["kid"] == pytest.approx(100 * kid, rel=1e-6)
        kid_to_inputs = among[name] + inputs - 2 * to_inputs[name]
        assert row["kid_mean"] == pytest.approx(100 * (kid + kid_to_inputs) / 2, rel=1e-6)
    assert 2 * untouched["kid_mean"] - untouched["kid"] == pytest.approx(-100 * 499.5)  # a set and itself: below zero
    (alone,) = evaluate(tmp_path / "real", [tmp_path / "inputs"], metrics=["kid"], cache=tmp_path / "cache")["results"]
    assert alone["kid"] == untouched["kid"] and "kid_mean" not in alone
    lines = table([untouched, alone]).splitlines()
    assert lines[0].split("  ")[-1] == "mean with inputs" and len(lines[2].split()) < len(lines[1].split())


def test_an_included_model_is_called_by_its_name(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(monkeypatch)
    report = evaluate(folders[1], (), ["onesided_selfie2anime"], folders[0], cache=tmp_path / "cache")
    assert [row["name"] for row in report["results"]] == ["no filter", "onesided_selfie2anime"]


def test_a_model_gets_the_centred_square_at_the_size_of_its_card(
    tmp_path: Path, inception_shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reference = fill(tmp_path / "a", 0, 2, (8, 20)), fill(tmp_path / "b", 1, 2, (12, 12))
    loads(monkeypatch, image_size=16)
    report = evaluate(reference, (), ["m"], source, cache=tmp_path / "cache")
    assert inception_shapes == [(8, 20, 3)] * 2 + [(12, 12, 3)] * 2 + [(16, 16, 3)] * 2
    assert [row["sizes"] for row in report["results"]] == [{"8 x 20": 2}, {"16 x 16": 2}]
    assert any("m has pictures of 16 x 16 pixels, the reference of 12 x 12" in text for text in report["warnings"])
    loads(monkeypatch, image_size=16, size=(8, 24))
    evaluate(reference, (), ["m"], source, cache=tmp_path / "cache")
    assert inception_shapes[6:] == [(8, 24, 3)] * 2


def test_an_included_model_has_its_name_in_the_report(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[Path] = []
    monkeypatch.setattr(evaluation, "find", lambda name: tmp_path / f"{name}.keras")
    monkeypatch.setattr(evaluation, "load", lambda path: paths.append(path) or Filter(np.negative, Card(image_size=8)))
    report = evaluate(folders[1], (), ["anime"], folders[0], cache=tmp_path / "cache")
    assert [row["name"] for row in report["results"]] == ["no filter", "anime"]
    assert paths == [tmp_path / "anime.keras"]


def test_filters_with_labels_draw_one_of_them_or_several_in_turn(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = Labels((LabelSet("", (Group("sign", ("plus", "minus")),)),))
    loads(monkeypatch, lambda pixels, label: pixels * (label[0, 0] - label[0, 1]), 2, labels=labels)
    with pytest.raises(UserError, match="needs a label"):
        evaluate(folders[1], (), ["m"], folders[0], cache=tmp_path / "cache")
    for sign, like in (("minus", folders[1]), ("plus", folders[0])):
        report = evaluate(like, (), ["m"], folders[0], cache=tmp_path / "cache", label=f"sign={sign}")
        assert abs(report["results"][1]["fid"]) < 1e-6 and report["protocol"]["label"] == f"sign={sign}"
    for i, path in enumerate(images.find(folders[0])):
        images.write(tmp_path / "mixed" / path.name, images.read(folders[i % 2] / path.name))
    turns = {"label": "sign=plus;sign=minus", "cache": tmp_path / "cache"}
    report = evaluate(tmp_path / "mixed", (), ["m"], folders[0], **turns)
    assert abs(report["results"][1]["fid"]) < 1e-6


def test_features_of_a_folder_are_computed_once_for_each_content(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path
) -> None:
    source, reference = folders
    first = evaluate(reference, [source], cache=tmp_path / "cache")
    assert len(inception_shapes) == 12
    (reference / "0.png").rename(reference / "00.png")  # same order, same content
    again = evaluate(reference, [source], cache=tmp_path / "cache")
    assert len(inception_shapes) == 12 and again["results"] == first["results"]
    evaluate(reference, [source], resize="legacy", cache=tmp_path / "cache")
    assert len(inception_shapes) == 24
    images.write(reference / "1.png", np.zeros((8, 8, 3), np.uint8))
    assert evaluate(reference, [source], cache=tmp_path / "cache")["results"] != first["results"]
    assert len(inception_shapes) == 30
    assert not [path for path in (tmp_path / "cache/features").iterdir() if path.suffix != ".f32"]


def test_features_of_what_a_model_made_are_not_kept(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads(monkeypatch)
    evaluate(folders[1], (), ["m", "n"], folders[0], cache=tmp_path / "cache")  # two that make the same
    assert len(inception_shapes) == 18 and len(list((tmp_path / "cache/features").iterdir())) == 2
    evaluate(folders[1], (), ["m"], folders[0], cache=tmp_path / "cache")
    assert len(inception_shapes) == 24


def test_nothing_is_kept_of_a_run_that_ends_early(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate(folders[1], [folders[0]], cache=tmp_path / "cache")
    assert not list((tmp_path / "cache/features").iterdir())


def test_a_cache_that_cannot_be_written_is_done_without(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert evaluate(folders[1], [folders[0]], cache=tmp_path / "file")["results"]
    assert "cannot be written" in capsys.readouterr().err


def test_broken_pictures_are_named_and_others_of_any_kind_read(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    assert report["folders"][1]["colours"] == {"colour": 7, "greyscale": 1, "with transparency": 1}
    for sentence in ("dark holds 1 in greyscale", "dark holds 1 with transparency: they were laid on white"):
        assert any(sentence in text for text in report["warnings"]), sentence


def test_all_kinds_are_measured_and_all_else_is_counted(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, reference = folders
    for kind in ("bmp", "tiff", "avif", "jfif", "gif"):
        Image.new("RGB", (8, 8)).save(source / f"more.{kind}")
    for name in ("Thumbs.db", "._0.png", "x.heic"):
        (source / name).write_bytes(b"junk")
    for name in ("__MACOSX", "more"):
        (source / name).mkdir()
    os.mkfifo(source / "pipe.png")
    Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9.png")).write_bytes((source / "0.png").read_bytes())
    report = evaluate(reference, [source], cache=tmp_path / "cache")
    assert report["results"][0]["count"] == 12
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(str(source)))
    assert line.startswith(f"{source}: 12 pictures. Left out: 3 hidden or system's own, ")
    for words in ("1 .heic (x.heic; pip install pillow-heif)", "1 folder (more; only", "1 pipe or device (pipe.png"):
        assert words in line and words in report["folders"][1]["left_out"]
    assert report["folders"][0]["left_out"] == "" and json.dumps(report)


def test_other_kinds_of_files_than_the_reference_s_are_noted_once(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path
) -> None:
    _, reference = folders
    for name in ("copies", "more"):
        for path in images.find(reference):
            images.write(tmp_path / name / f"{path.stem}.jpg", images.read(path))
    report = evaluate(reference, [tmp_path / "copies", tmp_path / "more"], cache=tmp_path / "cache")
    (note,) = [text for text in report["warnings"] if "Compression leaves traces" in text]
    assert f"The reference is of 6 PNG, {tmp_path / 'copies'} of 6 JPEG; {tmp_path / 'more'} of 6 JPEG." in note
    for path in images.find(tmp_path / "more"):  # a name is not a kind
        path.write_bytes(images.encode(images.read(path)))
    report = evaluate(reference, [tmp_path / "more"], cache=tmp_path / "cache")
    assert not [text for text in report["warnings"] if "Compression" in text]


def test_of_an_animation_the_first_frame_is_measured(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [np.full((8, 8, 3), 100 * n, np.uint8) for n in range(3)]
    film.write_animation(folders[0] / "a.gif", frames, [100] * 3, 0)
    evaluate(folders[1], [folders[0]], cache=tmp_path / "cache")
    assert f"{folders[0]}: 7 pictures, 1 animated (the first frame alone)." in capsys.readouterr().out


def test_few_pictures_and_unequal_counts_are_said_to_mislead(
    tmp_path: Path, inception_shapes: Shapes, monkeypatch: Any
) -> None:
    monkeypatch.setattr(evaluation, "DIMENSIONS", 3)
    few, many, reference = (
        fill(tmp_path / name, i, count) for i, (name, count) in enumerate([("a", 2), ("b", 9), ("r", 9)])
    )
    warnings = "\n".join(evaluate(reference, [few, many], cache=tmp_path / "cache")["warnings"])
    assert "FID of 2 pictures is biased upward" in warnings and "different counts" in warnings
    assert not evaluate(reference, [many], cache=tmp_path / "cache")["warnings"]
    assert not evaluate(reference, [few, many], metrics=["kid"], cache=tmp_path / "cache")["warnings"]


@pytest.fixture
def lpips_shapes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """LPIPS is the squared difference of all three channels; the shapes of the pictures that it saw."""
    shapes: Shapes = []

    class Network:
        def predict_on_batch(self, batch: np.ndarray) -> list[np.ndarray]:
            shapes.append(batch.shape)
            return [batch]

    monkeypatch.setattr(measures, "_lpips", lambda path: (Network(), {"network": "pixels"}))
    return shapes


def plain(folder: Path, **pictures: int) -> Path:
    """20 x 20 pixels of one grey level each, under the given names."""
    for name, level in pictures.items():
        images.write(folder / f"{name}.png", np.full((20, 20, 3), level, np.uint8))
    return folder


def test_pairs_are_found_by_name_and_their_measures_are_means(
    tmp_path: Path, lpips_shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Differences of 51 (0.4 of the range [-1, 1]) and 0 grey levels; PSNR is 20 log10 5 and infinite."""
    source, reference = (plain(tmp_path / name) for name in "ab")
    for path, level in ((source / "x.r.png", 100), (source / "x.png", 255), (reference / "x.r.png", 151)):
        images.write(path, np.full((20, 20, 3), level, np.uint8))
    images.write(reference / "x.webp", np.full((20, 20, 3), 255, np.uint8))  # behind x.r, where x.png is before
    loads(monkeypatch, lambda pixels: np.where(pixels < 0.5, pixels + np.float32(0.4), pixels), image_size=32)
    report = evaluate(reference, [source], ["m"], source, ["l1", "psnr", "ssim", "lpips"], cache=tmp_path / "cache")
    untouched, model, folder = report["results"]
    assert untouched["l1"] == folder["l1"] == 25.5
    assert untouched["lpips"] == pytest.approx(3 * 0.4**2 / 2, rel=1e-5)
    one = (2 * 100 * 151 + 6.5025) / (100**2 + 151**2 + 6.5025)  # luminance alone, as plain pictures have no contrast
    assert untouched["ssim"] == pytest.approx((1 + one) / 2, rel=1e-6)
    assert untouched["psnr"] is None and json.dumps(report)
    assert {key: model[key] for key in ("l1", "psnr", "ssim", "lpips")} == {
        "l1": 0,
        "psnr": None,
        "ssim": 1,
        "lpips": 0,
    }
    assert set(lpips_shapes) == {(1, 20, 20, 3)}  # the model's 32 x 32 too
    images.write(reference / "x.webp", np.full((20, 20, 3), 204, np.uint8))
    report = evaluate(reference, [source], metrics=["psnr"], cache=tmp_path / "cache")
    assert report["results"][0]["psnr"] == pytest.approx(20 * np.log10(5))


def test_a_model_is_compared_with_the_centred_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        picture = np.zeros((20, 60, 3), np.uint8)
        picture[:, 20:40] = 200
        for name in "xy":
            images.write(tmp_path / folder / f"{name}.png", picture)
    loads(monkeypatch, lambda pixels: pixels, image_size=8)
    report = evaluate(tmp_path / "b", (), ["m"], tmp_path / "a", ["l1"], cache=tmp_path / "cache")
    assert [row["l1"] for row in report["results"]] == [0, 0]


def test_pictures_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    ab, abc, ac = (plain(tmp_path / names, **dict.fromkeys(names, 9)) for names in ("ab", "abc", "ac"))
    images.write(plain(tmp_path / "twice", a=9) / "a.jpg", np.zeros((20, 20, 3), np.uint8))
    images.write(plain(tmp_path / "wide", a=9) / "b.png", np.zeros((20, 30, 3), np.uint8))
    for folder, other, sentence in [
        (ab, abc, r"ab has 2, .*abc 3, and 1 stand alone: c is in .*abc only\."),
        (abc, ac, "abc has 3, .*ac 2, and 1 stand alone: b is in .*abc only"),
        (ab, ac, r"and 2 stand alone: b is in .*ab only, c is in .*ac only\."),
        (tmp_path / "twice", ac, "twice has more than one called a: leave one"),
        (tmp_path / "wide", ab, "b is 20 x 30 in .*wide and 20 x 20 in .*ab: cut both alike"),
    ]:
        with pytest.raises(UserError, match=sentence):
            evaluate(other, [folder], metrics=["ssim"])
        with pytest.raises(UserError, match=r"--metrics=flicker compares pictures of the same name"):
            evaluate(None, [folder], (), other, metrics=["flicker"])


def test_match_is_of_inputs_and_tells_a_filter_that_forgets(
    folders: tuple[Path, Path], inception_shapes: Shapes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Softer colours are nearest to their own inputs, and colours turned round the farthest from them."""
    source, _ = folders
    loads(monkeypatch, lambda pixels: 0.5 * pixels + 0.25)
    same, kept = evaluate(None, (), ["m"], source, ["match"], cache=tmp_path / "cache")["results"]
    assert (same["match"], same["match_rank"]) == (kept["match"], kept["match_rank"]) == (1, 1)
    loads(monkeypatch)
    _, turned = evaluate(None, (), ["m"], source, ["match"], cache=tmp_path / "cache")["results"]
    assert turned["match"] == 0 and turned["match_rank"] == 6
    assert table([same, turned]).splitlines()[0].split() == ["pictures", "match", "rank"]
    crops = tmp_path / "crops"  # of another aspect
    for path in images.find(source):
        images.write(crops / path.name, images.read(path)[:4])
    assert evaluate(None, [crops], (), source, ["match"], cache=tmp_path / "cache")["results"][1]["match"] == 1


def test_flicker_follows_the_numbers_in_names_and_needs_no_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name alone f10 would come before f2, and 0, 20, 10 change by 15 on average."""
    frames, steps = (plain(tmp_path / name) for name in ("frames", "steps"))
    plain(frames, f1=100, f2=100, f10=100)
    plain(steps, f1=0, f2=10, f10=20)
    loads(monkeypatch, lambda pixels: -pixels)
    report = evaluate(None, [steps], ["m"], frames, ["flicker"], cache=tmp_path / "cache")
    assert [row["flicker"] for row in report["results"]] == [0, 0, 10]
    assert evaluate(None, [frames], (), steps, ["flicker"])["results"][1]["flicker"] == 0  # stiller than the input


def test_frames_meet_their_own_inputs_whatever_the_suffix(tmp_path: Path) -> None:
    for folder, name in (("a", "x.png"), ("b", "x.webp")):
        for path, level in ((name, 0), ("x.r.png", 50), ("z.png", 0)):
            images.write(tmp_path / folder / path, np.full((20, 20, 3), level, np.uint8))
    assert evaluate(None, [tmp_path / "b"], (), tmp_path / "a", ["flicker"])["results"][1]["flicker"] == 0


def test_diversity_is_that_of_pairs_beside_the_reference(tmp_path: Path, lpips_shapes: Shapes) -> None:
    """Three pictures in a circle are all pairs: differences of 51, 51 and 102 levels, 0.4, 0.4 and 0.8."""
    varied, same = plain(tmp_path / "varied", a=0, b=51, c=102), plain(tmp_path / "same", a=7, b=7)
    report = evaluate(varied, [same], metrics=["lpips_diversity"], cache=tmp_path / "cache")
    assert [row["name"] for row in report["results"]] == [str(same), "the reference"]
    assert [row["lpips_pairs"] for row in report["results"]] == [1, 3]
    assert report["results"][0]["lpips_diversity"] == 0
    assert report["results"][1]["lpips_diversity"] == pytest.approx(3 * (0.16 + 0.16 + 0.64) / 3, rel=1e-5)
    assert lpips_shapes == [(1, 128, 128, 3)] * 6  # each picture once, and the circle's first again
    assert (
        evaluate(varied, [same], metrics=["lpips_diversity"], cache=tmp_path / "cache")["results"] == report["results"]
    )
    assert len(lpips_shapes) == 6
    alone = evaluate(None, [varied], metrics=["lpips_diversity"], seed=1, cache=tmp_path / "cache")["results"]
    assert len(alone) == 1 and len(lpips_shapes) == 10


def test_precision_and_recall_stand_in_the_table_with_a_warning(
    tmp_path: Path, inception_shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, far = fill(tmp_path / "real", 0, 6), fill(tmp_path / "far", 0, 6, low=150)
    report = evaluate(real, [real, far], metrics=["precision_recall"], cache=tmp_path / "cache")
    assert [(row["precision"], row["recall"]) for row in report["results"]] == [(1, 1), (0, 0)]
    assert "fid" not in report["results"][0] and "VGG16's fc2" in report["protocol"]["measures"]["precision_recall"]
    assert any("Precision and recall of 6 pictures are coarse" in text for text in report["warnings"])
    with pytest.raises(UserError, match="at least 4 pictures on each side, got 6 and 3"):
        few = fill(tmp_path / "few", 0, 3)
        evaluate(real, [few], metrics=["precision_recall"], cache=tmp_path / "cache")


def test_what_cannot_be_measured_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    source, reference = folders
    empty, one, broken = tmp_path / "empty", fill(tmp_path / "one", 0, 1), fill(tmp_path / "broken", 0, 1)
    empty.mkdir()
    (broken / "torn.png").write_bytes(b"torn")
    for arguments, sentence in [
        ({"generated": [empty]}, "empty holds no readable pictures: "),
        ({"generated": [one]}, "one holds 1 readable picture: "),
        ({"generated": [broken]}, "broken holds 1 readable picture, and 1 broken: "),
        ({"generated": [tmp_path / "gone"]}, "There is no folder"),
        ({"models": ["m"]}, "--model=... needs --input"),
        ({"models": [tmp_path / "gone.keras"], "source": source}, "There is no model"),
        ({}, "nothing to measure"),
        ({"source": source, "metrics": ["fid", "is"]}, "--metrics=is is unknown"),
        ({"source": source, "metrics": []}, "--metrics= is unknown"),
        ({"source": source, "resize": "bilinear"}, "--resize=bilinear is unknown"),
        ({"source": source, "weights_path": tmp_path}, "weights fid_inception_2015.npz are missing"),
        ({"source": source, "weights_path": tmp_path, "metrics": ["lpips"]}, "weights lpips_vgg16.npz are missing"),
        ({"generated": [source], "metrics": ["flicker"]}, "--metrics=flicker needs --input=FOLDER"),
    ]:
        with pytest.raises(UserError, match=sentence):
            evaluate(reference, cache=tmp_path / "cache", **arguments)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="--reference=FOLDER is missing: the real pictures that ssim compares with"):
        evaluate(None, [source], metrics=["flicker", "ssim"], source=source, cache=tmp_path / "cache")


def test_the_command_prints_a_table_and_writes_the_report(
    folders: tuple[Path, Path],
    inception_shapes: Shapes,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loads(monkeypatch)
    monkeypatch.setenv("HOME", str(tmp_path))
    output = tmp_path / "deep/report.json"
    arguments = ["--model=m,n", f"--input={folders[0]}", f"--reference={folders[1]}", f"--output={output}"]
    assert status(command, *arguments) == 0
    report = json.loads(output.read_text())
    printed = capsys.readouterr().out
    assert table(report["results"]) in printed
    assert f"Against {folders[1]}, resize clean: lower is better.\n" in printed
    assert [row["name"] for row in report["results"]] == ["no filter", "m", "n"]
    assert report["protocol"]["seed"] == 0 and report["protocol"]["resize"].startswith("clean, to 299 x 299")
    assert set(report["protocol"]["versions"]) == {"python", "kgan", "keras", "numpy", "pillow"}
    assert [folder["count"] for folder in report["folders"]] == [6, 6]
    sheet = images.read(output.with_suffix(".png"))  # six rows of input, m, n below a line of titles
    assert sheet.shape == (14 + 6 * 10 + 2, 3 * 10 + 2, 3)
    np.testing.assert_array_equal(sheet[20, 16], 255 - sheet[20, 6])
    for mistake, sentence in [
        (arguments[:2], "--reference=FOLDER is missing: the real pictures that fid compares with"),
        ([*arguments[:3], f"--output={tmp_path}"], "is a folder: name a file"),
        ([*arguments, "--resize=bilinear"], "--resize=bilinear: value should be one of <clean|legacy>"),
    ]:
        assert status(command, *mistake) == 2
        assert sentence in capsys.readouterr().err


def test_the_line_above_the_table_says_what_is_good() -> None:
    assert better(["fid", "kid"]) == "lower is better"
    assert better(["ssim", "psnr", "l1"]) == "lower is better but for SSIM, PSNR, where higher is"
    assert better(["lpips_diversity"]).endswith("; diversity should be the reference's")


def test_the_table_leaves_out_what_was_not_measured() -> None:
    results = [{"name": "no filter", "count": 100, "fid": 290.4}, {"name": "m", "count": 9, "fid": 7.0}]
    lines = table(results).splitlines()
    assert lines == ["           pictures     FID", "no filter       100  290.40", "m                 9    7.00"]
    subsets = {"mean": 1.25, "deviation": 0.5, "size": 9}
    results = [{"name": "m", "count": 9, "kid_subsets": subsets, "psnr": None}, {"name": "n", "count": 8, "ssim": 0.5}]
    assert table(results).splitlines() == [
        "   pictures      of subsets   SSIM  PSNR dB",
        "m         9  1.250 +- 0.500             inf",
        "n         8                  0.500",
    ]


def test_a_mistake_is_one_line_before_any_engine_starts() -> None:
    arguments = [sys.executable, "-m", "kgan", "evaluate", "--reference=nowhere", "--generated=nowhere"]
    done = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "none"})
    assert done.returncode == 2
    assert done.stderr.startswith("kgan: There is no folder nowhere: ") and done.stderr.count("\n") == 1
