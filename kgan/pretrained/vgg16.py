"""VGG16 (Simonyan and Zisserman 2015, arXiv:1409.1556) with the weights that LPIPS uses: feature maps for losses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from kgan.pretrained import weights
from kgan.types import Tensor

NAME, SHA256 = weights.VGG16
SMALLEST = 16  # pixels a side, of which the last of four pools leaves one
CONVOLUTIONS = (2, 2, 3, 3, 3)  # before each of the five taps


def load_maps(taps: tuple[int, ...], path: str | Path | None = None) -> keras.Model:
    """The network, float32 [B, H, W, 3] in [-1, 1] to the maps of `taps`: 0 is relu1_2 [B, H, W, 64], 1 relu2_2
    [B, H/2, W/2, 128], 2 relu3_3 [B, H/4, W/4, 256], 3 relu4_3 [B, H/8, W/8, 512], 4 relu5_3 [B, H/16, W/16, 512].

    Each pixel's features have the length one.

    Args:
      path: the file lpips_vgg16.npz or its folder; by default `weights.find` looks for it.

    Raises:
      UserError: the weights are missing, damaged or others.
    """
    picture, outputs = maps(weights.load(NAME, SHA256, path), max(taps) + 1)
    return keras.Model(picture, [outputs[tap] for tap in taps], name="vgg16", trainable=False)


def maps(arrays: Mapping[str, np.ndarray], taps: int) -> tuple[Tensor, list[Tensor]]:
    """The network's input, and the maps of the first `taps` taps, with features of length one at each pixel."""

    def conv(x: Tensor, number: int) -> Tensor:
        kernel, bias = (arrays[f"VGG16_0.Conv_{number}.{part}"] for part in ("kernel", "bias"))
        layer = layers.Conv2D(
            kernel.shape[-1], 3, padding="same", activation="relu", dtype="float32", name=f"conv_{number}"
        )
        x = layer(x)
        layer.set_weights([kernel.astype(np.float32), bias])
        return x

    picture = keras.Input((None, None, 3), dtype="float32", name="picture")
    x = (picture - np.array([-0.030, -0.088, -0.188], "f4")) / np.array([0.458, 0.448, 0.450], "f4")
    maps, number = [], 0
    for tap, count in enumerate(CONVOLUTIONS[:taps]):
        if tap:
            x = layers.MaxPooling2D(2, dtype="float32")(x)
        for _ in range(count):
            x = conv(x, number)  # [B, H / 2^tap, W / 2^tap, 64 to 512]
            number += 1
        # Within the root, not beside it: the slope of a root is infinite at 0, where no feature is seen.
        maps.append(x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-20))
    return picture, maps
