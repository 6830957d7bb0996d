"""kgan.load: the same picture from all three kinds of file, any size, and sentences for what cannot be loaded."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan.errors import UserError
from kgan.export import export
from kgan.filters import card, loading
from kgan.filters.card import Card
from kgan.labels import Group, Labels, LabelSet
from kgan.layers import AppendLabel, InstanceNormalization, NearestUpsampling2D, ReflectionPadding2D
from kgan.pictures import emoji, images
from kgan.quiet import quiet


def network(size: int | None) -> keras.Model:
    """Down, normalize, up: sides must be even."""
    inputs = keras.Input((size, size, 3), name="image")
    x = ReflectionPadding2D(1, name="pad")(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="down")(x)
    x = InstanceNormalization(name="norm")(x)
    x = NearestUpsampling2D(name="up")(x)
    x = keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name="out")(x)
    return keras.Model(inputs, {"image": x, "logits": keras.layers.GlobalMaxPooling2D(name="logits")(x)})


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """uint8 [61, 47, 3]."""
    return np.ascontiguousarray(emoji.load("fluent3d", "test")[0][:61, 8:55])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """any.keras and fixed.keras (32x32), each with its exports."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("filters")
    pictures = list(emoji.load("fluent3d", "test")[:2])
    for name, size in (("any", None), ("fixed", 32)):
        network(size).save(folder / f"{name}.keras")
        Card(name=f"the {name} filter", image_size=32, multiple=2, crop="center").write(folder / f"{name}.keras")
        export(folder / f"{name}.keras", folder, pictures, recipes=["float32"])
    return folder


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2))))


def test_all_kinds_give_the_same_picture(folder: Path, photo: np.ndarray) -> None:
    names = ("fixed.keras", "fixed_float32.tflite", "fixed_saved_model", "any_float32.tflite")
    filters = {name: kgan.load(folder / name) for name in names}
    wanted = filters["fixed.keras"](photo)
    assert wanted.dtype == np.uint8
    assert wanted.shape == photo.shape
    for name in names[1:3]:
        assert psnr(filters[name](photo), wanted) > 60
    free = {name: loading.load(folder / name) for name in ("any.keras", "any_saved_model")}
    results = [picture_filter(photo) for picture_filter in free.values()]
    assert results[0].shape == photo.shape
    assert psnr(*results) > 60
    assert psnr(results[0], wanted) < 40  # not the same network


def test_what_a_filter_knows_of_itself(folder: Path) -> None:
    for name, size, multiple in (
        ("any.keras", None, 2),
        ("any_saved_model", None, 2),
        ("any_float32.tflite", (32, 32), 1),
        ("fixed.keras", (32, 32), 1),
        ("fixed_saved_model", (32, 32), 1),
    ):
        loaded = loading.load(str(folder / name))
        assert (loaded.size, loaded.multiple) == (size, multiple)
        assert loaded.card.size == size
        assert loaded.card.name == f"the {name.split('.')[0].split('_')[0]} filter"
        assert loaded.card.crop == "center"


def test_floats_in_floats_out(folder: Path, photo: np.ndarray) -> None:
    picture_filter = loading.load(folder / "any.keras")
    floats = images.to_float(photo)
    result = picture_filter(floats)
    assert result.dtype == np.float32
    assert result.shape == photo.shape
    np.testing.assert_array_equal(images.to_uint8(result), picture_filter(photo))
    assert picture_filter(floats.astype(np.float64)).dtype == np.float64


def test_padding_is_by_reflection_to_the_right_and_below(photo: np.ndarray) -> None:
    seen: list[np.ndarray] = []

    def run(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels[0])
        return pixels

    result = loading.Filter(run, Card(multiple=8, smallest=16))(photo)
    np.testing.assert_array_equal(result, photo)
    wanted = images.to_float(np.pad(photo, ((0, 3), (0, 1), (0, 0)), mode="reflect"))
    np.testing.assert_array_equal(seen[0], wanted)  # 61x47 becomes 64x48
    np.testing.assert_array_equal(loading.Filter(run, Card(multiple=8, smallest=16))(photo[:1, :1]), photo[:1, :1])
    np.testing.assert_array_equal(seen[1], np.broadcast_to(images.to_float(photo[:1, :1]), (16, 16, 3)))


def test_padding_by_hand() -> None:
    assert [loading.padding(length, 4, 8) for length in (1, 4, 7, 8, 9, 12, 13)] == [7, 4, 1, 0, 3, 0, 3]
    assert [loading.padding(length, 1, 1) for length in (1, 2)] == [0, 0]


