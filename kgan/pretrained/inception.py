"""The Inception-v3 of FID: the graph of 2015-12-05 (Szegedy et al., arXiv:1512.00567), which is not Keras' own.

Three things tell it from later ones: average pools do not count their padding, the last block pools the maximum, and
batch normalization has no scale. 21,802,784 parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kgan.pretrained import resizing, weights
from kgan.types import Tensor

NAME, SHA256 = weights.INCEPTION
SIZE = (299, 299)
BATCH = 16


def load(path: str | Path | None = None) -> keras.Model:
    """The network, float32 [B, 299, 299, 3] in [0, 255] to features [B, 2048].

    Args:
      path: the file fid_inception_2015.npz or its folder; by default `weights.find` looks for it.

    Raises:
      UserError: the weights are missing, damaged or others.
    """
    arrays = weights.load(NAME, SHA256, path)
    return build({name.removeprefix("net.layers."): array for name, array in arrays.items()})


def build(arrays: dict[str, np.ndarray]) -> keras.Model:
    """The network with the weights `arrays`: each convolution has .weight [out, in, h, w], .beta, .mean, .var [out]."""

    def conv(x: Tensor, name: str, strides: int = 1, padding: str = "same") -> Tensor:
        kernel = arrays[f"{name}.weight"]
        convolution = layers.Conv2D(
            kernel.shape[0], kernel.shape[2:], strides, padding, use_bias=False, dtype="float32", name=name
        )
        normalization = layers.BatchNormalization(scale=False, epsilon=1e-3, dtype="float32", name=f"{name}.norm")
        x = layers.Activation("relu", dtype="float32")(normalization(convolution(x)))
        convolution.set_weights([kernel.transpose(2, 3, 1, 0)])
        normalization.set_weights([arrays[f"{name}.{value}"] for value in ("beta", "mean", "var")])
        return x

    def chain(x: Tensor, block: str, count: int, strides: int = 1) -> Tensor:
        """conv, conv_1, ... of a block, one after the other; the last has the strides, and then no padding."""
        for i in range(count):
            last = strides > 1 and i == count - 1
            name = f"{block}.conv_{i}" if i else f"{block}.conv"
            x = conv(x, name, strides, "valid") if last else conv(x, name)
        return x

    def fork(x: Tensor, name: str) -> list[Tensor]:
        """Two convolutions side by side, of 1 x 3 and 3 x 1."""
        return [conv(x, f"{name}_mixed_conv"), conv(x, f"{name}_mixed_conv_1")]

    def average(x: Tensor) -> Tensor:
        return layers.AveragePooling2D(3, 1, "same", dtype="float32")(x)

    def halve(x: Tensor) -> Tensor:
        return layers.MaxPooling2D(3, 2, dtype="float32")(x)

    def join(*branches: Tensor) -> Tensor:
        return layers.Concatenate(dtype="float32")(branches)

    picture = keras.Input((*SIZE, 3), dtype="float32", name="picture")
    x = layers.Rescaling(1 / 128, offset=-1.0, dtype="float32")(picture)
    x = conv(x, "conv", 2, "valid")
    x = conv(x, "conv_1", 1, "valid")
    x = halve(conv(x, "conv_2"))
    x = conv(x, "conv_3", 1, "valid")
    x = halve(conv(x, "conv_4", 1, "valid"))
    for block in ("mixed", "mixed_1", "mixed_2"):  # 35 x 35
        towers = chain(x, f"{block}.tower", 2), chain(x, f"{block}.tower_1", 3)
        x = join(chain(x, block, 1), *towers, chain(average(x), f"{block}.tower_2", 1))
    x = join(chain(x, "mixed_3", 1, 2), chain(x, "mixed_3.tower", 3, 2), halve(x))
    for block in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):  # 17 x 17
        towers = chain(x, f"{block}.tower", 3), chain(x, f"{block}.tower_1", 5)
        x = join(chain(x, block, 1), *towers, chain(average(x), f"{block}.tower_2", 1))
    x = join(chain(x, "mixed_8.tower", 2, 2), chain(x, "mixed_8.tower_1", 4, 2), halve(x))
    for block in ("mixed_9", "mixed_10"):  # 8 x 8
        narrow = fork(conv(x, f"{block}.tower_conv"), f"{block}.tower")
        deep = conv(conv(x, f"{block}.tower_1_conv"), f"{block}.tower_1_conv_1")
        pooled = average(x) if block == "mixed_9" else layers.MaxPooling2D(3, 1, "same", dtype="float32")(x)
        branches = *narrow, *fork(deep, f"{block}.tower_1"), conv(pooled, f"{block}.tower_2_conv")
        x = join(conv(x, f"{block}.conv"), *branches)
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    return keras.Model(picture, features, name="fid_inception_2015", trainable=False)


def features(network: keras.Model, pictures: Iterable[np.ndarray], resize: str = "clean") -> Iterator[np.ndarray]:
    """Features [b, 2048], float32, of up to 16 pictures at a time.

    Args:
      pictures: uint8 [H, W, 3], of any size.
      resize: one of `resizing.METHODS`.
    """
    batch = np.zeros((BATCH, *SIZE, 3), np.float32)  # always full: one shape is compiled once
    filled = 0
    for picture in pictures:
        batch[filled] = resizing.METHODS[resize](picture, SIZE)
        filled += 1
        if filled == BATCH:
            yield _features(network, batch, filled)
            filled = 0
    if filled:
        yield _features(network, batch, filled)


def _features(network: keras.Model, batch: np.ndarray, count: int) -> np.ndarray:
    """Features [count, 2048] of the first pictures; in a strategy's scope the rows come once from each device."""
    return np.asarray(network.predict_on_batch(batch))[:count]
