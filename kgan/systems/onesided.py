"""One-sided: a filter within an hour on two CPU cores, by one generator whose content a trained network holds.

Not a published system, but the ideas of one: in place of CycleGAN's way back, VGG16's features of the picture and of
what is drawn of it must agree, as in CartoonGAN (Chen, Lai and Liu, CVPR 2018). Half of the networks, a third of the
work. The discriminator is spectrally normalized (Miyato et al. 2018, https://arxiv.org/abs/1802.05957) and judges
small and large patches by two heads. VGG16's weights, lpips_vgg16.npz, come with the command kgan weights.
"""

import dataclasses
from typing import ClassVar

import keras
from keras import ops

from kgan import engine
from kgan.blocks import Initial, conv
from kgan.errors import UserError
from kgan.labels import Labels
from kgan.layers import InstanceNormalization
from kgan.losses import LSGAN, l1
from kgan.networks import resnet
from kgan.optimizers import LinearDecay, adam
from kgan.precision import at_least_float32
from kgan.pretrained import vgg16
from kgan.settings import Checks, free
from kgan.systems.adversarial import Adversarial
from kgan.systems.system import average, named, together
from kgan.types import Batch, Tensor


@dataclasses.dataclass
class Settings:
    """Hyper-parameters, for 128 px.

    Attributes:
      image_size: pixels a side; a multiple of 4.
      filters, residual_blocks: of the generator: width of its first layer, a quarter of its widest.
      discriminator_filters: width of the first layer, an eighth of the widest.
      heads: strided layers before each head of the discriminator: 3 see 46 pixels, 5 see 190.
      content_weight: of the squared differences of VGG16's features.
      identity_weight: of pictures of b, which should stay.
      learning_rate, discriminator_learning_rate: full for half of the training, then down to 0.
      ema: decay of the generator's moving average, 0 for none.
      augment: the discriminator sees reals and fakes through `kgan.augmentation`.
    """

    image_size: int = 128
    filters: int = 24
    residual_blocks: int = 5
    discriminator_filters: int = 32
    heads: tuple[int, ...] = (3, 5)
    content_weight: float = 2.0
    identity_weight: float = 5.0
    learning_rate: float = free(3e-4)
    discriminator_learning_rate: float = free(6e-4)
    beta_1: float = 0.5
    beta_2: float = 0.99
    epsilon: float = 1e-8
    ema: float = 0.998
    augment: bool = False
    weights: ClassVar = ((vgg16.NAME, vgg16.SHA256),)

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.at_least(1, "filters", "discriminator_filters", "residual_blocks")
        if not self.heads or min(self.heads) < 1:
            raise UserError(f"system.heads must hold numbers of strided layers from 1 on, got {self.heads}.")
        checks.share("ema")
        least = max(2 * vgg16.SMALLEST, 2 ** (max(self.heads) + 1))  # a head needs a map of 2 x 2
        if self.image_size % 4 or self.image_size < least:
            raise UserError(f"system.image_size must be a multiple of 4, {least} at least, got {self.image_size}.")

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for both updates."""
        return 1

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "OneSided":
        """The system, for a training of `steps` steps; a `UserError` where VGG16's weights are missing."""
        return OneSided(self, steps, seed)


def build_generator(settings: Settings, seed: int = 0, name: str = "generator_ab") -> keras.Model:
    """[B, H, W, 3] to {"image": [B, H, W, 3]}: a ResNet with resize-convolutions."""
    image = keras.Input((None, None, 3), name="image")

    def norm(x: Tensor, name: str) -> Tensor:
        return InstanceNormalization(name=name)(x)

    filters, blocks, initial = settings.filters, settings.residual_blocks, Initial(seed)
    x, _ = resnet(image, 3, filters, blocks, initial=initial, norm=norm, use_bias=False, upsampling="resize")
    return keras.Model(image, {"image": x}, name=name)


def build_discriminator(settings: Settings, seed: int = 0, name: str = "discriminator_b") -> keras.Model:
    """Patches: [B, H, W, 3] to logits [B, h, w, 1] of each head, by its number of strided layers."""
    initial = Initial(seed)
    image = keras.Input((settings.image_size, settings.image_size, 3), name="image")
    x, logits = image, {}
    for i in range(1, max(settings.heads) + 1):
        filters = settings.discriminator_filters * min(2 ** (i - 1), 8)
        x = conv(x, filters, 4, name=f"conv{i}", initial=initial, strides=2, pad=1, spectral=True)
        x = keras.layers.LeakyReLU(0.2, name=f"conv{i}_lrelu")(x)  # [B, H/2^i, W/2^i, F]
        if i in settings.heads:
            head = conv(x, 1, 4, name=f"logits{i}", initial=initial, pad=1, spectral=True)
            logits[str(i)] = head
    return keras.Model(image, logits, name=name)


