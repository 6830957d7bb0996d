"""CycleGAN: unpaired translation by two generators that undo each other.

Zhu, Park, Isola and Efros, ICCV 2017, https://arxiv.org/abs/1703.10593. The defaults are the authors' PyTorch code
(junyanz/pytorch-CycleGAN-and-pix2pix); `Settings.lua()` is the code of the paper (junyanz/CycleGAN).
"""

import dataclasses
from typing import Any, ClassVar

import keras
from keras import ops

from kgan import engine
from kgan.blocks import Initial, Norm
from kgan.labels import Labels
from kgan.layers import InstanceNormalization
from kgan.losses import HINGE, LSGAN, NON_SATURATING, WASSERSTEIN, between, gradient_penalty, l1
from kgan.networks import check_size, patch_discriminator, phone, resnet, unet
from kgan.optimizers import DECAYS, EPSILON_PLACES, adam, epoch_decay
from kgan.settings import Checks, choice, free, since
from kgan.systems.adversarial import Adversarial
from kgan.systems.pool import ImagePool
from kgan.systems.system import average, named, together
from kgan.types import Batch, Tensor

OBJECTIVES = {"lsgan": LSGAN, "gan": NON_SATURATING, "hinge": HINGE, "wgan-gp": WASSERSTEIN}


