"""The one place that knows which backend computes gradients, compiles a step and spreads it over devices.

A system calls `gradients`, `apply`, `forward`, `slope`, `input_gradients`, `uniform`, `normal` and `gather` inside its
`train_step`; whoever runs it makes one `Compiled` and calls it at every step. Under TensorFlow that is a tape in a
`tf.function`, inside `strategy.run` where there is a strategy. Under JAX the whole step is one pure function of the
system's state, which is donated and returned: variables are read from a `keras.StatelessScope` and written to it.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from kgan.errors import UserError
from kgan.precision import wide

BACKEND: str = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    # Read when the first device is asked for: a resumed run must repeat sums in the same order on a GPU too.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec
else:
    raise UserError(f"kgan trains with TensorFlow or JAX: set KERAS_BACKEND to tensorflow or jax, not to {BACKEND}.")

if TYPE_CHECKING:
    from kgan.systems.adversarial import Adversarial

Losses = Callable[[], tuple[dict[str, Any], Any]]  # named, weighted terms, and tensors that the step needs later
Batches = tuple[dict[str, np.ndarray], ...]

ENGINE_COPIES = 0.4 * 2**30  # bytes; seen with U-GAT-IT on CPUs under both engines, whatever the size: `make bench`

_active: list[list[keras.Variable]] = []  # JAX: all variables of the systems being traced, the innermost last
_injected: dict[int, np.ndarray] = {}


# --- inside a step -----------------------------------------------------------------------------------------------


def gradients(losses: Losses, variables: list[keras.Variable], optimizer: Any) -> tuple[dict[str, Any], Any, list[Any]]:
    """Terms, tensors (without gradient) and the gradient of the terms' sum, scaled as `optimizer` wants it."""
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            terms, tensors = losses()
            loss = _total(terms, optimizer)
        # Zero, as on JAX, for what this loss does not depend on: the levels that a growing network has yet to reach.
        zero = tf.UnconnectedGradients.ZERO
        slopes = tape.gradient(loss, [variable.value for variable in variables], unconnected_gradients=zero)
    else:

        def function(values: list[Any]) -> tuple[Any, Any]:
            with _scope(zip(variables, values, strict=True)) as changes:
                terms, tensors = losses()
                loss = _total(terms, optimizer)
            return loss, (terms, tensors, changes())

        values = [variable.value for variable in variables]
        slopes, (terms, tensors, changed) = jax.grad(function, has_aux=True)(values)
        _assign(changed, skip=variables)
    return terms, keras.tree.map_structure(ops.stop_gradient, tensors), slopes


def forward(function: Callable[[], Any], variables: list[keras.Variable]) -> tuple[Any, Callable[[Any], list[Any]]]:
    """function(), a tensor without gradient, and what turns a later slope of it into slopes of `variables`.

    So a fake that D judges first and G learns from afterwards is made once.
    """
    values = [variable.value for variable in variables]
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            result = function()
        zero = tf.UnconnectedGradients.ZERO
        return ops.stop_gradient(result), lambda slope: tape.gradient(result, values, slope, unconnected_gradients=zero)

    def pure(values: list[Any]) -> tuple[Any, list[Any]]:
        with _scope(zip(variables, values, strict=True)) as changes:
            result = function()
        return result, changes()

    result, pull_back, changed = jax.vjp(pure, values, has_aux=True)
    _assign(changed, skip=variables)
    return ops.stop_gradient(result), lambda slope: pull_back(slope)[0]


def slope(losses: Callable[[Any], dict[str, Any]], x: Any, optimizer: Any) -> tuple[dict[str, Any], Any]:
    """Named terms of losses(x), and the gradient of their sum in the tensor x, scaled as `optimizer` wants it."""
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            terms = losses(x)
            loss = _total(terms, optimizer)
        return terms, tape.gradient(loss, x)

    def function(x: Any) -> tuple[Any, Any]:
        with _scope(()) as changes:
            terms = losses(x)
            loss = _total(terms, optimizer)
        return loss, (terms, changes())

    found, (terms, changed) = jax.grad(function, has_aux=True)(x)
    _assign(changed)
    return terms, found


