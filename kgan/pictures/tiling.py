"""Large pictures in overlapping tiles."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles of `tile` pixels start so that they cover [0, length) evenly and neighbours share at least `overlap`.

    A length of at most one tile gives [0]. `overlap` must be smaller than `tile`.
    """
    if length <= tile:
        return [0]
    gaps = math.ceil((length - tile) / (tile - overlap))
    return [round(i * (length - tile) / gaps) for i in range(gaps + 1)]


def weights(length: int, tile: int, overlap: int) -> np.ndarray:
    """The share of each tile in each pixel of its side, float32 [tiles, min(tile, length)].

    Where tiles overlap, their shares change linearly from one to the other, and all shares of a pixel sum to one.
    """
    tile = min(tile, length)
    tent = np.minimum(np.arange(tile) + 0.5, tile - 0.5 - np.arange(tile))
    places = [slice(start, start + tile) for start in starts(length, tile, overlap)]
    total = np.zeros(length)
    for place in places:
        total[place] += tent
    return np.stack([tent / total[place] for place in places]).astype(np.float32)


def tiled(picture_filter: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tile: int, overlap: int) -> np.ndarray:
    """Run a filter over uint8 [H, W, 3] tile by tile and blend the overlaps linearly; uint8 [H, W, 3].

    A filter that looks at each pixel's neighbourhood alone gives what it would give on the whole picture. One that
    normalizes over the picture (instance normalization, AdaLIN) sees each tile's own statistics: colours may drift
    from tile to tile, smoothly, since the overlaps are blended. `kgan.filters.streaming` has no such fault, but must
    know the network from inside.

    Args:
      picture_filter: uint8 [h, w, 3] to uint8 [h, w, 3].
      image: the picture.
      tile: the side of a tile in pixels.
      overlap: how many pixels neighbouring tiles share at least.
    """
    height, width = image.shape[:2]
    rows, columns = weights(height, tile, overlap), weights(width, tile, overlap)
    result = np.zeros(image.shape, np.float32)
    for top, down in zip(starts(height, tile, overlap), rows, strict=True):
        for left, across in zip(starts(width, tile, overlap), columns, strict=True):
            place = np.s_[top : top + tile, left : left + tile]
            result[place] += picture_filter(image[place]) * (down[:, None] * across)[..., None]
    return np.round(result).astype(np.uint8)
