"""Normalization over the pixels of one image: IN, AdaIN, and U-GAT-IT's AdaLIN and LIN.

Every statistic is taken in float32 at least, whatever the compute dtype: a float16 sum of squares overflows at 65504.
The layer statistics that LIN needs follow from the instance statistics (law of total variance), so each layer reads its
input once for the mean and once for the variance, and what remains is one multiplication and one addition a pixel.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgan.layers import whole
from kgan.precision import at_least_float32
from kgan.types import Shape, Tensor


@keras.saving.register_keras_serializable("kgan")
class UnitInterval(keras.constraints.Constraint):
    """Clips to [0, 1]: the official constraint on rho, applied by the optimizer after each update."""

    def __call__(self, w: Tensor) -> Tensor:
        return ops.clip(w, 0.0, 1.0)


def _mean(x: Tensor) -> Tensor:
    """[B, ..., C] to [B, 1, ..., C]."""
    return whole.mean(x, tuple(range(1, len(x.shape) - 1)))


class _ImageNormalization(keras.layers.Layer):
    """What the four share: float32 statistics over all axes between the first and the last.

    Args:
      epsilon: added to the variance, inside the root.
      unbiased: divide squared deviations by n - 1 in place of n (torch.var's default; visible only on small maps).
    """

    def __init__(self, epsilon: float = 1e-5, unbiased: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"{self.name}: epsilon must be positive, got {epsilon}.")
        self.epsilon = epsilon
        self.unbiased = unbiased
        self.supports_masking = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "unbiased": self.unbiased}

    def compute_output_shape(self, input_shape: Shape, *_: Any) -> Shape:
        return input_shape

    def _channels(self, input_shape: Shape) -> int:
        if len(input_shape) < 3 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name}: expected [B, ..., C] with a spatial axis and known channels, got {input_shape}."
            )
        return int(input_shape[-1])

    def _vector(self, name: str, channels: int, initial: Any, constraint: Any = None) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(channels,),
            initializer=keras.initializers.Constant(initial) if isinstance(initial, float) else initial,
            constraint=constraint,
            autocast=False,  # used with the statistics, in their dtype
        )

    def _center(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x - mean [B, ..., C], mean [B, 1.., C] and biased variance [B, 1.., C] of each image's channels."""
        mean = _mean(x)
        centered = x - mean
        # Not ops.var: SQUARED_DIFFERENCE has no int8 or XNNPACK kernel, a multiplication has both.
        return centered, mean, _mean(centered * centered)

    def _inverse_std(self, variance: Tensor, count: Tensor | None) -> Tensor:
        if self.unbiased:
            count = ops.cast(count, variance.dtype)
            variance = variance * (count / ops.maximum(count - 1, 1))
        return ops.rsqrt(variance + self.epsilon)

    def _pixels(self, x: Tensor) -> Tensor:
        return whole.pixels(x) if self.unbiased else None

    def _mix(self, x: Tensor, rho: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(x - mean), scale and shift with rho IN(x) + (1 - rho) LN(x) = (x - mean) scale + shift."""
        centered, mean, variance = self._center(x)
        layer_mean = ops.mean(mean, axis=-1, keepdims=True)
        offset = mean - layer_mean
        layer_variance = ops.mean(variance + offset * offset, axis=-1, keepdims=True)
        pixels = self._pixels(x)
        instance = self._inverse_std(variance, pixels)
        layer = (1 - rho) * self._inverse_std(layer_variance, pixels * x.shape[-1] if self.unbiased else None)
        return centered, rho * instance + layer, offset * layer


@keras.saving.register_keras_serializable("kgan")
class InstanceNormalization(_ImageNormalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta over the pixels of each image and channel.

    Args:
      center, scale: learn beta (starts at 0) and gamma (starts at 1), one a channel.
      gamma_initializer: where gamma starts elsewhere.

    Shapes: [B, ..., C] to the same. Source: Ulyanov et al. 2016, arXiv 1607.08022.
    """

    def __init__(self, center: bool = True, scale: bool = True, gamma_initializer: Any = "ones", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.center = center
        self.scale = scale
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self.gamma = self._vector("gamma", channels, self.gamma_initializer) if self.scale else None
        self.beta = self._vector("beta", channels, 0.0) if self.center else None

    def call(self, inputs: Tensor) -> Tensor:
        x = at_least_float32(inputs)
        centered, _, variance = self._center(x)
        factor = self._inverse_std(variance, self._pixels(x))
        if self.gamma is not None:
            factor = factor * ops.cast(self.gamma, x.dtype)
        outputs = centered * factor
        if self.beta is not None:
            outputs = outputs + ops.cast(self.beta, x.dtype)
        return ops.cast(outputs, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        gamma = keras.initializers.serialize(self.gamma_initializer)
        return {**super().get_config(), "center": self.center, "scale": self.scale, "gamma_initializer": gamma}


class _Styled(_ImageNormalization):
    """Normalization whose gamma and beta [B, C] are arguments of the call."""

    def _check(self, inputs: Tensor, gamma: Tensor, beta: Tensor) -> None:
        for name, style in (("gamma", gamma), ("beta", beta)):
            if len(style.shape) != 2 or style.shape[-1] != inputs.shape[-1]:
                raise ValueError(
                    f"{self.name}: {name} must be [B, {inputs.shape[-1]}] for an input of {tuple(inputs.shape)}, "
                    f"got {tuple(style.shape)}."
                )

    def _spread(self, style: Tensor, like: Tensor) -> Tensor:
        """[B, C] to [B, 1, ..., C] in the dtype of the statistics."""
        return ops.reshape(ops.cast(style, like.dtype), (-1, *[1] * (len(like.shape) - 2), like.shape[-1]))


@keras.saving.register_keras_serializable("kgan")
class AdaIN(_Styled):
    """Adaptive instance normalization: gamma IN(x) + beta, with gamma and beta [B, C] given to the call.

    Shapes: [B, ..., C] to the same. Source: Huang and Belongie 2017, arXiv 1703.06868.
    """

    def build(self, input_shape: Shape) -> None:
        self._channels(input_shape)

    def call(self, inputs: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        self._check(inputs, gamma, beta)
        x = at_least_float32(inputs)
        centered, _, variance = self._center(x)
        factor = self._spread(gamma, x) * self._inverse_std(variance, self._pixels(x))
        return ops.cast(centered * factor + self._spread(beta, x), inputs.dtype)


@keras.saving.register_keras_serializable("kgan")
class AdaLIN(_Styled):
    """Adaptive layer-instance normalization: gamma (rho IN(x) + (1 - rho) LN(x)) + beta.

    Args:
      rho: where the learned mixture, one a channel and clipped to [0, 1], starts: 1 is pure IN.
      smoothing: the mixture in use is clip(rho - smoothing, 0, 1); 0.1 in the official TensorFlow code, so that its
        effective start is 0.9.

    Shapes: [B, ..., C] to the same; gamma, beta [B, C]. LN's statistics run over pixels and channels.
    Source: Kim et al. 2020, arXiv 1907.10830, section 2.1; taki0112/UGATIT ops.py, adaptive_instance_layer_norm.
    """

    def __init__(self, rho: float = 1.0, smoothing: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rho <= 1 or not 0 <= smoothing < 1:
            raise ValueError(f"{self.name}: rho and smoothing lie in [0, 1], got {rho} and {smoothing}.")
        self.initial_rho = rho
        self.smoothing = smoothing

    def build(self, input_shape: Shape) -> None:
        self.rho = self._vector("rho", self._channels(input_shape), self.initial_rho, UnitInterval())

    def call(self, inputs: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        self._check(inputs, gamma, beta)
        x = at_least_float32(inputs)
        rho = ops.cast(self.rho, x.dtype)
        if self.smoothing:
            rho = ops.clip(rho - self.smoothing, 0.0, 1.0)
        centered, scale, shift = self._mix(x, rho)
        gamma, beta = self._spread(gamma, x), self._spread(beta, x)
        return ops.cast(centered * (gamma * scale) + (gamma * shift + beta), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.initial_rho, "smoothing": self.smoothing}


@keras.saving.register_keras_serializable("kgan")
class LIN(_ImageNormalization):
    """Layer-instance normalization: gamma (rho IN(x) + (1 - rho) LN(x)) + beta, all three learned, one a channel.

    Args:
      rho: where the mixture, clipped to [0, 1], starts: 0 is pure LN, as in both official codes.

    Shapes: [B, ..., C] to the same. Source: as AdaLIN; ops.py, layer_instance_norm.
    """

    def __init__(self, rho: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rho <= 1:
            raise ValueError(f"{self.name}: rho lies in [0, 1], got {rho}.")
        self.initial_rho = rho

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self.rho = self._vector("rho", channels, self.initial_rho, UnitInterval())
        self.gamma = self._vector("gamma", channels, 1.0)
        self.beta = self._vector("beta", channels, 0.0)

    def call(self, inputs: Tensor) -> Tensor:
        x = at_least_float32(inputs)
        rho, gamma, beta = (ops.cast(weight, x.dtype) for weight in (self.rho, self.gamma, self.beta))
        centered, scale, shift = self._mix(x, rho)
        return ops.cast(centered * (gamma * scale) + (gamma * shift + beta), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.initial_rho}


@keras.saving.register_keras_serializable("kgan")
class PixelNormalization(keras.layers.Layer):
    """x / sqrt(mean of x^2 over the last axis + epsilon), the mean in float32 at least.

    Shapes: [B, ..., C] to the same. Source: Karras et al. 2018 (ProGAN), arXiv 1710.10196, section 4.2.
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"{self.name}: epsilon must be positive, got {epsilon}.")
        self.epsilon = epsilon

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, inputs: Tensor) -> Tensor:
        x = at_least_float32(inputs)
        return ops.cast(x * ops.rsqrt(ops.mean(x * x, axis=-1, keepdims=True) + self.epsilon), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
