"""CIE L*a*b* of colours whose values are published, and back."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from kgan.layers.color import Colored, Lightness, lab_to_rgb, rgb_to_lab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # Bruce Lindbloom's calculator, sRGB, D65
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.59, 0, 0)),
        ((3, 2, 1), (0.55, 0.16, 0.50)),  # in the linear part of both curves
    ],
)
def test_known_colours(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    x = np.array(rgb, np.float32).reshape(1, 1, 1, 3) / 127.5 - 1
    found = ops.convert_to_numpy(rgb_to_lab(x)).ravel()
    np.testing.assert_allclose([50 * (found[0] + 1), 110 * found[1], 110 * found[2]], lab, atol=0.06)


def test_there_and_back() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(x)), x, atol=2e-5)


def test_impossible_colours_are_clipped() -> None:
    x = ops.convert_to_numpy(lab_to_rgb(np.array([0.9, 1.0, -1.0], np.float32).reshape(1, 1, 1, 3)))
    assert np.isfinite(x).all() and np.abs(x).max() <= 1


def test_layers() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    light = Lightness()(x)
    assert light.shape == (1, 4, 4, 1)
    np.testing.assert_allclose(Colored()(x, rgb_to_lab(x)[..., 1:]), x, atol=2e-5)
