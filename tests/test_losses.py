"""Objectives by hand, in every precision, and penalties of critics whose gradient is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.losses import (
    HINGE,
    LSGAN,
    NON_SATURATING,
    WASSERSTEIN,
    Objective,
    between,
    binary_cross_entropy,
    gradient_penalty,
    gram,
    l1,
    l2,
    ssim,
    total_variation,
)
from kgan.metrics import similarity
from kgan.pictures import images

REAL, FAKE = [3.0, 0.5], [-2.0, 1.0]
LOG2 = np.log(2.0)


def _tensor(x: Any, dtype: str = "float32") -> Any:
    return ops.convert_to_tensor(np.asarray(x, "float64"), dtype)


def _softplus(x: float) -> float:
    return float(np.log1p(np.exp(x)))


# --- adversarial pairs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "generator", "discriminator"),
    [
        (LSGAN, (9 + 0) / 2, (4 + 0.25) / 2 + (4 + 1) / 2),
        (HINGE, (2 - 1) / 2, (0 + 0.5) / 2 + (0 + 2) / 2),
        (WASSERSTEIN, (2 - 1) / 2, (-2 + 1) / 2 - (3 + 0.5) / 2),
        (
            NON_SATURATING,
            (_softplus(2) + _softplus(-1)) / 2,
            (_softplus(-3) + _softplus(-0.5) + _softplus(-2) + _softplus(1)) / 2,
        ),
    ],
    ids=["lsgan", "hinge", "wasserstein", "non_saturating"],
)
def test_pairs_by_hand(pair: Objective, generator: float, discriminator: float) -> None:
    assert float(pair.generator(_tensor(FAKE))) == pytest.approx(generator, rel=1e-6)
    assert float(pair.discriminator(_tensor(REAL), _tensor(FAKE))) == pytest.approx(discriminator, rel=1e-6)


def test_at_logits_of_zero() -> None:
    """What a fresh discriminator says: -log(1/2) a term, 1 a hinge, 1 a square."""
    zero = ops.zeros((1, 4, 4, 1))
    expected = ((LSGAN, 1, 1), (HINGE, 0, 2), (WASSERSTEIN, 0, 0), (NON_SATURATING, LOG2, 2 * LOG2))
    for pair, generator, discriminator in expected:
        assert float(pair.generator(zero)) == pytest.approx(generator)
        assert float(pair.discriminator(zero, zero)) == pytest.approx(discriminator)


@pytest.mark.parametrize("pair", [LSGAN, HINGE, WASSERSTEIN, NON_SATURATING])
def test_d_raises_reals_and_lowers_fakes_and_g_raises_them(pair: Objective) -> None:
    here, other = ops.full((3,), 0.5), ops.full((3,), 0.5)
    assert np.all(ops.convert_to_numpy(engine.input_gradients(pair.generator, here)) < 0)
    real = engine.input_gradients(lambda x: pair.discriminator(x, other), here)
    fake = engine.input_gradients(lambda x: pair.discriminator(other, x), here)
    assert np.all(ops.convert_to_numpy(real) < 0) and np.all(ops.convert_to_numpy(fake) > 0)


def test_cross_entropy_stays_finite_for_sure_logits() -> None:
    for label, loss in ((True, 0.0), (False, 1000.0)):
        assert float(binary_cross_entropy(_tensor([1000.0]), label)) == pytest.approx(loss)


def test_binary_cross_entropy_by_hand() -> None:
    """A probability of 3/4, as a logit log 3, costs -log(3/4) where true and -log(1/4) where false."""
    logits = _tensor([[np.log(3.0), np.log(3.0)]])
    assert float(binary_cross_entropy(logits, True)) == pytest.approx(np.log(4 / 3), rel=1e-5)
    assert float(binary_cross_entropy(logits, False)) == pytest.approx(np.log(4), rel=1e-5)
    assert float(binary_cross_entropy(_tensor([[0.0], [np.log(3.0)]]), False)) == pytest.approx((LOG2 + np.log(4)) / 2)


def test_l1_by_hand() -> None:
    assert float(l1(_tensor([[1.0, -2.0]]), _tensor([[0.0, 2.0]]))) == pytest.approx(2.5)


# --- precision ---------------------------------------------------------------------------------------------------

LOSSES: list[Callable[[Any], Any]] = [
    *(pair.generator for pair in (LSGAN, HINGE, WASSERSTEIN, NON_SATURATING)),
    *(lambda x, p=pair: p.discriminator(x, x) for pair in (LSGAN, HINGE, WASSERSTEIN, NON_SATURATING)),
    lambda x: l1(x, -x),
    lambda x: binary_cross_entropy(x, True),
]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_narrow_logits_are_computed_in_float32(loss: Callable[[Any], Any], dtype: str) -> None:
    """1 - 2^-12 is 1 in bfloat16 and float16, 300 squared overflows float16, and so do sums of 1000 logits."""
    for value in (2.0**-12, 300.0):
        logits = np.full((1000,), value)
        result = loss(_tensor(logits, dtype))
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        # float16 and bfloat16 hold both values exactly (300 = 1.171875 x 2^8)
        assert float(result) == pytest.approx(float(loss(_tensor(logits))), rel=1e-6, abs=1e-7)


# --- l2 ----------------------------------------------------------------------------------------------------------


def test_l2_is_half_the_squared_norm_and_its_gradient_the_variable() -> None:
    first, second = keras.Variable([3.0, 4.0]), keras.Variable([[2.0]])
    assert float(l2([first, second])) == pytest.approx((9 + 16 + 4) / 2)
    slope = engine.input_gradients(lambda x: l2([x, second]), first.value)
    np.testing.assert_allclose(ops.convert_to_numpy(slope), [3.0, 4.0])


def test_points_between_a_real_and_a_fake() -> None:
    """A quarter of the way from 1 to 3 and all the way from 5 to -1, in the real's dtype."""
    real, fake = ops.reshape(_tensor([1.0, 5.0]), (2, 1, 1, 1)), ops.reshape(_tensor([3.0, -1.0]), (2, 1, 1, 1))
    points = between(real, ops.cast(fake, "float16"), ops.reshape(_tensor([0.25, 1.0]), (2, 1, 1, 1)))
    assert ops.convert_to_numpy(points).ravel().tolist() == [1.5, -1.0]
    assert keras.backend.standardize_dtype(points.dtype) == "float32"


