"""kgan.export.tflite: each recipe against Keras, and what the files hold."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from helpers.filters import as_inputs, drawn_by_keras

from kgan.errors import UserError
from kgan.export import operations, recipes, tflite, verify
from kgan.layers import InstanceNormalization, ReflectionPadding2D
from kgan.pictures import emoji, images
from kgan.precision import float32_copy
from kgan.systems.onesided import Settings, build_generator

SIZE = (32, 32)


def measure(path: Path, pictures: list[np.ndarray], reference: keras.Model, floor: float = 100) -> verify.Measurement:
    inputs = as_inputs(pictures)
    return verify.measure_tflite(path, inputs, drawn_by_keras(reference, inputs), floor)


@pytest.mark.parametrize("name", [name for name, recipe in recipes.RECIPES.items() if not recipe.calibrated])
def test_each_recipe_keeps_the_light_generators_pictures(
    name: str, light: keras.Model, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    recipe = recipes.get(name)
    path = tmp_path / "filter.tflite"
    path.write_bytes(tflite.convert(light, SIZE, recipe))
    measurement = measure(path, pictures, light, recipe.floor)
    assert measurement.problems == ()
    assert measurement.psnr is not None and measurement.psnr >= recipe.floor
    assert measurement.rank == 4
    assert set(measurement.operations) <= operations.ALLOWED
    assert not {"MIRROR_PAD", "SHAPE", "PACK", "SQUARED_DIFFERENCE"} & set(measurement.operations)


@pytest.fixture(scope="module")
def phone() -> keras.Model:
    return build_generator(Settings(filters=8, residual_blocks=1))


@pytest.mark.parametrize("name", [name for name, recipe in recipes.RECIPES.items() if recipe.calibrated])
def test_static_recipes_keep_what_a_network_for_phones_draws(
    name: str, phone: keras.Model, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    recipe, path = recipes.get(name), tmp_path / "filter.tflite"
    calibration = as_inputs([images.resize(each, SIZE) for each in emoji.load("google", "train")[:32]])
    path.write_bytes(tflite.convert(phone, SIZE, recipe, calibration))
    measurement = measure(path, pictures, phone, recipe.floor)
    assert measurement.problems == ()
    interpreter = Interpreter(str(path))
    for (tensor,) in (interpreter.get_input_details(), interpreter.get_output_details()):
        assert tensor["dtype"] == np.float32
    # Every convolution lies between integers: as many ways in and out as there are islands of float. Of everything in
    # integers, the quantizer leaves one where pixels are moved, and brings what is concatenated to one scale.
    islands = measurement.operations["QUANTIZE"], measurement.operations["DEQUANTIZE"]
    expected = {"static_wi8_ai8": (1 + 1 + 1, 1 + 1), "static_wi8_ai8_norm_float": (7 + 1, 7)}.get(name, (7, 7))
    assert islands == expected and measurement.operations["CONV_2D"] == 7


def test_folded_batch_normalization_leaves_no_convolution_in_float(pictures: list[np.ndarray]) -> None:
    """Such a convolution has the norm's name, and norms stay in float."""
    network = build_generator(Settings(filters=8, residual_blocks=1, norm="batch"))
    calibration = as_inputs([images.resize(each, SIZE) for each in pictures])
    names = ("float32", "static_wi8_ai8", "static_wi8_ai8_norm_float")
    whole, ints, floats = (len(tflite.convert(network, SIZE, recipes.get(name), calibration)) for name in names)
    assert floats == ints < 0.6 * whole


def test_full_generator_keeps_its_pictures(full: keras.Model, pictures: list[np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "filter.tflite"
    path.write_bytes(tflite.convert(full, SIZE, recipes.get("float32")))
    measurement = measure(path, pictures, full)
    assert measurement.problems == ()


def test_float32_file_has_one_static_float_input_and_output_and_all_weights(light: keras.Model) -> None:
    data = tflite.convert(light, (24, 40), recipes.get("float32"))
    interpreter = Interpreter(model_content=data)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["image"]}}
    for (tensor,) in (interpreter.get_input_details(), interpreter.get_output_details()):
        assert list(tensor["shape"]) == [1, 24, 40, 3]
        assert tensor["dtype"] == np.float32
    kernels = [variable.numpy() for variable in light.variables if len(variable.shape) == 4]
    assert len(kernels) == 11
    for kernel in kernels:  # the file stores them [out, height, width, in]
        assert np.ascontiguousarray(kernel.transpose(3, 0, 1, 2)).tobytes() in data


def test_recipes_shrink_the_file() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(64, 5), keras.layers.Conv2DTranspose(3, 5)])
    calibration = as_inputs([np.full((8, 8, 3), grey, np.uint8) for grey in range(0, 255, 16)])
    sizes = {name: len(tflite.convert(model, (8, 8), each, calibration)) for name, each in recipes.RECIPES.items()}
    assert sizes["dynamic_wi8_afp32"] < 0.75 * sizes["float16"] < 0.75 * 0.75 * sizes["float32"]
    assert all(size < 0.75 * sizes["float16"] for name, size in sizes.items() if "float" not in name)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_rebuilt_in_float32(policy: str, pictures: list[np.ndarray], tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 3), name="image")
    x = ReflectionPadding2D(1, name="pad", dtype=policy)(inputs)
    x = keras.layers.Conv2D(4, 3, name="conv", dtype=policy)(x)
    x = InstanceNormalization(name="norm", dtype=policy)(x)
    x = keras.layers.Conv2D(3, 1, activation="tanh", name="image_conv", dtype=policy)(x)
    model = keras.Model(inputs, {"image": x, "logits": keras.layers.GlobalMaxPooling2D(dtype=policy)(x)})
    rebuilt = float32_copy(model)
    assert {layer.compute_dtype for layer in rebuilt.layers} == {"float32"}
    assert float32_copy(rebuilt) is rebuilt
    values = {v.path: v.numpy() for v in model.variables}
    assert len(rebuilt.variables) == len(values) == 6
    for variable in rebuilt.variables:
        np.testing.assert_array_equal(variable.numpy(), values[variable.path])
    path = tmp_path / "filter.tflite"
    path.write_bytes(tflite.convert(model, SIZE, recipes.get("float32")))
    measurement = measure(path, pictures, rebuilt)
    assert measurement.problems == ()


class Hue(keras.layers.Layer):
    """An operation that only full TensorFlow has."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.image.adjust_hue(inputs, 0.1)


def test_operation_without_a_kernel_is_named_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(UserError, match=r"cannot be converted to \.tflite: .*AdjustHue"):
        tflite.convert(keras.Model(inputs, Hue()(inputs)), (8, 8), recipes.get("float32"))
    tflite.convert(keras.Sequential([inputs, keras.layers.Conv2D(3, 1)]), (8, 8), recipes.get("float32"))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""


def test_a_recipe_by_its_former_name() -> None:
    assert recipes.get("dynamic") is recipes.RECIPES["dynamic_wi8_afp32"]


def test_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(
        UserError, match="no export recipe 'int4': choose from float32, float16, weight_only_wi8, dynamic_wi8_afp32"
    ):
        recipes.get("int4")
