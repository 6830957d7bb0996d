"""Whole networks that systems share: those of junyanz/pytorch-CycleGAN-and-pix2pix, and one for phones."""

from __future__ import annotations

import types
from typing import Any

import keras

from kgan.blocks import Initial, Norm, conv, residual_block, tanh, transposed
from kgan.errors import UserError
from kgan.layers import DepthToSpace2D, NearestUpsampling2D
from kgan.layers.batch import dropout as drop_out
from kgan.types import Tensor


def resnet(
    x: Tensor,
    channels: int,
    filters: int,
    blocks: int,
    *,
    initial: Initial,
    norm: Norm,
    use_bias: bool = True,
    upsampling: str = "transposed",
    dropout: bool = False,
    zeros: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Two strided convolutions, residual blocks, two doublings: [B, H, W, C] to [B, H, W, channels] in [-1, 1].

    Args:
      filters: width of the first layer; four times as wide in the middle.
      use_bias: of the convolutions that a norm follows.
      upsampling: "transposed" convolutions as published, or nearest "resize" and a 3x3 convolution, which cannot draw
        checkerboards (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).
      dropout: between the convolutions of each block.
      zeros: pad the picture by them and not by reflection: where it has constant channels, such as a label's, an
        instance norm would else take them away.

    Returns:
      The image, and the optional inputs that take dropout's draws.

    Source: Johnson et al. 2016 (arXiv 1603.08155); 3x3 convolutions are padded by a pixel on each side, and transposed
    ones lose their first row and column, as torch's padding 1 and output_padding 1 have it.
    """
    draws: list[Tensor] = []

    def drop(x: Tensor, name: str) -> Tensor:
        x, taken = drop_out(x, 4, name)
        draws.append(taken)
        return x

    pad, reflect = (3, 0) if zeros else (0, 3)
    x = conv(x, filters, 7, name="stem_conv", initial=initial, pad=pad, reflect=reflect, use_bias=use_bias)
    x = keras.layers.ReLU(name="stem_relu")(norm(x, "stem_norm"))  # [B, H, W, F]
    for i in (1, 2):
        x = conv(x, 2 * x.shape[-1], 3, name=f"down{i}_conv", initial=initial, strides=2, pad=1, use_bias=use_bias)
        x = keras.layers.ReLU(name=f"down{i}_relu")(norm(x, f"down{i}_norm"))  # [B, H/4, W/4, 4F] at last
    for i in range(blocks):
        between = drop if dropout else None
        x = residual_block(x, name=f"block{i + 1}", norm=norm, initial=initial, use_bias=use_bias, between=between)
    for i in (1, 2):
        half = x.shape[-1] // 2
        if upsampling == "resize":
            x = NearestUpsampling2D(name=f"up{i}")(x)
            x = conv(x, half, 3, name=f"up{i}_conv", initial=initial, reflect=1, use_bias=use_bias)
        else:
            x = transposed(x, half, 3, name=f"up{i}_conv", initial=initial, use_bias=use_bias)
        x = keras.layers.ReLU(name=f"up{i}_relu")(norm(x, f"up{i}_norm"))  # [B, H, W, F] at last
    x = conv(x, channels, 7, name="image_conv", initial=initial, reflect=3)
    return tanh(x), draws


def unet(
    x: Tensor,
    channels: int,
    filters: int,
    depth: int,
    *,
    initial: Initial,
    norm: Norm,
    use_bias: bool = False,
    dropout_from: int = 2,
) -> tuple[Tensor, list[Tensor]]:
    """`depth` halvings and as many doublings, each of which sees the map of its size: the bottleneck is H / 2^depth.

    Args:
      filters: width of the first layer; at most eight times as wide further down.
      use_bias: of all convolutions but the last, which has one.
      dropout_from: the doublings that drop out are this one to the last of those that are eight times as wide, counted
        from the bottleneck's as 1; 0 for none. The paper and its Lua code have 1 to 3 of 8, the PyTorch code 2 to 4.

    Returns:
      The image in [-1, 1], and the optional inputs that take dropout's draws.

    Source: Isola et al. 2017 (arXiv 1611.07004, section 6.1.1). The outermost convolution has no norm, and none follows
    the innermost, whose map of one pixel a norm would zero.
    """
    draws: list[Tensor] = []
    skips = []
    for i in range(depth):
        if i:
            x = keras.layers.LeakyReLU(0.2, name=f"down{i + 1}_lrelu")(x)
        bare = i in (0, depth - 1)
        width = filters * min(2**i, 8)
        x = conv(x, width, 4, name=f"down{i + 1}_conv", initial=initial, strides=2, pad=1, use_bias=use_bias)
        x = x if bare else norm(x, f"down{i + 1}_norm")  # [B, H/2^(i+1), W/2^(i+1), F min(2^i, 8)]
        skips.append(x)
    dropping = range(dropout_from, dropout_from + 3) if dropout_from else range(0)
    for i in reversed(range(1, depth)):  # [B, H/2^i, W/2^i, .] at the end of each
        x = keras.layers.ReLU(name=f"up{i + 1}_relu")(x)
        x = transposed(x, filters * min(2 ** (i - 1), 8), 4, name=f"up{i + 1}_conv", initial=initial, use_bias=use_bias)
        x = norm(x, f"up{i + 1}_norm")
        if depth - i in dropping and x.shape[-1] == 8 * filters:
            x, taken = drop_out(x, 2**i, f"up{i + 1}_dropout")
            draws.append(taken)
        x = keras.layers.Concatenate(name=f"up{i + 1}_skip")([skips[i - 1], x])
    x = keras.layers.ReLU(name="up1_relu")(x)
    x = transposed(x, channels, 4, name="image_conv", initial=initial)
    return tanh(x), draws


def patch_discriminator(
    x: Tensor, filters: int, layers: int, *, initial: Initial, norm: Norm, use_bias: bool = True
) -> Tensor:
    """Logits of overlapping patches: [B, H, W, C] to [B, h, w, 1], h = H / 2^layers - 2, H with no layers.

    Args:
      filters: width of the first layer; at most eight times as wide further down.
      layers: strided convolutions. A logit sees 16, 34, 70, 142, 286 or 574 pixels with 1 to 6 of them, and a single
        one with 0 (PixelGAN).
      use_bias: of the convolutions that a norm follows.
    """
    if layers == 0:
        x = conv(x, filters, 1, name="conv1", initial=initial)
        x = keras.layers.LeakyReLU(0.2, name="conv1_lrelu")(x)
        x = norm(conv(x, 2 * filters, 1, name="conv2", initial=initial, use_bias=use_bias), "conv2_norm")
        x = keras.layers.LeakyReLU(0.2, name="conv2_lrelu")(x)
        return conv(x, 1, 1, name="logits", initial=initial, use_bias=use_bias)  # [B, H, W, 1]
    for i in range(layers + 1):
        strides, name = 2 if i < layers else 1, f"conv{i + 1}"
        bias = use_bias or i == 0
        width = filters * min(2**i, 8)
        x = conv(x, width, 4, name=name, initial=initial, strides=strides, pad=1, use_bias=bias)
        x = norm(x, f"{name}_norm") if i else x
        x = keras.layers.LeakyReLU(0.2, name=f"{name}_lrelu")(x)
    return conv(x, 1, 4, name="logits", initial=initial, pad=1)


# What `phone` is made of, by name. The same names of tf_keras make the same network.
KERAS = types.SimpleNamespace(
    Conv2D=keras.layers.Conv2D,
    ReLU=keras.layers.ReLU,
    Add=keras.layers.Add,
    NearestUpsampling2D=NearestUpsampling2D,
    DepthToSpace2D=DepthToSpace2D,
    AveragePooling2D=keras.layers.AveragePooling2D,
    Concatenate=keras.layers.Concatenate,
    tanh=tanh,
)


def phone(
    x: Tensor,
    channels: int,
    filters: int,
    blocks: int,
    *,
    initial: Initial,
    norm: Norm,
    use_bias: bool = True,
    layers: Any = KERAS,
) -> Tensor:
    """A network that phones run fast: [B, H, W, C] to [B, H, W, channels] in [-1, 1]; H and W multiples of 4.

    Nothing but dense convolutions: a 6x6 one takes every second pixel, the residual blocks work at a quarter of the
    size, and the last but one draws 2x2 pixels of a few channels at once. Of these and of the picture itself, whose
    colours the norms forget, a small one at full size makes the result. Before it the mean of neighbours takes away
    what alternates from pixel to pixel by itself: the grid that strided discriminators teach and do not see (Sugawara
    et al. 2018, arXiv 1806.02658, blur subpixel convolutions so). Depthwise convolutions have fewer parameters and are
    slower in 8 bits; wide layers at full size cost most of what a ResNet costs.

    Args:
      filters: width at half the size; twice as wide at a quarter, a quarter as wide at full size.
      blocks: residual blocks of two 3x3 convolutions.
      use_bias: of the convolutions that a norm follows.
      layers: classes by name, of Keras 3 or of tf_keras.
    """

    def conv_norm(x: Tensor, filters: int, kernel_size: int, name: str, strides: int = 1, relu: bool = True) -> Tensor:
        kernel = initial.kernel()
        layer = layers.Conv2D(
            filters, kernel_size, strides, "same", use_bias=use_bias, kernel_initializer=kernel, name=f"{name}_conv"
        )
        x = norm(layer(x), f"{name}_norm")
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    picture = x
    x = conv_norm(x, filters, 6, "stem", strides=2)  # [B, H/2, W/2, F]
    x = conv_norm(x, 2 * filters, 3, "down", strides=2)  # [B, H/4, W/4, 2 F]
    for i in range(1, blocks + 1):
        y = conv_norm(x, 2 * filters, 3, f"block{i}_1")
        x = layers.Add(name=f"block{i}_add")([x, conv_norm(y, 2 * filters, 3, f"block{i}_2", relu=False)])
    x = layers.NearestUpsampling2D(name="up")(x)
    x = conv_norm(x, filters, 3, "up")  # [B, H/2, W/2, F]
    few = max(filters // 4, channels)
    x = layers.Conv2D(4 * few, 3, padding="same", kernel_initializer=initial.kernel(), name="pixels_conv")(x)
    x = layers.DepthToSpace2D(name="pixels")(x)  # [B, H, W, F/4]
    x = layers.ReLU(name="pixels_relu")(layers.AveragePooling2D(2, 1, "same", name="pixels_blur")(x))
    x = layers.Concatenate(name="beside")([x, picture])  # [B, H, W, F/4 + C]
    x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=initial.kernel(), name="image_conv")(x)
    return layers.tanh(x)  # [B, H, W, channels]


def check_size(image_size: int, multiple: int, generator: str, discriminator_layers: int) -> None:
    """Raise a `UserError` where pictures do not fit a generator ("resnet", "unet" or "phone") whose sides are multiples
    of `multiple`, or `patch_discriminator`."""
    if image_size % multiple or image_size < 8:
        deepest = (image_size & -image_size).bit_length() - 1
        depth = f": or set system.depth to {deepest}" if generator == "unet" and deepest > 1 else ""
        raise UserError(
            f"system.image_size must be a multiple of {multiple}, {max(8, multiple)} at least, got {image_size}{depth}."
        )
    if image_size >> discriminator_layers < 3:
        raise UserError(
            f"{image_size} px are too few for a discriminator with {discriminator_layers} strided layers: set "
            "system.discriminator_layers lower, or use larger pictures."
        )