def input_gradients(function: Callable[[Any], Any], x: Any) -> Any:
    """The gradient of sum(function(x)) with respect to x, itself differentiable."""
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = ops.sum(wide(function(x)))
        return tape.gradient(total, x)

    def summed(x: Any) -> tuple[Any, Any]:
        with _scope(()) as changes:
            total = ops.sum(wide(function(x)))
        return total, changes()

    slope, changed = jax.grad(summed, has_aux=True)(x)
    _assign(changed)
    return slope


def apply(optimizer: Any, slopes: list[Any], variables: list[keras.Variable]) -> None:
    """One step of `optimizer`, which was built for exactly these variables."""
    if BACKEND == "tensorflow":
        optimizer.apply(slopes, variables)
        return
    # Not `apply`: under a loss scale it branches on state, which a pure function cannot.
    state = [variable.value for variable in optimizer.variables]
    values, state = optimizer.stateless_apply(state, slopes, [variable.value for variable in variables])
    for variable, value in zip([*variables, *optimizer.variables], [*values, *state], strict=True):
        variable.assign(value)


def uniform(seed: int, step: Any, n: int, shape: Sequence[int]) -> Any:
    """Draws in [0, 1), a function of (seed, step, n) alone; `shape` is this replica's, batch first.

    The draws are made for the global batch and each replica takes its slice, so that two devices equal one. The two
    backends' generators differ; `injected` replaces them where they must not.
    """
    return _draw("uniform", seed, step, n, shape)


def normal(seed: int, step: Any, n: int, shape: Sequence[int]) -> Any:
    """Draws from N(0, 1), in all else as `uniform`, whose n must be others."""
    return _draw("normal", seed, step, n, shape)


def _draw(kind: str, seed: int, step: Any, n: int, shape: Sequence[int]) -> Any:
    shape = (shape[0] * _replicas(), *shape[1:])
    if n in _injected:
        draws = ops.convert_to_tensor(_injected[n])
    elif BACKEND == "tensorflow":
        draw = tf.random.stateless_uniform if kind == "uniform" else tf.random.stateless_normal
        draws = draw(shape, (seed * 1009 + n, tf.cast(step, tf.int32)))
    else:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), n), step)
        draws = (jax.random.uniform if kind == "uniform" else jax.random.normal)(key, shape, "float32")
    return own_share(draws)


def gather(x: Any) -> Any:
    """The global batch of a replica's [B, ...]: what every replica must agree on before it assigns."""
    if BACKEND == "tensorflow" and _replicas() > 1:
        everything = tf.distribute.get_replica_context().all_gather(x, axis=0)
        return tf.ensure_shape(everything, (x.shape[0] * _replicas(), *x.shape[1:]))  # which all_gather forgets
    return x


def own_share(x: Any) -> Any:
    """This replica's part of a global batch."""
    if BACKEND == "tensorflow" and _replicas() > 1:
        size = x.shape[0] // _replicas()
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return x[replica * size : (replica + 1) * size]
    return x


@contextmanager
def injected(draws: dict[int, np.ndarray]) -> Iterator[None]:
    """Within, `uniform` and `normal` return draws[n] (for the global batch) where there is one, for tests."""
    _injected.update(draws)
    try:
        yield
    finally:
        _injected.clear()


# --- around a step -----------------------------------------------------------------------------------------------


