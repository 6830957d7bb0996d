"""LPIPS (Zhang et al. 2018, arXiv:1801.03924), version 0.1 on VGG16: how different two pictures look.

Maps of five layers of VGG16, each pixel's features brought to length one; the squared differences of two pictures,
weighted by channel, averaged over pixels and summed over layers. Pictures compare at equal size only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kgan.errors import UserError
from kgan.pretrained import vgg16, weights
from kgan.types import Tensor


def load(path: str | Path | None = None) -> keras.Model:
    """The network, float32 [B, H, W, 3] in [-1, 1] to five maps [B, h, w, c], for the functions below.

    Args:
      path: the file lpips_vgg16.npz or its folder; by default `weights.find` looks for it.

    Raises:
      UserError: the weights are missing, damaged or others.
    """
    return build(weights.load(vgg16.NAME, vgg16.SHA256, path))


def build(arrays: dict[str, np.ndarray]) -> keras.Model:
    """The network with the weights `arrays`: kernels [3, 3, in, out] and biases of VGG16's 13 convolutions, and kernels
    [1, 1, c, 1] of five linear layers.

    A linear layer weights the squared differences of two maps; its square root weights each map by itself.
    """

    def linear(x: Tensor, number: int) -> Tensor:
        layer = layers.DepthwiseConv2D(1, use_bias=False, dtype="float32", name=f"linear_{number}")
        x = layer(x)
        layer.set_weights([np.sqrt(arrays[f"NetLinLayer_{number}.Conv_0.kernel"])])
        return x

    picture, maps = vgg16.maps(arrays, len(vgg16.CONVOLUTIONS))
    weighted = [linear(x, tap) for tap, x in enumerate(maps)]
    return keras.Model(picture, weighted, name="lpips_vgg16", trainable=False)


def distance(network: keras.Model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """LPIPS [B], float32, of each picture of x [B, H, W, 3] to that of y; float in [-1, 1].

    Raises:
      UserError: they differ in shape, or are smaller than 16 pixels.
    """
    return _between(_maps(network, x), _maps(network, y))


def neighbours(network: keras.Model, pictures: Iterable[np.ndarray]) -> Iterator[float]:
    """LPIPS of each picture, float [H, W, 3] in [-1, 1], to the one before it, from the second on."""
    for before, after in pairwise(_maps(network, picture[None]) for picture in pictures):
        yield float(_between(before, after)[0])


def circle(count: int, most: int, seed: int = 0) -> np.ndarray:
    """A random order of `count` pictures that ends with its first, cut to `most` pairs of neighbours.

    The neighbours' mean LPIPS ("diversity") is an unbiased estimate of that of all pairs, and needs each picture's maps
    once.

    Raises:
      UserError: there are fewer than two.
    """
    if count < 2:
        raise UserError(f"Diversity needs at least two pictures, got {count}.")
    order = np.random.default_rng(seed).permutation(count)
    return (np.append(order, order[0]) if count > 2 else order)[: most + 1]


def _maps(network: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    """The weighted maps of pictures [B, H, W, 3]: five arrays [B, h, w, c]."""
    if min(x.shape[1:3]) < vgg16.SMALLEST:
        raise UserError(f"LPIPS needs {vgg16.SMALLEST} pixels a side, got pictures of {x.shape[1]} x {x.shape[2]}.")
    # In a strategy's scope the rows come once from each of its devices.
    return [np.asarray(rows)[: len(x)] for rows in network.predict_on_batch(x)]


def _between(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
    """LPIPS [B] of pictures with the maps `a` to those with the maps `b`."""
    if a[0].shape != b[0].shape:
        (*_, height, width, _), (*_, height_b, width_b, _) = a[0].shape, b[0].shape
        raise UserError(f"LPIPS compares pictures of one size, not {height} x {width} with {height_b} x {width_b}.")
    return np.sum([np.square(x - y).sum(axis=-1).mean(axis=(1, 2)) for x, y in zip(a, b, strict=True)], axis=0)
