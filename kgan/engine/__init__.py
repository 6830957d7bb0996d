"""The one place that knows which backend computes gradients, compiles a step and spreads it over devices.

A system calls `gradients`, `forward`, `gradients_through`, `apply`, `input_gradients`, `uniform`, `normal` and `gather`
inside its `train_step`; whoever runs it makes one `Compiled` and calls it at every step. Under TensorFlow that is a
tape in a `tf.function`, inside `strategy.run` where there is a strategy. Under JAX the whole step is one pure function
of the system's state, which is donated and returned: variables are read and written in a `keras.StatelessScope`.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

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
Batch = dict[str, np.ndarray]
Batches = tuple[Batch, ...]
Step = Callable[..., dict[str, Any]]

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
    """function(), tensors without gradient, and what turns later slopes of them into slopes of `variables`.

    So a fake that D judges first and G learns from afterwards is made once: see `gradients_through`.
    """
    values = [variable.value for variable in variables]
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            result = function()

        def pull_back(slopes: Any) -> list[Any]:
            zero = tf.UnconnectedGradients.ZERO
            return tape.gradient(keras.tree.flatten(result), values, keras.tree.flatten(slopes), zero)

    else:

        def pure(values: list[Any]) -> tuple[Any, list[Any]]:
            with _scope(zip(variables, values, strict=True)) as changes:
                result = function()
            return result, changes()

        result, transposed, changed = jax.vjp(pure, values, has_aux=True)
        _assign(changed, skip=variables)

        def pull_back(slopes: Any) -> list[Any]:
            return transposed(slopes)[0]

    return keras.tree.map_structure(ops.stop_gradient, result), pull_back


def gradients_through(
    losses: Callable[[Any], dict[str, Any]],
    x: Any,
    pull_back: Callable[[Any], list[Any]],
    variables: list[keras.Variable],
    optimizer: Any,
) -> tuple[dict[str, Any], list[Any]]:
    """As `gradients`, of losses(x): `variables` count where `forward` made x of them, and where losses reads them."""
    values = [variable.value for variable in variables]
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(keras.tree.flatten([x, values]))
            terms = losses(x)
            loss = _total(terms, optimizer)
        zero = tf.UnconnectedGradients.ZERO
        of_x, direct = tape.gradient(loss, (x, values), unconnected_gradients=zero)
    else:

        def function(x: Any, values: list[Any]) -> tuple[Any, Any]:
            with _scope(zip(variables, values, strict=True)) as changes:
                terms = losses(x)
                loss = _total(terms, optimizer)
            return loss, (terms, changes())

        (of_x, direct), (terms, changed) = jax.grad(function, argnums=(0, 1), has_aux=True)(x, values)
        _assign(changed, skip=variables)
    return terms, [through + other for through, other in zip(pull_back(of_x), direct, strict=True)]


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

    def __init__(self, system: Adversarial, function: Step, devices: int = 1, *held: Batch) -> None:
        self.variables = list(system.state().values())
        self.devices = devices
        if BACKEND == "tensorflow":
            # Grappler's remapper fails on the gradient of a leaky ReLU after a convolution, loudly, and gains nothing.
            tf.config.optimizer.set_experimental_options({"remapping": False})
            if tf.config.list_physical_devices("GPU"):
                tf.config.experimental.enable_op_determinism()  # a resumed run must repeat sums in the same order
            step = self._mirrored(function) if devices > 1 else function
            self._one = tf.function(step, reduce_retracing=True, autograph=False)
            self._held = [keras.tree.map_structure(lambda x: self._placed(lambda _: x), each) for each in held]
        else:
            mesh = Mesh(np.asarray(jax.devices()[:devices]), ("batch",))
            self._sharding = {axis: NamedSharding(mesh, PartitionSpec(*[None] * axis, "batch")) for axis in (0, 1)}
            replicated = NamedSharding(mesh, PartitionSpec())
            for variable in self.variables:
                variable._value = jax.device_put(variable.value, replicated)
            pure, shardings = self._pure(function), (replicated, replicated)
            self._one = jax.jit(pure, donate_argnums=0, out_shardings=shardings)
            self._many = jax.jit(self._scanned(pure), donate_argnums=0, out_shardings=shardings)
            self._held = jax.device_put(list(held), replicated)

    def __call__(self, *several: Batches) -> dict[str, Any]:
        if BACKEND == "tensorflow":  # whose calls return before the device is done
            rows = [self._one(*self._arguments(batches)) for batches in several]
            return rows[0] if len(rows) == 1 else {name: ops.stack([row[name] for row in rows]) for name in rows[0]}
        traced = self._one if len(several) == 1 else self._many
        values, terms = traced([variable.value for variable in self.variables], *self._arguments(*several))
        for variable, value in zip(self.variables, values, strict=True):
            variable._value = value  # not assign: the old buffer was donated
        return terms

    def cost(self, *several: Batches) -> Cost:
        """Of one step of such a call, as the backend counts its own graph; traces, runs nothing."""
        if BACKEND == "jax":
            values = [variable.value for variable in self.variables]
            kind = "_one" if len(several) == 1 else "_many"
            traced = getattr(self, kind).lower(values, *self._arguments(*several)).compile()
            setattr(self, kind, traced)  # it takes batches of this shape alone, as a training has them
            cost, memory = traced.cost_analysis(), traced.memory_analysis()  # a loop's body is counted once
            temporary = getattr(memory, "temp_size_in_bytes", 0)
            return Cost(float((cost or {}).get("flops", 0)), float(temporary), self._in_use())
        graph = self._one.get_concrete_function(*self._arguments(several[0])).graph
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
        profile = tf.compat.v1.profiler.profile(graph, options=options)
        return Cost(float(profile.total_float_ops) if profile else 0.0, _peak(graph), self._in_use())

    def _in_use(self) -> float:
        if device_name() == "cpu":
            return resident() + ENGINE_COPIES
        state = sum(np.dtype(_dtype(v)).itemsize * int(np.prod(v.shape)) for v in self.variables)
        return float(state + sum(math.prod(x.shape) for each in self._held for x in each.values()))  # uint8

    def _arguments(self, *several: Batches) -> tuple[Any, ...]:
        """What a traced step is called with: batches on their devices, those of several steps stacked, and `held`."""
        if BACKEND == "tensorflow":
            batches = keras.tree.map_structure(self._split, several[0])
        elif len(several) == 1:
            batches = jax.device_put(several[0], self._sharding[0])
        else:
            stacked = keras.tree.map_structure(lambda *each: np.stack(each), *several)  # [steps, B, ...]
            batches = jax.device_put(stacked, self._sharding[1])
        return batches, *self._held

    # TensorFlow

    def _split(self, array: np.ndarray) -> Any:
        return self._placed(lambda replica: np.split(array, self.devices)[replica])

    def _placed(self, part: Callable[[int], np.ndarray]) -> Any:
        if self.devices == 1:
            return tf.convert_to_tensor(part(0))
        return tf.distribute.get_strategy().experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(part(context.replica_id_in_sync_group))
        )

    def _mirrored(self, function: Step) -> Step:
        def step(*arguments: Any) -> dict[str, Any]:
            strategy = tf.distribute.get_strategy()
            terms = strategy.run(function, args=arguments)
            return {name: strategy.reduce("MEAN", term, axis=None) for name, term in terms.items()}

        return step

    # JAX

    def _pure(self, function: Step) -> Callable[..., tuple[list[Any], dict[str, Any]]]:
        def step(values: list[Any], batches: Any, *held: Any) -> tuple[list[Any], dict[str, Any]]:
            _active.append(self.variables)
            try:
                with keras.StatelessScope(state_mapping=zip(self.variables, values, strict=True)) as scope:
                    terms = function(batches, *held)
                return [scope.get_current_value(variable) for variable in self.variables], terms
            finally:
                _active.pop()

        return step

    def _scanned(self, step: Callable[..., tuple[list[Any], dict[str, Any]]]) -> Callable[..., Any]:
        """`step` for stacked batches."""

        def steps(values: list[Any], batches: Any, *held: Any) -> tuple[list[Any], dict[str, Any]]:
            return jax.lax.scan(lambda values, batches: step(values, batches, *held), values, batches)

        return steps


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


def exactly() -> None:
    """Let products of float32 have its precision: recent GPUs round their factors to 11 bits for speed.

    Path lengths are differences between pictures of points that lie 1e-4 apart.
    """
    if BACKEND == "tensorflow":
        tf.config.experimental.enable_tensor_float_32_execution(False)
    else:
        jax.config.update("jax_default_matmul_precision", "highest")


def steps_per_call() -> int:
    """How many steps a call should take: on an accelerator enough of them for the host to prepare the next ones."""
    return 1 if device_name() == "cpu" else 10


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
