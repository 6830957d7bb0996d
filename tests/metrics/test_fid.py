"""FID against Gaussians whose distance has a closed form."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics import fid


def rows(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimensions))


def rotation(dimensions: int) -> np.ndarray:
    return np.linalg.qr(rows(dimensions, dimensions, seed=9))[0]


def covariance(gaussian: fid.Gaussian) -> np.ndarray:
    return gaussian.factor.T @ gaussian.factor


def normal(mean: np.ndarray, covariance: np.ndarray) -> fid.Gaussian:
    values, vectors = np.linalg.eigh(covariance)
    return fid.Gaussian(99, mean, np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def test_four_points_by_hand() -> None:
    result = fid.gaussian([np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 4.0], [2.0, 4.0]])])
    np.testing.assert_allclose(result.mean, [1, 2])
    np.testing.assert_allclose(covariance(result), np.diag([4 / 3, 16 / 3]), atol=1e-15)


def test_blocks_of_any_size_give_the_covariance_of_all_rows_even_far_from_zero() -> None:
    x = rows(50, 6).astype(np.float32) + np.float32(1000)
    for cuts in ([], [1, 2, 2, 30], list(range(50))):
        result = fid.gaussian(np.split(x, cuts))
        np.testing.assert_allclose(result.mean, x.astype(np.float64).mean(axis=0), rtol=1e-14)
        assert result.count == 50 and result.factor.shape == (6, 6)
        np.testing.assert_allclose(
            covariance(result), np.cov(x.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("count", [300, 20, 2])
def test_a_set_is_at_no_distance_from_itself_and_a_shift_counts_squared(count: int) -> None:
    """Also with fewer rows than dimensions, where the covariance has no full rank."""
    x = rows(count, 40)
    one, moved = fid.gaussian([x]), fid.gaussian([x + 0.5])
    assert abs(fid.distance(one, one)) < 1e-10
    assert fid.distance(one, moved) == pytest.approx(40 * 0.25, abs=1e-10)


def test_scaling_by_s_is_a_distance_of_the_trace_times_one_minus_s_squared() -> None:
    x = rows(30, 50) @ rotation(50)
    x -= x.mean(axis=0)
    one, tripled = fid.gaussian([x]), fid.gaussian([3 * x])
    assert fid.distance(one, tripled) == pytest.approx(4 * np.trace(covariance(one)), rel=1e-9)


def test_covariances_that_commute() -> None:
    """For diagonal ones in the same, turned axes: the sum of the squared differences of the deviations."""
    turn, zero = rotation(5), np.zeros(5)
    first, second = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 2, 0, 1, 7])
    a, b = (normal(zero, turn @ np.diag(sides**2) @ turn.T) for sides in (first, second))
    assert fid.distance(a, b) == pytest.approx(np.square(first - second).sum(), rel=1e-6)
    assert fid.distance(b, a) == pytest.approx(fid.distance(a, b), rel=1e-6)


def test_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB)), as the eigenvalues of AB are positive."""
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    result = fid.distance(normal(np.zeros(2), a), normal(np.array([1.0, 2.0]), b))
    assert result == pytest.approx(5 + 5 + 6 - 2 * root, rel=1e-12)


def test_one_picture_has_no_covariance() -> None:
    with pytest.raises(UserError, match="at least two pictures on each side, got 1"):
        fid.gaussian([rows(1, 3)])
