"""Small generators: networks that phones run fast, for systems that train them and for compressing them."""

from __future__ import annotations

from typing import Protocol

import keras

from kgan.blocks import Initial, Norm
from kgan.layers import AppendLabel, BatchNormalization, InstanceNormalization
from kgan.networks import phone, resnet
from kgan.types import Tensor


class Size(Protocol):
    """What a small generator needs of a system's settings.

    Attributes:
      generator: "phone", or "resnet" for a ResNet with resize-convolutions.
      filters: of its first layer.
      residual_blocks: of it.
      norm: "instance" or "batch".
    """

    generator: str
    filters: int
    residual_blocks: int
    norm: str


def build(size: Size, label_size: int = 0, seed: int = 0, name: str = "student") -> keras.Model:
    """[B, H, W, 3] to {"image": [B, H, W, 3]}.

    With labels the inputs are {"image": ..., "label": [B, label_size]}, and each number is repeated at every pixel.
    """
    inputs = {"image": keras.Input((None, None, 3), name="image")}
    x, initial = inputs["image"], Initial(seed)
    if label_size:
        inputs["label"] = keras.Input((label_size,), name="label")
        x = AppendLabel(name="labelled")([x, inputs["label"]])  # [B, H, W, 3 + label_size]

    def instance_norm(x: Tensor, name: str) -> Tensor:
        return InstanceNormalization(name=name)(x)

    def batch_norm(x: Tensor, name: str) -> Tensor:
        return BatchNormalization(momentum=0.98, name=name)(x)

    norm: Norm = batch_norm if size.norm == "batch" else instance_norm
    arguments = (x, 3, size.filters, size.residual_blocks)
    if size.generator == "phone":
        x = phone(*arguments, initial=initial, norm=norm, use_bias=False)
    else:
        zeros = bool(label_size) and size.norm == "instance"
        x, _ = resnet(*arguments, initial=initial, norm=norm, use_bias=False, upsampling="resize", zeros=zeros)
    return keras.Model(inputs if label_size else inputs["image"], {"image": x}, name=name)
