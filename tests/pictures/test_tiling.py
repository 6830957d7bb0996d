"""Tiles cover a picture, and their shares of each pixel sum to one."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.pictures import tiling


def test_starts_by_hand() -> None:
    assert tiling.starts(100, 100, 25) == [0]
    assert tiling.starts(40, 100, 25) == [0]
    assert tiling.starts(175, 100, 25) == [0, 75]
    assert tiling.starts(176, 100, 25) == [0, 38, 76]


def test_overlaps_change_over_linearly() -> None:
    first, second = tiling.weights(6, 4, 2)  # tiles 0..3 and 2..5 share the pixels 2 and 3
    np.testing.assert_allclose(first, [1, 1, 0.75, 0.25])
    np.testing.assert_allclose(second, [0.25, 0.75, 1, 1])


@pytest.mark.parametrize("length", [5, 64, 65, 100, 333, 1001])
def test_shares_sum_to_one(length: int) -> None:
    total = np.zeros(length)
    for start, share in zip(tiling.starts(length, 64, 16), tiling.weights(length, 64, 16), strict=True):
        assert share.min() > 0
        total[start : start + len(share)] += share
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (65, 200), (201, 97), (300, 10)])
def test_a_filter_of_pixels_gives_what_it_gives_on_the_whole(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    seen: list[tuple[int, ...]] = []

    def inverted(tile: np.ndarray) -> np.ndarray:
        seen.append(tile.shape)
        return 255 - tile

    np.testing.assert_array_equal(tiling.tiled(inverted, image, 64, 16), 255 - image)
    assert all(max(tile[:2]) <= 64 for tile in seen)


def test_different_tiles_meet_without_an_edge() -> None:
    colours = iter([0, 200])
    result = tiling.tiled(lambda tile: np.full_like(tile, next(colours)), np.zeros((8, 112, 3), np.uint8), 64, 16)
    steps = np.diff(result[0, :, 0].astype(int))
    assert result[0, 0, 0] == 0 and result[0, -1, 0] == 200
    assert steps.min() >= 0 and steps.max() <= 13  # 200 over 16 pixels
