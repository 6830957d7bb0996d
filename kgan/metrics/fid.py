"""Frechet Inception distance (Heusel et al. 2017, arXiv:1706.08500): between the Gaussians of two sets of features.

|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It falls as sets grow, whatever they hold: compare at equal counts only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kgan.errors import UserError


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of a set of rows [count, d], all that FID knows of it, in float64.

    Attributes:
      count: the number of rows.
      mean: [d].
      factor: R [r, d], where R^T R is the covariance (divided by count - 1), and r at most `count` and at most d.
    """

    count: int
    mean: np.ndarray
    factor: np.ndarray


def gaussian(blocks: Iterable[np.ndarray]) -> Gaussian:
    """The Gaussian of rows that come in blocks [b, d]; memory does not grow with their number.

    Each block is centred on its own before it joins the others (Chan et al. 1979), so that large means lose no digits.

    Raises:
      UserError: there are fewer than two rows.
    """
    count, mean, factor = 0, np.zeros(()), np.zeros((0, 0))
    for block in filter(len, blocks):
        rows = np.asarray(block, np.float64)
        centre, total = rows.mean(axis=0), count + len(rows)
        apart, rows = centre - mean, rows - centre
        if count:
            rows = np.concatenate([factor, rows, apart[None] * np.sqrt(count * len(block) / total)])
        factor = _shortened(rows) if len(rows) > 2 * rows.shape[1] else rows  # not each time: it takes seconds
        mean = mean + apart * (len(block) / total)
        count = total
    if count < 2:
        raise UserError(f"FID needs at least two pictures on each side, got {count}: one alone has no covariance.")
    return Gaussian(count, mean, _shortened(factor) / np.sqrt(count - 1))


def _shortened(factor: np.ndarray) -> np.ndarray:
    """A factor of the same R^T R that has no more rows than columns."""
    return np.asarray(np.linalg.qr(factor, mode="r")) if len(factor) > factor.shape[1] else factor


def distance(a: Gaussian, b: Gaussian) -> float:
    """FID of two sets: the squared distance of the means, and what the covariances add.

    The root of C1 C2, which is not symmetric and below full rank has no stable root, is never taken: its trace is the
    sum of the singular values of R1 R2^T. They are real, few where a set is small, and need no covariance.
    """
    apart = a.mean - b.mean
    shared = np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum()
    return float(apart @ apart + np.square(a.factor).sum() + np.square(b.factor).sum() - 2 * shared)
