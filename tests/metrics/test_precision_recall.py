"""Precision and recall of points on a line, where the balls can be drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics import precision_recall as module
from kgan.metrics.precision_recall import precision_recall


def line(*points: float) -> np.ndarray:
    return np.array(points)[:, None]


def test_points_on_a_line() -> None:
    """k = 1. Real balls: 0 and 1 of radius 1, 10 of 9, [-1, 2] and [1, 19]. Made: 2 and 4 of 2, 30 of 26, [0, 56]."""
    real, generated = line(0, 1, 10), line(2, 4, 30)
    np.testing.assert_allclose(module.radii(real, 1), [1, 1, 81])
    assert precision_recall(real, generated, k=1) == (2 / 3, 1)  # a ball's border is of the ball
    assert precision_recall(real, generated + 0.5, k=1) == (2 / 3, 2 / 3)
    assert precision_recall(real, generated, k=2)[0] == 2 / 3  # radii 10, 9, 10: below 20


def test_a_set_covers_itself_and_nothing_far_away() -> None:
    x = np.random.default_rng(0).normal(size=(50, 20))
    assert precision_recall(x, x) == (1, 1)
    assert precision_recall(x, x + 100) == (0, 0)
    equal = np.full((33, 2048), 0.1)  # balls of radius 0, where rounding must not decide
    assert precision_recall(equal, equal[:17]) == (1, 1)


def test_a_generator_of_one_picture_is_precise_and_recalls_nothing() -> None:
    real = np.random.default_rng(0).normal(size=(50, 5))
    assert precision_recall(real, np.repeat(real[:1], 20, axis=0)) == (1, 1 / 50)


@pytest.mark.parametrize("block", [1024, 7, 1])
def test_blocks_give_what_loops_give(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(30, 4)), 1 + 1.5 * random.normal(size=(23, 4)).astype(np.float32)

    def share(rows: np.ndarray, centres: np.ndarray) -> float:
        squares = np.square(centres[:, None] - centres[None]).sum(axis=-1)
        radii = np.sort(squares, axis=1)[:, 3]  # the first is the distance to itself
        return float((np.square(rows[:, None] - centres[None]).sum(axis=-1) <= radii).any(axis=1).mean())

    assert precision_recall(real, generated) == (share(generated, real), share(real, generated))
    assert 0 < share(generated, real) < share(real, generated) < 1


def test_few_pictures_have_no_third_neighbour() -> None:
    with pytest.raises(UserError, match="at least 4 pictures on each side, got 3 and 9"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)))
