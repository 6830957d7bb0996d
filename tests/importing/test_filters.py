"""Imported generators as filters: files, cards, labels, and the way to a verified .tflite."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import official, pickles
from helpers.commands import status

import kgan
from kgan.commands import imports
from kgan.commands.imports import labels_of
from kgan.errors import UserError
from kgan.export import export
from kgan.filters import card
from kgan.filters import card as cards
from kgan.importing import filters, recognize
from kgan.importing.sources import Wishes
from kgan.pictures import emoji

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def run(*arguments: str) -> int:
    return status(imports, *arguments)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (height, width, 3)).astype("f4")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = official.draw_resnet(0, 2, 6)
    path, output = pickles.save(tmp_path / "latest_net_G_A.pth", weights, legacy=True), tmp_path / "out/generator.keras"
    assert run(f"--from={path}", f"--output={output}") == 0
    printed = capsys.readouterr().out
    assert "latest_net_G_A.pth: CycleGAN of pytorch-CycleGAN-and-pix2pix." in printed
    assert "generator_ab: ResNet of 6 blocks, 2 filters, instance norm" in printed
    assert sorted(each.name for each in output.parent.iterdir()) == ["generator.json", "generator.keras"]
    assert card.read(output).describes(output)  # type: ignore[union-attr]
    x = picture(32, 48)
    expected = official.resnet(weights, x[None].transpose(0, 3, 1, 2).astype("f8"))[0].transpose(1, 2, 0)
    np.testing.assert_allclose(kgan.load(output)(x), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--from=... is missing"),
        (("--from=a.pth",), "--output=generator.keras, or --workdir=FOLDER to train on, is missing"),
        (("--from=a.pth", "--output=a.h5"), "--output=a.h5 should end in .keras"),
        (("--from=a.pth", "--output=a.keras"), "There is no file a.pth"),
        (("--from=a.h5", "--output=a.keras", "--size=64"), "--size has no effect on a Keras model, which is copied"),
    ],
)
def test_mistakes_are_sentences(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and message in printed.err and "Traceback" not in printed.err


def test_a_run_that_cannot_be_leaves_no_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    optimizer = {"state": {"0": {"exp_avg": np.ones(3, "f4"), "exp_avg_sq": np.ones(3, "f4")}}}
    box = {"model": official.draw_resnet(0, 2, 6), "optimizer": optimizer}
    path = pickles.save(tmp_path / "latest_net_G_A.pth", box)
    assert run(f"--from={path}", f"--output={tmp_path / 'a.keras'}", f"--workdir={tmp_path / 'run'}") == 2
    printed = capsys.readouterr()
    assert "2 tensors of an optimizer are left out." in printed.out and "needs all its networks" in printed.err
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_the_other_generator_lies_beside_the_first(tmp_path: Path) -> None:
    networks = {"genA2B": official.draw_ugatit(0, 2, 1), "genB2A": official.draw_ugatit(1, 2, 1)}
    source = recognize.open_checkpoint([pickles.save(tmp_path / "params_latest.pt", networks)])
    paths = filters.write(source, tmp_path / "anime.keras", "params_latest.pt")
    assert [path.name for path in paths] == ["anime.keras", "anime_ba.keras"]
    x = picture(16, 24)
    for path, weights in zip(paths, networks.values(), strict=True):
        expected = official.ugatit(weights, x[None].transpose(0, 3, 1, 2).astype("f8"))["image"][0].transpose(1, 2, 0)
        np.testing.assert_allclose(kgan.load(path)(x), expected, atol=1e-4)
    card = cards.read(paths[0])
    assert card is not None and (card.system, card.image_size, card.size) == ("ugatit", 256, None)
    assert card.training["imported"]["code"] == "U-GAT-IT of UGATIT-pytorch"
    assert card.training["imported"]["settings"] == {"filters": 2, "residual_blocks": 1, "light": True}
    assert filters.write(source, tmp_path / "net_ab.keras", "x")[1].name == "net_ba.keras"


def test_a_discriminator_alone_has_no_card(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "latest_net_D.pth", official.draw_patch(0, 2, 3, batch=True, inputs=6))
    source = recognize.open_checkpoint([path])
    (written,) = filters.write(source, tmp_path / "d.keras", path.name)
    assert not written.with_suffix(".json").exists()
    assert keras.models.load_model(written)(np.zeros((1, 32, 48, 6), "f4")).shape == (1, 2, 4, 1)


def test_a_batch_norm_and_its_dropout_in_the_card(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "latest_net_G.pth", official.draw_unet(0, 1, 6))
    results = {}
    for name, wishes in (
        ("published", Wishes()),
        ("eval", Wishes(moving=True)),
        ("dropout", Wishes(dropout=True)),
    ):
        source = recognize.open_checkpoint([path], wishes)
        (written,) = filters.write(source, tmp_path / f"{name}.keras", path.name)
        card = cards.read(written)
        assert card is not None and card.multiple == 64
        assert card.batch_norm == ("moving" if name == "eval" else "batch") and card.dropout == (name == "dropout")
        assert ("picture at hand" in filters.remark(source)) == (name != "eval")
        results[name] = kgan.load(written)(picture(64, 64))
    assert len({array.tobytes() for array in results.values()}) == 3


def test_labels_as_the_user_names_them() -> None:
    labels = labels_of(["hair=black|blond|brown,Male,Young"])
    assert labels is not None and labels.width == 5
    np.testing.assert_array_equal(labels.vector("hair=blond,Young=yes"), [0, 1, 0, 0, 1])
    several = labels_of(["Black_Hair,Blond_Hair,Brown_Hair,Male,Young", "mood=angry|happy"])
    assert several is not None and several.width == 5 + 2 + 2
    np.testing.assert_array_equal(several.vector("mood=happy"), [0, 0, 0, 0, 0, 0, 1, 0, 1])
    assert labels_of([]) is None
    with pytest.raises(UserError, match="names Male twice"):
        labels_of(["Male,Young,Male"])


def test_stargan_draws_what_its_labels_ask_for(tmp_path: Path) -> None:
    weights = official.draw_stargan(0, 2, 5)
    path = pickles.save(tmp_path / "200000-G.ckpt", weights, legacy=True)
    wishes = Wishes(labels=labels_of(["Black_Hair,Blond_Hair,Brown_Hair,Male,Young"]))
    (written,) = filters.write(recognize.open_checkpoint([path], wishes), tmp_path / "faces.keras", path.name)
    x = picture(16, 24)
    expected = official.stargan(weights, x[None].transpose(0, 3, 1, 2).astype("f8"), np.array([[0, 1, 0, 0, 1.0]]))
    actual = kgan.load(written)(x, "Blond_Hair=yes,Young=yes")
    np.testing.assert_allclose(actual, expected[0].transpose(1, 2, 0), atol=1e-4)
    with pytest.raises(UserError, match="takes labels of 5 numbers, and --labels names 2"):
        recognize.open_checkpoint([path], Wishes(labels=labels_of(["a,b"])))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_keras_model_with_layers_of_addons(tmp_path: Path, suffix: str) -> None:
    written = filters.copy(GOLDEN / f"addons_filter.{suffix}", tmp_path / "filter.keras")
    with np.load(GOLDEN / "addons_filter.npz") as arrays:
        x = np.clip(next(iter(arrays.values())), -1, 1)
    before, after = kgan.load(GOLDEN / f"addons_filter.{suffix}"), kgan.load(written)
    x = picture(32, 32) if x.ndim != 3 else x
    np.testing.assert_allclose(after(x), before(x), atol=1e-6)
    assert written.with_suffix(".json").is_file()
    again = filters.copy(written, tmp_path / "again.keras")  # whose card named another file
    np.testing.assert_array_equal(kgan.load(again)(x), after(x))
    assert again.read_bytes() == filters.copy(written, tmp_path / "third.keras").read_bytes()


def test_to_a_verified_tflite(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "latest_net_G_A.pth", official.draw_resnet(0, 2, 6))
    filters.write(recognize.open_checkpoint([path]), tmp_path / "generator.keras", path.name)
    pictures = list(emoji.load("fluent3d", "test")[:2])
    export(tmp_path / "generator.keras", tmp_path / "exported", pictures, 32, ["float32"], False)
    report = json.loads((tmp_path / "exported/verification.json").read_text())
    assert report and (tmp_path / "exported/generator_float32.tflite").is_file()
