"""How near a picture is to the very one that it should be: SSIM, PSNR and L1. Both are uint8 [H, W, 3]."""

from __future__ import annotations

import numpy as np

from kgan.errors import UserError

WINDOW, SIGMA = 11, 1.5
LUMINANCE, CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # C1 and C2


def ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861), 1 for equal pictures and -1 at least.

    Of the variants: a Gaussian window of 11 x 11 pixels, sigma 1.5, only where it lies in the picture as a whole;
    moments weighted by it, not corrected for bias; K1 = 0.01, K2 = 0.03; the mean of R, G and B, each on its own; at
    full size. (The paper takes grey values; its authors' code also shrinks pictures of more than 384 pixels.)

    Raises:
      UserError: the pictures differ in shape, or are smaller than the window.
    """
    _check(x, y)
    if min(x.shape[:2]) < WINDOW:
        raise UserError(f"SSIM needs {WINDOW} pixels a side, got pictures of {x.shape[0]} x {x.shape[1]}.")
    a, b = x.astype(np.float64), y.astype(np.float64)
    mean_a, mean_b = _blurred(a), _blurred(b)
    variances = _blurred(a * a) + _blurred(b * b) - mean_a**2 - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    return float(np.mean(luminance * (2 * covariance + CONTRAST) / (variances + CONTRAST)))


def _blurred(x: np.ndarray) -> np.ndarray:
    """[H, W, 3] to [H - 10, W - 10, 3]: the Gaussian mean around each pixel that is far enough from the border."""
    at = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(at**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        x = np.lib.stride_tricks.sliding_window_view(x, WINDOW, axis) @ weights
    return x


def psnr(x: np.ndarray, y: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB at peak 255; infinite for equal pictures, a `UserError` for unequal shapes."""
    _check(x, y)
    error = float(np.mean(np.square(x.astype(np.float64) - y)))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def l1(x: np.ndarray, y: np.ndarray) -> float:
    """Mean absolute difference in grey levels, 0 to 255; a `UserError` for unequal shapes."""
    _check(x, y)
    return float(np.mean(np.abs(x.astype(np.float64) - y)))


def _check(x: np.ndarray, y: np.ndarray) -> None:
    """A `UserError` where the pictures differ in shape."""
    if x.shape != y.shape:
        raise UserError(
            f"Pictures compare pixel by pixel at one size only, not {x.shape[0]} x {x.shape[1]} with {y.shape[0]} x "
            f"{y.shape[1]}."
        )