def test_fixed_size_is_resized_to_and_back(photo: np.ndarray) -> None:
    shapes: list[tuple[int, ...]] = []

    def run(pixels: np.ndarray) -> np.ndarray:
        shapes.append(pixels.shape)
        return pixels

    result = loading.Filter(run, Card(size=(128, 96)))(photo)
    assert shapes == [(1, 128, 96, 3)]
    assert result.shape == photo.shape
    assert psnr(result, photo) > 30


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((8, 8), np.uint8), r"shape \[H, W, 3\], got \[8, 8\]"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"got \[1, 8, 8, 3\]"),
        (np.zeros((0, 8, 3), np.uint8), r"got \[0, 8, 3\]"),
        (np.zeros((8, 8, 3), np.int64), "uint8 pixels or floats.*got int64"),
        (np.full((8, 8, 3), 255.0), "from 255 to 255: divide"),
        (np.full((8, 8, 3), np.nan), "from nan to nan"),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises(UserError, match=words):
        loading.Filter(lambda pixels: pixels, Card())(image)


def test_wrong_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no model .*nowhere\.keras: a \.keras file, \.tflite file or Saved"):
        loading.load(tmp_path / "nowhere.keras")
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"photo\.jpg is not a model that kgan knows"):
        loading.load(tmp_path / "photo.jpg")
    with pytest.raises(UserError, match=r"without saved_model\.pb: a \.keras file"):
        loading.load(tmp_path)
    (tmp_path / "generator_ab.keras").write_bytes(b"")
    with pytest.raises(UserError, match=r"it holds generator_ab\.keras: name one of them"):
        loading.load(tmp_path)


def test_damaged_files_are_named(folder: Path, tmp_path: Path) -> None:
    for name in ("any.keras", "any_float32.tflite"):
        data = (folder / name).read_bytes()
        for part in (b"", b"something else", data[: len(data) // 2]):
            (tmp_path / name).write_bytes(part)
            with pytest.raises(UserError, match=f"{name} (is not a model of Keras|cannot be loaded)"):
                loading.load(tmp_path / name)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "saved_model.pb").write_bytes(b"something else")
    with pytest.raises(UserError, match="served cannot be loaded"):
        loading.load(tmp_path / "served")


@pytest.mark.parametrize("suffix", [".keras", ".tflite", ".h5"])
def test_a_pipe_is_no_model_and_is_not_waited_for(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"pipe{suffix}"):
        loading.load(path)


def test_keras_file_with_damaged_weights_is_named(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "any.keras").read_bytes())
    middle = data.index(b"model.weights.h5") + 600
    data[middle : middle + 400] = bytes(400)
    (tmp_path / "any.keras").write_bytes(data)
    with pytest.raises(UserError, match=r"any\.keras is not a model of Keras \(model\.weights\.h5 in it is damaged\)"):
        loading.load(tmp_path / "any.keras")


def test_a_flip_in_the_weights_of_a_file_without_a_card(folder: Path, tmp_path: Path) -> None:
    """HDF5 would not notice it, and the picture would be another."""
    data = bytearray((folder / "any.keras").read_bytes())
    with zipfile.ZipFile(folder / "any.keras") as archive:
        weights = archive.read("model.weights.h5")
    data[data.index(weights) + len(weights) - 3] ^= 4
    (tmp_path / "any.keras").write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        loading.load(tmp_path / "any.keras")


def test_foreign_keras_models_are_named(tmp_path: Path) -> None:
    class Unknown(keras.layers.Layer):
        def call(self, inputs: np.ndarray) -> np.ndarray:
            return inputs

    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, Unknown()(inputs)).save(tmp_path / "unknown.keras")
    with pytest.raises(UserError, match=r"unknown\.keras cannot be loaded: Could not locate class 'Unknown'\.$"):
        loading.load(tmp_path / "unknown.keras")
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(tmp_path / "code.keras")
    with pytest.raises(UserError, match=r"code\.keras cannot be loaded: .*Lambda"):
        loading.load(tmp_path / "code.keras")
    keras.Model(inputs, keras.layers.Flatten()(inputs)).save(tmp_path / "classifier.keras")
    with pytest.raises(UserError, match=r"classifier\.keras is no filter"):
        loading.load(tmp_path / "classifier.keras")
    keras.Model(inputs, [inputs, inputs]).save(tmp_path / "two.keras")
    with pytest.raises(UserError, match=r"two\.keras is no filter"):
        loading.load(tmp_path / "two.keras")


def converted(function: Callable[[tf.Tensor], tf.Tensor], shape: list[int | None], dtype: tf.DType) -> bytes:
    """A `.tflite` of one input."""
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec(shape, dtype))
    with quiet():
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())


def test_a_tflite_of_any_size(tmp_path: Path, photo: np.ndarray) -> None:
    """kgan writes none, others do."""
    (tmp_path / "any.tflite").write_bytes(converted(lambda x: -x, [1, None, None, 3], tf.float32))
    loaded = loading.load(tmp_path / "any.tflite")
    assert loaded.size is None and not loaded.streams
    for picture in (photo, photo[:20], photo[:33, :44], photo):
        np.testing.assert_array_equal(loaded(picture), 255 - picture)


