"""Match: how many pictures that a filter made still belong to the pictures that it was given.

KID and FID are won by a filter that draws one good picture for everybody. Here each output looks for its own input
among all inputs, by the cosine of their features, each set centred on its own mean, so that the style which all outputs
share does not count. A filter that forgets its input finds it in one case of n.
"""

from __future__ import annotations

import numpy as np

from kgan.errors import UserError

BLOCK = 1024  # outputs that are compared with all inputs at a time


def ranks(outputs: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """The place of each output's own input among all inputs, the nearest first: int [n], 1 at best and n at worst.

    An output that does not differ from the mean of all has the last place: where all are alike, none shows its input.

    Args:
      outputs, inputs: features [n, d], of which rows of equal number belong together.

    Raises:
      UserError: there are fewer than two rows.
    """
    if len(inputs) < 2:
        raise UserError(f"Match needs at least two pictures, got {len(inputs)}: one alone is always the nearest.")
    x, y = _directions(outputs), _directions(inputs)
    places = []
    for start in range(0, len(x), BLOCK):
        cosines = x[start : start + BLOCK] @ y.T  # [b, n]
        own = np.take_along_axis(cosines, np.arange(start, start + len(cosines))[:, None], axis=1)
        places.append(1 + (cosines > own).sum(axis=1))
    return np.where(x.any(axis=1), np.concatenate(places), len(x))


def _directions(features: np.ndarray) -> np.ndarray:
    """Features around their mean, each of length one; what does not differ from the mean stays zero."""
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
