"""kgan.export.saved_model: every signature against Keras, any size, any encoding."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.filters import as_inputs, drawn_by_keras
from PIL import Image

from kgan.export import filters, saved_model, verify
from kgan.filters.card import Card
from kgan.filters.loading import Filter, keras_runner
from kgan.pictures import images

Signatures = dict[str, Callable[..., dict[str, tf.Tensor]]]


@pytest.fixture(scope="module")
def light_folder(light: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    saved_model.write(light, folder, multiple=4)
    return folder


@pytest.fixture(scope="module")
def full_folder(full: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    saved_model.write(full, folder)
    return folder


@pytest.fixture(scope="module")
def light_loaded(light_folder: Path) -> Any:
    """A signature alone would not keep its variables alive."""
    return tf.saved_model.load(str(light_folder))


@pytest.fixture(scope="module")
def served(light_loaded: Any) -> Signatures:
    return light_loaded.signatures


@pytest.fixture(scope="module")
def photo(pictures: list[np.ndarray]) -> np.ndarray:
    """A picture whose sides 4 does not divide: uint8 [29, 22, 3]."""
    return np.ascontiguousarray(pictures[0][:29, 5:27])


def png(image: np.ndarray) -> bytes:
    return images.encode(image, ".png")


def difference(a: np.ndarray, b: np.ndarray) -> int:
    """In levels of 255."""
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_signatures_have_our_names_and_dtypes(served: Signatures) -> None:
    wanted = {
        "serving_default": ("image", tf.float32, [None, None, None, 3]),
        "serving_uint8": ("image", tf.uint8, [None, None, None, 3]),
        "serving_bytes": ("image_bytes", tf.string, [None]),
    }
    assert set(served) == set(wanted)
    for signature, (name, dtype, shape) in wanted.items():
        (spec,) = served[signature].structured_input_signature[1].values()  # type: ignore[attr-defined]
        output = served[signature].structured_outputs  # type: ignore[attr-defined]
        assert (spec.name, spec.dtype, spec.shape.as_list()) == (name, dtype, shape)
        assert {key: value.dtype for key, value in output.items()} == {name: dtype}


def test_measurements_hold_for_both_kinds(
    light: keras.Model, full: keras.Model, light_folder: Path, full_folder: Path, pictures: list[np.ndarray]
) -> None:
    for model, folder in ((light, light_folder), (full, full_folder)):
        inputs = as_inputs(pictures)
        expected = drawn_by_keras(model, inputs)
        measurements = verify.measure_saved_model(folder, filters.checks(pictures, inputs, expected))
        assert [m.signature for m in measurements] == ["serving_default", "serving_uint8", "serving_bytes"]
        assert [m.problems for m in measurements] == [(), (), ()]
        swapped = verify.measure_saved_model(folder, filters.checks(pictures, inputs, expected[::-1]))
        assert len(swapped) == 3 and all("under the floor" in m.problems[0] for m in swapped)


def test_batches_of_any_size_equal_the_filter(light: keras.Model, served: Signatures, photo: np.ndarray) -> None:
    picture_filter = Filter(keras_runner(light), Card(multiple=4))
    batch = np.stack([photo, photo[:, ::-1]])
    wanted = np.stack([picture_filter(image) for image in batch])
    assert difference(served["serving_uint8"](image=tf.constant(batch))["image"].numpy(), wanted) <= 1
    floats = served["serving_default"](image=tf.constant(images.to_float(batch)))["image"].numpy()
    wanted = np.stack([picture_filter(images.to_float(image)) for image in batch])
    np.testing.assert_allclose(floats, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 8), (9, 1)])
def test_tiny_pictures_are_reflected_as_by_the_filter(
    shape: tuple[int, int], light: keras.Model, served: Signatures, photo: np.ndarray
) -> None:
    tiny = photo[: shape[0], : shape[1]]
    answer = served["serving_uint8"](image=tf.constant(tiny[None]))["image"][0].numpy()
    assert difference(answer, Filter(keras_runner(light), Card(multiple=4))(tiny)) <= 1


def test_bytes_of_png_jpeg_grey_transparent_and_sideways_pictures(
    light: keras.Model, served: Signatures, photo: np.ndarray
) -> None:
    picture = Image.fromarray(photo)
    transparent = picture.copy()
    transparent.putalpha(Image.linear_gradient("L").resize(picture.size))
    sideways = Image.Exif()
    sideways[0x0112] = 6
    files = []
    for image, kind, settings in (
        (picture, "PNG", {}),
        (picture, "JPEG", {"quality": 95, "subsampling": 0}),
        (picture.resize((40, 24)).convert("L"), "PNG", {}),
        (transparent, "PNG", {}),
        (picture, "JPEG", {"quality": 95, "subsampling": 0, "exif": sideways}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, kind, **settings)
        files.append(buffer.getvalue())
    answers = served["serving_bytes"](image_bytes=tf.constant(files))["image_bytes"].numpy()
    picture_filter = Filter(keras_runner(light), Card(multiple=4))
    assert images.decode(files[-1]).shape == (22, 29, 3)
    for file, answer in zip(files, answers, strict=True):
        assert answer.startswith(b"\x89PNG")
        # Two decoders may round a pixel differently, and the network magnifies that.
        assert difference(images.decode(answer), picture_filter(images.decode(file))) <= 8


def test_fixed_size_is_fixed_but_for_bytes(full: keras.Model, full_folder: Path, photo: np.ndarray) -> None:
    loaded = tf.saved_model.load(str(full_folder))
    (spec,) = loaded.signatures["serving_default"].structured_input_signature[1].values()
    assert spec.shape.as_list() == [None, 32, 32, 3]
    (answer,) = loaded.signatures["serving_bytes"](image_bytes=tf.constant([png(photo)]))["image_bytes"].numpy()
    wanted = Filter(keras_runner(full), Card(size=(32, 32)))(photo)
    assert images.decode(answer).shape == photo.shape == (29, 22, 3)
    assert difference(images.decode(answer), wanted) <= 4  # Pillow's and TensorFlow's bicubic differ in the last digits
