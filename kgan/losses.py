"""Objectives: pairs of adversarial losses, l1, and penalties on a discriminator's input gradient.

Every loss is a float32 (at least) scalar: the mean over whatever it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
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
