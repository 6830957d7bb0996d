"""What a discriminator is shown: each change by hand, and a slope that reaches the picture."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.augmentation import DRAWS, augment

SIDE = 16
STILL = (0.5, 0.5, 0.5, 0.5, 0.5)  # brightness, saturation, contrast, down, right: as they were


def shown(x: np.ndarray, *draws: float) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(augment(ops.convert_to_tensor(x[None]), np.array([draws], np.float32))))[0]


def picture() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (SIDE, SIDE, 3)).astype("float32")


def outside(x: np.ndarray) -> np.ndarray:
    """All but the square that (0, 0) leaves out: its centre is the corner, so that a quarter of it lies inside."""
    kept = np.ones((SIDE, SIDE, 1), bool)
    kept[: SIDE // 4, : SIDE // 4] = False
    return np.where(kept, x, 0)


def test_nothing_but_the_square() -> None:
    x = picture()
    np.testing.assert_allclose(shown(x, *STILL, 0, 0), outside(x), atol=1e-6)
    middle = shown(x, *STILL, 0.5, 0.5)
    assert (middle[4:12, 4:12] == 0).all() and np.count_nonzero(middle) == 3 * (SIDE**2 - (SIDE // 2) ** 2)


def test_colours_by_hand() -> None:
    x = np.broadcast_to(np.float32([0.3, 0.0, -0.3]), (SIDE, SIDE, 3)).copy()
    for draws, expected in (
        ((0.9, 0.5, 0.5), [0.7, 0.4, 0.1]),  # 0.4 brighter
        ((0.5, 1.0, 0.5), [0.6, 0.0, -0.6]),  # twice as far from the pixel's mean
        ((0.5, 0.0, 0.5), [0.0, 0.0, 0.0]),
        ((0.5, 0.5, 0.0), [0.15, 0.0, -0.15]),  # half as far from the picture's mean
    ):
        np.testing.assert_allclose(shown(x, *draws, 0.5, 0.5, 0, 0)[-1, -1], expected, atol=1e-6)


def test_colours_may_stay() -> None:
    x, draws = ops.convert_to_tensor(picture()[None]), np.array([[0.9, 1.0, 0.0, 0.999, 0.5, 0, 0]], np.float32)
    still = shown(picture(), *STILL[:3], *draws[0, 3:])
    np.testing.assert_allclose(ops.convert_to_numpy(augment(x, draws, colours=False))[0], still, atol=1e-6)
    assert np.abs(still - shown(picture(), *draws[0])).max() > 0.1


def test_moved_by_an_eighth_at_most() -> None:
    x = picture()
    down = shown(x, 0.5, 0.5, 0.5, 0.999, 0.5, 0, 0)  # 2 of 16 pixels
    np.testing.assert_allclose(down[8:], x[6:-2], atol=1e-6)
    assert (down[:2] == 0).all()
    left = shown(x, 0.5, 0.5, 0.5, 0.5, 0.0, 0, 0)
    np.testing.assert_allclose(left[8:, :-2], x[8:, 2:], atol=1e-6)
    assert (left[:, -2:] == 0).all()


def test_every_picture_has_draws_of_its_own() -> None:
    x = np.stack([picture()] * 2)
    draws = np.random.default_rng(1).uniform(size=(2, DRAWS)).astype("float32")
    both = ops.convert_to_numpy(augment(ops.convert_to_tensor(x), draws))
    for i in range(2):
        np.testing.assert_allclose(both[i], shown(x[i], *draws[i]), atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_slope_reaches_every_pixel_that_is_shown(dtype: str) -> None:
    x = ops.cast(ops.convert_to_tensor(picture()[None]), dtype)
    draws = np.array([[0.5, 0.5, 0.5, 0.5, 0.999, 0, 0]], np.float32)
    assert augment(x, draws).dtype == x.dtype
    slope = engine.input_gradients(lambda x: augment(x, draws), x)
    assert slope.dtype == x.dtype
    expected = np.zeros((SIDE, SIDE))
    expected[:, :-2] = 1  # two columns leave the picture
    expected[:4, :2] = 0  # the square lies over what came from the left
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(slope, "float32"))[0].mean(-1), expected, atol=1e-2)
