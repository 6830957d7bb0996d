"""How a network is told a label: as constant channels beside the picture's."""

from __future__ import annotations

import keras
from keras import ops

from kgan.types import Shape, Tensor


@keras.saving.register_keras_serializable("kgan")
class AppendLabel(keras.layers.Layer):
    """Repeats a label at every pixel, after the picture's own channels: [B, H, W, C] and [B, L] to [B, H, W, C + L].

    The convolution that follows must pad by zeros: where every window sees the same label, as under reflection padding,
    it only adds a constant to each channel, which an instance norm takes away again.

    Source: Choi et al. 2018, arXiv 1711.09020, section 3.3.
    """

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        image, label = input_shape
        return (*image[:-1], image[-1] + label[-1])

    def call(self, inputs: Tensor) -> Tensor:
        image, label = inputs
        maps = ops.reshape(label, (-1, 1, 1, label.shape[-1])) + ops.zeros_like(image[..., :1])
        return ops.concatenate([image, maps], axis=-1)
