"""StyleGAN's layers on numbers that one can check by hand."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan.layers import (
    Blur2D,
    EqualizedConv2D,
    EqualizedDense,
    Fade,
    LearnedConstant,
    MinibatchDeviation,
    Noise,
    PixelNormalization,
    Style,
    Truncation,
)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def array(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


# --- equalized learning rate -------------------------------------------------------------------------------------


def test_the_kernel_is_scaled_when_used() -> None:
    """Fan-in 4, gain sqrt 2: 1 becomes sqrt(2 / 4). The bias is used as it is."""
    layer = EqualizedDense(1)
    layer.build((None, 4))
    layer.kernel.assign(np.ones((4, 1)))
    layer.bias.assign([10.0])
    assert float(layer(np.ones((1, 4)))[0, 0]) == pytest.approx(10 + 4 * math.sqrt(0.5))


def test_the_rate_of_learning_divides_what_is_kept_and_multiplies_what_is_used() -> None:
    layer = EqualizedDense(512, rate=0.01, seed=1)
    layer.build((None, 512))
    assert float(ops.std(layer.kernel)) == pytest.approx(100, rel=0.01)
    layer.bias.assign(np.full(512, 3.0))
    used = array(layer(np.eye(512, dtype="float32"))) - 0.03
    assert used.std() == pytest.approx(math.sqrt(2 / 512), rel=0.01)


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_a_convolution_keeps_the_variance_but_for_its_gain(gain: float) -> None:
    layer = EqualizedConv2D(64, 3, gain=gain, seed=2)
    inner = array(layer(random(2, 16, 16, 64)))[:, 1:-1, 1:-1]
    assert float(ops.std(layer.kernel)) == pytest.approx(1, rel=0.01)
    assert inner.std() == pytest.approx(gain, rel=0.03)


@pytest.mark.parametrize("resample", ["up", "down"])
def test_fused_resampling_is_the_same(resample: str) -> None:
    """And so are its gradients, in the picture and in the kernel."""
    x = random(2, 6, 8, 3)
    plain, fused = (EqualizedConv2D(5, 3, resample, fused=fused, seed=4) for fused in (False, True))
    expected = array(plain(x))
    assert expected.shape == ((2, 12, 16, 5) if resample == "up" else (2, 3, 4, 5))
    assert plain.compute_output_shape(x.shape) == fused.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(fused(x), expected, atol=2e-6)


def test_nearest_up_then_convolution_by_hand() -> None:
    """One pixel of 1 becomes a block of four; a 3x3 kernel of ones (scaled by 1/3) counts those it sees."""
    layer = EqualizedConv2D(1, 3, "up", gain=1.0)
    layer.build((None, 2, 2, 1))
    layer.kernel.assign(np.ones((3, 3, 1, 1)))
    made = 3 * array(layer(np.array([[[[1.0], [0]], [[0], [0]]]], "float32")))[0, ..., 0]
    np.testing.assert_allclose(made, [[4, 4, 2, 0], [4, 4, 2, 0], [2, 2, 1, 0], [0, 0, 0, 0]], atol=1e-5)


@pytest.mark.parametrize("arguments", [{"resample": "left"}, {"gain": 0.0}, {"rate": -1.0}])
def test_settings_that_cannot_be(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"resample|gain and rate"):
        EqualizedConv2D(1, 3, **arguments)


# --- pixels ------------------------------------------------------------------------------------------------------


def test_blur_by_hand() -> None:
    x = np.zeros((1, 4, 4, 2), "float32")
    x[0, 1, 1, 0], x[0, 0, 0, 1] = 16, 16
    made = array(Blur2D()(x))[0]
    np.testing.assert_allclose(made[..., 0], [[1, 2, 1, 0], [2, 4, 2, 0], [1, 2, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(made[..., 1], [[4, 2, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_pixel_normalization() -> None:
    np.testing.assert_allclose(PixelNormalization()(np.array([[3.0, 4.0]], "float32")) * math.sqrt(12.5), [[3, 4]])
    assert not array(PixelNormalization()(np.zeros((1, 4), "float32"))).any()
    big = PixelNormalization(dtype="float16")(np.full((1, 4), 300.0, "float16"))  # 300^2 does not fit float16
    np.testing.assert_allclose(big, np.ones((1, 4)))


def test_noise_starts_without_effect_and_has_one_strength_a_channel() -> None:
    layer, x, noise = Noise(seed=0), random(2, 4, 4, 3), random(2, 4, 4, 1, seed=1)
    np.testing.assert_array_equal(layer(x, noise), x)
    layer.strength.assign([0.0, 1.0, -2.0])
    np.testing.assert_allclose(layer(x, noise), x + noise * [0, 1, -2], atol=1e-6)
    fixed = array(layer.fixed)
    assert fixed.shape == (1, 4, 4, 1) and 0.5 < fixed.std() < 1.5
    np.testing.assert_allclose(layer(x), x + fixed * [0, 1, -2], atol=1e-6)
    assert [v.name for v in layer.non_trainable_variables] == ["fixed"]


def test_the_learned_constant_is_ones_for_each_image() -> None:
    layer = LearnedConstant((4, 4, 2))
    np.testing.assert_array_equal(layer(np.zeros((3, 5))), np.ones((3, 4, 4, 2)))


def test_style_by_hand() -> None:
    """A map of -1 and 1 is normal already; style (s, b) of the second w makes it b -+ (s + 1)."""
    layer = Style(1)
    x = np.array([[[[-1.0], [1.0]]]], "float32")
    ws = np.array([[[9.0], [2.0]]], "float32")
    layer(x, ws)
    layer.affine.kernel.assign([[1.5, 0.0]])
    layer.affine.bias.assign([0.0, 7.0])
    np.testing.assert_allclose(array(layer(x, ws)).ravel(), [7 - 4, 7 + 4], rtol=1e-6)  # fan-in 1, gain 1: s = 3


# --- growth and truncation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 2.0), (0.25, 3.0), (1.0, 6.0)])
def test_fade(alpha: float, expected: float) -> None:
    layer = Fade()
    layer(np.zeros((1, 1)), np.zeros((1, 1)))
    assert float(layer.alpha) == 1
    layer.alpha.assign(alpha)
    np.testing.assert_allclose(layer(np.array([[2.0]]), np.array([[6.0]])), [[expected]])


def test_truncation_touches_its_layers_only() -> None:
    layer = Truncation(layers=5, cutoff=3)
    layer(np.zeros((1, 2)), np.ones((1, 1)))
    layer.mean.assign([1.0, -1.0])
    w, psi = np.array([[3.0, 1.0], [3.0, 1.0]], "float32"), np.array([[0.5], [1.0]], "float32")
    ws = array(layer(w, psi))
    np.testing.assert_allclose(ws[0], [[2, 0]] * 3 + [[3, 1]] * 2)
    np.testing.assert_allclose(ws[1], [[3, 1]] * 5)
    assert layer.compute_output_shape((None, 2), (None, 1)) == (None, 5, 2)
    np.testing.assert_allclose(Truncation(2, 8)(w, 0 * psi), np.zeros((2, 2, 2)))  # the mean starts at 0


# --- minibatch deviation -----------------------------------------------------------------------------------------


def test_identical_images_deviate_by_the_root_of_epsilon() -> None:
    x = np.repeat(random(1, 4, 4, 3), 4, 0)
    made = array(MinibatchDeviation()(x))
    np.testing.assert_array_equal(made[..., :3], x)
    np.testing.assert_allclose(made[..., 3], 1e-4, rtol=1e-3)


@pytest.mark.parametrize("strided", [False, True])
def test_groups_of_neighbours_or_strided(strided: bool) -> None:
    """Images of the values 0 to 7 in groups of 4 or of every second: deviations of 0..3 and of 0, 2, 4, 6."""
    x = np.broadcast_to(np.arange(8, dtype="float32")[:, None, None, None], (8, 2, 2, 1))
    made = array(MinibatchDeviation(4, strided)(x))[:, 0, 0, 1]
    np.testing.assert_allclose(made, np.std([0, 2, 4, 6] if strided else [0, 1, 2, 3]), rtol=1e-6)
    x = x * np.array([1, 1, 1, 1, 10, 10, 10, 10], "float32")[:, None, None, None]
    made = array(MinibatchDeviation(4, strided)(x))[:, 0, 0, 1]
    groups = [[0, 2, 40, 60], [1, 3, 50, 70]] if strided else [[0, 1, 2, 3], [40, 50, 60, 70]]
    place = [0, 1] * 4 if strided else [0] * 4 + [1] * 4
    np.testing.assert_allclose(made, [np.std(groups[i]) for i in place], rtol=1e-5)


def test_a_batch_smaller_than_a_group_is_one() -> None:
    x = np.array([[[[0.0]]], [[[2.0]]]], "float32")
    np.testing.assert_allclose(array(MinibatchDeviation(4)(x))[..., 1].ravel(), [1, 1], rtol=1e-6)


def test_neighbours_do_not_depend_on_how_devices_split_a_batch() -> None:
    layer, x = MinibatchDeviation(2), random(8, 4, 4, 3)
    np.testing.assert_allclose(layer(x), np.concatenate([layer(x[:4]), layer(x[4:])]), rtol=1e-6)


def test_second_gradients_exist() -> None:
    """Of everything that D is made of: R1 needs them, inside a compiled graph too."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("written for TensorFlow; tests/test_engine.py compares the engines' steps")
    import tensorflow as tf

    layers = [
        EqualizedConv2D(4, 3, seed=0),
        keras.layers.Activation("softplus"),  # smooth: a kink has no second gradient to measure
        Blur2D(),
        EqualizedConv2D(4, 3, "down", fused=True, seed=1),
        EqualizedConv2D(4, 3, "down", seed=2),
        MinibatchDeviation(2),
    ]
    fade, x = Fade(), tf.constant(random(2, 8, 8, 3))

    def critic(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return tf.reduce_sum(fade(x, x * x))

    critic(x)
    kernel = layers[0].kernel.value

    @tf.function
    def second(x: Any) -> Any:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = critic(x)
            penalty = tf.reduce_sum(inner.gradient(value, x) ** 2)
        return penalty, outer.gradient(penalty, kernel)

    def penalty(shift: Any) -> float:
        layers[0].kernel.assign(before + shift)
        return float(second(x)[0])

    before, direction = array(kernel), random(3, 3, 3, 4, seed=9)
    slope = float(np.sum(array(second(x)[1]) * direction))
    measured = (penalty(1e-2 * direction) - penalty(-1e-2 * direction)) / 2e-2
    assert slope == pytest.approx(measured, rel=0.02) and abs(slope) > 1e-3