class OneSided(Adversarial):
    """A generator and a discriminator. `train_step` takes one batch {"a": [B, H, W, 3], "b": [B, H, W, 3]}."""

    def __init__(self, settings: Settings, steps: int = 5_000, seed: int = 0) -> None:
        super().__init__(name="onesided")
        settings.check()
        self.settings = settings

        def generator(name: str) -> keras.Model:
            return named(name, lambda: build_generator(settings, 2 * seed, name))

        self.generator_ab = generator("generator_ab")
        if settings.ema:
            self.ema_generator_ab = generator("ema_generator_ab")
        self.discriminator_b = named("discriminator_b", lambda: build_discriminator(settings, 2 * seed + 1))
        self._content = vgg16.load_maps(taps=(2, 3))  # fixed: no part of the state

        half = max(1, steps // 2)
        self.rate = LinearDecay(settings.learning_rate, half, half)
        discriminator_rate = LinearDecay(settings.discriminator_learning_rate, half, half)
        betas = (settings.beta_1, settings.beta_2, settings.epsilon)
        self.generator_optimizer = adam("generator_optimizer", self.rate, *betas)
        self.discriminator_optimizer = adam("discriminator_optimizer", discriminator_rate, *betas)
        self.ready(seed)

    def generator_variables(self) -> list[keras.Variable]:
        return list(self.generator_ab.trainable_variables)

    def discriminator_variables(self) -> list[keras.Variable]:
        return list(self.discriminator_b.trainable_variables)

    def generators(self) -> dict[str, keras.Model]:
        return {"generator_ab": self.ema_generator_ab if self.settings.ema else self.generator_ab}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The discriminator's update, then the generator's, on the same fakes."""
        real_a, real_b = batches[0]["a"], batches[0]["b"]

        fakes = self.draw_once(lambda: self.draw(real_a, real_b))
        discriminator_terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(real_b, fakes.value["to_b"]), ()),
        )
        generator_terms = self.minimize_through(
            self.generator_optimizer,
            lambda fakes: self.generator_losses(fakes, real_a, real_b),
            fakes,
        )

        if self.settings.ema:
            average(self.ema_generator_ab, self.generator_ab, self.settings.ema)
        self.step.assign_add(1)
        return discriminator_terms | generator_terms

    def draw(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        """What becomes of pictures of a, and of those of b."""
        to_b, same_b = together(self.generator_ab, real_a, real_b)
        return {"to_b": to_b["image"], "same_b": same_b["image"]}

    def discriminator_losses(self, real_b: Tensor, fake_b: Tensor) -> engine.Terms:
        """Reals against fakes, by every head: (D(b) - 1)^2 + D(fake_b)^2."""
        of_real, of_fake = together(self.discriminator_b, self.shown(real_b, "real_b"), self.shown(fake_b, "fake_b"))
        return {f"discriminator_{head}": LSGAN.discriminator(of_real[head], of_fake[head]) for head in of_real}

    def generator_losses(self, fakes: dict[str, Tensor], real_a: Tensor, real_b: Tensor) -> engine.Terms:
        """Fool every head, keep the content of a, and leave b alone.

        With G(a) = fake_b: (D(fake_b) - 1)^2 + content_weight |VGG(fake_b) - VGG(a)|^2 + identity_weight |G(b) - b|.
        """
        fake_b, same_b = fakes["to_b"], fakes["same_b"]
        of_fake = self.discriminator_b(self.shown(fake_b, "adversarial"), training=True)
        terms = {f"adversarial_{head}": LSGAN.generator(logits) for head, logits in of_fake.items()}
        terms["content"] = self.settings.content_weight * self.content(fake_b, real_a)
        terms["identity_b"] = self.settings.identity_weight * l1(same_b, real_b)
        return terms

    def content(self, x: Tensor, y: Tensor) -> Tensor:
        """How much VGG16's relu3_3 and relu4_3, of unit length at each place, differ between pictures of half size."""
        maps = [self._content(ops.average_pool(at_least_float32(each), 2, strides=2)) for each in (x, y)]
        return sum(ops.mean(ops.sum(ops.square(a - b), axis=-1)) for a, b in zip(*maps, strict=True))

    def judged(self) -> dict[str, str]:
        return {"generator_ab": "b"}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        return {name: network(batch["a"], training=False)["image"] for name, network in self.generators().items()}

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Input and output, and what becomes of pictures that should stay."""
        (network,) = self.generators().values()
        to_b, same_b = (network(batch[name], training=False)["image"] for name in "ab")
        return {"a": batch["a"], "a to b": to_b, "b": batch["b"], "b to b": same_b}
