"""TensorFlow Addons' normalization layers, for the models that were saved with them.

TensorFlow Addons ended in May 2024 and cannot be imported beside Keras 3. Its layers live on in files, under the names
`Addons>InstanceNormalization`, `Addons>GroupNormalization` and `Addons>SpectralNormalization`; importing this module
registers layers of our own under these names, with the same settings, weights and results.

Read such a file, `.h5` or `.keras`, with `kgan.layers.legacy.load_model`. After `import kgan.layers`,
keras.models.load_model(path, compile=False) reads those which need no more than these three
layers: it refuses every functional `.keras` file of tf.keras 2 and, in both formats, some of its own layers. A
SavedModel needs none of this: it holds its computation.

For new networks use the layers of `kgan.layers`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kgan.layers import spectral, whole
from kgan.layers.legacy import modernize
from kgan.precision import at_least_float32
from kgan.types import Shape, Tensor


@keras.saving.register_keras_serializable("Addons")
class GroupNormalization(keras.layers.GroupNormalization):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, over each image's pixels and the channels of one group.

    Settings and weights are those of keras.layers.GroupNormalization. The statistics, in float32 at least, are taken a
    channel first and joined for each group by the law of total variance: Keras' layer gives its pictures five axes,
    which mobile runtimes refuse.

    Shapes: [B, ..., C, ...] with the channels on `axis`, [B, C] included, to the same.
    Source: Wu and He 2018, arXiv 1803.08494; tensorflow_addons/layers/normalizations.py.

    Raises:
      ValueError: `axis` is the batch or not an axis of the input; a negative axis other than -1 where each group is one
        channel: there TensorFlow Addons takes its statistics over the wrong axes.
    """

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        if self.axis not in (*range(1, rank), *range(1 - rank, 0)):
            raise ValueError(f"{self.name}: axis must be 1 to {rank - 1} or -1 for {input_shape}, got {self.axis}.")
        super().build(input_shape)
        if self.axis < -1 and self.groups == input_shape[self.axis]:
            raise ValueError(
                f"{self.name}: axis {self.axis} with one channel a group is miscomputed by TensorFlow Addons, so that "
                f"its results cannot be kept; axis={self.axis + rank} normalizes as meant."
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = at_least_float32(inputs)
        channels_axis = self.axis % len(x.shape)
        channels = x.shape[channels_axis]
        axes = tuple(axis for axis in range(1, len(x.shape)) if axis != channels_axis)
        vector = [channels if axis == channels_axis else 1 for axis in range(1, len(x.shape))]
        mean = whole.mean(x, axes)
        centered = x - mean
        variance = whole.mean(centered * centered, axes)
        if self.groups < channels:
            groups = (-1, self.groups, channels // self.groups)
            mean, variance = ops.reshape(mean, groups), ops.reshape(variance, groups)
            offset = mean - ops.mean(mean, axis=-1, keepdims=True)
            variance = ops.mean(variance + offset * offset, axis=-1, keepdims=True) + ops.zeros_like(offset)
            centered = centered + ops.reshape(offset, (-1, *vector))
            variance = ops.reshape(variance, (-1, *vector))
        factor = ops.rsqrt(variance + self.epsilon)
        if self.scale:
            factor = factor * ops.cast(ops.reshape(self.gamma, vector), x.dtype)
        outputs = centered * factor
        if self.center:
            outputs = outputs + ops.cast(ops.reshape(self.beta, vector), x.dtype)
        return ops.cast(outputs, self.compute_dtype)


@keras.saving.register_keras_serializable("Addons")
class InstanceNormalization(GroupNormalization):
    """GroupNormalization with one channel a group, whatever `groups` says. Its epsilon is 1e-3 unless given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"groups": -1}))


@keras.saving.register_keras_serializable("Addons")
class SpectralNormalization(spectral.SpectralNormalization):
    """Spectral normalization of a layer whose stored kernel is divided by its largest singular value already.

    TensorFlow Addons divides the kernel *in place*, at the start of every call with training=True, and uses the stored
    one as it is in all other calls. So do those calls here. A call with training=True gives the result of theirs, but
    leaves the kernel alone and differentiates through the division, as kgan.layers.SpectralNormalization does; the
    stored kernel then drifts away from the divided one. After training on, run `normalize_weights` before inference.

    Args:
      layer: has a `kernel` or `embeddings`, whose last axis counts the outputs.
      power_iterations: steps in each training call.
      seed: of the first u.

    Raises:
      ValueError: the layer has neither.
    """

    def build(self, input_shape: Shape) -> None:
        keras.layers.Wrapper.build(self, input_shape)
        if not hasattr(self.layer, "kernel") and not hasattr(self.layer, "embeddings"):
            raise ValueError(f"{self.name}: a {type(self.layer).__name__} has no kernel or embeddings to normalize.")
        self.u = self.add_weight(
            name="sn_u",
            shape=(1, self._kernel.shape[-1]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02, seed=self.seed),
            trainable=False,
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        return super().call(inputs, training=True) if training else self.layer(inputs)

    def normalize_weights(self) -> None:
        """Divide the stored kernel by its largest singular value, as far as the power iteration has found it."""
        self._kernel.assign(self._normalized(training=True))

    @property
    def _kernel(self) -> keras.Variable:
        return self.layer.embeddings if hasattr(self.layer, "embeddings") else super()._kernel

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> SpectralNormalization:
        # Files of TensorFlow before 2.13 name the wrapped layer's class alone.
        layer = {"module": "keras.layers"} | modernize(config["layer"])
        return super().from_config({**config, "layer": layer}, custom_objects)

    def load_own_variables(self, store: Any) -> None:
        # TensorFlow Addons lists the kernel among the wrapper's own variables too, before sn_u.
        self.u.assign(store[str(len(store.keys()) - 1)])
