"""What a user is told before the first step: parameters, memory, and the time that the steps will take."""

from __future__ import annotations

import math

import keras

from kgan import engine
from kgan.quiet import quiet
from kgan.systems.system import System

TYPICAL_SHARE = 0.4  # of the measured convolution rate; `make bench` measures it


def parameters(system: System) -> str:
    """One line a network with its number of trained parameters."""
    lines = []
    for name, network in system.networks().items():
        count = sum(math.prod(variable.shape) for variable in network.trainable_variables)
        lines.append(f"  {name:<24} {count:>13,} parameters")
    return "\n".join(lines)


def summary(step: engine.Compiled, batches: list[engine.Batches], steps: int) -> str:
    """One line about the memory that a step takes, and the time of the next `steps` steps; one more where the device is
    slow in the precision of the training.

    Args:
      step: which is traced for this, and has not run.
      batches: of one call.
    """
    with quiet():  # TensorFlow's profiler announces that it is deprecated
        cost = step.cost(*batches)
    rate = engine.convolution_rate()
    seconds = steps * cost.operations / (rate * TYPICAL_SHARE)
    text = (
        f"  a step: {cost.operations / 1e9:,.0f} GFLOP, about {(cost.tensors + cost.held) / 2**30:.1f} GiB; "
        f"{steps:,} steps: about {duration(seconds)} on this {engine.device_name()} "
        f"(convolutions at {rate / 1e9:,.0f} GFLOP/s, of which training reaches about {TYPICAL_SHARE:.0%})"
    )
    dtype = str(keras.config.dtype_policy().compute_dtype)
    if dtype != "float32" and (times := engine.slowdown(dtype)) > 1.5:
        text += (
            f"\n  {dtype} takes {times:.0f} times as long as float32 on this {engine.device_name()}, and so will the "
            "steps: begin anew with --config.training.precision=float32"
        )
    return text


def duration(seconds: float) -> str:
    """A time for people: '3 min', '2.5 h', '4.1 days'."""
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
