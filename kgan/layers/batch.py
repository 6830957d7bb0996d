"""Batch statistics, which pix2pix has at test too, and dropout whose draws are given."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgan.layers import whole
from kgan.precision import at_least_float32
from kgan.types import Shape, Tensor


def _mean(x: Tensor) -> Tensor:
    """[B, H, W, C] to [1, 1, 1, C]."""
    return whole.mean(x, tuple(range(len(x.shape) - 1)))


@keras.saving.register_keras_serializable("kgan")
class BatchNormalization(keras.layers.Layer):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, each channel over the pixels of all images of the batch.

    Training uses the global batch's statistics, whatever the number of replicas, and the biased variance; the moving
    ones follow with the unbiased variance, as torch's do.

    Args:
      at_test: "moving" statistics, or those of the "batch" at hand, as pix2pix's official test has it. A single
        picture's are then its own: instance normalization.
      momentum: how much of the moving statistics stays at each step (torch calls the rest momentum, 0.1).
      gamma_initializer: pix2pix draws gamma from N(1, 0.02).

    Shapes: [B, ..., C] to the same. Source: Ioffe and Szegedy 2015, arXiv 1502.03167.
    """

    def __init__(
        self,
        at_test: str = "moving",
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if at_test not in ("moving", "batch"):
            raise ValueError(f"{self.name}: at_test is 'moving' or 'batch', got {at_test!r}.")
        self.at_test, self.momentum, self.epsilon = at_test, momentum, epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape: Shape) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer=self.gamma_initializer, autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=shape, initializer="zeros", trainable=False, autocast=False
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", shape=shape, initializer="ones", trainable=False, autocast=False
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        x = at_least_float32(inputs)
        if training:
            mean, variance = self._global(x)
            self._follow(x, mean, variance)
        elif self.at_test == "batch":
            mean = _mean(x)
            variance = _mean((x - mean) * (x - mean))
        else:
            mean, variance = (ops.cast(value, x.dtype) for value in (self.moving_mean, self.moving_variance))
        factor = ops.cast(self.gamma, x.dtype) * ops.rsqrt(variance + self.epsilon)
        return ops.cast((x - mean) * factor + ops.cast(self.beta, x.dtype), inputs.dtype)

    def _global(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance [1, .., C] over all replicas, which hold equal shares of the batch."""
        mean = _mean(x)
        variance = _mean((x - mean) * (x - mean))
        if keras.backend.backend() == "jax":  # which shows each step the whole batch
            return mean, variance
        axes = tuple(range(len(x.shape) - 1))
        center, spread = ops.moments(mean, axes, keepdims=True, synchronized=True)
        return center, ops.moments(variance, axes, keepdims=True, synchronized=True)[0] + spread

    def _follow(self, x: Tensor, mean: Tensor, variance: Tensor) -> None:
        replicas = len(getattr(self.moving_mean.value, "values", (None,)))  # a mirrored variable has one for each
        count = ops.cast(replicas * ops.prod(ops.convert_to_tensor(ops.shape(x)[:-1], "int32")), x.dtype)
        variance = variance * (count / ops.maximum(count - 1, 1))
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            now = ops.cast(ops.stop_gradient(ops.reshape(now, (-1,))), moving.dtype)
            moving.assign(self.momentum * moving + (1 - self.momentum) * now)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "at_test": self.at_test,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }


@keras.saving.register_keras_serializable("kgan")
class Dropout(keras.layers.Layer):
    """x / (1 - rate) where draws >= rate, else 0; x itself without draws.

    The draws, uniform in [0, 1) and of x's shape, are an optional input of the network: whoever runs a step makes them,
    the same on every engine and for any number of replicas, and an exported file has none.

    Args:
      stride: how many times smaller than the network's picture the map is; `draw_shapes` needs it.

    Source: Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, rate: float = 0.5, stride: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"{self.name}: rate must lie in [0, 1), got {rate}.")
        self.rate, self.stride = rate, stride

    def call(self, inputs: Tensor, draws: Tensor | None = None) -> Tensor:
        if draws is None:
            return inputs
        return inputs * ops.cast(draws >= self.rate, inputs.dtype) / (1 - self.rate)

    def compute_output_shape(self, inputs_shape: Shape, draws_shape: Shape | None = None) -> Shape:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "stride": self.stride}


def statistics(network: keras.Model) -> str:
    """What a network's batch normalization uses at test, "moving" or "batch"; "" where it has none."""
    for layer in network.layers:
        if isinstance(layer, BatchNormalization):
            return layer.at_test
        if isinstance(layer, keras.layers.BatchNormalization):
            return "moving"
        if isinstance(layer, keras.Model) and (kind := statistics(layer)):
            return kind
    return ""


def dropout(x: Tensor, stride: int, name: str) -> tuple[Tensor, Tensor]:
    """x with half of it dropped, and the optional input, `name`_draws, that says which half."""
    draws = keras.Input(x.shape[1:], name=f"{name}_draws", optional=True)
    return Dropout(0.5, stride, name=name)(x, draws), draws


def draw_shapes(network: keras.Model, batch: int, height: int, width: int) -> dict[str, tuple[int, int, int, int]]:
    """What each of a network's dropout inputs takes, by name, for pictures of this size."""
    channels = {tensor.name: tensor.shape[-1] for tensor in network.inputs}
    shapes: dict[str, tuple[int, int, int, int]] = {}
    for layer in network.layers:
        if isinstance(layer, keras.Model):  # a colorizer holds its generator
            shapes |= draw_shapes(layer, batch, height, width)
        elif isinstance(layer, Dropout):
            name, stride = f"{layer.name}_draws", layer.stride
            shapes[name] = (batch, height // stride, width // stride, channels[name])
    return shapes
