"""Objectives: pairs of adversarial losses, l1, and penalties on a discriminator's input gradient.

Every loss is a float32 (at least) scalar: the mean over whatever it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kgan import engine
from kgan.precision import at_least_float32
from kgan.types import Tensor


@dataclass(frozen=True)
class Objective:
    """What G minimizes, of D's logits on fakes, and what D minimizes, of its logits on reals and on fakes."""

    generator: Callable[[Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]


def _square_mean(x: Tensor) -> Tensor:
    return ops.mean(x * x)


def _mean(x: Tensor) -> Tensor:
    return ops.mean(at_least_float32(x))


def _minus_log_sigmoid(x: Tensor) -> Tensor:
    """-log sigmoid(x) = softplus(-x), the mean."""
    return ops.mean(ops.softplus(at_least_float32(-x)))


LSGAN = Objective(  # Mao et al. 2017, arXiv 1611.04076; no factor 1/2, as the official image-translation codes
    # (fake - 1)^2
    generator=lambda fake: _square_mean(at_least_float32(fake) - 1),
    # (real - 1)^2 + fake^2
    discriminator=lambda real, fake: _square_mean(at_least_float32(real) - 1) + _square_mean(at_least_float32(fake)),
)
NON_SATURATING = Objective(  # Goodfellow et al. 2014, arXiv 1406.2661, section 3: binary cross-entropy on logits
    # -log sigmoid(fake)
    generator=lambda fake: _minus_log_sigmoid(fake),
    # -log sigmoid(real) - log(1 - sigmoid(fake)), where 1 - sigmoid(x) = sigmoid(-x)
    discriminator=lambda real, fake: _minus_log_sigmoid(real) + _minus_log_sigmoid(-fake),
)
HINGE = Objective(  # Lim and Ye 2017, arXiv 1705.02894
    # -fake
    generator=lambda fake: -_mean(fake),
    # max(0, 1 - real) + max(0, 1 + fake)
    discriminator=lambda real, fake: (
        _mean(ops.relu(1 - at_least_float32(real))) + _mean(ops.relu(1 + at_least_float32(fake)))
    ),
)
WASSERSTEIN = Objective(  # Arjovsky et al. 2017, arXiv 1701.07875
    # -fake
    generator=lambda fake: -_mean(fake),
    # fake - real
    discriminator=lambda real, fake: _mean(fake) - _mean(real),
)


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean over all elements of |x - y|."""
    return ops.mean(ops.abs(at_least_float32(x) - at_least_float32(y)))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of pictures [B, H, W, C] in [-1, 1]: the mean over places and channels, 1 where equal.

    As `kgan.metrics.similarity.ssim` has it: moments under a Gaussian window of 11 x 11 pixels, sigma 1.5, where it
    lies in the picture as a whole. Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    x, y = at_least_float32(x) + 1, at_least_float32(y) + 1
    luminance, contrast = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # of pixels in [0, 2]
    mean_x, mean_y, xx, yy, xy = (_windowed(moment) for moment in (x, y, x * x, y * y, x * y))
    variances, covariance = xx + yy - mean_x * mean_x - mean_y * mean_y, xy - mean_x * mean_y
    of_means = (2 * mean_x * mean_y + luminance) / (mean_x * mean_x + mean_y * mean_y + luminance)
    return ops.mean(of_means * (2 * covariance + contrast) / (variances + contrast))


def _windowed(x: Tensor) -> Tensor:
    """Gaussian means [B, H - 10, W - 10, C], by products of matrices: a fifth of a convolution's time on a CPU."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    rows, columns = (
        ops.convert_to_tensor(sum(weights[i] * np.eye(side - 10, side, i) for i in range(11)), x.dtype)
        for side in x.shape[1:3]
    )
    return ops.einsum("vw,bhwc->bhvc", columns, ops.einsum("gh,bhwc->bgwc", rows, x))


