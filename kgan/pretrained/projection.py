"""What a discriminator can see of pictures in place of pixels: EfficientNet-Lite0's maps, mixed at random.

Projected GANs (Sauer, Chitta, Müller and Geiger, NeurIPS 2021, https://arxiv.org/abs/2111.01007), section 3: random 1x1
convolutions mix the channels of each map, random 3x3 ones the maps, from coarse to fine. A discriminator on all of
a trained network's maps would only look at a few of them.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from kgan.precision import variable_dtype
from kgan.pretrained import lite0
from kgan.types import Tensor

SMALLEST = 128  # pixels a side below which a picture is better enlarged: Lite0 learned from 224
MULTIPLE = 32  # what the sides of a picture must be multiples of, so that each map is half of the finer one
# One over the root mean square of each tap, over 32 + 32 selfies and anime faces of 128 px.
SCALES = (0.1036, 0.1130, 0.1294, 0.3481)
WIDTHS = (32, 64, 128, 256)  # of the mixed maps


def load(seed: int = 0) -> keras.Model:
    """The network, [B, H, W, 3] in [-1, 1] to {"maps": [...], "taps": [...]}, in the dtype of variables.

    "maps" are mixed, what a discriminator sees: [B, H/4, W/4, 32], [B, H/8, W/8, 64], [B, H/16, W/16, 128] and
    [B, H/32, W/32, 256]. "taps" are Lite0's own at the same sizes, see `lite0.load`, scaled to about 1.
    Gradients reach the picture; the weights are fixed and follow from `seed` on any engine.
    """
    rng, dtype = np.random.default_rng(seed), variable_dtype()

    def mix(x: Tensor, filters: int, kernel_size: int, name: str) -> Tensor:
        layer = layers.Conv2D(filters, kernel_size, padding="same", use_bias=False, dtype=dtype, name=name)
        y = layer(x)
        bound = np.sqrt(3 / (x.shape[-1] * kernel_size**2))  # keeps the variance
        layer.set_weights([rng.uniform(-bound, bound, layer.kernel.shape)])
        return y

    picture = keras.Input((None, None, 3), dtype=dtype, name="picture")
    taps = [scale * tap for scale, tap in zip(SCALES, lite0.load()(picture), strict=True)]
    across_channels = [
        mix(tap, width, 1, f"channels{i}") for i, (tap, width) in enumerate(zip(taps, WIDTHS, strict=True))
    ]
    x = across_channels[-1]
    maps = [x]
    for i in reversed(range(len(taps) - 1)):
        x = layers.UpSampling2D(interpolation="bilinear", dtype=dtype)(mix(x, WIDTHS[i], 1, f"down{i}"))
        x = (x + across_channels[i]) * 0.7071  # [B, h, w, WIDTHS[i]]
        y = layers.LeakyReLU(0.2, dtype=dtype)(x)
        x = (x + mix(y, WIDTHS[i], 3, f"scales{i}")) * 0.8
        maps.insert(0, x)
    return keras.Model(picture, {"maps": maps, "taps": taps}, name="projection", trainable=False)
