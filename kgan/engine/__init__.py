"""All that systems and the loop know of a backend: gradients, draws, and a step compiled for one device or several.

A system calls what stands under "inside a step" in its `train_step`; whoever runs it makes one `Compiled` and calls it
at every step. `kgan.engine.tensorflow` and `kgan.engine.jax` do the same things, each in its own way: the one that
Keras uses is chosen here, once, and the other is never imported.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
from keras import ops

from kgan import memory
from kgan.engine import cost
from kgan.engine.cost import Cost
from kgan.errors import UserError
from kgan.types import Batch, Tensor

BACKEND: str = keras.backend.backend()
if BACKEND not in ("tensorflow", "jax"):
    raise UserError(f"kgan trains with TensorFlow or JAX: set KERAS_BACKEND to tensorflow or jax, not to {BACKEND}.")
if TYPE_CHECKING or BACKEND == "tensorflow":
    from kgan.engine import tensorflow as backend
else:
    from kgan.engine import jax as backend

__all__ = [
    *("BACKEND", "Batches", "Compiled", "Cost", "Forward", "Losses", "Terms", "apply", "convolution_rate"),
    *("device_name", "exactly", "fast_precision", "forward", "gather", "gradients", "gradients_through", "injected"),
    *("input_gradients", "normal", "own_share", "read", "scope", "slowdown", "steps_per_call", "to_host"),
    *("uniform", "versions"),
]

Terms = dict[str, Tensor]  # the parts of a loss, each weighted, by name
Losses = Callable[[], tuple[Terms, Any]]  # and tensors that the step needs later
Batches = tuple[Batch, ...]

_injected: dict[str, np.ndarray] = {}


# --- inside a step -----------------------------------------------------------------------------------------------


def gradients(
    losses: Losses, variables: list[keras.Variable], optimizer: keras.optimizers.Optimizer
) -> tuple[Terms, Any, list[Tensor]]:
    """What `losses` returns, and the gradient of the terms' sum with respect to each variable.

    Args:
      losses: to named terms, and tensors that the step needs later.
      optimizer: in whose loss scale the gradients are.

    Returns:
      The terms, the tensors without gradient, and the gradients, 0 where no term depends on a variable.
    """
    terms, tensors, slopes = backend.gradients(losses, variables, optimizer)
    return terms, _stopped(tensors), slopes


@dataclass(frozen=True)
class Forward:
    """What a function computed from variables, once, for several losses: see `forward` and `gradients_through`.

    Attributes:
      value: the function's result, in any structure, without gradient.
      variables: what it was computed from.
      pull_back: from a gradient with respect to the value to the gradients with respect to the variables.
    """

    value: Any
    variables: list[keras.Variable]
    pull_back: Callable[[Any], list[Tensor]]


def forward(function: Callable[[], Any], variables: list[keras.Variable]) -> Forward:
    """The result of function(), computed once, through which `variables` can learn later."""
    value, pull_back = backend.forward(function, variables)
    return Forward(_stopped(value), variables, pull_back)


def gradients_through(
    losses: Callable[[Any], Terms], result: Forward, optimizer: keras.optimizers.Optimizer
) -> tuple[Terms, list[Tensor]]:
    """Terms of losses(result.value), and the gradient of their sum with respect to result.variables, scaled.

    A variable counts where the value was computed from it, and where `losses` reads it.
    """
    terms, of_value, direct = backend.gradients_of_both(losses, result.value, result.variables, optimizer)
    return terms, [through + other for through, other in zip(result.pull_back(of_value), direct, strict=True)]


def input_gradients(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of sum(function(x)) with respect to x, itself differentiable."""
    return backend.input_gradients(function, x)


def apply(optimizer: keras.optimizers.Optimizer, slopes: list[Tensor], variables: list[keras.Variable]) -> None:
    """One step of `optimizer`, which was built for exactly these variables."""
    backend.apply(optimizer, slopes, variables)


def uniform(seed: int, step: Tensor, name: str, shape: Sequence[int]) -> Tensor:
    """Draws in [0, 1), a function of (seed, step, name) alone; `shape` is this replica's, batch first.

    The draws are made for the global batch and each replica takes its slice, so that two devices equal one. The two
    backends' generators differ; `injected` replaces them where they must not. A name used twice in a step draws the
    same numbers twice: uses that should differ have names that do ("noise0", "noise1").
    """
    return _draw(backend.uniform, seed, step, name, shape)


def normal(seed: int, step: Tensor, name: str, shape: Sequence[int]) -> Tensor:
    """Draws from N(0, 1), in all else as `uniform`."""
    return _draw(backend.normal, seed, step, name, shape)


def _draw(draw: Callable[..., Tensor], seed: int, step: Tensor, name: str, shape: Sequence[int]) -> Tensor:
    if name in _injected:
        return own_share(ops.convert_to_tensor(_injected[name]))
    key = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big") // 2  # 63 bits
    return own_share(draw(key, step, (shape[0] * backend.replicas(), *shape[1:])))


