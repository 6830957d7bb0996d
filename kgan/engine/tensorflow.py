"""The engine on TensorFlow: gradients by a tape, a step in a `tf.function`, several devices by a MirroredStrategy.

What each name does is said in `kgan.engine`, which calls these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kgan.engine import cost
from kgan.errors import UserError
from kgan.precision import at_least_float32
from kgan.quiet import quiet
from kgan.types import Batch, Tensor

VERSION = tf.__version__

with quiet():  # where there is no GPU, the first look for one is an error message of CUDA's
    tf.config.list_physical_devices()

compiled = tf.function

# Zero, as on JAX, for what a loss does not depend on: the levels that a growing network has yet to reach.
_ZERO = tf.UnconnectedGradients.ZERO


# --- gradients ---------------------------------------------------------------------------------------------------


def gradients(
    losses: Callable[[], tuple[dict[str, Tensor], Any]],
    variables: list[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
) -> tuple[dict[str, Tensor], Any, list[Tensor]]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        terms, tensors = losses()
        loss = _total(terms, optimizer)
    values = [variable.value for variable in variables]
    return terms, tensors, tape.gradient(loss, values, unconnected_gradients=_ZERO)


def forward(function: Callable[[], Any], variables: list[keras.Variable]) -> tuple[Any, Callable[[Any], list[Tensor]]]:
    values = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = function()

    def pull_back(slopes: Any) -> list[Tensor]:
        return tape.gradient(keras.tree.flatten(result), values, keras.tree.flatten(slopes), _ZERO)

    return result, pull_back


def gradients_of_both(
    losses: Callable[[Any], dict[str, Tensor]],
    x: Any,
    variables: list[keras.Variable],
    optimizer: keras.optimizers.Optimizer,
) -> tuple[dict[str, Tensor], Any, list[Tensor]]:
    values = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(keras.tree.flatten([x, values]))
        terms = losses(x)
        loss = _total(terms, optimizer)
    return terms, *tape.gradient(loss, (x, values), unconnected_gradients=_ZERO)


def input_gradients(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = ops.sum(at_least_float32(function(x)))
    return tape.gradient(total, x)


def _total(terms: dict[str, Tensor], optimizer: keras.optimizers.Optimizer) -> Tensor:
    """What is differentiated: this replica's share of the sum, in the optimizer's loss scale."""
    return optimizer.scale_loss(sum(terms.values()) / replicas())


def apply(optimizer: keras.optimizers.Optimizer, slopes: list[Tensor], variables: list[keras.Variable]) -> None:
    optimizer.apply(slopes, variables)


# --- draws, and what replicas share ------------------------------------------------------------------------------


def uniform(key: int, step: Tensor, shape: Sequence[int]) -> Tensor:
    return tf.random.stateless_uniform(shape, (key, tf.cast(step, tf.int64)))


def normal(key: int, step: Tensor, shape: Sequence[int]) -> Tensor:
    return tf.random.stateless_normal(shape, (key, tf.cast(step, tf.int64)))


def replicas() -> int:
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def gather(x: Tensor) -> Tensor:
    if replicas() == 1:
        return x
    everything = tf.distribute.get_replica_context().all_gather(x, axis=0)
    return tf.ensure_shape(everything, (x.shape[0] * replicas(), *x.shape[1:]))  # which all_gather forgets


def own_share(x: Tensor) -> Tensor:
    if replicas() == 1:
        return x
    size = x.shape[0] // replicas()
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return x[replica * size : (replica + 1) * size]


# --- a step ------------------------------------------------------------------------------------------------------


class Step:
    """A `tf.function`, inside `strategy.run` where there are several devices."""

    def __init__(
        self,
        variables: list[keras.Variable],
        function: Callable[..., dict[str, Tensor]],
        devices: int,
        held: Sequence[Batch],
    ) -> None:
        # Grappler's remapper fails on the gradient of a leaky ReLU after a convolution, loudly, and gains nothing.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()  # a resumed run must repeat sums in the same order
        self._devices = devices
        self._function = tf.function(
            _mirrored(function) if devices > 1 else function, reduce_retracing=True, autograph=False
        )
        self._held = [keras.tree.map_structure(lambda x: self._placed(lambda _: x), each) for each in held]

    def __call__(self, *several: tuple[Batch, ...]) -> dict[str, Tensor]:
        rows = [self._function(*self._arguments(batches)) for batches in several]  # before the device is done
        return rows[0] if len(rows) == 1 else {name: ops.stack([row[name] for row in rows]) for name in rows[0]}

    def cost(self, *several: tuple[Batch, ...]) -> tuple[float, float]:
        graph = self._function.get_concrete_function(*self._arguments(several[0])).graph
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
        profile = tf.compat.v1.profiler.profile(graph, options=options)
        return float(profile.total_float_ops) if profile else 0.0, cost.peak(graph)

    def _arguments(self, batches: tuple[Batch, ...]) -> tuple[Any, ...]:
        return keras.tree.map_structure(self._split, batches), *self._held

    def _split(self, array: np.ndarray) -> Tensor:
        return self._placed(lambda replica: np.split(array, self._devices)[replica])

    def _placed(self, part: Callable[[int], np.ndarray]) -> Tensor:
        """A tensor for each replica, where there are several."""
        if self._devices == 1:
            return tf.convert_to_tensor(part(0))
        return tf.distribute.get_strategy().experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(part(context.replica_id_in_sync_group))
        )


def _mirrored(function: Callable[..., dict[str, Tensor]]) -> Callable[..., dict[str, Tensor]]:
    """The function on every replica; its terms are the means over them."""

    def step(*arguments: Any) -> dict[str, Tensor]:
        strategy = tf.distribute.get_strategy()
        terms = strategy.run(function, args=arguments)
        return {name: strategy.reduce("MEAN", term, axis=None) for name, term in terms.items()}

    return step


def scope(devices: int) -> AbstractContextManager[Any]:
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


# --- the host ----------------------------------------------------------------------------------------------------


def read(variables: list[keras.Variable]) -> list[np.ndarray]:
    if replicas() == 1:
        return [np.array(variable.value) for variable in variables]
    strategy = tf.distribute.get_strategy()
    return [np.asarray(strategy.experimental_local_results(variable.value)[0]) for variable in variables]


def to_host(values: Any) -> Any:
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def device_name() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else "cpu"


def exactly() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)
