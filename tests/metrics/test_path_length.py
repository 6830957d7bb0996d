"""Path lengths with known answers: generators that are linear in w, and distances that one can compute."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.metrics import path_length
from kgan.metrics.path_length import cropped, lengths, lerp, reduced, slerp, steps, trimmed_mean


def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A stand-in for LPIPS: the squared distance of two batches of pictures."""
    return np.sum((a.astype(np.float64) - b) ** 2, axis=(1, 2, 3))


def test_lines_and_great_circles() -> None:
    a, b = np.array([[2.0, 0, 0]]), np.array([[0, 3.0, 0]])
    np.testing.assert_allclose(lerp(a, b, np.array([0.25])), [[1.5, 0.75, 0]])
    for share in (0.0, 0.5, 1.0):
        angle = share * np.pi / 2
        np.testing.assert_allclose(slerp(a, b, np.array([share])), [[np.cos(angle), np.sin(angle), 0]], atol=1e-12)
    random = np.random.default_rng(0).normal(size=(2, 5, 7))
    first, second = (slerp(random[0], random[1], np.full(5, t)) for t in (0.3, 0.4))
    np.testing.assert_allclose(np.linalg.norm(first, axis=-1), 1)
    unit = random / np.linalg.norm(random, axis=-1, keepdims=True)
    whole = np.arccos(np.sum(unit[0] * unit[1], axis=-1))
    np.testing.assert_allclose(np.arccos(np.sum(first * second, axis=-1)), whole / 10, rtol=1e-6)


@pytest.mark.parametrize("sampling", ["full", "end"])
def test_a_generator_linear_in_w(sampling: str) -> None:
    """With the squared distance of pictures M w, a step's length is |M (b - a)|^2, wherever it is taken."""
    matrix = np.random.default_rng(1).normal(size=(6, 4 * 4 * 3))

    def draw(w: np.ndarray) -> np.ndarray:
        return (w.astype(np.float64) @ matrix).reshape(-1, 4, 4, 3)

    def mapping(z: np.ndarray) -> np.ndarray:
        return 3 * z

    values = lengths(draw, squared, steps(mapping, 6, 21, "w", sampling, batch=8, seed=4, epsilon=1e-2), epsilon=1e-2)
    random = np.random.default_rng(4)
    expected = []
    for rows in (8, 8, 5):
        a, b = random.standard_normal((2, rows, 6))
        random.uniform(size=rows)
        expected.append(np.sum((3 * (b - a) @ matrix) ** 2, axis=1))
    np.testing.assert_allclose(values, np.concatenate(expected), rtol=1e-3)  # w is float32


def test_a_path_in_z_is_as_long_as_its_angle() -> None:
    """Where w is z and a picture is w, the step is the angle's share."""
    angles = []

    def mapping(z: np.ndarray) -> np.ndarray:
        angles.append(z)
        return z

    pairs = steps(mapping, 12, 16, "z", "full", epsilon=1e-2, seed=2)
    values = lengths(lambda w: w.reshape(-1, 2, 2, 3), squared, pairs, epsilon=1e-2)
    random = np.random.default_rng(2)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in random.standard_normal((2, 16, 12)))
    np.testing.assert_allclose(np.sqrt(values), np.arccos(np.sum(a * b, axis=1)), rtol=1e-3)
    assert all(np.allclose(np.linalg.norm(z, axis=1), 1) for z in angles)


def test_the_end_of_a_path_is_its_beginning() -> None:
    ((first, _),) = steps(lambda z: z, 3, 4, "w", "end", seed=7)
    a, _ = np.random.default_rng(7).standard_normal((2, 4, 3))
    np.testing.assert_allclose(first, a, rtol=1e-6)


def test_a_constant_generator_has_no_length() -> None:
    pairs = steps(lambda z: z, 5, 10, "w")
    assert not lengths(lambda w: np.ones((len(w), 8, 8, 3)), squared, pairs).any()


def test_trimming_leaves_the_percentiles_themselves() -> None:
    """Of 0 to 200 the first and the last two go: 2 to 198 are left."""
    values = np.arange(201.0)
    values[-1] = 1e9
    assert trimmed_mean(values) == 100
    assert trimmed_mean(np.array([5.0])) == 5


def test_the_crop_of_a_face_and_halving() -> None:
    x = np.zeros((1, 16, 16, 3))
    x[:, 6:14, 4:12] = 1
    assert cropped(x).shape == (1, 8, 8, 3) and cropped(x).all()
    tall = np.arange(512 * 512 * 3, dtype=float).reshape(1, 512, 512, 3)
    assert reduced(tall).shape == (1, 256, 256, 3) and reduced(x) is x
    assert reduced(tall)[0, 0, 0, 0] == tall[0, :2, :2, 0].mean()
    seen: list[tuple[int, ...]] = []

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        seen.append(a.shape)
        return np.zeros(len(a))

    lengths(lambda w: np.zeros((len(w), 16, 16, 3)), distance, steps(lambda z: z, 2, 3), crop="face")
    assert seen == [(3, 8, 8, 3)]


@pytest.mark.parametrize("words", [("x", "full"), ("w", "start")])
def test_words_that_mean_nothing(words: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="Paths lie in 'z' or 'w'"):
        next(path_length.steps(lambda z: z, 2, 1, *words))
