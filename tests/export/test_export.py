"""kgan.export.export and the command `kgan export`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.commands import status
from helpers.filters import as_inputs, drawn_by_keras

from kgan.commands import export as command
from kgan.errors import UserError
from kgan.export import export, recipes, verify
from kgan.export.runtimes import Inputs
from kgan.export.tflite import Convertible
from kgan.export.verify import VerificationError
from kgan.filters import card
from kgan.labels import Group, Labels, LabelSet
from kgan.pictures import emoji, images
from kgan.systems.stargan import Settings, build_generator

NAMES = ["generator_ab_dynamic_wi8_afp32", "generator_ab_float16", "generator_ab_float32"]


def small(folder: Path, size: int | None = None) -> Path:
    """One convolution as generator_ab.keras, without a card."""
    inputs = keras.Input((size, size, 3), name="image")
    path = folder / "generator_ab.keras"
    keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name="conv")(inputs)).save(path)
    return path


def test_export_writes_files_cards_and_report(light_file: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    output = tmp_path / "exported"
    measurements = export(light_file, output, pictures, size=(32, 40))
    assert [m.file for m in measurements[:3]] == [f"generator_ab_{name}.tflite" for name in recipes.USUAL]
    assert {m.file for m in measurements[3:]} == {"generator_ab_saved_model"}
    files = [f"{name}{suffix}" for name in NAMES for suffix in (".json", ".tflite")]
    assert sorted(p.name for p in output.iterdir()) == [*files, "generator_ab_saved_model", "verification.json"]
    for name in NAMES:
        data = (output / f"{name}.tflite").read_bytes()
        read = card.read(output / f"{name}.tflite")
        assert read is not None
        assert (read.name, read.system, read.size, read.range) == ("tiny", "ugatit", (32, 40), (-1, 1))
        assert read.training == {"steps": 7}
        about = read.export
        assert about["recipe"] == name.removeprefix("generator_ab_")
        assert about["file"] == f"{name}.tflite"
        assert about["bytes"] == len(data)
        assert about["sha256"] == hashlib.sha256(data).hexdigest()
        assert about["input"] == about["output"] == {"name": "image", "shape": [1, 32, 40, 3], "dtype": "float32"}
        assert about["versions"].keys() == {"kgan", "tensorflow", "keras", "ai-edge-litert", "numpy"}
        assert about["verification"]["serving_default"]["psnr"] >= about["verification"]["serving_default"]["floor"]
    read = card.read(output / "generator_ab_saved_model")
    assert read is not None
    assert read.size is None
    assert set(read.export["verification"]) == {"serving_default", "serving_uint8", "serving_bytes"}
    report = json.loads((output / "verification.json").read_text())
    assert report["sha256"] == hashlib.sha256(light_file.read_bytes()).hexdigest()
    assert report["size"] == [32, 40]
    assert [m["file"] for m in report["measurements"]] == [m.file for m in measurements]
    assert [m["runtime"] for m in report["measurements"]] == ["litert"] * 3 + ["tensorflow"] * 3
    assert report["measurements"][0]["operations"]["CONV_2D"] == 11


def test_a_refused_file_is_not_left_and_the_others_are(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(tmp_path)
    output = tmp_path / "exported"
    export(path, output, pictures, size=8)
    before = {p.name for p in output.iterdir()}
    strict = dataclasses.replace(recipes.get("float16"), floor=500)
    monkeypatch.setitem(recipes.RECIPES, "float16", strict)
    refusal = r"generator_ab_float16\.tflite .*under the floor of 500 dB; try the recipe float32"
    with pytest.raises(VerificationError, match=refusal) as raised:
        export(path, output, pictures, size=8)
    assert before - {p.name for p in output.iterdir()} == {"generator_ab_float16.tflite", "generator_ab_float16.json"}
    assert len(raised.value.measurements) == 6
    report = json.loads((output / "verification.json").read_text())
    assert ["under" in " ".join(m["problems"]) for m in report["measurements"]] == [False, True, *[False] * 4]


def test_a_recipe_that_damages_one_weight_is_refused(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe may start from the bytes of a float file, as quantizers of files do."""
    path = small(tmp_path)
    kernel = keras.saving.load_model(path).get_layer("conv").kernel.numpy().transpose(3, 0, 1, 2).copy()
    damaged = kernel.copy()
    damaged[0, 1, 1, 0] += 0.01

    def careless(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
        data = recipes.float32(model, calibration)
        assert data.count(kernel.tobytes()) == 1
        return data.replace(kernel.tobytes(), damaged.tobytes())

    monkeypatch.setitem(recipes.RECIPES, "careless", recipes.Recipe("careless", 100.0, careless))
    with pytest.raises(VerificationError, match="under the floor of 100 dB"):
        export(path, tmp_path / "out", pictures, 8, ["float32", "careless"], saved_model=False)
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"generator_ab_float32.tflite", "generator_ab_float32.json", "verification.json"}


