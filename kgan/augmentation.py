"""Differentiable augmentation of all that a discriminator sees, reals and fakes: it cannot learn few pictures by heart.

Zhao et al. 2020, arXiv 2006.10738, with the strengths of section 4 and appendix A: "Color + Translation + Cutout".
"""

from __future__ import annotations

from keras import ops

from kgan.types import Tensor

DRAWS = 7  # for each picture


def augment(x: Tensor, draws: Tensor, colours: bool = True) -> Tensor:
    """Other brightness, saturation and contrast, moved by up to an eighth, a square of half the side left out.

    Args:
      x: [B, H, W, C], about [-1, 1].
      draws: [B, DRAWS], in [0, 1).
      colours: False keeps brightness, saturation and contrast: a discriminator that sees them changed in every picture
        does not tell dull drawings from bright ones.

    Returns:
      The same shape. What is moved in from outside, and the square, are 0.
    """
    if colours:
        x = _recoloured(x, draws[:, :3])
    return _cut_out(_moved(x, draws[:, 3:5]), draws[:, 5:7])


def _recoloured(x: Tensor, draws: Tensor) -> Tensor:
    brightness, saturation, contrast = (
        ops.cast(each, x.dtype)[:, :, None, None] for each in ops.split(draws, 3, axis=1)
    )  # [B, 1, 1, 1]
    x = x + (brightness - 0.5)
    grey = ops.mean(x, axis=-1, keepdims=True)
    x = grey + 2 * saturation * (x - grey)
    middle = ops.mean(x, axis=(1, 2, 3), keepdims=True)
    return middle + (0.5 + contrast) * (x - middle)


def _moved(x: Tensor, draws: Tensor) -> Tensor:
    for axis in (1, 2):
        side = x.shape[axis]
        most = side // 8
        shift = ops.cast(draws[:, axis - 1] * (2 * most + 1), "int32") - most  # -most ... most
        source = ops.arange(side, dtype="int32")[None] - shift[:, None]  # [B, side]
        inside = ops.cast((source >= 0) & (source < side), x.dtype)
        along = (-1, side, 1, 1) if axis == 1 else (-1, 1, side, 1)
        x = ops.take_along_axis(x, ops.reshape(ops.clip(source, 0, side - 1), along), axis=axis)
        x = x * ops.reshape(inside, along)
    return x


def _cut_out(x: Tensor, draws: Tensor) -> Tensor:
    """The square's centre lies anywhere, so that part of it may lie outside."""
    inside = ops.ones_like(x[..., :1])
    for axis in (1, 2):
        side = x.shape[axis]
        start = ops.cast(draws[:, axis - 1] * side, "int32") - side // 4
        place = ops.arange(side, dtype="int32")[None] - start[:, None]  # [B, side]
        along = (-1, side, 1, 1) if axis == 1 else (-1, 1, side, 1)
        inside = inside * ops.reshape(ops.cast((place >= 0) & (place < side // 2), x.dtype), along)
    return x * (1 - inside)
