"""U-GAT-IT's attention: a classifier's weights, multiplied onto the map that it classified."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgan.layers.spectral import largest
from kgan.precision import at_least_float32, at_least_float32_dtype
from kgan.types import Shape, Tensor


@keras.saving.register_keras_serializable("kgan")
class CAM(keras.layers.Layer):
    """Class activation maps of an auxiliary domain classifier, as U-GAT-IT uses them in G and D.

    Global average and global maximum pooling each go through a one-output classifier; its weights then scale the map's
    channels, so that what decided the class is what later layers attend to.

    Args:
      heads: "shared" (one classifier for both poolings, official TensorFlow code) or "separate" (PyTorch port).
      use_bias: the classifier has a bias, which is then added to the weights on the map too (official TensorFlow code).
      spectral: divide the weights by their spectral norm, as `SpectralNormalization` does. A kernel with one output has
        a single singular value, its Euclidean norm, which one power iteration finds.
      raw_map: with `spectral`, scale the map by the weights *before* the division (PyTorch port's D).

    Shapes: [B, H, W, C] to ([B, H, W, 2 C], logits [B, 2]), average first. Logits are float32 at least.
    Source: Kim et al. 2020, arXiv 1907.10830, section 2.1; taki0112/UGATIT UGATIT.py.
    """

    def __init__(
        self,
        heads: str = "shared",
        use_bias: bool = True,
        spectral: bool = False,
        raw_map: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if heads not in ("shared", "separate"):
            raise ValueError(f"{self.name}: heads is 'shared' or 'separate', got {heads!r}.")
        self.heads = heads
        self.use_bias = use_bias
        self.spectral = spectral
        self.raw_map = raw_map
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        names = ("",) if self.heads == "shared" else ("average_", "maximum_")
        self.kernels = [
            self.add_weight((input_shape[-1], 1), self.kernel_initializer, name=f"{name}kernel", autocast=False)
            for name in names
        ]
        self.biases = [
            self.add_weight((1,), "zeros", name=f"{name}bias", autocast=False) for name in names if self.use_bias
        ]
        fixed: dict[str, Any] = {"trainable": False, "autocast": False}
        self.directions = [
            (
                self.add_weight((1, 1), "ones", name=f"{name}u", **fixed),
                self.add_weight((1, input_shape[-1]), "zeros", name=f"{name}v", **fixed),
            )
            for name in names
            if self.spectral
        ]

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, Shape]:
        return (*input_shape[:-1], 2 * input_shape[-1]), (input_shape[0], 2)

    def compute_output_spec(self, inputs: Tensor, training: bool = False) -> Any:
        maps, logits = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(maps, inputs.dtype), keras.KerasTensor(logits, at_least_float32_dtype(inputs.dtype))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        x = at_least_float32(inputs)
        kernels = [ops.convert_to_tensor(kernel) for kernel in self.kernels]
        sigmas = [largest(kernels[i], u, v, int(training)) for i, (u, v) in enumerate(self.directions)]
        poolings = (ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2)))  # [B, C] each
        logits, maps = [], []
        for i, pooled in enumerate(poolings):
            head = min(i, len(self.kernels) - 1)
            raw = ops.cast(kernels[head], x.dtype)
            bias = ops.cast(self.biases[head], x.dtype) if self.use_bias else None
            kernel = raw / ops.cast(sigmas[head], x.dtype) if self.spectral else raw
            logit = ops.matmul(pooled, kernel)  # [B, 1]
            weights = ops.reshape(raw if self.raw_map else kernel, (-1,))  # [C]
            if bias is not None:
                logit, weights = logit + bias, weights + bias
            logits.append(logit)
            maps.append(inputs * ops.cast(weights, inputs.dtype))
        return ops.concatenate(maps, axis=-1), ops.concatenate(logits, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "use_bias": self.use_bias,
            "spectral": self.spectral,
            "raw_map": self.raw_map,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("kgan")
class Heatmap(keras.layers.Layer):
    """Where a network attends: the sum over channels, [B, H, W, C] to [B, H, W, 1]."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 1)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.sum(inputs, axis=-1, keepdims=True)
