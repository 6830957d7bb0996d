"""Spectral normalization that leaves the kernel alone."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kgan.types import Shape, Tensor


def _unit(x: Tensor) -> Tensor:
    return x * ops.rsqrt(ops.sum(x * x) + 1e-12)


def largest(matrix: Tensor, u: keras.Variable, v: keras.Variable | None, steps: int) -> Tensor:
    """The largest singular value of a matrix [inputs, outputs], as v W u, differentiated with u and v held constant.

    Args:
      u, v: [1, outputs] and [1, inputs], estimates of the singular vectors, which `steps` power iterations move. Where
        v is zeros, as it starts, or not kept, even no step takes one, and keeps nothing of it.
    """
    fixed = ops.stop_gradient(matrix)
    across = u.value
    for _ in range(max(steps, 1)):
        down = _unit(ops.matmul(across, ops.transpose(fixed)))
        across = _unit(ops.matmul(down, fixed))
    if steps:
        u.assign(ops.stop_gradient(across))
        if v is not None:
            v.assign(ops.stop_gradient(down))
    elif v is not None:
        started = ops.any(v.value != 0)
        across, down = ops.where(started, u.value, across), ops.where(started, v.value, down)
    return ops.sum(ops.matmul(ops.stop_gradient(down), matrix) * ops.stop_gradient(across))


@keras.saving.register_keras_serializable("kgan")
class SpectralNormalization(keras.layers.Wrapper):
    """Calls the wrapped layer with its kernel divided by the kernel's largest singular value sigma.

    One power iteration runs in each call with training=True and is kept; other calls use the kept vectors, both, as
    PyTorch does. Unlike
    keras.layers.SpectralNormalization, the kernel itself is never overwritten, and sigma = v W u is differentiated with
    u and v held constant, so the gradient is that of W / sigma(W) (Miyato et al. 2018, arXiv 1802.05957, equation 12).

    Args:
      layer: a built or unbuilt layer with a `kernel` whose last axis counts the outputs (Conv2D, Dense).
      power_iterations: steps in each training call.
      seed: of the first u, a random direction.

    Raises:
      ValueError: the layer has no kernel.
    """

    v: keras.Variable | None = None  # TensorFlow Addons keeps none

    def __init__(
        self, layer: keras.layers.Layer, power_iterations: int = 1, seed: int | None = None, **kwargs: Any
    ) -> None:
        # The wrapper itself computes in the dtype of the variables, whatever the policy of the layer inside: power
        # iterations in bfloat16 do not converge. Its inputs pass through untouched.
        kwargs |= {"dtype": layer.variable_dtype, "autocast": False}
        super().__init__(layer, **kwargs)
        if power_iterations < 1:
            raise ValueError(f"{self.name}: power_iterations must be at least 1, got {power_iterations}.")
        self.power_iterations = power_iterations
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if getattr(self.layer, "kernel", None) is None:
            raise ValueError(f"{self.name}: a {type(self.layer).__name__} has no kernel to normalize.")
        self.u = self.add_weight(
            name="u",
            shape=(1, self.layer.kernel.shape[-1]),
            initializer=keras.initializers.Orthogonal(seed=self.seed),  # of norm 1
            trainable=False,
        )
        inputs = math.prod(self.layer.kernel.shape[:-1])
        self.v = self.add_weight(name="v", shape=(1, inputs), initializer="zeros", trainable=False)

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote, or a version of kgan that kept u alone."""
        if len(store.keys()) == 1:
            self.u.assign(store["0"])
        else:
            super().load_own_variables(store)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.layer.compute_output_shape(input_shape)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        variables = [(variable, variable.value) for variable in self.layer.variables if variable is not self._kernel]
        with keras.StatelessScope(state_mapping=[(self._kernel, self._normalized(training)), *variables]):
            return self.layer(inputs)

    @property
    def _kernel(self) -> keras.Variable:
        return self.layer._kernel if hasattr(self.layer, "_kernel") else self.layer.kernel

    def _normalized(self, training: bool) -> Tensor:
        """The kernel divided by its largest singular value: W / sigma(W)."""
        kernel = ops.convert_to_tensor(self._kernel.value)
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))  # [inputs, outputs]
        sigma = largest(matrix, self.u, self.v, self.power_iterations if training else 0)
        return kernel / sigma

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations, "seed": self.seed}
