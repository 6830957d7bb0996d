"""Objectives: pairs of adversarial losses, l1, and penalties on a discriminator's input gradient.

Every loss is a float32 (at least) scalar: the mean over whatever it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from kgan import engine
from kgan.precision import at_least_float32
from kgan.types import Tensor


@dataclass(frozen=True)
class Objective:
    """What G minimizes on the logits of its fakes, and D on those of reals and fakes."""

    generator: Callable[[Any], Any]
    discriminator: Callable[[Any, Any], Any]


def _softplus_mean(x: Any) -> Any:
    return ops.mean(ops.softplus(at_least_float32(x)))


def _square_mean(x: Any) -> Any:
    return ops.mean(x * x)


def _mean(x: Any) -> Any:
    return ops.mean(at_least_float32(x))


LSGAN = Objective(  # Mao et al. 2017, arXiv 1611.04076; no factor 1/2, as the official image-translation codes
    generator=lambda fake: _square_mean(at_least_float32(fake) - 1),
    discriminator=lambda real, fake: _square_mean(at_least_float32(real) - 1) + _square_mean(at_least_float32(fake)),
)
NON_SATURATING = Objective(  # Goodfellow et al. 2014, arXiv 1406.2661, section 3: binary cross-entropy on logits
    generator=lambda fake: _softplus_mean(-fake),
    discriminator=lambda real, fake: _softplus_mean(-real) + _softplus_mean(fake),
)
HINGE = Objective(  # Lim and Ye 2017, arXiv 1705.02894
    generator=lambda fake: -_mean(fake),
    discriminator=lambda real, fake: (
        _mean(ops.relu(1 - at_least_float32(real))) + _mean(ops.relu(1 + at_least_float32(fake)))
    ),
)
WASSERSTEIN = Objective(  # Arjovsky et al. 2017, arXiv 1701.07875
    generator=lambda fake: -_mean(fake),
    discriminator=lambda real, fake: _mean(fake) - _mean(real),
)


def l1(x: Any, y: Any) -> Any:
    """Mean absolute difference."""
    return ops.mean(ops.abs(at_least_float32(x) - at_least_float32(y)))


def binary_cross_entropy(logits: Any, label: bool) -> Any:
    """Mean cross-entropy of logits whose true class is all `label`."""
    return _softplus_mean(-logits if label else logits)


def cross_entropy(logits: Any, label: Any, known: Any) -> Any:
    """Mean over images of the cross-entropy of softmax(logits) [B, K] and one-hot labels; 0 where known [B, K] is 0."""
    logits, label, known = at_least_float32(logits), at_least_float32(label), at_least_float32(known)
    return ops.mean(known[:, 0] * (ops.logsumexp(logits, axis=-1) - ops.sum(label * logits, axis=-1)))


def flags_cross_entropy(logits: Any, label: Any, known: Any) -> Any:
    """Mean over images of the binary cross-entropies of sigmoid(logits) [B, K], summed over those that are known."""
    logits, label, known = at_least_float32(logits), at_least_float32(label), at_least_float32(known)
    return ops.mean(ops.sum(known * (ops.softplus(logits) - label * logits), axis=-1))


def l2(variables: list[keras.Variable]) -> Any:
    """Sum over variables of half their squared norm: its gradient is the variable itself (tf.nn.l2_loss)."""
    return sum(ops.sum(ops.square(at_least_float32(variable))) / 2 for variable in variables)


def between(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """real + alpha (fake - real): where WGAN-GP takes a critic's gradient, alpha [B, 1, 1, 1] uniform in [0, 1)."""
    return real + ops.cast(alpha, real.dtype) * (ops.cast(fake, real.dtype) - real)


def gradient_penalty(critic: Callable[[Any], Any], x: Any, one_sided: bool = False, scale: float = 1.0) -> Any:
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


def r1_penalty(critic: Callable[[Any], Any], x: Any) -> Any:
    """Mean over images of |gradient of critic at x|^2, summed over all pixels and channels, at real pictures.

    The usual weight is gamma / 2. Source: Mescheder et al. 2018, arXiv 1801.04406, equation 9.
    """
    gradient = at_least_float32(engine.input_gradients(critic, x))
    return ops.mean(ops.sum(gradient * gradient, axis=tuple(range(1, len(gradient.shape)))))
