"""Perceptual path length (Karras et al. 2019, arXiv 1812.04948, section 4.1): how much a picture changes, in LPIPS,
when the latent moves by a small step, divided by the square of that step.

A path leads from one latent to another: along a great circle in z, or along a line in w. "full" takes a random point of
it, "end" its first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

EPSILON = 1e-4
LARGEST = 256  # pixels a side: larger pictures are halved until they are no larger, as in the official code
CROPS = ("none", "face")  # the official code always cuts out the middle of a portrait
Pair = tuple[np.ndarray, np.ndarray]


def lerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on the lines from a to b [..., W], after the shares t [...] of the way."""
    return a + (b - a) * t[..., None]


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of length one on the great circles from a to b [..., Z], after the shares t [...] of the way."""
    a, b = _unit(a), _unit(b)
    along = np.sum(a * b, axis=-1, keepdims=True)
    angle = t[..., None] * np.arccos(np.clip(along, -1, 1))
    return _unit(a * np.cos(angle) + _unit(b - along * a) * np.sin(angle))


def _unit(x: np.ndarray) -> np.ndarray:
    """x [..., Z] brought to length one."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def steps(
    mapping: Callable[[np.ndarray], np.ndarray],
    latent_size: int,
    count: int,
    space: str = "w",
    sampling: str = "full",
    batch: int = 16,
    seed: int = 0,
    epsilon: float = EPSILON,
) -> Iterator[Pair]:
    """Beginnings and ends of `count` small steps on random paths, as w [b, W], at most `batch` at a time.

    Args:
      mapping: z [b, Z] to w [b, W].
      latent_size: Z.
      space: where the paths lie, "z" or "w".
      sampling: "full" for steps anywhere on the path, "end" for steps at its beginning.
      epsilon: the step's share of the path.
    """
    if space not in ("z", "w") or sampling not in ("full", "end"):
        raise ValueError(f"Paths lie in 'z' or 'w', and steps on 'full' or 'end', got {space!r} and {sampling!r}.")
    random = np.random.default_rng(seed)
    for start in range(0, count, batch):
        rows = min(batch, count - start)
        a, b = random.standard_normal((2, rows, latent_size))
        t = random.uniform(size=rows) * (sampling == "full")
        if space == "z":
            first, second = (slerp(a, b, at).astype(np.float32) for at in (t, t + epsilon))
            yield mapping(first), mapping(second)
        else:
            a, b = (np.asarray(mapping(z.astype(np.float32)), np.float64) for z in (a, b))
            first, second = (lerp(a, b, at).astype(np.float32) for at in (t, t + epsilon))
            yield first, second


def lengths(
    draw: Callable[[np.ndarray], np.ndarray],
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    pairs: Iterable[Pair],
    crop: str = "none",
    epsilon: float = EPSILON,
) -> np.ndarray:
    """LPIPS / epsilon^2 of each step, float64 [N].

    Args:
      draw: w [b, W] to pictures [b, r, r, 3] in [-1, 1], without truncation and always with the same noise.
      distance: LPIPS [b] of two batches of pictures.
      crop: "face" for rows 3/8 to 7/8 and columns 2/8 to 6/8, where FFHQ's faces are; "none" for whole pictures.
    """
    values = []
    for first, second in pairs:
        pictures = draw(np.concatenate([first, second]))  # in one batch, so that both are computed alike
        a, b = np.split(reduced(cropped(pictures) if crop == "face" else pictures), 2)
        values.append(np.asarray(distance(a, b), np.float64) / epsilon**2)
    return np.concatenate(values)


def cropped(pictures: np.ndarray) -> np.ndarray:
    """The faces [B, r/2, r/2, 3] of portraits [B, r, r, 3] that are cut as FFHQ's are."""
    eighth = pictures.shape[1] // 8
    return pictures[:, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]


def reduced(pictures: np.ndarray) -> np.ndarray:
    """Pictures [B, r, r, 3] of at most 256 px a side, larger ones by the means of blocks."""
    factor = pictures.shape[1] // LARGEST
    if factor <= 1:
        return pictures
    count, side = len(pictures), pictures.shape[1] // factor
    return pictures.reshape(count, side, factor, side, factor, 3).mean(axis=(2, 4))


def trimmed_mean(values: np.ndarray) -> float:
    """The mean of the values from the 1st to the 99th percentile, both of which are values that occur."""
    low, high = np.percentile(values, 1, method="lower"), np.percentile(values, 99, method="higher")
    return float(np.mean(values[(low <= values) & (values <= high)]))