@contextmanager
def injected(draws: dict[str, np.ndarray]) -> Iterator[None]:
    """Within, `uniform` and `normal` return draws[name] (for the global batch) where there is one, for tests."""
    _injected.update(draws)
    try:
        yield
    finally:
        _injected.clear()


def gather(x: Tensor) -> Tensor:
    """The global batch of a replica's [B, ...]: what every replica must agree on before it assigns."""
    return backend.gather(x)


def own_share(x: Tensor) -> Tensor:
    """This replica's part of a global batch."""
    return backend.own_share(x)


def _stopped(tensors: Any) -> Any:
    return keras.tree.map_structure(ops.stop_gradient, tensors)


# --- around a step -----------------------------------------------------------------------------------------------


class Stateful(Protocol):
    """What has variables that a step reads and changes, by path: a system."""

    def state(self) -> dict[str, keras.Variable]: ...


class Compiled:
    """A system's step, compiled for its devices: `step(batches)` returns the named losses as scalars on the device.

    `step(*several)` takes as many steps in one call, whose losses are then [len(several)] each. Under JAX it is one
    scan: the host has nothing to do between them. TensorFlow gets them one by one, without waiting.

    Args:
      system: whose `state()` the step may read and change.
      function: (batches, *held) to losses; called to trace it.
      devices: how many of this machine's devices share the batch; the system was built in `scope(devices)`.
      *held: arrays by name that every step may read, put on each device once.
    """

    def __init__(self, system: Stateful, function: Callable[..., Terms], devices: int = 1, *held: Batch) -> None:
        variables = list(system.state().values())
        state = sum(math.prod(variable.shape) * np.dtype(variable.dtype).itemsize for variable in variables)
        self._on_device = float(state + sum(array.nbytes for arrays in held for array in arrays.values()))
        self._step = backend.Step(variables, function, devices, held)

    def __call__(self, *several: Batches) -> Terms:
        return self._step(*several)

    def cost(self, *several: Batches) -> Cost:
        """What one step of such a call takes, as the backend counts its own graph; traces, runs nothing."""
        operations, tensors = self._step.cost(*several)
        held = memory.peak() + cost.ENGINE_COPIES if device_name() == "cpu" else self._on_device
        return Cost(operations, tensors, held)


def scope(devices: int) -> AbstractContextManager[Any]:
    """Where a system is built and stepped: a MirroredStrategy's scope under TensorFlow with several devices.

    Raises:
      UserError: this machine has fewer devices.
    """
    return backend.scope(devices)


def read(variables: list[keras.Variable]) -> list[np.ndarray]:
    """The variables' values as numpy; the first replica's where there are several."""
    return backend.read(variables)


def to_host(values: Any) -> Any:
    """Tensors in any structure to numpy, in one wait for the device."""
    return backend.to_host(values)


def versions() -> dict[str, str]:
    """The versions of Keras and of the backend, by name."""
    return {"keras": keras.__version__, BACKEND: backend.VERSION}


def device_name() -> str:
    """What the first device that computes is called: "cpu", or a GPU's product name."""
    return backend.device_name()


def exactly() -> None:
    """Let products of float32 have its precision: recent GPUs round their factors to 11 bits for speed.

    Path lengths are differences between pictures of points that lie 1e-4 apart.
    """
    backend.exactly()


def steps_per_call() -> int:
    """How many steps a call should take: on an accelerator enough of them for the host to prepare the next ones."""
    return 1 if device_name() == "cpu" else 10


def fast_precision() -> str:
    """The dtype policy that trains fast here: "mixed_bfloat16" on a device that computes in it, else "float32".

    XLA computes bfloat16 in float32 on CPUs. 0.6 was measured on a CPU that has instructions for it, on a busy one up
    to 0.95, and 10 where there are none: both limits lie far from either.
    """
    if device_name() == "cpu":
        quick = BACKEND == "tensorflow" and slowdown("bfloat16") < 1.25
    else:
        quick = slowdown("bfloat16") < 2.0  # so small a convolution may take as long in either
    return "mixed_bfloat16" if quick else "float32"


def convolution_rate(seconds: float = 0.5) -> float:
    """Floating-point operations a second that this device reaches in one 3x3 convolution of 64 channels at 64 px."""
    return cost.convolution_rate(backend.compiled, seconds)


@cache
def slowdown(dtype: str) -> float:
    """How many times as long this device takes for the gradient of a convolution in `dtype` as in float32.

    Less than one where it has instructions for that; CPUs that have none take ten times as long for bfloat16. The
    fastest of several turns of each counts, so that what else a device does decides nothing.
    """

    def gradient(dtype: str) -> Callable[[], float]:
        x, kernel = ops.ones((2, 32, 32, 64), dtype), ops.ones((3, 3, 64, 64), dtype)

        def energy(x: Tensor) -> Tensor:
            return ops.sum(ops.square(ops.conv(x, kernel, padding="same")))

        slope = backend.compiled(lambda x: ops.cast(ops.sum(input_gradients(energy, x)), "float32"))
        return lambda: float(slope(x))

    other, single = cost.fastest([gradient(dtype), gradient("float32")], 0.3)
    return other / single
