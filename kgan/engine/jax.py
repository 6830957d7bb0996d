"""The engine on JAX: a step is one pure function of the system's state, which is donated and returned.

Inside it variables are read and written in a `keras.StatelessScope`. Each gradient is taken of a pure function too, in
an inner scope that begins with the values of now; what changed in there is assigned in the outer one afterwards.
What each name does is said in `kgan.engine`, which calls these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from keras import ops

from kgan.errors import UserError
from kgan.precision import at_least_float32
from kgan.types import Batch, Tensor

# Read when the first device is asked for: a resumed run must repeat sums in the same order on a GPU too.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

VERSION = jax.__version__

compiled = jax.jit

_active: list[list[keras.Variable]] = []  # all variables of the systems being traced, the innermost last


# --- gradients ---------------------------------------------------------------------------------------------------


def gradients(
    losses: Callable[[], tuple[dict[str, Tensor], Any]],
    variables: list[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
) -> tuple[dict[str, Tensor], Any, list[Tensor]]:
    def function(values: list[Tensor]) -> tuple[Tensor, Any]:
        with _scope(zip(variables, values, strict=True)) as changes:
            terms, tensors = losses()
            loss = _total(terms, optimizer)
        return loss, (terms, tensors, changes())

    values = [variable.value for variable in variables]
    slopes, (terms, tensors, changed) = jax.grad(function, has_aux=True)(values)
    _assign(changed, skip=variables)
    return terms, tensors, slopes


def forward(function: Callable[[], Any], variables: list[keras.Variable]) -> tuple[Any, Callable[[Any], list[Tensor]]]:
    def pure(values: list[Tensor]) -> tuple[Any, list[Tensor]]:
        with _scope(zip(variables, values, strict=True)) as changes:
            result = function()
        return result, changes()

    values = [variable.value for variable in variables]
    result, transposed, changed = jax.vjp(pure, values, has_aux=True)
    _assign(changed, skip=variables)
    return result, lambda slopes: transposed(slopes)[0]


def gradients_of_both(
    losses: Callable[[Any], dict[str, Tensor]],
    x: Any,
    variables: list[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
) -> tuple[dict[str, Tensor], Any, list[Tensor]]:
    def function(x: Any, values: list[Tensor]) -> tuple[Tensor, Any]:
        with _scope(zip(variables, values, strict=True)) as changes:
            terms = losses(x)
            loss = _total(terms, optimizer)
        return loss, (terms, changes())

    values = [variable.value for variable in variables]
    (of_x, direct), (terms, changed) = jax.grad(function, argnums=(0, 1), has_aux=True)(x, values)
    _assign(changed, skip=variables)
    return terms, of_x, direct


def input_gradients(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if not _active:  # outside a step there is no state that could change
        return jax.grad(lambda x: ops.sum(at_least_float32(function(x))))(x)

    def summed(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        with _scope(()) as changes:
            total = ops.sum(at_least_float32(function(x)))
        return total, changes()

    slope, changed = jax.grad(summed, has_aux=True)(x)
    _assign(changed)
    return slope


def _total(terms: dict[str, Tensor], optimizer: keras.optimizers.Optimizer) -> Tensor:
    """What is differentiated: the sum, in the optimizer's loss scale."""
    return optimizer.scale_loss(sum(terms.values()))


def apply(optimizer: keras.optimizers.Optimizer, slopes: list[Tensor], variables: list[keras.Variable]) -> None:
    # Not `optimizer.apply`: under a loss scale it branches on state, which a pure function cannot.
    state = [variable.value for variable in optimizer.variables]
    values, state = optimizer.stateless_apply(state, slopes, [variable.value for variable in variables])
    for variable, value in zip([*variables, *optimizer.variables], [*values, *state], strict=True):
        variable.assign(value)


def _traced() -> list[keras.Variable]:
    if not _active:
        raise RuntimeError("Under JAX a train_step runs inside engine.Compiled, which knows the state that it changes.")
    return _active[-1]


@contextmanager
def _scope(mapping: Iterable[tuple[keras.Variable, Tensor]]) -> Iterator[Callable[[], list[Tensor]]]:
    """An inner StatelessScope over every variable of the active system: it would not see the outer scope's values.

    Some have the values of `mapping`. Yields what returns the values of all, as they are at the end.
    """
    mapped = {id(variable): value for variable, value in mapping}
    values = [(variable, mapped.get(id(variable), variable.value)) for variable in _traced()]
    with keras.StatelessScope(state_mapping=values) as inner:
        yield lambda: [inner.get_current_value(variable) for variable in _traced()]


