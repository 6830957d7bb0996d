"""Large pictures in overlapping tiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import TypeAlias

import numpy as np

from kgan.interrupts import go_on


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

    A filter that looks at each pixel's neighbourhood alone gives nearly what it would give on the whole picture: near a
    tile's edges it sees no further. `exact` has no such fault, but must know how far it looks. One that normalizes over
    the picture (instance normalization, AdaLIN) sees each tile's own statistics: colours may drift from tile to tile,
    smoothly, since the overlaps are blended. `kgan.filters.streaming` has neither fault, but must know the network from
    inside.

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
            go_on()
            place = np.s_[top : top + tile, left : left + tile]
            result[place] += picture_filter(image[place]) * (down[:, None] * across)[..., None]
    return np.round(result).astype(np.uint8)


Span: TypeAlias = tuple[int, int, int, int]


def spans(length: int, core: int, margin: int, unit: int, even: bool) -> list[Span]:
    """(start, stop, low, high) of tiles along a side: cores [low, high) share it out, each in a tile [start, stop).

    All tiles are equally long, or one is the whole side. A core is `margin` away from the ends of its tile, but for the
    ends of the picture. All numbers are multiples of `unit`, as `length` is.

    Args:
      even: cores are as long as each other, `core` at most; else a tile is `core` + 2 `margin` for all lengths.
    """
    if even:
        core = math.ceil(length / math.ceil(length / core) / unit) * unit
    tile = core + 2 * margin
    if length <= tile:
        return [(0, length, 0, length)]
    starts = [(min(max(0, low - margin), length - tile), low) for low in range(0, length, core)]
    return [(start, start + tile, low, min(low + core, length)) for start, low in starts]


def exact(
    picture_filter: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    size: tuple[int, int],
    margin: int,
    unit: int,
) -> np.ndarray:
    """Run a filter that takes one size over a larger picture, with the result that the whole would have.

    Args:
      picture_filter: uint8 [*size, 3] to the same. It looks `margin` pixels far at most, and no farther.
      image: uint8 [H, W, 3], H and W multiples of `unit`, and no smaller than `size`.
      size: height and width of a tile, more than 2 `margin`.
      margin: as `kgan.filters.streaming.margin` says, with `unit`.
    """
    rows, columns = (
        spans(length, side - 2 * margin, margin, unit, even=False)
        for length, side in zip(image.shape, size, strict=False)
    )
    result = np.empty_like(image)
    for (top, bottom, low, high), (left, right, first, last) in product(rows, columns):
        go_on()
        tile = picture_filter(image[top:bottom, left:right])
        result[low:high, first:last] = tile[low - top : high - top, first - left : last - left]
    return result