def gram(x: Tensor) -> Tensor:
    """How much two channels go together: [B, H, W, C] to [B, C, C], their mean product over all places, over C.

    Source: Gatys et al. 2016, doi:10.1109/CVPR.2016.265, divided by C H W as Johnson et al. 2016, arXiv 1603.08155.
    """
    _, height, width, channels = x.shape
    flat = ops.reshape(at_least_float32(x), (-1, height * width, channels))
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / (channels * height * width)


def total_variation(x: Tensor) -> Tensor:
    """Mean squared difference of pixels that lie one below the other, and the same side by side: [B, H, W, C]."""
    x = at_least_float32(x)
    return _square_mean(x[:, 1:] - x[:, :-1]) + _square_mean(x[:, :, 1:] - x[:, :, :-1])


def binary_cross_entropy(logits: Tensor, label: bool) -> Tensor:
    """Mean of -log sigmoid(logits), or of -log(1 - sigmoid(logits)) where all of them should say no."""
    return _minus_log_sigmoid(logits if label else -logits)


def cross_entropy(logits: Tensor, label: Tensor, known: Tensor) -> Tensor:
    """Mean over images of the cross-entropy of softmax(logits) [B, K] and one-hot labels; 0 where known [B, K] is 0."""
    logits, label, known = at_least_float32(logits), at_least_float32(label), at_least_float32(known)
    return ops.mean(known[:, 0] * (ops.logsumexp(logits, axis=-1) - ops.sum(label * logits, axis=-1)))


def flags_cross_entropy(logits: Tensor, label: Tensor, known: Tensor) -> Tensor:
    """Mean over images of the binary cross-entropies of sigmoid(logits) [B, K], summed over those that are known."""
    logits, label, known = at_least_float32(logits), at_least_float32(label), at_least_float32(known)
    return ops.mean(ops.sum(known * (ops.softplus(logits) - label * logits), axis=-1))


def l2(variables: list[keras.Variable]) -> Tensor:
    """Sum over variables of half their squared norm: its gradient is the variable itself (tf.nn.l2_loss)."""
    return sum(ops.sum(ops.square(at_least_float32(variable))) / 2 for variable in variables)


def between(x: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
    """x + alpha (y - x): where WGAN-GP takes a critic's gradient, alpha [B, 1, 1, 1] uniform in [0, 1)."""
    return x + ops.cast(alpha, x.dtype) * (ops.cast(y, x.dtype) - x)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], x: Tensor, one_sided: bool = False, scale: float = 1.0
) -> Tensor:
    """Mean over images of (scale |gradient of critic at x| - 1)^2, the norm taken over all pixels and channels.

    Args:
      critic: [B, H, W, C] to logits with the batch first; logits of one image are summed before differentiation.
      one_sided: only norms above 1 cost (WGAN-LP, Petzka et al. 2018, arXiv 1709.08894).
      scale: 2^-k where x stands for a picture 2^k times as large, each pixel a block, in which the gradient is meant.

    Source: Gulrajani et al. 2017, arXiv 1704.00028.
    """
    gradient = at_least_float32(engine.input_gradients(critic, x))
    # Not ops.norm: its derivative at zero is not a number, and a dead critic's gradient is zero.
    norm = ops.sqrt(ops.sum(gradient * gradient, axis=tuple(range(1, len(gradient.shape)))) + 1e-12)
    norm = norm * scale
    excess = ops.relu(norm - 1) if one_sided else norm - 1
    return ops.mean(excess * excess)


def r1_penalty(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Mean over images of |gradient of critic at x|^2, summed over all pixels and channels, at real pictures.

    The usual weight is gamma / 2. Source: Mescheder et al. 2018, arXiv 1801.04406, equation 9.
    """
    gradient = at_least_float32(engine.input_gradients(critic, x))
    return ops.mean(ops.sum(gradient * gradient, axis=tuple(range(1, len(gradient.shape)))))