def _assign(values: list[Tensor], skip: Sequence[keras.Variable] = ()) -> None:
    """Give the active system's variables these values, but for those to `skip`."""
    skipped = {id(variable) for variable in skip}
    for variable, value in zip(_traced(), values, strict=True):
        if id(variable) not in skipped:
            variable.assign(value)


# --- draws, and what replicas share: a step sees the whole batch, wherever its parts lie ---------------------------


def uniform(key: int, step: Tensor, shape: Sequence[int]) -> Tensor:
    return jax.random.uniform(_key(key, step), shape, "float32")


def normal(key: int, step: Tensor, shape: Sequence[int]) -> Tensor:
    return jax.random.normal(_key(key, step), shape, "float32")


def _key(key: int, step: Tensor) -> Tensor:
    high, low = divmod(key, 2**32)  # JAX takes 32 bits at a time
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(high), low), step)


def replicas() -> int:
    return 1


def gather(x: Tensor) -> Tensor:
    return x


def own_share(x: Tensor) -> Tensor:
    return x


# --- a step ------------------------------------------------------------------------------------------------------


class Step:
    """A pure function of the variables' values, jitted, and a scan over it for several steps in one call."""

    def __init__(
        self,
        variables: list[keras.Variable],
        function: Callable[..., dict[str, Tensor]],
        devices: int,
        held: Sequence[Batch],
    ) -> None:
        self._variables = variables
        mesh = Mesh(np.asarray(jax.devices()[:devices]), ("batch",))
        self._sharding = {axis: NamedSharding(mesh, PartitionSpec(*[None] * axis, "batch")) for axis in (0, 1)}
        replicated = NamedSharding(mesh, PartitionSpec())
        for variable in variables:
            variable._value = jax.device_put(variable.value, replicated)
        pure, shardings = _pure(variables, function), (replicated, replicated)
        self._one = jax.jit(pure, donate_argnums=0, out_shardings=shardings)
        self._many = jax.jit(_scanned(pure), donate_argnums=0, out_shardings=shardings)
        self._held = jax.device_put(list(held), replicated)

    def __call__(self, *several: tuple[Batch, ...]) -> dict[str, Tensor]:
        function = self._one if len(several) == 1 else self._many
        values, terms = function(*self._arguments(*several))
        for variable, value in zip(self._variables, values, strict=True):
            variable._value = value  # not assign: the old buffer was donated
        return terms

    def cost(self, *several: tuple[Batch, ...]) -> tuple[float, float]:
        kind = "_one" if len(several) == 1 else "_many"
        executable = getattr(self, kind).lower(*self._arguments(*several)).compile()
        setattr(self, kind, executable)  # it takes batches of this shape alone, as a training has them
        operations = (executable.cost_analysis() or {}).get("flops", 0)  # a loop's body is counted once
        return float(operations), float(getattr(executable.memory_analysis(), "temp_size_in_bytes", 0))

    def _arguments(self, *several: tuple[Batch, ...]) -> tuple[Any, ...]:
        """The state, the batches on their devices, those of several steps stacked, and what is held."""
        if len(several) == 1:
            batches = jax.device_put(several[0], self._sharding[0])
        else:
            stacked = keras.tree.map_structure(lambda *each: np.stack(each), *several)  # [steps, B, ...]
            batches = jax.device_put(stacked, self._sharding[1])
        return [variable.value for variable in self._variables], batches, *self._held


Pure = Callable[..., tuple[list[Tensor], dict[str, Tensor]]]  # (values, batches, *held) to (values, terms)


def _pure(variables: list[keras.Variable], function: Callable[..., dict[str, Tensor]]) -> Pure:
    def step(values: list[Tensor], batches: Any, *held: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
        _active.append(variables)
        try:
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)) as scope:
                terms = function(batches, *held)
            return [scope.get_current_value(variable) for variable in variables], terms
        finally:
            _active.pop()

    return step


def _scanned(step: Pure) -> Pure:
    """`step` for stacked batches, one after another."""

    def steps(values: list[Tensor], batches: Any, *held: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
        return jax.lax.scan(lambda values, batches: step(values, batches, *held), values, batches)

    return steps


def scope(devices: int) -> AbstractContextManager[Any]:
    count = len(jax.devices())
    if devices > count:
        raise UserError(f"{devices} devices were asked for and JAX sees {count}: set training.devices to {count}.")
    return nullcontext()


# --- the host ----------------------------------------------------------------------------------------------------


def read(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(variable.value) for variable in variables]


def to_host(values: Any) -> Any:
    return jax.device_get(values)


def device_name() -> str:
    return str(jax.devices()[0].device_kind)


def exactly() -> None:
    jax.config.update("jax_default_matmul_precision", "highest")