def test_calibration_pictures_are_others_and_the_card_counts_them(pictures: list[np.ndarray], tmp_path: Path) -> None:
    path, others = small(tmp_path), list(emoji.load("google", "train")[:20])
    arguments: dict[str, Any] = {"size": 16, "recipes": ["static_convs"], "saved_model": False}
    export(path, tmp_path / "out", pictures, **arguments, calibration=[*others, *pictures])
    about = card.read(tmp_path / "out/generator_ab_static_convs.tflite")
    assert about is not None and about.export["calibration"] == {"inputs": 20}
    for few in ([], others[:15] + list(pictures)):
        with pytest.raises(
            UserError, match=rf"static_convs quantizes activations .* in --calibration\. {len(few[:15])} are"
        ):
            export(path, tmp_path / "few", pictures, **arguments, calibration=few)
    assert not (tmp_path / "few").exists()


def test_size_comes_from_the_model_or_its_card(pictures: list[np.ndarray], tmp_path: Path) -> None:
    path = small(tmp_path, size=24)
    export(path, tmp_path / "fixed", pictures, recipes=["float32"], saved_model=False)
    read = card.read(tmp_path / "fixed" / "generator_ab_float32.tflite")
    assert read is not None
    assert read.size == (24, 24)
    assert read.name == "generator_ab"
    with pytest.raises(UserError, match="takes 24x24 pictures only"):
        export(path, tmp_path / "fixed", pictures, size=32)
    path = small(tmp_path)
    card.Card(image_size=16, multiple=8, smallest=16).write(path)
    export(path, tmp_path / "any", pictures, recipes=["float32"], saved_model=False)
    read = card.read(tmp_path / "any" / "generator_ab_float32.tflite")
    assert read is not None
    assert read.size == (16, 16)
    for size in (0, 8, 12, (16, 20)):
        with pytest.raises(UserError, match="a multiple of 8, 16 at least"):
            export(path, tmp_path / "any", pictures, size=size)


def test_wrong_arguments_are_refused_before_anything_is_written(
    pictures: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(tmp_path)
    with pytest.raises(UserError, match="no export recipe 'int4'"):
        export(path, tmp_path / "out", pictures, recipes=["int4"])
    with pytest.raises(UserError, match="at least one picture"):
        export(path, tmp_path / "out", [])
    with pytest.raises(UserError, match=r"There is no model .*missing\.keras"):
        export(tmp_path / "missing.keras", tmp_path / "out", pictures)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="Keras runs on jax: unset KERAS_BACKEND"):
        export(path, tmp_path / "out", pictures)
    assert not (tmp_path / "out").exists()


def test_a_labelled_model_is_verified_on_every_label(pictures: list[np.ndarray], tmp_path: Path) -> None:
    """Of two sets, so that its labels hold a mask too; one real label is drawn wrongly, and that is found."""
    groups = (Group("hair", ("black", "blonde", "red")), Group("male", ("yes",), flags=True))
    labels = Labels((LabelSet("anime", groups[:1]), LabelSet("faces", groups[1:])))
    model = build_generator(Settings(image_size=32, filters=4, residual_blocks=1), labels.width)
    random = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(variable + random.normal(0, 0.1, variable.shape))
    path = tmp_path / "generator.keras"
    model.save(path)
    card.Card(name="tiny", image_size=32, labels=labels).write(path)
    measurements = export(path, tmp_path / "out", pictures)
    assert len(measurements) == 6 and {m.pictures for m in measurements} == {9}  # three labels each
    assert not any(m.problems for m in measurements)
    assert max(m.rank or 0 for m in measurements) == 4
    read = card.read(tmp_path / "out" / "generator_float16.tflite")
    assert read is not None and read.labels == labels
    assert read.export["label"] == {"name": "label", "shape": [1, 6], "dtype": "float32"}
    read = card.read(tmp_path / "out" / "generator_saved_model")
    assert read is not None
    assert read.export["label"] == {"name": "label", "shape": [None, 6], "dtype": "float32"}

    kernel = model.get_layer("stem_conv").kernel
    changed = keras.ops.convert_to_numpy(kernel).copy()
    changed[:, :, 3 + 2] += 0.3  # of red hair, which neither other label of pictures 0 and 1 has
    kernel.assign(changed)
    examples = labels.examples()
    inputs = as_inputs(np.repeat(pictures, 3, 0), [examples[i % len(examples)] for i in range(9)])
    file = tmp_path / "out" / "generator_float32.tflite"
    (problem,) = verify.measure_tflite(file, inputs, drawn_by_keras(model, inputs), 100).problems
    assert "under the floor of 100 dB" in problem
    others = [one for one in inputs if not one["label"][0, 2]]
    assert 0 < len(others) < 9
    assert not verify.measure_tflite(file, others, drawn_by_keras(model, others), 100).problems


