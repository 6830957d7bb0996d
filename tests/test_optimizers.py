"""LinearDecay at the official schedules' boundaries, and Adam's epsilon and loss scale."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.optimizers import EPSILON_PLACES, LinearDecay, adam
from kgan.precision import policy


@pytest.fixture
def half() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def _rate(schedule: LinearDecay, step: int) -> float:
    """Of the update that follows `step` completed ones, as an optimizer asks for it."""
    return float(schedule(ops.convert_to_tensor(step, "int32")))


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-4),
        (499_999, 1e-4),
        (500_000, 1e-4),
        (509_999, 1e-4),  # epoch 50: 1 - 0 / 50
        (510_000, 0.98e-4),
        (519_999, 0.98e-4),
        (520_000, 0.96e-4),
        (750_000, 0.5e-4),
        (989_999, 0.04e-4),
        (990_000, 0.02e-4),
        (999_999, 0.02e-4),
        (1_000_000, 0.0),
        (1_200_000, 0.0),
    ],
)
def test_ugatit_by_epoch(step: int, rate: float) -> None:
    """TensorFlow code: 100 epochs of 10,000 steps, lr (100 - e) / 50 from epoch 50 on."""
    schedule = LinearDecay(1e-4, hold=50, decay=50, period=10_000)
    assert _rate(schedule, step) == pytest.approx(rate, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1e-4), (499_999, 1e-4), (500_000, 1e-4 - 2e-10), (750_000 - 1, 0.5e-4), (999_998, 2e-10), (999_999, 0.0)],
)
def test_ugatit_by_step(step: int, rate: float) -> None:
    """PyTorch port: it counts from 1 and, above 500,000, takes lr / 500,000 off before each update."""
    schedule = LinearDecay(1e-4, hold=500_000, decay=500_000, ahead=1)
    assert _rate(schedule, step) == pytest.approx(rate, rel=1e-6, abs=1e-11)


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 1), (98, 1), (99, 1), (100, 0.9900990), (101, 99 / 101), (198, 2 / 101), (199, 0.0099010)]
)
def test_cyclegan(epoch: int, factor: float) -> None:
    """Official PyTorch code: 1 - max(0, e + 1 - 100) / 101 of 2e-4 in epoch e, counted from 0."""
    schedule = LinearDecay(2e-4, hold=100, decay=101, period=7, ahead=1)
    for step in (7 * epoch, 7 * epoch + 6):
        assert _rate(schedule, step) == pytest.approx(2e-4 * factor, rel=1e-5)


def test_counts_beyond_float32_are_exact() -> None:
    """2^24 + 1 = 16,777,217 is the first whole number that float32 cannot hold."""
    boundary = 2**24 + 1
    long = LinearDecay(1.0, hold=0, decay=4, period=boundary)
    assert [_rate(long, boundary + i) for i in (-1, 0, 1)] == [1.0, 0.75, 0.75]
    epochs = LinearDecay(1.0, hold=1000, decay=1000, period=20_000)
    assert [_rate(epochs, 20_020_000 + i) for i in (-1, 0)] == pytest.approx([1.0, 0.999], rel=1e-6)


def test_it_never_rises_or_leaves_its_range() -> None:
    rates = [_rate(LinearDecay(3.0, 2, 3, period=2), step) for step in range(15)]
    assert rates == pytest.approx([3, 3, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0, 0, 0, 0], abs=1e-6)


def test_mistakes_are_named() -> None:
    for decay, period in ((0, 1), (-1, 1), (1, 0)):
        with pytest.raises(ValueError, match=f"decay and period must be positive, got {decay} and {period}"):
            LinearDecay(1.0, 1, decay, period)


def test_round_trip() -> None:
    schedule = LinearDecay(2e-4, 100, 101, 7, 1)
    again = LinearDecay.from_config(schedule.get_config())
    assert again.get_config() == {"initial": 2e-4, "hold": 100, "decay": 101, "period": 7, "ahead": 1, "of": 1}
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(keras.optimizers.Adam(schedule)))
    assert optimizer._learning_rate.get_config() == schedule.get_config()


def test_adam_follows_the_schedule_step_by_step() -> None:
    """Under a constant gradient each update is the learning rate itself: 4, 4, 2, 0."""
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = adam("a", LinearDecay(4.0, 1, 2), 0.5, 0.999, 1e-8)
    optimizer.build([variable])
    values = []
    for _ in range(4):
        optimizer.apply([ops.ones((1,))], [variable])
        values.append(float(variable.value[0]))
    assert values == pytest.approx([-4, -8, -10, -10], rel=1e-5)


@pytest.mark.parametrize(("epsilon", "moved"), [(1e-8, 0.96934), (1e-7, 0.75974)])
def test_epsilon_counts_before_the_bias_correction(epsilon: float, moved: float) -> None:
    """At the first step Adam moves by lr g / (g + epsilon / sqrt(1 - beta_2)): sqrt(0.001) = 0.031623, g = 1e-5."""
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = adam("a", 1.0, 0.5, 0.999, epsilon)
    optimizer.build([variable])
    optimizer.apply([ops.full((1,), 1e-5)], [variable])
    assert float(variable.value[0]) == pytest.approx(-moved, rel=1e-3)


def test_names_and_betas() -> None:
    optimizer = adam("generator_optimizer", 1e-4, 0.5, 0.99, 1e-8)
    assert (optimizer.name, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (
        "generator_optimizer",
        0.5,
        0.99,
        1e-8,
    )


def test_under_mixed_float16_the_loss_is_scaled(half: None) -> None:
    """By 2^8 at first; a step with an infinite gradient is left out and halves the scale."""
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = adam("a", 0.5, 0.5, 0.999, 1e-8)
    optimizer.build([variable])
    assert float(optimizer.scale_loss(ops.convert_to_tensor(2.0))) == 512
    engine.apply(optimizer, [ops.full((1,), np.inf)], [variable])
    assert float(variable.value[0]) == 0 and float(optimizer.scale_loss(ops.convert_to_tensor(2.0))) == 256
    engine.apply(optimizer, [ops.full((1,), 128.0)], [variable])
    assert float(variable.value[0]) == pytest.approx(-0.5, rel=1e-5)


def _torch_adam(gradients: np.ndarray, rate: float, epsilon: float) -> float:
    """torch.optim.Adam on one number, written down in float64."""
    variable = average = squares = 0.0
    for t, gradient in enumerate(gradients, 1):
        average = 0.5 * average + 0.5 * gradient
        squares = 0.999 * squares + 0.001 * gradient**2
        denominator = np.sqrt(squares) / np.sqrt(1 - 0.999**t) + epsilon
        variable -= rate / (1 - 0.5**t) * average / denominator
    return variable


@pytest.mark.parametrize("place", EPSILON_PLACES)
def test_epsilon_after_the_bias_correction_is_pytorchs(place: str) -> None:
    """A gradient of 1e-7 beside an epsilon of 1e-8: what lies before the correction counts 30 times as much."""
    gradients = np.array([1e-7, -3e-7, 2e-7])
    variable = keras.Variable(0.0, dtype="float64")
    optimizer = adam("optimizer", 0.1, 0.5, 0.999, 1e-8, place)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient, "float64")], [variable])
    error = abs(float(variable.value) / _torch_adam(gradients, 0.1, 1e-8) - 1)
    assert error < 1e-7 if place == "after" else error > 0.1


def test_in_float64_the_optimizer_rounds_nothing() -> None:
    """Neither beta nor the schedule's rate is rounded to float32, which would leave 6e-8."""
    gradients = np.random.default_rng(0).normal(size=50)
    with policy("float64"):
        variable = keras.Variable(0.0, dtype="float64")
        optimizer = adam("optimizer", LinearDecay(2e-4, 100, 100), 0.5, 0.999, 1e-8, "after")
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([ops.convert_to_tensor(gradient, "float64")], [variable])
    assert float(variable.value) == pytest.approx(_torch_adam(gradients, 2e-4, 1e-8), rel=1e-12)


def test_in_float32_late_and_early_corrections_are_exact() -> None:
    gradients = np.random.default_rng(0).normal(size=20)
    variable = keras.Variable(0.0)
    optimizer = adam("optimizer", 0.1, 0.5, 0.999, 1e-8, "after")
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient, "float32")], [variable])
    assert float(variable.value) == pytest.approx(_torch_adam(gradients, 0.1, 1e-8), rel=3e-6)
