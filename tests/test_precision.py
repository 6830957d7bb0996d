"""Filters in float32 whatever they were trained in."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from kgan.precision import at_least_float32, at_least_float32_dtype, float32_copy, policy
from kgan.systems.ugatit import Settings, build_generator

SETTINGS = Settings(light=True, image_size=16, filters=4, residual_blocks=1)


def _generator(name: str) -> keras.Model:
    with policy(name):
        return build_generator(SETTINGS)


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_the_copy_is_float32_with_equal_weights_and_close_pictures(name: str) -> None:
    model = _generator(name)
    for i, weight in enumerate(model.trainable_weights):
        weight.assign(np.random.default_rng(i).uniform(0.1, 0.4, weight.shape))
    copy = float32_copy(model)
    assert copy is not model
    assert {layer.dtype_policy.name for layer in model.layers} > {"float32"}  # its last layer and the heatmap
    assert {layer.dtype_policy.name for layer in copy.layers} == {"float32"}
    assert {tensor.dtype for tensor in copy.inputs + copy.outputs} == {"float32"}
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    for weight, same in zip(model.weights, copy.weights, strict=True):
        assert same is not weight and same.path == weight.path
        np.testing.assert_array_equal(ops.convert_to_numpy(same), ops.convert_to_numpy(weight))
    x = np.random.default_rng(0).uniform(-1, 1, (1, 16, 24, 3)).astype("float32")
    image, same_image = (ops.convert_to_numpy(m(x)["image"]) for m in (model, copy))
    assert image.dtype == same_image.dtype == np.float32
    difference = np.abs(image - same_image)
    assert difference.max() > 0 and difference.mean() < (2e-3 if name == "mixed_float16" else 2e-2)


def test_a_float32_model_is_returned_itself() -> None:
    model = _generator("float32")
    assert float32_copy(model) is model


def test_the_copy_does_not_depend_on_the_current_policy() -> None:
    model = _generator("mixed_bfloat16")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype("float32")
    expected = ops.convert_to_numpy(float32_copy(model)(x)["image"])
    with policy("mixed_bfloat16"):
        copy = float32_copy(model)
        np.testing.assert_array_equal(ops.convert_to_numpy(copy(x)["image"]), expected)
    assert {layer.compute_dtype for layer in copy.layers if layer.weights} == {"float32"}


def test_wide() -> None:
    x = ops.ones((2,), "float16")
    assert (
        at_least_float32_dtype("bfloat16")
        == at_least_float32_dtype("float16")
        == at_least_float32_dtype("float32")
        == "float32"
    )
    assert at_least_float32_dtype("float64") == "float64"
    assert keras.backend.standardize_dtype(at_least_float32(x).dtype) == "float32"