class Compiled:
    """A system's step, compiled for its devices: `step(batches)` returns the named losses as scalars on the device.

    Args:
      system: whose `state()` the step may read and change.
      function: batches to losses; called once, to trace it.
      devices: how many of this machine's devices share the batch; the system was built in `scope(devices)`.
    """

    def __init__(self, system: Adversarial, function: Callable[[Batches], dict[str, Any]], devices: int = 1) -> None:
        self.variables = list(system.state().values())
        self.devices = devices
        if BACKEND == "tensorflow":
            # Grappler's remapper fails on the gradient of a leaky ReLU after a convolution, loudly, and gains nothing.
            tf.config.optimizer.set_experimental_options({"remapping": False})
            if tf.config.list_physical_devices("GPU"):
                tf.config.experimental.enable_op_determinism()  # a resumed run must repeat sums in the same order
            traced = self._mirrored(function) if devices > 1 else function
            self._traced = tf.function(traced, reduce_retracing=True, autograph=False)
        else:
            mesh = Mesh(np.asarray(jax.devices()[:devices]), ("batch",))
            self._sharded = NamedSharding(mesh, PartitionSpec("batch"))
            replicated = NamedSharding(mesh, PartitionSpec())
            for variable in self.variables:
                variable._value = jax.device_put(variable.value, replicated)
            self._traced = jax.jit(self._pure(function), donate_argnums=0, out_shardings=(replicated, replicated))

    def __call__(self, batches: Batches) -> dict[str, Any]:
        if BACKEND == "tensorflow":
            return self._traced(self._on_device(batches))
        values, terms = self._traced([variable.value for variable in self.variables], self._on_device(batches))
        for variable, value in zip(self.variables, values, strict=True):
            variable._value = value  # not assign: the old buffer was donated
        return terms

    def cost(self, batches: Batches) -> tuple[float, float]:
        """(floating-point operations, bytes) of one step, as the backend counts its own graph; traces, runs nothing.

        A multiply-add is two operations. The bytes are the largest sum of tensors alive at once, plus, on a GPU, the
        state, and on a CPU all that this process holds by now and the copies that an engine makes of a traced step.
        """
        if BACKEND == "jax":
            values = [variable.value for variable in self.variables]
            self._traced = self._traced.lower(values, self._on_device(batches)).compile()
            cost, memory = self._traced.cost_analysis(), self._traced.memory_analysis()
            return float((cost or {}).get("flops", 0)), self._held() + float(getattr(memory, "temp_size_in_bytes", 0))
        graph = self._traced.get_concrete_function(self._on_device(batches)).graph
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
        profile = tf.compat.v1.profiler.profile(graph, options=options)
        return float(profile.total_float_ops) if profile else 0.0, self._held() + _peak(graph)

    def _held(self) -> float:
        """Bytes of the device's memory that are in use between steps."""
        if device_name() == "cpu":
            return resident() + ENGINE_COPIES
        return float(sum(np.dtype(_dtype(v)).itemsize * int(np.prod(v.shape)) for v in self.variables))

    def _on_device(self, batches: Batches) -> Any:
        if BACKEND == "jax":
            return jax.device_put(batches, self._sharded)
        if self.devices == 1:
            return keras.tree.map_structure(tf.convert_to_tensor, batches)

        def shard(array: np.ndarray) -> Any:
            size = len(array) // self.devices
            return tf.distribute.get_strategy().experimental_distribute_values_from_function(
                lambda context: tf.convert_to_tensor(
                    array[context.replica_id_in_sync_group * size : (context.replica_id_in_sync_group + 1) * size]
                )
            )

        return keras.tree.map_structure(shard, batches)

    def _mirrored(self, function: Callable[[Batches], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
        def step(batches: Any) -> dict[str, Any]:
            strategy = tf.distribute.get_strategy()
            terms = strategy.run(function, args=(batches,))
            return {name: strategy.reduce("MEAN", term, axis=None) for name, term in terms.items()}

        return step

    def _pure(self, function: Callable[[Batches], dict[str, Any]]) -> Callable[[list[Any], Any], Any]:
        def step(values: list[Any], batches: Any) -> tuple[list[Any], dict[str, Any]]:
            _active.append(self.variables)
            try:
                with keras.StatelessScope(state_mapping=zip(self.variables, values, strict=True)) as scope:
                    terms = function(batches)
                return [scope.get_current_value(variable) for variable in self.variables], terms
            finally:
                _active.pop()

        return step


def scope(devices: int) -> AbstractContextManager[Any]:
    """Where a system is built and stepped: a MirroredStrategy's scope under TensorFlow with several devices.

    Raises:
      UserError: this machine has fewer devices.
    """
    if BACKEND == "jax":
        found = len(jax.devices())
        if devices > found:
            raise UserError(f"{devices} devices were asked for and JAX sees {found}: set training.devices to {found}.")
        return nullcontext()
    if devices == 1:
        return nullcontext()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if devices > len(names):
        raise UserError(
            f"{devices} devices were asked for and TensorFlow sees {len(names)} {kind}: "
            f"set training.devices to {len(names)}."
        )
    return tf.distribute.MirroredStrategy(names[:devices]).scope()


def read(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Their values as numpy; the first replica's where there are several."""
    if BACKEND == "tensorflow" and _replicas() > 1:
        strategy = tf.distribute.get_strategy()
        return [np.asarray(strategy.experimental_local_results(variable.value)[0]) for variable in variables]
    return [np.array(variable.value) for variable in variables]


def to_host(values: Any) -> Any:
    """Tensors in any structure to numpy, in one wait for the device."""
    return jax.device_get(values) if BACKEND == "jax" else keras.tree.map_structure(ops.convert_to_numpy, values)


def versions() -> dict[str, str]:
    """Of Keras and the backend."""
    return {"keras": keras.__version__, BACKEND: (tf if BACKEND == "tensorflow" else jax).__version__}


def device_name() -> str:
    """Of the first device that computes."""
    if BACKEND == "jax":
        return str(jax.devices()[0].device_kind)
    gpus = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else "cpu"


def resident() -> float:
    """Bytes of main memory that this process held at most until now; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def convolution_rate(seconds: float = 0.5) -> float:
    """Floating-point operations a second that this device reaches in one 3x3 convolution of 64 channels at 64 px."""
    shape, dtype = (8, 64, 64, 64), keras.config.dtype_policy().compute_dtype
    x, kernel = ops.ones(shape, dtype), ops.ones((3, 3, 64, 64), dtype)
    compile_ = tf.function if BACKEND == "tensorflow" else jax.jit
    # The sum keeps the result from being copied to the host.
    convolve = compile_(lambda x, kernel: ops.cast(ops.sum(ops.conv(x, kernel, padding="same")), "float32"))
    to_host(convolve(x, kernel))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        to_host(convolve(x, kernel))
        count += 1
    return count * 2 * 9 * 64 * math.prod(shape) / (time.perf_counter() - start)


# --- helpers -----------------------------------------------------------------------------------------------------


def _replicas() -> int:
    """Over how many replicas the batch that a step sees is split; JAX shows each step the whole."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync) if BACKEND == "tensorflow" else 1


def _total(terms: dict[str, Any], optimizer: Any) -> Any:
    """What is differentiated: this replica's share of the sum, in the optimizer's loss scale."""
    return optimizer.scale_loss(sum(terms.values()) / _replicas())


def _traced() -> list[keras.Variable]:
    if not _active:
        raise RuntimeError("Under JAX a train_step runs inside engine.Compiled, which knows the state that it changes.")
    return _active[-1]


@contextmanager
def _scope(mapping: Any) -> Iterator[Callable[[], list[Any]]]:
    """An inner StatelessScope over every variable of the active system: it would not see the outer scope's values."""
    given = {id(variable): value for variable, value in mapping}
    values = [(variable, given.get(id(variable), variable.value)) for variable in _traced()]
    with keras.StatelessScope(state_mapping=values) as inner:
        yield lambda: [inner.get_current_value(variable) for variable in _traced()]


def _assign(values: list[Any], skip: Sequence[keras.Variable] = ()) -> None:
    skipped = {id(variable) for variable in skip}
    for variable, value in zip(_traced(), values, strict=True):
        if id(variable) not in skipped:
            variable.assign(value)


def _dtype(variable: keras.Variable) -> str:
    return "float32" if variable.dtype == "bfloat16" else str(variable.dtype)


def _peak(graph: Any) -> float:
    """Most bytes alive at once when a TensorFlow graph's operations run in the order in which they were made."""
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
