"""Adam as the official codes use it, and the linear decay that all of them share."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kgan.precision import variable_dtype
from kgan.types import Tensor


@keras.saving.register_keras_serializable("kgan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`initial` for `hold` periods, then down by initial / decay each period, never below zero.

    Args:
      initial: the first learning rate.
      hold, decay: periods at full rate, and periods after which nothing would be left.
      period: steps in `of` periods: an epoch's length, or 1 for a decay by step.
      ahead: periods by which the official code's counter runs ahead of the number completed (0 to 2).
      of: how many periods `period` counts; the last step times this must stay below 2^31.
    """

    def __init__(self, initial: float, hold: float, decay: float, period: int = 1, ahead: int = 0, of: int = 1) -> None:
        if decay <= 0 or period < 1:
            raise ValueError(f"LinearDecay: decay and period must be positive, got {decay} and {period}.")
        self.initial, self.hold, self.decay = initial, hold, decay
        self.period, self.ahead, self.of = period, ahead, of

    def __call__(self, step: Tensor) -> Tensor:
        # Whole periods in integers: float32 cannot count past 16.8 million steps.
        passed = ops.cast(ops.cast(step, "int32") * self.of // self.period + self.ahead, variable_dtype())
        return self.initial * ops.clip(1 - (passed - self.hold) / self.decay, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


def epoch_decay(initial: float, steps: int, kind: str) -> LinearDecay:
    """CycleGAN's and pix2pix's schedule: 100 epochs at `initial`, 100 epochs down, in a training of `steps` steps.

    The rate of epoch e (from 0) in the second half, as a share of `initial`:
      "pytorch": 1 - (e - 99) / 101, .0099 in the last epoch; the released code, which counts after each epoch.
      "pytorch_early": 1 - (e - 98) / 101, 0 in the last epoch; later versions, which count before it.
      "lua": 1 - (e - 100) / 100, .01 in the last epoch.
      "none": 1, as pix2pix's Lua code.
    """
    period, of = (steps, 200) if steps < 10_000_000 else (steps // 200, 1)
    hold, decay, ahead = {
        "pytorch": (100, 101, 1),
        "pytorch_early": (100, 101, 2),
        "lua": (100, 100, 0),
        "none": (201, 1, 0),
    }[kind]
    return LinearDecay(initial, hold, decay, period, ahead, of)


DECAYS = ("pytorch", "pytorch_early", "lua", "none")


EPSILON_PLACES = ("after", "before")


@keras.saving.register_keras_serializable("kgan")
class Adam(keras.optimizers.Adam):
    """Adam to the letter of PyTorch: epsilon is added to the root of the bias-corrected average of squares.

    With m and v the averages of g and g^2 after t steps:
      variable -= rate m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    Both corrections are exact to the dtype of the variable: 1 - beta^t is computed as -expm1(t log(beta)), since a beta
    of 0.999 in float32 is off by 1e-8, and 1 - beta then by 1e-5 of itself.

    Source: Kingma and Ba 2015, arXiv 1412.6980, algorithm 1; torch.optim.Adam.
    """

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        """One step of one variable."""
        dtype = variable.dtype
        rate, gradient = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
        step = ops.cast(self.iterations + 1, dtype)

        def correction(beta: float) -> Tensor:
            return -ops.expm1(step * ops.convert_to_tensor(math.log(beta), dtype)) if beta else ops.ones_like(step)

        index = self._get_variable_index(variable)
        average, squares = self._momentums[index], self._velocities[index]
        self.assign_add(average, (gradient - average) * ops.convert_to_tensor(1 - self.beta_1, dtype))
        self.assign_add(squares, (gradient * gradient - squares) * ops.convert_to_tensor(1 - self.beta_2, dtype))
        root = ops.sqrt(squares / correction(self.beta_2)) + ops.convert_to_tensor(self.epsilon, dtype)
        self.assign_sub(variable, rate * average / correction(self.beta_1) / root)


def adam(
    name: str, learning_rate: Any, beta_1: float, beta_2: float, epsilon: float, place: str = "before"
) -> keras.optimizers.Optimizer:
    """Adam; under mixed_float16 inside a loss scale that starts at 2^8.

    Keras' own initial scale of 2^15 overflows the first steps of U-GAT-IT, whose CAM term weighs 1000.

    Args:
      place: epsilon is added "after" the bias correction, as PyTorch does, or "before", as TensorFlow 1 and Torch 7.
        With 1e-8 three steps of the two differ by 0.4 to 4 %; they approach each other as steps go on.
    """
    kind = Adam if place == "after" else keras.optimizers.Adam
    inner = kind(learning_rate, beta_1, beta_2, epsilon, name=name)
    if keras.config.dtype_policy().compute_dtype != "float16":
        return inner
    return keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**8, name=f"{name}_scale")
