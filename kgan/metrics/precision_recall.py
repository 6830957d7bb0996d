"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991): overlap of two sets' manifolds.

A set's manifold is a ball around each of its rows, out to the row's k-th nearest neighbour in the set. Precision is the
share of generated pictures inside the manifold of the real ones, recall that of real ones inside the generated's.
The paper's features are VGG16's second fully connected layer; in others the figures are others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kgan.errors import UserError

NEIGHBOURS = 3
BLOCK = 1024


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """(precision, recall) of features `generated` [n, d] against `real` [m, d], each from 0 to 1.

    Distances come in blocks of 1024 x 1024: memory does not grow with the product of the counts.

    Raises:
      UserError: a set has no k-th neighbour, as it has at most k rows.
    """
    if min(len(real), len(generated)) <= k:
        raise UserError(
            f"Precision and recall look at the {k} nearest neighbours of each picture: they need at least {k + 1} "
            f"pictures on each side, got {len(real)} and {len(generated)}."
        )
    return inside(generated, real, radii(real, k)), inside(real, generated, radii(generated, k))


def radii(rows: np.ndarray, k: int) -> np.ndarray:
    """The squared distance [n] of each row [n, d] to its k-th nearest neighbour, itself not counted."""
    return np.concatenate([_radii(block, rows, start, k) for start, block in _blocks(rows)])


def _radii(block: np.ndarray, rows: np.ndarray, start: int, k: int) -> np.ndarray:
    """`radii` of a block of the rows that begins at row `start`."""
    nearest = np.full((len(block), k), np.inf)
    for begin, others in _blocks(rows):
        squares = _squares(block, others)
        if begin == start:
            np.fill_diagonal(squares, np.inf)
        nearest = np.partition(np.concatenate([nearest, squares], axis=1), k - 1, axis=1)[:, :k]
    return nearest[:, -1]


def inside(rows: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> float:
    """The share of `rows` [n, d] that lie in a ball around any of `centres` [m, d], of squared `radii` [m]."""
    count = 0
    for _, block in _blocks(rows):
        covered = np.zeros(len(block), bool)
        for start, others in _blocks(centres):
            covered |= (_squares(block, others) <= radii[start : start + len(others)]).any(axis=1)
        count += int(covered.sum())
    return count / len(rows)


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances [n, m] of all rows of a [n, d] and b [m, d]; of equal rows 0, not what rounding leaves."""
    lengths = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    squares = lengths - 2 * a @ b.T
    return np.where(squares > 1e-12 * lengths, squares, 0)


def _blocks(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The rows in blocks of BLOCK, as float64, each with the number of its first row."""
    for start in range(0, len(rows), BLOCK):
        yield start, np.asarray(rows[start : start + BLOCK], np.float64)
