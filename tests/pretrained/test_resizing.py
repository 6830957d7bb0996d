"""Inception's two ways of resizing, by numbers one can check."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.pretrained import resizing


def ramp(height: int, width: int) -> np.ndarray:
    return np.broadcast_to((np.arange(width) * 10)[None, :, None], (height, width, 3)).astype(np.uint8)


def test_legacy_takes_pixels_where_tensorflow_1_did() -> None:
    """Without half pixels: 2 to 4 pixels is at 0, 0.5, 1 and 1.5, whose second neighbour is the last pixel again."""
    np.testing.assert_allclose(resizing.legacy(ramp(1, 2), (1, 4))[0, :, 0], [0, 5, 10, 10])
    np.testing.assert_allclose(resizing.legacy(ramp(3, 6), (1, 2))[0, :, 0], [0, 30])  # others are never looked at
    image = np.array([[0, 10], [100, 110]], np.uint8)[..., None].repeat(3, -1)
    np.testing.assert_allclose(resizing.legacy(image, (4, 4))[1, :, 2], [50, 55, 60, 60])


def test_clean_averages_what_it_leaves_out_and_does_not_round() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))[..., None].repeat(3, -1)
    middle = resizing.clean(stripes, (9, 9))[2:-2, 2:-2]
    np.testing.assert_allclose(middle, 127.5, atol=3)
    assert (middle != np.round(middle)).any()
    assert resizing.legacy(stripes, (32, 32)).max() == 0


@pytest.mark.parametrize("method", resizing.METHODS.values())
def test_both_keep_range_shape_and_channels(method: object) -> None:
    assert callable(method)
    image = np.zeros((13, 7, 3), np.uint8)
    image[3:8, 2:4] = 255, 0, 255
    result = method(image, (299, 299))
    assert result.shape == (299, 299, 3) and result.dtype == np.float32
    assert result.min() == 0 and result.max() == 255 and not result[..., 1].any()
    np.testing.assert_array_equal(method(image, (13, 7)), image)
