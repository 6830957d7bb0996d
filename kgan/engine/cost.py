"""What a step costs: operations, and memory while it runs and between steps; and how fast this device is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

ENGINE_COPIES = 0.4 * 2**30  # bytes; seen with U-GAT-IT on CPUs under both engines, whatever the size: `make bench`


class Cost(NamedTuple):
    """What a step takes.

    Attributes:
      operations: floating-point operations; a multiply-add is two.
      tensors: bytes of the step's own tensors that are alive at once, at most.
      held: bytes in use between steps: on a GPU the state and what every step reads; on a CPU all that this process
        holds by now and the copies that an engine makes of a traced step.
    """

    operations: float
    tensors: float
    held: float


def peak(graph: Any) -> float:
    """Most bytes alive at once when a `tf.Graph`'s operations run in the order in which they were added to it."""
    operations = graph.get_operations()
    last = {id(tensor): i for i, op in enumerate(operations) for tensor in op.inputs}
    freed: dict[int, float] = {}
    alive = most = 0.0
    for i, op in enumerate(operations):
        for tensor in op.outputs:
            end = last.get(id(tensor), -1)
            if end > i and tensor.shape.is_fully_defined() and tensor.dtype.is_numpy_compatible:
                size = float(tensor.shape.num_elements() * tensor.dtype.size)
                alive += size
                freed[end] = freed.get(end, 0.0) + size
        most = max(most, alive)
        alive -= freed.pop(i, 0.0)
    return most


def convolution_rate(compiled: Callable[[Callable[..., Any]], Callable[..., Any]], seconds: float) -> float:
    """See `kgan.engine.convolution_rate`; `compiled` is the backend's."""
    shape, dtype = (8, 64, 64, 64), keras.config.dtype_policy().compute_dtype
    x, kernel = ops.ones(shape, dtype), ops.ones((3, 3, 64, 64), dtype)
    # The sum keeps the result from being copied to the host.
    convolve = compiled(lambda x, kernel: ops.cast(ops.sum(ops.conv(x, kernel, padding="same")), "float32"))
    return 2 * 9 * 64 * math.prod(shape) / seconds_of(lambda: float(convolve(x, kernel)), seconds)


def fastest(calls: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """How long each call takes at its fastest, by turns for `seconds`, after a first time that compiles."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while not times[-1] or time.perf_counter() < end:
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


def seconds_of(call: Callable[[], object], seconds: float) -> float:
    """How long a call takes after the first one, which compiles: the mean of as many as fit into `seconds`."""
    call()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        call()
        count += 1
    return (time.perf_counter() - start) / count