def test_command_exports_and_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By version 0.1.0's name of a recipe too."""
    path = small(tmp_path)
    for i, picture in enumerate(emoji.load("google", "test")[:9]):
        images.write(tmp_path / "photos" / f"{i}.png", picture)
    settings = ["--size=32", "--recipes=float32,dynamic", "--nosaved_model", f"--images={tmp_path / 'photos'}"]
    assert status(command, f"--model={path}", f"--output={tmp_path / 'exported'}", *settings) == 0
    lines, names = capsys.readouterr().out.splitlines(), ["float32", "dynamic_wi8_afp32"]
    assert "8 pictures" in lines[0]
    assert lines.pop(1) == f"{tmp_path / 'photos'}: 9 pictures."
    assert lines[1].split()[:4] == ["file", "signature", "MB", "PSNR"]
    assert [line.split()[0] for line in lines[2:4]] == [f"generator_ab_{name}.tflite" for name in names]
    assert all(line.endswith("ok") for line in lines[2:4])
    assert lines[4] == f"Everything lies in {tmp_path / 'exported'}; the report is verification.json."
    files = {f"generator_ab_{name}{suffix}" for name in names for suffix in (".json", ".tflite")}
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {*files, "verification.json"}


def test_command_says_mistakes_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(command, f"--model={tmp_path / 'missing.keras'}", f"--output={tmp_path / 'exported'}") == 2
    error = capsys.readouterr().err
    assert error.startswith("kgan: There is no model") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--name=x"], "--name has no effect without --serving: leave it out."),
        (["--noise=input"], "--noise has no effect on a filter"),
        (["--serving", "--half_keras"], "--half_keras has no effect with --serving, which writes"),
        (["--serving", "--nosaved_model"], "--saved_model has no effect with --serving, which writes"),
        (["--calibration=x"], "--calibration has no effect without a static recipe in --recipes: leave it out."),
        (["--serving", "--recipes=float16,float32"], "--serving lays one .tflite beside, and --recipes names 2: "),
        (["--serving", "--recipes="], "--serving lays one .tflite beside, and --recipes names 0: "),
    ],
)
def test_options_without_an_effect_are_named(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(command, "--model=onesided_selfie2anime", f"--output={tmp_path / 'out'}", *options) == 2
    assert sentence in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_generator_of_noise_has_no_pictures_to_verify_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--size=64", "--images=x", "--calibration=x"):
        assert status(command, "--model=stylegan_animefaces", f"--output={tmp_path / 'out'}", option) == 2
        assert "has no effect on a generator of noise" in capsys.readouterr().err


@keras.saving.register_keras_serializable("tests")
class Hue(keras.layers.Layer):
    """An operation that only full TensorFlow has."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.image.adjust_hue(inputs, 0.1)


def test_what_cannot_be_converted_is_reported_and_the_rest_is_made(pictures: list[np.ndarray], tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 3), name="image")
    keras.Model(inputs, Hue()(inputs)).save(tmp_path / "hue.keras")
    output = tmp_path / "exported"
    output.mkdir()
    (output / "hue_float32.tflite").write_bytes(b"of before")
    with pytest.raises(
        VerificationError, match=r"hue_float32\.tflite \(not written\): .*cannot be converted.*AdjustHue"
    ):
        export(tmp_path / "hue.keras", output, pictures[:2], size=32, recipes=["float32"])
    assert sorted(path.name for path in output.iterdir()) == ["hue_saved_model", "verification.json"]
    first, *others = json.loads((output / "verification.json").read_text())["measurements"]
    assert "cannot be converted" in first["problems"][0] and not any(each["problems"] for each in others)
    assert card.checked(output / "hue_saved_model") is not None
