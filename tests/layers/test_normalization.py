"""Instance, layer and adaptive normalization: hand-checked numbers, numpy formulas, gradients, precision, errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.layers import LIN, AdaIN, AdaLIN, InstanceNormalization
from kgan.layers.normalization import UnitInterval

EPSILON = 3.0  # makes every root below a whole or half number

# Two channels of a 2x2 map: means -1.5 and 1.5, variances 1, so that IN divides by sqrt(1 + 3) = 2. Over all eight
# values the mean is 0 and the variance 1 + 1.5^2 = 3.25, so that LN divides by sqrt(3.25 + 3) = 2.5.
X = np.array([[[[-2.5, 0.5], [-0.5, 2.5]], [[-2.5, 0.5], [-0.5, 2.5]]]], "float32")
IN = np.array([[[[-0.5, -0.5], [0.5, 0.5]], [[-0.5, -0.5], [0.5, 0.5]]]], "float32")
LN = np.array([[[[-1.0, 0.2], [-0.2, 1.0]], [[-1.0, 0.2], [-0.2, 1.0]]]], "float32")
HALF = np.array([[[[-0.75, -0.15], [0.15, 0.75]], [[-0.75, -0.15], [0.15, 0.75]]]], "float32")  # (IN + LN) / 2
GAMMA, BETA = np.array([[2.0, 10.0]], "float32"), np.array([[0.0, 1.0]], "float32")


def _run(layer: Any, *inputs: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(layer(*(ops.convert_to_tensor(x) for x in inputs)))


def _random(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 2.0, shape).astype(dtype)


def _instance(x: np.ndarray, unbiased: bool = False, epsilon: float = 1e-5) -> np.ndarray:
    x = x.astype("float64")
    variance = x.var((1, 2), ddof=int(unbiased), keepdims=True)
    return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(variance + epsilon)


def _layer(x: np.ndarray, unbiased: bool = False, epsilon: float = 1e-5) -> np.ndarray:
    x = x.astype("float64")
    variance = x.var((1, 2, 3), ddof=int(unbiased), keepdims=True)
    return (x - x.mean((1, 2, 3), keepdims=True)) / np.sqrt(variance + epsilon)


def _close(actual: np.ndarray, expected: np.ndarray, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


# --- by hand -----------------------------------------------------------------------------------------------------


def test_instance_norm_by_hand() -> None:
    layer: Any = InstanceNormalization(epsilon=EPSILON)
    _close(_run(layer, X), IN)
    layer.gamma.assign([2.0, 10.0])
    layer.beta.assign([0.0, 1.0])
    _close(_run(layer, X)[0, 0], np.array([[-1.0, -4.0], [1.0, 6.0]]))


def test_instance_norm_without_center_or_scale_has_no_such_variable() -> None:
    layer = InstanceNormalization(center=False, scale=False, epsilon=EPSILON)
    _close(_run(layer, X), IN)
    assert layer.variables == []
    _run(scaled := InstanceNormalization(center=False), X)
    assert [variable.name for variable in scaled.variables] == ["gamma"]


def test_unbiased_variance_by_hand() -> None:
    """0, 2, 0, 2 deviate by 1 from their mean: variance 4 / 4, or 4 / 3."""
    x = np.array([0.0, 2.0, 0.0, 2.0], "float32").reshape(1, 2, 2, 1)
    expected = np.array([-1.0, 1.0, -1.0, 1.0]).reshape(1, 2, 2, 1)
    _close(_run(InstanceNormalization(epsilon=EPSILON), x), expected / 2)  # sqrt(1 + 3)
    _close(_run(InstanceNormalization(epsilon=3 - 1 / 12, unbiased=True), x), expected / np.sqrt(4.25))


def test_adain_by_hand() -> None:
    _close(_run(AdaIN(epsilon=EPSILON), X, GAMMA, BETA)[0, 0], np.array([[-1.0, -4.0], [1.0, 6.0]]))


@pytest.mark.parametrize(("rho", "smoothing", "expected"), [(1.0, 0.0, IN), (0.0, 0.0, LN), (0.5, 0.0, HALF)])
def test_adalin_by_hand(rho: float, smoothing: float, expected: np.ndarray) -> None:
    layer = AdaLIN(rho, smoothing, epsilon=EPSILON)
    _close(_run(layer, X, np.ones((1, 2), "float32"), np.zeros((1, 2), "float32")), expected)
    _close(_run(layer, X, GAMMA, BETA), expected * [2, 10] + [0, 1])


def test_adalin_rho_is_a_mixture_per_channel() -> None:
    layer = AdaLIN(epsilon=EPSILON)
    ones, zeros = np.ones((1, 2), "float32"), np.zeros((1, 2), "float32")
    _run(layer, X, ones, zeros)
    layer.rho.assign([1.0, 0.0])
    _close(_run(layer, X, ones, zeros), np.stack([IN[..., 0], LN[..., 1]], -1))


@pytest.mark.parametrize(("rho", "effective"), [(1.0, 0.9), (0.9, 0.8), (0.1, 0.0), (0.05, 0.0), (0.0, 0.0)])
def test_smoothing_lowers_the_used_rho_and_not_below_zero(rho: float, effective: float) -> None:
    layer = AdaLIN(rho, smoothing=0.1, epsilon=EPSILON)
    ones, zeros = np.ones((1, 2), "float32"), np.zeros((1, 2), "float32")
    _close(_run(layer, X, ones, zeros), effective * IN + (1 - effective) * LN)
    _close(ops.convert_to_numpy(layer.rho), np.full(2, rho))  # the variable itself is not smoothed


def test_lin_by_hand() -> None:
    """It starts as layer normalization."""
    layer = LIN(epsilon=EPSILON)
    _close(_run(layer, X), LN)
    layer.rho.assign([0.5, 0.5])
    layer.gamma.assign([2.0, 10.0])
    layer.beta.assign([0.0, 1.0])
    _close(_run(layer, X)[0, 0], np.array([[-1.5, -0.5], [0.3, 8.5]]))  # HALF * gamma + beta


def test_images_and_styles_do_not_mix_within_a_batch() -> None:
    x, gamma, beta = _random(3, 4, 5, 2), _random(3, 2, seed=1), _random(3, 2, seed=2)
    layer = AdaLIN(0.4)
    together = _run(layer, x, gamma, beta)
    for i in range(3):
        _close(together[i], _run(layer, x[i : i + 1], gamma[i : i + 1], beta[i : i + 1])[0])


# --- against numpy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("shape", [(2, 16, 24, 3), (1, 3, 5, 4), (2, 2, 1, 6)])
def test_formulas_on_random_maps(shape: tuple[int, ...], unbiased: bool) -> None:
    x, gamma, beta = _random(*shape), _random(shape[0], shape[-1], seed=1), _random(shape[0], shape[-1], seed=2)
    instance, layer = _instance(x, unbiased), _layer(x, unbiased)
    spread = (gamma[:, None, None], beta[:, None, None])
    _close(_run(InstanceNormalization(unbiased=unbiased), x), instance)
    _close(_run(AdaIN(unbiased=unbiased), x, gamma, beta), spread[0] * instance + spread[1], 1e-4)
    mixed = 0.3 * instance + 0.7 * layer
    _close(_run(AdaLIN(0.3, unbiased=unbiased), x, gamma, beta), spread[0] * mixed + spread[1], 1e-4)
    _close(_run(LIN(0.3, unbiased=unbiased), x), mixed)


def test_unbiased_variance_shows_on_a_small_map_and_not_on_a_large_one() -> None:
    """The ratio of the roots is sqrt(n / (n - 1)): 1.0013 for 16x24 pixels, 1.0001 for 64x64."""
    for sides, ratio in (((16, 24), np.sqrt(384 / 383)), ((64, 64), np.sqrt(4096 / 4095))):
        x = _random(1, *sides, 2)
        biased, unbiased = _run(InstanceNormalization(), x), _run(InstanceNormalization(unbiased=True), x)
        assert np.median(biased / unbiased) == pytest.approx(ratio, abs=1e-5)


def test_sizes_may_be_unknown_when_the_model_is_built() -> None:
    inputs, style = keras.Input((None, None, 2)), keras.Input((2,))
    x = LIN(0.3, unbiased=True)(InstanceNormalization(unbiased=True)(inputs))
    model = keras.Model([inputs, style], AdaLIN(0.6, unbiased=True)(AdaIN()(x, style, style), style, style))
    assert model.output_shape == (None, None, None, 2)
    for sides in ((4, 6), (5, 3)):
        x, style = _random(2, *sides, 2), np.ones((2, 2), "float32")
        y = _instance(x, True)
        y = _instance(0.3 * _instance(y, True) + 0.7 * _layer(y, True)) + 1
        expected = 0.6 * _instance(y, True) + 0.4 * _layer(y, True) + 1
        _close(ops.convert_to_numpy(model([x, style])), expected, 1e-3)


@pytest.mark.parametrize("axes", [1, 3])
def test_other_numbers_of_spatial_axes(axes: int) -> None:
    x = _random(2, *[3] * axes, 4)
    over = tuple(range(1, axes + 1))
    expected = (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + 1e-5)
    _close(_run(InstanceNormalization(), x), expected)


# --- gradients ---------------------------------------------------------------------------------------------------


def _differences(function: Callable[[Any], Any], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    slopes = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        slopes[i] = (float(function(up)) - float(function(down))) / (2 * step)
    return slopes


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="keras.ops.mean computes in float32 on JAX")
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("kind", ["adalin", "lin"])
def test_gradients_equal_finite_differences(kind: str, unbiased: bool) -> None:
    """Of the map, of every weight and of both styles, in float64."""
    kwargs = {"epsilon": 0.1, "unbiased": unbiased, "dtype": "float64"}
    layer = AdaLIN(0.7, 0.1, **kwargs) if kind == "adalin" else LIN(0.3, **kwargs)
    inputs = [_random(2, 2, 3, 2, dtype="float64")]
    if kind == "adalin":
        inputs += [_random(2, 2, seed=1, dtype="float64"), _random(2, 2, seed=2, dtype="float64")]
    layer(*(ops.convert_to_tensor(x) for x in inputs))
    weights = [_random(*v.shape, seed=3 + i, dtype="float64") for i, v in enumerate(layer.trainable_variables)]
    weights = [w if v.name != "rho" else np.array([0.35, 0.75]) for w, v in zip(weights, layer.variables, strict=True)]
    arrays = [*weights, *inputs]
    towards = ops.convert_to_tensor(_random(2, 2, 3, 2, seed=9, dtype="float64"))

    def value(number: int, x: Any) -> Any:
        given = [ops.convert_to_tensor(array) for array in arrays]
        given[number] = ops.convert_to_tensor(x)
        outputs, _ = layer.stateless_call(given[: len(weights)], [], *given[len(weights) :])
        return ops.sum(towards * outputs)

    for number, array in enumerate(arrays):
        slope = engine.input_gradients(partial(value, number), ops.convert_to_tensor(array))
        numeric = _differences(partial(value, number), array)
        assert np.abs(numeric).max() > 1e-2
        _close(ops.convert_to_numpy(slope), numeric, 1e-7)


# --- rho's constraint --------------------------------------------------------------------------------------------


def test_unit_interval_clips() -> None:
    clipped = ops.convert_to_numpy(UnitInterval()(ops.convert_to_tensor([-0.5, 0.0, 0.3, 1.0, 1.5])))
    _close(clipped, np.array([0.0, 0.0, 0.3, 1.0, 1.0]), 1e-7)


@pytest.mark.parametrize("layer", [AdaLIN(1.0, 0.1), LIN(1.0)], ids=["adalin", "lin"])
def test_an_update_that_would_leave_the_interval_is_clipped(layer: Any) -> None:
    """Adam's first step is the learning rate against the gradient's sign: 0.5 to 1.2 and to -0.2, 1 to 1.7."""
    layer.build((None, 2, 2, 3))
    layer.rho.assign([0.5, 0.5, 1.0])
    optimizer = keras.optimizers.Adam(0.7)
    optimizer.build([layer.rho])
    optimizer.apply([ops.convert_to_tensor([-1.0, 1.0, -1.0])], [layer.rho])
    _close(ops.convert_to_numpy(layer.rho), np.array([1.0, 0.0, 1.0]), 0)
    engine.apply(optimizer, [ops.convert_to_tensor([4.0, 0.0, 2.0])], [layer.rho])
    rho = ops.convert_to_numpy(layer.rho)
    assert rho.min() >= 0 and rho.max() <= 1 and 0 < rho[0] < 1


# --- precision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("kind", [InstanceNormalization, AdaIN, AdaLIN, LIN])
def test_statistics_are_float32_under_mixed_precision(kind: Any, policy: str) -> None:
    """Squares of 300 overflow float16, and bfloat16 keeps 8 bits of a sum."""
    x = np.where(_random(2, 16, 24, 3) > 0, 300.0, -300.0).astype("float32")
    layer = kind(dtype=policy)
    style = [np.full((2, 3), 0.5, "float32"), np.full((2, 3), 0.25, "float32")] if kind in (AdaIN, AdaLIN) else []
    outputs = layer(*(ops.cast(array, layer.compute_dtype) for array in (x, *style)))
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    assert {variable.dtype for variable in layer.variables} <= {"float32"}
    expected = _layer(x) if kind is LIN else _instance(x)
    if style:
        expected = 0.5 * expected + 0.25
    actual = ops.convert_to_numpy(ops.cast(outputs, "float32"))
    _close(actual, expected, 2e-3 if policy == "mixed_float16" else 1e-2)  # the last rounding only


def test_a_flat_picture_with_an_offset_keeps_its_digits() -> None:
    """Deviations of 1e-3 around 100 over 65,536 pixels: a sum in one go would lose them."""
    x = (100 + 1e-3 * np.random.default_rng(0).normal(size=(1, 256, 256, 1))).astype("float32")
    _close(_run(InstanceNormalization(epsilon=1e-9), x), _instance(x, epsilon=1e-9), 5e-3)


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [InstanceNormalization, LIN])
def test_a_wrong_rank_is_named(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"norm: expected \[B, \.\.\., C\] .* got \(2, 3\)"):
        kind(name="norm")(np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match="known channels"):
        kind()(keras.Input((4, 4, None)))


@pytest.mark.parametrize("kind", [AdaIN, AdaLIN])
@pytest.mark.parametrize(("gamma", "beta", "named"), [((1, 3), (1, 2), "gamma"), ((1, 2), (2,), "beta")])
def test_a_wrong_style_is_named(kind: Any, gamma: tuple[int, ...], beta: tuple[int, ...], named: str) -> None:
    with pytest.raises(ValueError, match=rf"{named} must be \[B, 2\] for an input of \(1, 4, 4, 2\)"):
        kind()(np.zeros((1, 4, 4, 2), "float32"), np.zeros(gamma, "float32"), np.zeros(beta, "float32"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InstanceNormalization(epsilon=0), "epsilon must be positive, got 0"),
        (lambda: AdaLIN(rho=1.5), "rho and smoothing lie in"),
        (lambda: AdaLIN(smoothing=-0.1), "rho and smoothing lie in"),
        (lambda: LIN(rho=-0.1), "rho lies in"),
    ],
)
def test_impossible_settings_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
