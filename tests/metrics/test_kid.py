"""KID against two loops."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics import kid


def rows(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions))


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (same and i == j)]
        return sum((float(a[i] @ b[j]) / a.shape[1] + 1) ** 3 for i, j in pairs) / len(pairs)

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def test_four_rows_in_the_head() -> None:
    """Kernels: 1 among x (0.0 / 2 + 1), 8 among y (2.1 / 2 + 1, cubed), 1 and 3.375 twice between."""
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    assert kid.distance(x, y) == pytest.approx(1 + 8 - 2 * (1 + 1 + 3.375 + 3.375) / 4)


def test_a_set_and_itself() -> None:
    """2 / n times the kernel's mean of different rows (1, twice) less that of equal rows (1 and 3.375): below zero."""
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert kid.distance(x, x) == pytest.approx(1 - (1 + 3.375) / 2)


@pytest.mark.parametrize("block", [2048, 3, 1])
def test_blocks_give_what_loops_give(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kid, "BLOCK", block)
    x, y = rows(7, 5), 2 * rows(10, 5, seed=1) + 1
    assert kid.distance(x, y) == pytest.approx(by_hand(x, y), rel=1e-12)
    assert kid.distance(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(by_hand(x, y), rel=1e-5)


def test_halves_of_one_set_are_at_no_distance_on_average() -> None:
    values = [kid.distance(*np.split(rows(40, 8, seed), 2)) for seed in range(200)]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert kid.distance(rows(40, 8), rows(40, 8) + 1) > 5 * np.std(values)


def test_subsets_scatter_around_the_whole_and_repeat_by_seed() -> None:
    x, y = rows(60, 8), rows(50, 8, seed=1) + 0.5
    mean, deviation = kid.over_subsets(x, y, seed=3)
    assert (mean, deviation) == kid.over_subsets(x, y, seed=3) != kid.over_subsets(x, y, seed=4)
    assert abs(mean - kid.distance(x, y)) < deviation
    assert [kid.subset_size(*counts) for counts in ((5000, 3000), (100, 300), (3, 9))] == [1000, 50, 2]


def test_subsets_of_everything_give_the_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(9, 4), rows(9, 4, seed=1) + 1
    monkeypatch.setattr(kid, "subset_size", lambda m, n: 9)
    assert kid.over_subsets(x, y, count=3) == pytest.approx((kid.distance(x, y), 0), rel=1e-9, abs=1e-12)


def test_one_picture_is_too_few() -> None:
    with pytest.raises(UserError, match="at least two pictures on each side, got 5 and 1"):
        kid.distance(rows(5, 3), rows(1, 3))
