"""EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946, without squeeze and with ReLU6): feature maps for losses.

Trained on ImageNet. Its 5.5 MB come with kgan, and it is some fifty times faster than VGG16. Batch normalization is
folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kgan.precision import variable_dtype
from kgan.types import Tensor

ASSET = Path(__file__).parents[1] / "assets" / "efficientnet_lite0.npz"
# (blocks, strides of the first block, expansion, width) of each stage
STAGES = ((1, 1, 1, 16), (2, 2, 6, 24), (2, 2, 6, 40), (3, 2, 6, 80), (3, 1, 6, 112), (4, 2, 6, 192), (1, 1, 6, 320))
TAPS = (2, 4, 10, 15)  # the blocks that end at a 4th, an 8th, a 16th and a 32nd of the size


def load(taps: tuple[int, ...] = (0, 1, 2, 3)) -> keras.Model:
    """The network, [B, H, W, 3] in [-1, 1] of any size to the maps of `taps`, or of one tap to its map.

    It computes in the dtype of variables, float32 under any but a float64 policy.

    Tap 0 is [B, H/4, W/4, 24], 1 [B, H/8, W/8, 40], 2 [B, H/16, W/16, 112] and 3 [B, H/32, W/32, 320], rounded up.
    Gradients reach the picture; the weights are fixed.
    """
    with np.load(ASSET) as arrays:
        return build({name: arrays[name].astype(np.float32) for name in arrays.files}, taps)


def build(arrays: Mapping[str, np.ndarray], taps: tuple[int, ...]) -> keras.Model:
    """The network up to the last of `taps`, with the weights `arrays`: /kernel and /bias of `stem`, and of b0 to b15
    each _expand [1, 1, in, out] (not of b0), _dw [k, k, out, 1] and _project [1, 1, in, out].
    """

    dtype = variable_dtype()

    def conv(x: Tensor, name: str, strides: int = 1) -> Tensor:
        kernel, bias = arrays[f"{name}/kernel"], arrays[f"{name}/bias"]
        layer = layers.Conv2D(kernel.shape[3], kernel.shape[0], strides, "same", dtype=dtype, name=name)
        x = layer(x)
        layer.set_weights([kernel, bias])
        return x

    def depthwise(x: Tensor, name: str, strides: int) -> Tensor:
        kernel, bias = arrays[f"{name}/kernel"], arrays[f"{name}/bias"]
        layer = layers.DepthwiseConv2D(kernel.shape[0], strides, "same", dtype=dtype, name=name)
        x = layer(x)
        layer.set_weights([kernel, bias])
        return x

    def relu6(x: Tensor) -> Tensor:
        return layers.ReLU(6.0, dtype=dtype)(x)

    picture = keras.Input((None, None, 3), dtype=dtype, name="picture")
    x = picture * (127.5 / 128) + 0.5 / 128  # (pixel - 127) / 128
    x = relu6(conv(x, "stem", 2))  # [B, H/2, W/2, 32]
    maps: list[Tensor] = []
    block = 0
    for blocks, first_strides, expansion, width in STAGES:
        for i in range(blocks):
            name, strides, before = f"b{block}", first_strides if i == 0 else 1, x
            if expansion > 1:
                x = relu6(conv(x, f"{name}_expand"))
            x = relu6(depthwise(x, f"{name}_dw", strides))
            x = conv(x, f"{name}_project")  # [B, h, w, width]
            if strides == 1 and before.shape[-1] == width:
                x = layers.Add(dtype=dtype)([x, before])
            if block in TAPS:
                maps.append(x)
            if len(maps) > max(taps):
                return keras.Model(picture, [maps[tap] for tap in taps], name="efficientnet_lite0", trainable=False)
            block += 1
    raise ValueError(f"EfficientNet-Lite0 has the taps 0 to {len(TAPS) - 1}, got {taps}.")
