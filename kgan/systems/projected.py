"""What systems share whose discriminator sees a trained network's maps in place of pixels.

Projected GANs (Sauer, Chitta, Müller and Geiger, NeurIPS 2021, https://arxiv.org/abs/2111.01007). The trained network
and its mixing are `kgan.pretrained.projection`; it is fixed, and no part of a system's state: keep it as `_project`.
"""

from __future__ import annotations

from collections.abc import Iterable

import keras
from keras import ops

from kgan import engine
from kgan.blocks import Initial, conv
from kgan.losses import HINGE
from kgan.precision import at_least_float32
from kgan.pretrained import projection
from kgan.systems.adversarial import Adversarial
from kgan.systems.system import named
from kgan.types import Tensor

ALL = (0, 1, 2, 3)  # the scales: maps at a 4th, an 8th, a 16th and a 32nd of the size


def multiple_of(size: int) -> int:
    """What the sides of pictures of `size` px must be multiples of: 32, so that each map is half of the finer one.

    Of pictures that are enlarged for the projection: 4, as generators need.
    """
    return 4 if size < projection.SMALLEST else projection.MULTIPLE


def build_discriminator(scales: Iterable[int], seed: int = 0, name: str = "discriminator") -> keras.Model:
    """A small patch discriminator on each of the projection's maps that `scales` names.

    Inputs: {"map0": [B, h, w, 32], "map1": ...}; outputs: {"0": [B, h', w', 1], "1": ...}, logits, 4 x 4 of 128 px.
    """
    initial, inputs, logits = Initial(seed), {}, {}
    for scale in scales:
        part = f"map{scale}"
        x = inputs[part] = keras.Input((None, None, projection.WIDTHS[scale]), name=part)
        for i in range(1, 4 - scale):
            filters = min(2 * x.shape[-1], 256)
            x = conv(x, filters, 4, name=f"{part}_conv{i}", initial=initial, strides=2, pad=1, spectral=True)
            x = keras.layers.LeakyReLU(0.2, name=f"{part}_conv{i}_lrelu")(x)
        if scale == 3:  # of 4 x 4 already
            x = conv(x, 256, 3, name=f"{part}_conv1", initial=initial, pad=1, spectral=True)
            x = keras.layers.LeakyReLU(0.2, name=f"{part}_conv1_lrelu")(x)
        logits[str(scale)] = conv(x, 1, 3, name=f"{part}_logits", initial=initial, pad=1, spectral=True)
    return keras.Model(inputs, logits, name=name)


def features(project: keras.Model, image: Tensor) -> dict[str, list[Tensor]]:
    """The projection's maps and Lite0's own of [B, H, W, 3] in [-1, 1], small pictures enlarged."""
    image = at_least_float32(image)
    if image.shape[1] < projection.SMALLEST:
        size = (projection.SMALLEST, projection.SMALLEST)
        image = ops.image.resize(image, size, interpolation="bilinear")
    return project(image, training=False)


def judge(discriminator: keras.Model, scales: Iterable[int], maps: list[Tensor]) -> dict[str, Tensor]:
    """Logits of the projection's maps, by scale."""
    return discriminator({f"map{scale}": maps[scale] for scale in scales}, training=True)


def generator_terms(logits: dict[str, Tensor], weight: float = 1.0) -> engine.Terms:
    """- weight D(fake) of each scale, of logits of fakes."""
    return {f"adversarial_{scale}": weight * HINGE.generator(each) for scale, each in logits.items()}


def discriminator_terms(logits: dict[str, Tensor]) -> engine.Terms:
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)) of each scale, of logits of reals and then as many fakes."""
    return {f"discriminator_{scale}": HINGE.discriminator(*ops.split(each, 2)) for scale, each in logits.items()}


class WithFeatures(Adversarial):
    """A system that may have a second discriminator, which sees maps: where `settings.feature_weight` is above 0."""

    def build_feature_discriminator(self, seed: int) -> None:
        """Build it and load what it sees through, where the settings ask for it."""
        if self.settings.feature_weight:
            self._project = projection.load()  # fixed: no part of the state
            self.feature_discriminator = named(
                "feature_discriminator", lambda: build_discriminator(ALL, seed, "feature_discriminator")
            )

    def feature_variables(self) -> list[keras.Variable]:
        """What of it is trained."""
        return list(self.feature_discriminator.trainable_variables) if self.settings.feature_weight else []

    def judge_features(self, image: Tensor) -> dict[str, Tensor]:
        """What it says of pictures [B, H, W, 3]: logits, by scale."""
        return judge(self.feature_discriminator, ALL, features(self._project, image)["maps"])

    def feature_discriminator_terms(self, real: Tensor, fake: Tensor) -> engine.Terms:
        """Its losses."""
        return discriminator_terms(self.judge_features(ops.concatenate([real, ops.cast(fake, real.dtype)])))

    def feature_generator_terms(self, fake: Tensor) -> engine.Terms:
        """What fakes that it finds out cost the generator."""
        return generator_terms(self.judge_features(fake), self.settings.feature_weight)
