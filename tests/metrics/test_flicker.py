"""Flicker of films whose flicker is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics.flicker import flicker

Filter = Callable[[np.ndarray], np.ndarray]


def of(frames: list[np.ndarray], picture_filter: Filter) -> float:
    return float(np.mean(list(flicker((frame, picture_filter(frame)) for frame in frames))))


def still(level: int = 128, side: int = 64) -> list[np.ndarray]:
    return [np.full((side, side, 3), level, np.uint8)] * 6


def moving() -> list[np.ndarray]:
    """A white bar of 8 pixels that moves by 2 a frame, over noise that rests."""
    ground = np.random.default_rng(0).integers(0, 100, (32, 32, 3), np.uint8)
    frames = []
    for step in range(5):
        frame = ground.copy()
        frame[:, 2 * step : 2 * step + 8] = 255
        frames.append(frame)
    return frames


def test_filters_that_add_no_change_have_none() -> None:
    for quiet_filter in (
        lambda x: x,
        lambda x: np.full_like(x, 200),  # constant
        lambda x: 255 - x,
        lambda x: x // 2,
        lambda x: np.roll(x, 1, axis=1),  # an edge may move by a pixel
    ):
        assert of(moving(), quiet_filter) == 0


def test_new_noise_in_each_frame_counts_by_its_deviation() -> None:
    """E|n - m| of two normals of deviation s is 2 s / sqrt(pi)."""
    random = np.random.default_rng(0)

    def noisy(x: np.ndarray) -> np.ndarray:
        return np.clip(np.round(x + random.normal(0, 20, x.shape)), 0, 255).astype(np.uint8)

    assert of(still(), noisy) == pytest.approx(2 * 20 / np.sqrt(np.pi), rel=0.01)
    assert 10 < of(moving(), noisy) < 2 * 20 / np.sqrt(np.pi)  # some of it hides in the movement
    same = random.normal(0, 20, (64, 64, 3))  # the same noise in each frame does not flicker
    assert of(still(), lambda x: np.clip(x + same, 0, 255).astype(np.uint8)) == 0


def test_only_what_exceeds_the_change_of_the_input_counts() -> None:
    """Everything brightens by 10 a frame and the output by 30; one channel of three by 30 is as much as all by 10."""
    brighter = [np.full((8, 8, 3), 10 * step, np.uint8) for step in range(4)]
    assert of(brighter, lambda x: 3 * x) == 20
    assert of(brighter, lambda x: 3 * x * np.array([1, 0, 0], np.uint8)) == 0
    assert list(flicker(zip(brighter, [x.copy() for x in brighter[::-1]], strict=True))) == [0, 0, 0]


def test_a_spot_is_excused_by_a_change_beside_it_and_not_by_one_further_off() -> None:
    before, after = np.zeros((2, 9, 9, 3), np.uint8)
    after[4, 4] = 90

    def spot(row: int, column: int, level: int) -> float:
        changed = np.zeros_like(after)
        changed[row, column] = level
        return next(flicker([(before, before), (after, changed)])) * 81

    assert spot(4, 4, 90) == spot(3, 5, 90) == spot(5, 4, 60) == 0
    assert spot(4, 6, 90) == pytest.approx(90)
    assert spot(3, 3, 120) == pytest.approx(30)


def test_frames_of_several_sizes_are_refused() -> None:
    small, large = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)
    for frames in (
        [(small, small), (small, large)],
        [(small, large), (small, large)],
        [(small, small), (large, large)],
    ):
        with pytest.raises(UserError, match=r"frames of one size .* got pictures of 8 x 8 and 8 x 9"):
            list(flicker(frames))