# --- gradient penalty --------------------------------------------------------------------------------------------


def _linear(*norms: float) -> tuple[Callable[[Any], Any], Any]:
    """A critic whose gradient has norm norms[i] at image i: <x, w_i>, w_i spread over 2x2 pixels of 3 channels."""
    direction = np.random.default_rng(0).normal(size=(len(norms), 2, 2, 3))
    direction /= np.sqrt((direction**2).sum((1, 2, 3), keepdims=True))
    w = _tensor(direction * np.reshape(norms, (-1, 1, 1, 1)))
    return lambda x: ops.sum(x * w, axis=(1, 2, 3)), ops.ones((len(norms), 2, 2, 3))


@pytest.mark.parametrize(
    ("norms", "both", "one"),
    [((3.0,), 4.0, 4.0), ((0.5,), 0.25, 0.0), ((1.0,), 0.0, 0.0), ((3.0, 0.5, 1.0, 2.0), 5.25 / 4, 5 / 4)],
)
def test_penalty_of_a_linear_critic(norms: tuple[float, ...], both: float, one: float) -> None:
    critic, x = _linear(*norms)
    assert float(gradient_penalty(critic, x)) == pytest.approx(both, abs=1e-5)
    assert float(gradient_penalty(critic, x, one_sided=True)) == pytest.approx(one, abs=1e-5)


def test_logits_of_one_image_are_summed_before_differentiation() -> None:
    """Two patches that each see the whole image with norm 1 along one direction make a norm of 2."""
    critic, x = _linear(1.0, 1.0)
    patches = lambda x: ops.repeat(ops.expand_dims(critic(x), -1), 2, axis=-1)  # noqa: E731
    assert float(gradient_penalty(patches, x)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("scale", [0.0, 2.0])
def test_the_penalty_trains_a_critic_alive_or_dead(scale: float, one_sided: bool) -> None:
    """(|s| |w| - 1)^2 has slope 2 (2 |w| - 1) |w| at s = 2, and a finite one where the gradient is zero."""
    critic, x = _linear(1.0)
    slope = engine.input_gradients(
        lambda s: gradient_penalty(lambda x: s * critic(x), x, one_sided), ops.convert_to_tensor(scale)
    )
    assert np.isfinite(float(slope))
    if scale:
        assert float(slope) == pytest.approx(2.0, abs=1e-4)


def test_a_critic_that_does_not_depend_on_much_is_penalized_finitely() -> None:
    critic, x = _linear(0.0)
    assert float(gradient_penalty(critic, x)) == pytest.approx(1.0, abs=1e-5)
    assert float(gradient_penalty(critic, x, one_sided=True)) == 0


def test_penalty_of_a_float16_critic_is_float32() -> None:
    """A norm of 1000 has a square that float16 cannot hold."""
    critic, x = _linear(1000.0)
    penalty = gradient_penalty(lambda x: critic(ops.cast(x, "float32")), ops.cast(x, "float16"))
    assert keras.backend.standardize_dtype(penalty.dtype) == "float32"
    assert float(penalty) == pytest.approx(999.0**2, rel=1e-2)


# --- pictures that should be alike -------------------------------------------------------------------------------


def test_ssim_by_hand() -> None:
    """1 for equal pictures; of two flat ones only the means count, in [0, 2], with C1 = (0.01 * 2)^2."""
    noise = _tensor(np.random.default_rng(0).uniform(-1, 1, (2, 16, 20, 3)))
    assert float(ssim(noise, noise)) == pytest.approx(1, abs=1e-6)
    black, grey = _tensor(np.full((1, 12, 12, 3), -1.0)), _tensor(np.zeros((1, 12, 12, 3)))
    assert float(ssim(black, grey)) == pytest.approx(4e-4 / (1 + 4e-4), rel=1e-4)
    assert float(ssim(grey, -0.5 + grey)) == pytest.approx((2 * 0.5 + 4e-4) / (1 + 0.25 + 4e-4), rel=1e-4)


def test_ssim_is_the_one_that_evaluation_measures() -> None:
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (24, 16, 3), np.uint8)
    y = np.clip(x + random.normal(0, 40, x.shape), 0, 255).astype(np.uint8)
    ours = ssim(_tensor(images.to_float(x)[None], "float64"), _tensor(images.to_float(y)[None], "float64"))
    assert float(ours) == pytest.approx(similarity.ssim(x, y), abs=1e-5)


def test_gram_by_hand() -> None:
    """Pixels [1, 2] and [3, 0]: channel 0 with itself 1 + 9, with channel 1 2 + 0; over 2 channels and 2 pixels."""
    x = _tensor([[[[1, 2], [3, 0]]]])
    np.testing.assert_allclose(ops.convert_to_numpy(gram(x)), np.array([[[10, 2], [2, 4]]]) / 4)


def test_total_variation_by_hand() -> None:
    """Rows [0, 1], [0, 3]: down 0 and 2, hence (0 + 4) / 2; to the right 1 and 3, hence (1 + 9) / 2."""
    assert float(total_variation(_tensor([[[[0], [1]], [[0], [3]]]]))) == 2 + 5
