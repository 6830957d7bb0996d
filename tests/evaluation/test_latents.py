"""Measuring generators of noise: their pictures as a set, path lengths, separability and the classifiers behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.small_generator import LABELS, SETTINGS, written

from kgan.errors import UserError
from kgan.evaluation import evaluate, latents, measures
from kgan.filters import generators
from kgan.pictures import images
from kgan.systems.system import Stage


def colours(pictures: np.ndarray) -> list[np.ndarray]:
    """In place of LPIPS' maps: the picture itself."""
    return [pictures]


def test_features_are_colours_of_squares_and_means_of_maps() -> None:
    x = np.zeros((2, 32, 32, 3), np.float32)
    x[0, :2, 2:4] = 1
    rows = latents.features(x, colours)
    assert rows.shape == (2, 16 * 16 * 3 + 3)
    assert rows[0, :9].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    np.testing.assert_allclose(rows[0, -3:], 4 / 1024)
    assert not rows[1].any()


def test_classifiers_are_taught_by_labelled_pictures(tmp_path: Path) -> None:
    """Dark and bright hair, 250 pictures each, and a colour of eyes that only a few have."""
    random = np.random.default_rng(0)
    rows = ["file,hair,eyes"]
    for i in range(560):  # every tenth is kept for tests
        dark = i % 2 == 0
        picture = random.integers(0, 100, (16, 16, 3)) + (0 if dark else 120)
        images.write(tmp_path / "images" / f"{i}.png", picture.astype(np.uint8))
        rows.append(f"{i}.png,{'dark' if dark else 'bright'},{'red' if i < 20 else 'blue'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    classifiers = latents.teach(tmp_path, 16, colours)
    assert [each.name for each in classifiers] == ["hair=bright", "hair=dark"]
    assert all(each.accuracy == 1 and each.balanced == 1 for each in classifiers)
    bright = latents.features(np.full((1, 16, 16, 3), 0.5, np.float32), colours)
    assert classifiers[1].logits(bright) < 0 < classifiers[0].logits(bright)


def test_a_generator_beside_a_folder(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With mean colours in place of Inception's features, which take seconds to load."""

    def network(resize: str, path: object) -> tuple[measures.Extract, dict[str, str]]:
        return lambda pictures: (x.mean(axis=(0, 1))[None] / 255 for x in pictures), {"network": "means"}

    monkeypatch.setattr(measures, "_inception", network)
    monkeypatch.setattr(measures, "DIMENSIONS", 3)
    path = written(tmp_path)
    real = tmp_path / "real"
    for i in range(3):
        images.write(real / f"{i}.png", np.random.default_rng(i).integers(0, 256, (16, 16, 3)).astype(np.uint8))
    sheet = tmp_path / "sheet.png"
    report = evaluate(
        real,
        models=[path],
        metrics=["kid", "ppl_wend", "ppl_zfull"],
        weights_path=shared / "weights",
        cache=tmp_path / "cache",
        sheet=sheet,
        count=6,
    )
    (row,) = report["results"]
    assert row["name"] == str(path) and row["count"] == 6 and row["sizes"] == {"16 x 16": 6}
    assert row["kid"] > 0 and row["ppl_wend"] > 0 and row["ppl_zfull"] > 0
    assert report["protocol"]["generators"].startswith("seeds 0 to 5, no truncation")
    assert sheet.is_file()


def test_drawn_pictures_are_those_of_the_seeds(tmp_path: Path) -> None:
    generator = generators.load(written(tmp_path))
    pictures = latents.draw_set(generator, "g", 3, None, tmp_path / "out")
    assert len(pictures) == 3 and pictures.by_model
    np.testing.assert_allclose(pictures.read(2), images.to_uint8(generator([2]))[0], atol=1)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"metrics": ["separability"]}, "needs --labelled=FOLDER"),
        ({"metrics": ["ppl_wend"], "crop": "eyes"}, "--path_crop=eyes is unknown"),
        ({"metrics": ["ppl_wend"], "count": 1}, "--count=1 is too small"),
        ({"metrics": ["ppl_wend"], "label": "hair=red"}, "takes no label"),
    ],
)
def test_mistakes(tmp_path: Path, settings: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        evaluate(None, models=[written(tmp_path)], **settings)


def test_path_lengths_of_a_filter(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--metrics=ppl_wend measures generators"):
        evaluate(None, generated=[tmp_path], metrics=["ppl_wend"])


def test_separability_of_a_generator_with_labels(tmp_path: Path) -> None:
    generator = generators.load(written(tmp_path, LABELS))
    with pytest.raises(UserError, match="not for generators that take a label"):
        latents.Latents([], 4, "none", 0, tmp_path, None)._separability(generator)


def test_separability_of_pictures_too_small(tmp_path: Path) -> None:
    system = SETTINGS.create(1, 0)
    system.enter(Stage(0, 0, 8, 1))
    system.generators()["generator"].save(tmp_path / "small.keras")
    with pytest.raises(UserError, match="needs 16 pixels a side, and small draws fewer"):
        latents.Latents([], 4, "none", 0, tmp_path, None)._separability(generators.load(tmp_path / "small.keras"))
