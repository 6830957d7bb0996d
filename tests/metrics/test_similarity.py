"""SSIM, PSNR and L1 by hand, by loops, and beside TensorFlow's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics import similarity
from kgan.pictures import images


def plain(level: int, size: int = 16) -> np.ndarray:
    return np.full((size, size, 3), level, np.uint8)


def noise(seed: int, size: tuple[int, int] = (14, 19)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def test_plain_pictures_by_hand() -> None:
    assert similarity.l1(plain(7), plain(4)) == 3
    assert similarity.l1(plain(0), plain(255)) == 255
    assert similarity.psnr(plain(7), plain(6)) == pytest.approx(48.1308, abs=1e-4)  # 20 log10 255
    assert similarity.psnr(plain(0), plain(255)) == 0
    assert similarity.ssim(plain(0), plain(255)) == pytest.approx(6.5025 / (255**2 + 6.5025), rel=1e-12)


def test_equal_pictures() -> None:
    x = noise(0)
    assert similarity.ssim(x, x) == 1 and similarity.psnr(x, x) == float("inf") and similarity.l1(x, x) == 0


def test_psnr_is_of_the_mean_square_over_all_channels() -> None:
    x = plain(0)
    x[0, 0, 1] = 160
    assert similarity.psnr(x, plain(0)) == pytest.approx(10 * np.log10(255**2 * 3 * 256 / 160**2))


def test_a_negative_is_unlike() -> None:
    x = np.indices((16, 16)).sum(axis=0) % 2 * 255
    board = np.stack([x] * 3, axis=-1).astype(np.uint8)
    assert similarity.ssim(board, 255 - board) < -0.98


def test_ssim_is_what_loops_give() -> None:
    x, y = noise(0), noise(1) // 2
    at = np.arange(-5, 6)
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for channel in range(3):
        for top in range(14 - 10):
            for left in range(19 - 10):
                a, b = (p[top : top + 11, left : left + 11, channel].astype(float) for p in (x, y))
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                both = (weights * (a - mean_a) * (b - mean_b)).sum()
                first = (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2)
                values.append(first * (2 * both + 7.65**2) / (var_a + var_b + 7.65**2))
    assert similarity.ssim(x, y) == pytest.approx(np.mean(values), rel=1e-10)
    assert similarity.ssim(y, x) == pytest.approx(similarity.ssim(x, y), rel=1e-12)


def test_a_photo_as_tensorflow_measures_it(shared: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    photo = images.read(shared / "data/photos/skimage_chelsea.jpg")
    worse = images.decode(images.encode(photo[:, :, ::-1], ".jpg"))[:, :, ::-1] // 2
    assert similarity.ssim(photo, worse) == pytest.approx(float(tf.image.ssim(photo, worse, 255)), abs=5e-5)
    assert similarity.psnr(photo, worse) == pytest.approx(float(tf.image.psnr(photo, worse, 255)), rel=1e-5)


def test_other_sizes_are_refused() -> None:
    for measure in (similarity.ssim, similarity.psnr, similarity.l1):
        with pytest.raises(UserError, match="at one size only, not 16 x 16 with 12 x 12"):
            measure(plain(0), plain(0, 12))
    with pytest.raises(UserError, match="SSIM needs 11 pixels a side, got pictures of 10 x 10"):
        similarity.ssim(plain(0, 10), plain(0, 10))
    assert similarity.ssim(plain(0, 11), plain(0, 11)) == 1
