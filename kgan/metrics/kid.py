"""Kernel Inception distance (Binkowski et al. 2018, arXiv:1801.01401): the squared MMD of two sets of features.

The kernel is (x.y / d + 1)^3. The estimate is unbiased at every count, and may therefore be a little below zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kgan.errors import UserError

BLOCK = 2048


def distance(x: np.ndarray, y: np.ndarray) -> float:
    """KID of features x [m, d] and y [n, d], over all pairs; papers print 100 times as much.

    The estimate takes x and y as drawn independently. Of a set and itself, whose equal rows meet in the last term only,
    it is below zero: by 2 / n of how much larger the kernel of a row with itself is, on average, than with another.

    Raises:
      UserError: there are fewer than two rows on one side.
    """
    m, n = len(x), len(y)
    if min(m, n) < 2:
        raise UserError(f"KID needs at least two pictures on each side, got {m} and {n}.")
    return _among(x) / (m * (m - 1)) + _among(y) / (n * (n - 1)) - 2 * _between(x, y) / (m * n)


def subset_size(m: int, n: int) -> int:
    """1000, as published, where the smaller set has 2000; else half of it: subsets of everything would all be equal."""
    return min(1000, max(2, min(m, n) // 2))


def over_subsets(x: np.ndarray, y: np.ndarray, count: int = 100, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of KID over `count` pairs of random subsets of `subset_size` rows, none twice."""
    generator = np.random.default_rng(seed)
    size = subset_size(len(x), len(y))

    def some(rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[np.sort(generator.choice(len(rows), size, replace=False))], np.float64)

    def value() -> float:
        both = np.concatenate([some(x), some(y)])
        kernel = _kernel(both @ both.T, both.shape[1])  # one product in place of three: threads wait for each other
        np.fill_diagonal(kernel, 0)
        among = kernel[:size, :size].sum() + kernel[size:, size:].sum()
        return float(among / (size * (size - 1)) - 2 * kernel[:size, size:].mean())

    values = [value() for _ in range(count)]
    return float(np.mean(values)), float(np.std(values))


def _kernel(dots: np.ndarray, dimensions: int) -> np.ndarray:
    """(x.y / d + 1)^3 of the dot products x.y."""
    return (dots / dimensions + 1) ** 3


def _among(x: np.ndarray) -> float:
    """The kernel's sum over all ordered pairs of different rows."""
    own = sum(_kernel(np.square(block).sum(axis=1), x.shape[1]).sum() for block in _blocks(x))
    return _between(x, x) - float(own)


def _between(x: np.ndarray, y: np.ndarray) -> float:
    """The kernel's sum over all pairs of a row of x and one of y."""
    return float(sum(_kernel(a @ b.T, x.shape[1]).sum() for a in _blocks(x) for b in _blocks(y)))


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """The rows in blocks of BLOCK, as float64."""
    for start in range(0, len(x), BLOCK):
        yield np.asarray(x[start : start + BLOCK], np.float64)