@dataclasses.dataclass
class Settings:
    """Hyper-parameters; defaults as the official PyTorch code.

    Attributes:
      image_size: pixels a side; a multiple of 4, or of 2^depth for the U-Net.
      generator: "resnet", "unet" with `depth` halvings, or "phone", which is none of the papers' and runs fast there.
      filters, discriminator_filters: width of the first layer, in generators and in discriminators.
      residual_blocks: 9 for 256 px, 6 for 128 px.
      upsampling: "transposed" convolutions as published, or "resize" and convolve: no checkerboard.
      discriminator_layers: strided ones; a logit sees 70 pixels with 3, one pixel with 0.
      adversarial: objective on the logits; "gan" is the codes' "vanilla".
      cycle_weight_a, cycle_weight_b: of a to b to a, and of b to a to b.
      identity_weight: times the cycle weight of the same domain; 0.5 in both official codes, 0 in the paper's tables.
      gradient_penalty_weight: of wgan-gp, against D's loss of weight 1.
      pool: fakes remembered for each discriminator.
      ema: decay of the generators' moving average, 0 for none. Not in the official code.
      augment: the discriminators see reals and fakes through `kgan.augmentation`. Not in the official code.

      instance_norm_affine: instance norm learns gamma, drawn from N(1, 0.02), and beta. (Lua; PyTorch does not.)
      discriminator_weight: of D's loss. PyTorch halves it; Lua reports the half and differentiates the whole.
      decay: of the learning rate, see `kgan.optimizers.epoch_decay`.
      epsilon_place: where Adam adds epsilon, see `kgan.optimizers.adam`. (PyTorch after, Lua before.)
    """

    image_size: int = 256
    generator: str = choice("resnet", "unet", "phone")
    filters: int = 64
    residual_blocks: int = 9
    depth: int = 8
    upsampling: str = choice("transposed", "resize")
    discriminator_filters: int = 64
    discriminator_layers: int = 3
    adversarial: str = choice(*OBJECTIVES)
    cycle_weight_a: float = 10.0
    cycle_weight_b: float = 10.0
    identity_weight: float = 0.5
    gradient_penalty_weight: float = 10.0
    pool: int = 50
    learning_rate: float = free(2e-4)
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    ema: float = 0.0
    augment: bool = False

    instance_norm_affine: bool = False
    discriminator_weight: float = 0.5
    decay: str = choice(*DECAYS)
    epsilon_place: str = since("before", choice(*EPSILON_PLACES))

    @classmethod
    def lua(cls, **changes: Any) -> "Settings":
        """The code of the paper. Not carried over: its biases, kept at zero, and its four updates one after another.

        Its own defaults are smaller: pictures of 128 px and 6 blocks.
        """
        paper = cls(instance_norm_affine=True, discriminator_weight=1.0, decay="lua", epsilon_place="before")
        return dataclasses.replace(paper, **changes)

    data_kinds: ClassVar[tuple[str, ...]] = ("Unpaired", "Paired")

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.at_least(1, "filters", "discriminator_filters", "residual_blocks")
        checks.at_least(2, "depth")
        checks.not_negative("pool", "discriminator_layers")
        checks.share("ema")
        check_size(self.image_size, self.multiple, self.generator, self.discriminator_layers)

    @property
    def multiple(self) -> int:
        """What the sides of a generator's picture must be multiples of."""
        return 2**self.depth if self.generator == "unet" else 4

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for both updates."""
        return 1

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "CycleGAN":
        """The system, for a training of `steps` steps."""
        return CycleGAN(self, steps, seed)


def _instance_norm(settings: Settings, initial: Initial) -> Norm:
    def norm(x: Tensor, name: str) -> Tensor:
        affine = settings.instance_norm_affine
        return InstanceNormalization(affine, affine, gamma_initializer=initial.gamma(), name=name)(x)

    return norm


def build_generator(settings: Settings, seed: int = 0, name: str = "generator") -> keras.Model:
    """One domain to the other: [B, H, W, 3] to {"image": [B, H, W, 3]}."""
    initial = Initial(seed)
    norm = _instance_norm(settings, initial)
    image = keras.Input((None, None, 3), name="image")
    if settings.generator == "unet":
        x, _ = unet(
            image, 3, settings.filters, settings.depth, initial=initial, norm=norm, use_bias=True, dropout_from=0
        )
    elif settings.generator == "phone":
        x = phone(image, 3, settings.filters, settings.residual_blocks, initial=initial, norm=norm)
    else:
        blocks, upsampling = settings.residual_blocks, settings.upsampling
        x, _ = resnet(image, 3, settings.filters, blocks, initial=initial, norm=norm, upsampling=upsampling)
    return keras.Model(image, {"image": x}, name=name)


def build_discriminator(settings: Settings, seed: int = 0, name: str = "discriminator") -> keras.Model:
    """Patches: [B, H, W, 3] to logits [B, h, w, 1]; 30 x 30 at 256 px."""
    initial = Initial(seed)
    image = keras.Input((None, None, 3), name="image")
    norm, filters = _instance_norm(settings, initial), settings.discriminator_filters
    x = patch_discriminator(image, filters, settings.discriminator_layers, initial=initial, norm=norm)
    return keras.Model(image, x, name=name)


class CycleGAN(Adversarial):
    """Two generators and two discriminators. `train_step` takes one batch {"a": [B, H, W, 3], "b": [B, H, W, 3]}."""

    def __init__(self, settings: Settings, steps: int = 200_000, seed: int = 0) -> None:
        super().__init__(name="cyclegan")
        settings.check()
        self.settings = settings
        self.objective = OBJECTIVES[settings.adversarial]
        self.multiple = self.smallest = settings.multiple
        if settings.generator != "unet":
            self.smallest = 8  # a ResNet's map of one pixel cannot be padded by reflection

        def generator(name: str, number: int) -> keras.Model:
            return named(name, lambda: build_generator(settings, 4 * seed + number, name))

        def discriminator(name: str, number: int) -> keras.Model:
            return named(name, lambda: build_discriminator(settings, 4 * seed + number, name))

        self.generator_ab = generator("generator_ab", 0)
        self.generator_ba = generator("generator_ba", 1)
        self.discriminator_a = discriminator("discriminator_a", 2)
        self.discriminator_b = discriminator("discriminator_b", 3)
        if settings.ema:
            self.ema_generator_ab = generator("ema_generator_ab", 0)
            self.ema_generator_ba = generator("ema_generator_ba", 1)
        shape = (settings.image_size, settings.image_size, 3)
        self.pool_a = ImagePool(settings.pool, shape, "pool_a")
        self.pool_b = ImagePool(settings.pool, shape, "pool_b")

        self.rate = rate = epoch_decay(settings.learning_rate, steps, settings.decay)
        betas = (settings.beta_1, settings.beta_2, settings.epsilon, settings.epsilon_place)
        self.generator_optimizer = adam("generator_optimizer", rate, *betas)
        self.discriminator_optimizer = adam("discriminator_optimizer", rate, *betas)
        self.ready(seed)

    def generator_variables(self) -> list[keras.Variable]:
        return [*self.generator_ab.trainable_variables, *self.generator_ba.trainable_variables]

    def discriminator_variables(self) -> list[keras.Variable]:
        return [*self.discriminator_a.trainable_variables, *self.discriminator_b.trainable_variables]

    def generators(self) -> dict[str, keras.Model]:
        """The generators as a user wants them: the averaged ones where there are."""
        prefix = "ema_" if self.settings.ema else ""
        return {name: getattr(self, prefix + name) for name in ("generator_ab", "generator_ba")}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The generators' update, then the discriminators' on the fakes made before it and on older ones."""
        real_a, real_b = batches[0]["a"], batches[0]["b"]

        generator_terms, (fake_a, fake_b) = self.minimize(
            self.generator_optimizer,
            self.generator_variables(),
            lambda: self.generator_losses(real_a, real_b),
        )
        pooled_a = self.pool_a.exchange(fake_a, self.uniform("pool_a", (fake_a.shape[0], 2)))
        pooled_b = self.pool_b.exchange(fake_b, self.uniform("pool_b", (fake_b.shape[0], 2)))
        discriminator_terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(real_a, pooled_a, real_b, pooled_b), ()),
        )

        if self.settings.ema:
            average(self.ema_generator_ab, self.generator_ab.weights, self.settings.ema, self.step)
            average(self.ema_generator_ba, self.generator_ba.weights, self.settings.ema, self.step)
        self.step.assign_add(1)
        return generator_terms | discriminator_terms

    def generator_losses(self, real_a: Tensor, real_b: Tensor) -> tuple[engine.Terms, tuple[Tensor, Tensor]]:
        """Fool both discriminators, come back, and leave pictures of the target domain alone; and the fakes.

        With G_ab(a) = fake_b and G_ba(b) = fake_a, all distances the mean of |x - y|:
          adversarial_ab: the objective on D_b(fake_b); cycle_a: G_ba(fake_b) to a; identity_a: G_ba(a) to a.
        """
        settings = self.settings
        if settings.identity_weight:
            (fake_b, same_b), (fake_a, same_a) = self._to_b(real_a, real_b), self._to_a(real_b, real_a)
        else:
            (fake_b,), (fake_a,) = self._to_b(real_a), self._to_a(real_b)
        (cycled_a,), (cycled_b,) = self._to_a(fake_b), self._to_b(fake_a)
        terms = {
            "adversarial_ab": self._fool(self.discriminator_b, fake_b, "adversarial_ab"),
            "adversarial_ba": self._fool(self.discriminator_a, fake_a, "adversarial_ba"),
            "cycle_a": settings.cycle_weight_a * l1(cycled_a, real_a),
            "cycle_b": settings.cycle_weight_b * l1(cycled_b, real_b),
        }
        if settings.identity_weight:
            terms["identity_a"] = settings.identity_weight * settings.cycle_weight_a * l1(same_a, real_a)
            terms["identity_b"] = settings.identity_weight * settings.cycle_weight_b * l1(same_b, real_b)
        return terms, (fake_a, fake_b)

    def discriminator_losses(self, real_a: Tensor, fake_a: Tensor, real_b: Tensor, fake_b: Tensor) -> engine.Terms:
        """Reals against fakes, each domain on its own."""
        settings = self.settings
        weight = settings.discriminator_weight
        terms = {
            "discriminator_a": weight * self._judge(self.discriminator_a, real_a, fake_a, "a"),
            "discriminator_b": weight * self._judge(self.discriminator_b, real_b, fake_b, "b"),
        }
        if settings.adversarial == "wgan-gp":
            weight = weight * settings.gradient_penalty_weight
            terms["penalty_a"] = weight * self._penalty(self.discriminator_a, real_a, fake_a, "penalty_a")
            terms["penalty_b"] = weight * self._penalty(self.discriminator_b, real_b, fake_b, "penalty_b")
        return terms

    def _to_a(self, *images: Tensor) -> list[Tensor]:
        return [each["image"] for each in together(self.generator_ba, *images)]

    def _to_b(self, *images: Tensor) -> list[Tensor]:
        return [each["image"] for each in together(self.generator_ab, *images)]

    def _fool(self, discriminator: keras.Model, fake: Tensor, name: str) -> Tensor:
        return self.objective.generator(discriminator(self.shown(fake, name), training=True))

    def _judge(self, discriminator: keras.Model, real: Tensor, fake: Tensor, domain: str) -> Tensor:
        real = self.shown(real, f"real_{domain}")
        fake = self.shown(ops.cast(fake, real.dtype), f"fake_{domain}")
        return self.objective.discriminator(*together(discriminator, real, fake))

    def _penalty(self, discriminator: keras.Model, real: Tensor, fake: Tensor, name: str) -> Tensor:
        alpha = self.uniform(name, (real.shape[0], 1, 1, 1))
        return gradient_penalty(lambda x: discriminator(x, training=True), between(real, fake, alpha))

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"generator_ab": ("a", "b"), "generator_ba": ("b", "a")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        ab, ba = self.generators().values()
        return {
            "generator_ab": ab(batch["a"], training=False)["image"],
            "generator_ba": ba(batch["b"], training=False)["image"],
        }

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Input, output and cycle of both directions."""
        ab, ba = self.generators().values()
        to_b, to_a = self.translated(batch).values()
        return {
            "a": batch["a"],
            "a to b": to_b,
            "a to b to a": ba(to_b, training=False)["image"],
            "b": batch["b"],
            "b to a": to_a,
            "b to a to b": ab(to_a, training=False)["image"],
        }
