"""EfficientNet-Lite0 against figures of the network it was made of, and by what any network of its kind does."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from kgan.pretrained import lite0

WIDTHS = (24, 40, 112, 320)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return lite0.load()


def test_chelsea_s_maps_have_the_known_means(network: keras.Model, shared: Path) -> None:
    path = shared / "data/photos/skimage_chelsea.jpg"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    picture = Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    maps = network(np.asarray(picture, np.float32)[None] / 127.5 - 1)
    means = [float(np.abs(ops.convert_to_numpy(each)).mean()) for each in maps]
    np.testing.assert_allclose(means, (6.385, 5.579, 5.338, 2.355), rtol=4e-4)  # kernels here are of 16 bits


@pytest.mark.parametrize(("height", "width"), [(64, 96), (50, 33), (32, 32)])
def test_maps_have_a_4th_to_a_32nd_of_any_size(network: keras.Model, height: int, width: int) -> None:
    maps = network(np.zeros((2, height, width, 3), np.float32))
    expected = [(2, -(-height // s), -(-width // s), c) for s, c in zip((4, 8, 16, 32), WIDTHS, strict=True)]
    assert [tuple(each.shape) for each in maps] == expected


def test_taps_are_the_same_maps_and_need_no_layers_behind_them(network: keras.Model) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    some = lite0.load((2, 0))
    for output, expected in zip(some(x), (network(x)[2], network(x)[0]), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(output), ops.convert_to_numpy(expected), atol=1e-5)
    names = {layer.name for layer in some.layers}
    assert "b10_project" in names and "b11_expand" not in names
    with pytest.raises(ValueError, match="taps 0 to 3"):
        lite0.load((4,))


def test_it_is_float32_and_fixed_whatever_the_policy() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        (deepest,) = lite0.load((3,)).outputs
        network = lite0.load((0, 3))
        maps = network(ops.zeros((1, 32, 32, 3), "float32"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert deepest.dtype == "float32" and {keras.backend.standardize_dtype(each.dtype) for each in maps} == {"float32"}
    assert not network.trainable_variables and network.count_params() < 3_000_000


def test_gradients_reach_every_pixel() -> None:
    import tensorflow as tf

    network = lite0.load((3,))
    x = tf.random.stateless_uniform((1, 64, 64, 3), (0, 1), -1, 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_mean(tf.square(network(x)))
    slope = tape.gradient(value, x)
    assert np.isfinite(slope).all() and (np.abs(slope).max(axis=-1) > 0).mean() > 0.99
    uphill = 1e-2 * slope / tf.norm(slope)
    ahead, behind = (float(tf.reduce_mean(tf.square(network(x + sign * uphill)))) for sign in (1, -1))
    assert ahead - behind == pytest.approx(2e-2 * float(tf.norm(slope)), rel=0.05)


def test_one_block_by_hand() -> None:
    """Ones in the stem and in each 1 x 1: what reaches b0's depthwise is three times the scaled pixel."""
    with np.load(lite0.ASSET) as file:
        arrays = {name: np.zeros_like(file[name], np.float32) for name in file.files}
    arrays["stem/kernel"][0, 0] = 1  # the first of three rows and columns: `same` pads the end only
    arrays["b0_dw/kernel"][1, 1] = 0.5
    arrays["b0_project/kernel"][0, 0, 0] = 1
    arrays["b1_expand/kernel"][0, 0, 0] = 1
    arrays["b1_dw/kernel"][0, 0] = 1
    arrays["b1_project/kernel"][0, 0, 0, 0] = 2
    arrays["b2_project/bias"][:] = 1
    picture = np.full((1, 8, 8, 3), -1, np.float32)
    picture[0, 4, 0] = [-1 + 2 * 170 / 255, -1 + 2 * 170 / 255, -1 + 2 * 170 / 255]  # 170: 43 / 128 a channel
    output = ops.convert_to_numpy(lite0.build(arrays, (0,))(picture))
    # b0: 3 * 43 / 128 * .5; b1: times 2; b2, with an expansion of zeros: plus its bias.
    np.testing.assert_allclose(output[0, :, :, 0], [[1, 1], [1 + 3 * 43 / 128, 1]], atol=1e-5)
    np.testing.assert_allclose(output[0, :, :, 1], 1)