def test_a_tflite_of_other_types_is_no_filter(tmp_path: Path) -> None:
    (tmp_path / "bytes.tflite").write_bytes(converted(lambda x: x, [1, 8, 8, 3], tf.uint8))
    with pytest.raises(UserError, match=r"bytes\.tflite is no filter: .*float32.*and the types uint8"):
        loading.load(tmp_path / "bytes.tflite")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labelled.keras, of any size, with its exports: its labels are three hues."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("labelled")
    inputs = {"image": keras.Input((None, None, 3), name="image"), "label": keras.Input((3,), name="label")}
    x = AppendLabel(name="labelled")([inputs["image"], inputs["label"]])
    x = keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name="out")(x)
    keras.Model(inputs, {"image": x}).save(folder / "labelled.keras")
    labels = Labels((LabelSet("set", (Group("hue", ("red", "green", "blue")),)),))
    Card(name="hues", image_size=32, labels=labels).write(folder / "labelled.keras")
    export(folder / "labelled.keras", folder, list(emoji.load("fluent3d", "test")[:2]), recipes=["float32"])
    return folder


@pytest.mark.parametrize("name", ["labelled.keras", "labelled_float32.tflite", "labelled_saved_model"])
def test_all_kinds_take_labels(labelled: Path, name: str) -> None:
    picture_filter = kgan.load(labelled / name)
    picture = emoji.load("google", "test")[0][:32, :32]
    network = loading.load_keras(labelled / "labelled.keras")
    drawn = {}
    for number, hue in enumerate(("red", "green", "blue")):
        given = {"image": images.to_float(picture)[None], "label": np.eye(3, dtype=np.float32)[None, number]}
        wanted = images.to_uint8(keras.ops.convert_to_numpy(network(given)["image"])[0])
        drawn[hue] = picture_filter(picture, f"hue={hue}")
        assert np.abs(drawn[hue].astype(int) - wanted).max() <= 1
        np.testing.assert_array_equal(drawn[hue], picture_filter(picture, np.eye(3)[number]))
        np.testing.assert_array_equal(drawn[hue], picture_filter.with_label(f"hue={hue}")(picture))
    assert np.abs(drawn["red"].astype(int) - drawn["blue"]).max() > 20
    green = picture_filter.with_label("hue=green")
    np.testing.assert_array_equal(green(picture, "hue=red"), drawn["red"])  # the call has the last word
    np.testing.assert_array_equal(green(picture), drawn["green"])
    for label, words in [
        (None, r"The filter hues needs a label, such as hue=red\. There are hue \(red, green, blue\)"),
        ("hue=grey", "hue is never 'grey': it is red, green or blue. Did you mean green"),
        ([1, 0], r"has 3 numbers, got an array of shape \[2\]"),
    ]:
        with pytest.raises(UserError, match=words):
            picture_filter(picture, label)  # type: ignore[arg-type]


def test_a_label_for_a_filter_that_takes_none(folder: Path, photo: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"The filter the any filter takes no label"):
        loading.load(folder / "any.keras")(photo, "hue=red")


def test_labels_without_a_card_have_no_names(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.keras").write_bytes((labelled / "labelled.keras").read_bytes())
    bare = loading.load(tmp_path / "bare.keras")
    picture = emoji.load("google", "test")[0]
    assert bare(picture, [1, 0, 0]).shape == (64, 64, 3)
    with pytest.raises(UserError, match="The labels of the filter bare have no names"):
        bare(picture, "hue=red")
    with pytest.raises(UserError, match="The filter bare needs a label, which its card lacks"):
        bare(picture)
    with pytest.raises(UserError, match="takes a label of 3 numbers, and its card does not name as many"):
        export(tmp_path / "bare.keras", tmp_path, [picture])
    two = Labels((LabelSet("set", (Group("hue", ("red", "blue")),)),))
    Card(labels=two).write(tmp_path / "bare.keras")
    with pytest.raises(UserError, match=r"bare\.json names labels of 2 numbers, and bare\.keras takes 3"):
        loading.load(tmp_path / "bare.keras")


def test_damaged_labels_make_no_card(tmp_path: Path) -> None:
    for text in ('{"labels": {"sets": 1}}', '{"labels": {"optional": true}}', '{"labels": [1]}'):
        (tmp_path / "filter.json").write_text(text)
        with pytest.raises(UserError, match=r"filter\.json is not a kgan card"):
            card.read(tmp_path / "filter.keras")


def without(module: str, code: str, **environment: str) -> str:
    """Run `code` in a process that cannot import `module`; what it prints."""
    program = f"import sys; sys.modules[{module!r}] = None\n{code}"
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = "import kgan, numpy as np; print(kgan.load({path!r})(np.zeros((9, 7, 3), np.uint8)).shape)"


def test_tflite_needs_neither_tensorflow_nor_keras(folder: Path) -> None:
    code = LOADED.format(path=str(folder / "any_float32.tflite"))
    assert without("tensorflow", f"sys.modules['keras'] = None\n{code}") == "(9, 7, 3)\n"


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax")
def test_keras_file_runs_under_jax_without_tensorflow(folder: Path) -> None:
    code = LOADED.format(path=str(folder / "any.keras"))
    assert without("tensorflow", code, KERAS_BACKEND="jax") == "(9, 7, 3)\n"
