"""The two ways in which pictures reach Inception's 299 x 299 pixels. They give different numbers: always say which."""

from __future__ import annotations

import numpy as np
from PIL import Image


def clean(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3] to float32 [*size, 3] in [0, 255]: bicubic, antialiased, clipped, not rounded.

    Parmar et al. 2022 (arXiv:2104.11222), "clean-fid": Pillow, one channel at a time in float.
    """
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., i], np.float32)).resize(size[::-1], Image.Resampling.BICUBIC)
        for i in range(3)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, 255)


def legacy(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3] to float32 [*size, 3] in [0, 255]: bilinear as TensorFlow 1 did it inside the 2015 graph.

    Pixel i is taken at i * H / size, without the half pixel that centres need and without antialiasing.
    """
    (top, bottom, down), (left, right, along) = (
        _neighbours(*sides) for sides in zip(image.shape[:2], size, strict=True)
    )
    pixels = image.astype(np.float32)
    rows = pixels[:, left] + (pixels[:, right] - pixels[:, left]) * along[:, None]
    return rows[top] + (rows[bottom] - rows[top]) * down[:, None, None]


def _neighbours(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two of `length` pixels between which each of `size` pixels lies, and how far it is from the first: [size]."""
    at = np.arange(size, dtype=np.float32) * np.float32(length / size)
    low = at.astype(np.int64)
    return low, np.minimum(low + 1, length - 1), at - low.astype(np.float32)


METHODS = {"clean": clean, "legacy": legacy}
