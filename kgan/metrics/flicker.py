"""Flicker: how much the frames of a filtered film change beyond what the frames before the filter do.

With frames x_t and what the filter makes of each, y_t, and |.| the mean over R, G and B in grey levels,

  flicker = mean over t and pixels p of max(0, |y_(t+1)(p) - y_t(p)| - max over q of |x_(t+1)(q) - x_t(q)|),

where q are p and its eight neighbours: a filter may move an edge by a pixel. Where the input rests, every change of the
output counts; where it moves, only what is larger than the movement. A filter that repeats its input, a constant one
and any that changes less than its input have 0; noise of deviation s, drawn anew for each frame, has 2 s / sqrt(pi) on
a film at rest. A filter that multiplies contrast is charged for the larger movement; one that only blurs has 0, so that
another measure belongs beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from kgan.errors import UserError


def flicker(frames: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[float]:
    """The flicker between each frame and the next, in grey levels from 0 to 255.

    Args:
      frames: pairs of input and output, all uint8 [H, W, 3].

    Raises:
      UserError: the frames are not all of one size.
    """
    for (x, y), (next_x, next_y) in pairwise(frames):
        shapes = {picture.shape[:2] for picture in (x, y, next_x, next_y)}
        if len(shapes) > 1:
            raise UserError(
                "Flicker needs frames of one size before and after the filter, got pictures of "
                f"{' and '.join(f'{height} x {width}' for height, width in sorted(shapes))}."
            )
        yield float(np.maximum(0, _change(y, next_y) - _spread(_change(x, next_x))).mean())


def _change(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much each pixel changes, [H, W]: the mean of its three channels' differences."""
    return np.abs(x.astype(np.float32) - y).mean(axis=-1)


def _spread(change: np.ndarray) -> np.ndarray:
    """The largest change [H, W] among each pixel and its eight neighbours."""
    padded = np.pad(change, 1, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max(axis=(2, 3))
