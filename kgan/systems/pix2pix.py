"""pix2pix: translation learned from pairs, by a generator and a discriminator that sees what the picture was made from.

Isola, Zhu, Zhou and Efros, CVPR 2017, https://arxiv.org/abs/1611.07004. The defaults are the authors' PyTorch code
(junyanz/pytorch-CycleGAN-and-pix2pix); `Settings.lua()` is the code of the paper (phillipi/pix2pix).
"""

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from kgan import engine
from kgan.blocks import Initial, Norm
from kgan.labels import Labels
from kgan.layers import BatchNormalization, InstanceNormalization
from kgan.layers.batch import draw_shapes
from kgan.layers.color import Colored, Lightness, lab_to_rgb, rgb_to_lab
from kgan.losses import HINGE, LSGAN, NON_SATURATING, WASSERSTEIN, between, gradient_penalty, l1
from kgan.networks import check_size, patch_discriminator, phone, resnet, unet
from kgan.optimizers import DECAYS, EPSILON_PLACES, adam, epoch_decay
from kgan.precision import variable_dtype
from kgan.settings import Checks, choice, free, since
from kgan.systems.adversarial import Adversarial
from kgan.systems.system import average, named
from kgan.types import Batch, Tensor

OBJECTIVES = {"gan": NON_SATURATING, "lsgan": LSGAN, "hinge": HINGE, "wgan-gp": WASSERSTEIN}


@dataclasses.dataclass
class Settings:
    """Hyper-parameters; defaults as the official PyTorch code.

    Attributes:
      image_size: pixels a side; a multiple of 2^depth for the U-Net, of 4 for the ResNet.
      generator: "unet" with `depth` halvings (8 for 256 px, 7 for 128 px), "resnet" with `residual_blocks`, or "phone"
        with as many, which is none of the papers', runs fast on phones and never drops out.
      task: "translate" a to b, or "colorize": a is b's lightness, and the network makes the two channels of colour.
      filters, discriminator_filters: width of the first layer, in generator and in discriminator.
      norm: "batch", or "instance" without gamma and beta.
      discriminator_layers: strided ones; a logit sees 70 pixels with 3, one pixel with 0.
      adversarial: objective on the logits; "gan" is the codes' "vanilla". G's loss adds l1_weight times the distance.
      gradient_penalty_weight: of wgan-gp, against D's loss of weight 1.
      dropout: the generator's only noise. Which layers have it: the PyTorch code's second to fourth of the U-Net's
        doublings, or the first to third as the paper's, as far as they have eight times the filters: those of depth 5
        and less have none in the PyTorch code. The ResNet has it in every block.
      test_statistics: what a batch norm uses at test: the "batch" at hand, as official, or "moving" averages.
      test_dropout: drop out at test too, as official. Exported files never do.
      ema: decay of the generator's moving average, 0 for none. Not in the official code.

      conv_bias: convolutions before a batch norm have a bias. (Lua; PyTorch does not.)
      discriminator_weight: of D's loss. PyTorch halves it; Lua reports the half and differentiates the whole.
      decay: of the learning rate, see `kgan.optimizers.epoch_decay`.
      epsilon_place: where Adam adds epsilon, see `kgan.optimizers.adam`. (PyTorch after, Lua before.)
    """

    image_size: int = 256
    generator: str = choice("unet", "resnet", "phone")
    task: str = choice("translate", "colorize")
    filters: int = 64
    depth: int = 8
    residual_blocks: int = 9
    norm: str = choice("batch", "instance")
    discriminator_filters: int = 64
    discriminator_layers: int = 3
    adversarial: str = choice(*OBJECTIVES)
    l1_weight: float = 100.0
    gradient_penalty_weight: float = 10.0
    dropout: str = choice("pytorch", "paper", "none")
    test_statistics: str = free(choice("batch", "moving"))  # these two say how a filter is used, not what is trained
    test_dropout: bool = free(True)
    learning_rate: float = free(2e-4)
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    ema: float = 0.0

    conv_bias: bool = False
    discriminator_weight: float = 0.5
    decay: str = choice(*DECAYS)
    epsilon_place: str = since("before", choice(*EPSILON_PLACES))

    @classmethod
    def lua(cls, **changes: Any) -> "Settings":
        """The code of the paper. Not carried over: its zeroed biases, and G's step on D's outputs from before D's."""
        paper = cls(dropout="paper", conv_bias=True, discriminator_weight=1.0, decay="none", epsilon_place="before")
        return dataclasses.replace(paper, **changes)

    data_kinds: ClassVar[tuple[str, ...]] = ("Paired",)

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.at_least(1, "filters", "discriminator_filters", "residual_blocks")
        checks.at_least(2, "depth")
        checks.not_negative("discriminator_layers")
        checks.share("ema")
        check_size(self.image_size, self.multiple, self.generator, self.discriminator_layers)

    @property
    def multiple(self) -> int:
        """What the sides of the generator's picture must be multiples of."""
        return 2**self.depth if self.generator == "unet" else 4

    @property
    def channels(self) -> tuple[int, int]:
        """How many channels the generator's input and its output have."""
        return (1, 2) if self.task == "colorize" else (3, 3)

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for both updates."""
        return 1

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "Pix2Pix":
        """The system, for a training of `steps` steps."""
        return Pix2Pix(self, steps, seed)


def _norm(settings: Settings, initial: Initial) -> Norm:
    def norm(x: Tensor, name: str) -> Tensor:
        if settings.norm == "instance":
            return InstanceNormalization(center=False, scale=False, name=name)(x)
        return BatchNormalization(settings.test_statistics, gamma_initializer=initial.gamma(), name=name)(x)

    return norm


def build_generator(settings: Settings, seed: int = 0, name: str = "generator") -> keras.Model:
    """{"image": [B, H, W, C_in], and dropout's draws, each optional} to {"image": [B, H, W, C_out]}."""
    initial = Initial(seed)
    channels, out_channels = settings.channels
    image = keras.Input((None, None, channels), name="image")
    parts: dict[str, Any] = {"initial": initial, "norm": _norm(settings, initial)}
    parts["use_bias"] = settings.conv_bias or settings.norm == "instance"
    if settings.generator == "unet":
        start = {"pytorch": 2, "paper": 1, "none": 0}[settings.dropout]
        x, draws = unet(image, out_channels, settings.filters, settings.depth, dropout_from=start, **parts)
    elif settings.generator == "phone":
        x, draws = phone(image, out_channels, settings.filters, settings.residual_blocks, **parts), []
    else:
        dropout = settings.dropout != "none"
        x, draws = resnet(image, out_channels, settings.filters, settings.residual_blocks, dropout=dropout, **parts)
    inputs = {tensor.name: tensor for tensor in (image, *draws)} if draws else image
    return keras.Model(inputs, {"image": x}, name=name)


def build_discriminator(settings: Settings, seed: int = 0, name: str = "discriminator") -> keras.Model:
    """Patches: input and output of G, [B, H, W, C_in + C_out], to logits [B, h, w, 1]; 30 x 30 at 256 px."""
    initial = Initial(seed)
    pair = keras.Input((None, None, sum(settings.channels)), name="pair")
    norm, bias = _norm(settings, initial), settings.conv_bias or settings.norm == "instance"
    filters, layers = settings.discriminator_filters, settings.discriminator_layers
    x = patch_discriminator(pair, filters, layers, initial=initial, norm=norm, use_bias=bias)
    return keras.Model(pair, x, name=name)


def build_colorizer(generator: keras.Model, name: str) -> keras.Model:
    """A picture to the same in other colours, [B, H, W, 3] to {"image": [B, H, W, 3]}, around a generator of colour."""
    image = keras.Input((None, None, 3), name="image")
    draws = {
        tensor.name: keras.Input(tensor.shape[1:], name=tensor.name, optional=True)
        for tensor in generator.inputs
        if tensor.name != "image"
    }
    colour = generator(_inputs(generator, Lightness(name="lightness")(image), draws))["image"]
    outputs = {"image": Colored(dtype=variable_dtype(), name="colored")(image, colour)}
    return keras.Model({"image": image, **draws} if draws else image, outputs, name=name)


def _inputs(generator: keras.Model, image: Tensor, draws: dict[str, Tensor]) -> Tensor | dict[str, Tensor | None]:
    """What a generator is called with; dropout's inputs stay empty where there are no draws."""
    names = [tensor.name for tensor in generator.inputs]
    return image if len(names) == 1 else {name: image if name == "image" else draws.get(name) for name in names}


class Pix2Pix(Adversarial):
    """One generator and one discriminator. `train_step` takes one batch {"a": [B, H, W, 3], "b": [B, H, W, 3]}."""

    def __init__(self, settings: Settings, steps: int = 80_000, seed: int = 0) -> None:
        super().__init__(name="pix2pix")
        settings.check()
        self.settings = settings
        self.objective = OBJECTIVES[settings.adversarial]
        self.multiple = self.smallest = settings.multiple
        if settings.generator != "unet":
            self.smallest = 8  # a ResNet's map of one pixel cannot be padded by reflection

        self.batch_norm = settings.test_statistics if settings.norm == "batch" else ""
        shape = (settings.image_size, settings.image_size)

        def generator(name: str) -> keras.Model:
            return named(name, lambda: build_generator(settings, 2 * seed, name))

        self.generator = generator("generator")
        self.discriminator = named("discriminator", lambda: build_discriminator(settings, 2 * seed + 1))
        if settings.ema:
            self.ema_generator = generator("ema_generator")
        averaged = self.ema_generator if settings.ema else self.generator
        self.dropout = settings.test_dropout and bool(draw_shapes(self.generator, 1, *shape))
        self._filter = build_colorizer(averaged, "generator") if settings.task == "colorize" else averaged

        self.rate = rate = epoch_decay(settings.learning_rate, steps, settings.decay)
        betas = (settings.beta_1, settings.beta_2, settings.epsilon, settings.epsilon_place)
        self.generator_optimizer = adam("generator_optimizer", rate, *betas)
        self.discriminator_optimizer = adam("discriminator_optimizer", rate, *betas)
        self.ready(seed)

    def generator_variables(self) -> list[keras.Variable]:
        return list(self.generator.trainable_variables)

    def discriminator_variables(self) -> list[keras.Variable]:
        return list(self.discriminator.trainable_variables)

    def generators(self) -> dict[str, keras.Model]:
        """The generator as a user wants it: from RGB to RGB, the averaged one where there is."""
        return {"generator": self._filter}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The discriminator's update, then the generator's against the new discriminator, both on the same fakes."""
        real_a, real_b = self.pair(batches[0])

        fakes = self.draw_once(lambda: self.draw(real_a))
        discriminator_terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(real_a, real_b, fakes.value), ()),
        )
        generator_terms = self.minimize_through(
            self.generator_optimizer,
            lambda fake_b: self.generator_losses(real_a, real_b, fake_b),
            fakes,
        )

        if self.settings.ema:
            average(self.ema_generator, self.generator.weights, self.settings.ema, self.step)
        self.step.assign_add(1)
        return generator_terms | discriminator_terms

    def pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What G is given and what it should make."""
        if self.settings.task == "translate":
            return batch["a"], batch["b"]
        lab = rgb_to_lab(batch["b"])
        return lab[..., :1], lab[..., 1:]

    def draw(self, real_a: Tensor) -> Tensor:
        """G's output in training, half of some maps dropped."""
        shapes = draw_shapes(self.generator, *real_a.shape[:3])
        draws = {name: self.uniform(name, shape) for name, shape in shapes.items()}
        return self.generator(_inputs(self.generator, real_a, draws), training=True)["image"]

    def discriminator_losses(self, real_a: Tensor, real_b: Tensor, fake_b: Tensor) -> engine.Terms:
        """Is b the real counterpart of a, or G's? discriminator_weight objective(D(a, b), D(a, fake_b)).

        D sees the fake first, as in the PyTorch code: what a batch norm keeps of the two depends on their order.
        """
        settings = self.settings
        weight = settings.discriminator_weight
        fake, real = self._judge(real_a, fake_b), self._judge(real_a, real_b)
        terms = {"discriminator": weight * self.objective.discriminator(real, fake)}
        if settings.adversarial == "wgan-gp":
            alpha = self.uniform("penalty", (real_b.shape[0], 1, 1, 1))
            slope = gradient_penalty(lambda x: self._judge(real_a, x), between(real_b, fake_b, alpha))
            terms["penalty"] = weight * settings.gradient_penalty_weight * slope
        return terms

    def generator_losses(self, real_a: Tensor, real_b: Tensor, fake_b: Tensor) -> engine.Terms:
        """Fool D, and stay close to the true counterpart: objective(D(a, fake_b)) + l1_weight |fake_b - b|."""
        settings = self.settings
        return {
            "adversarial": self.objective.generator(self._judge(real_a, fake_b)),
            "l1": settings.l1_weight * l1(fake_b, real_b),
        }

    def _judge(self, a: Tensor, b: Tensor) -> Tensor:
        return self.discriminator(ops.concatenate([a, ops.cast(b, a.dtype)], axis=-1), training=True)

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"generator": ("b" if self.settings.task == "colorize" else "a", "b")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        images = ops.convert_to_tensor(batch["b"] if self.settings.task == "colorize" else batch["a"])
        if self.batch_norm != "batch":
            return {"generator": self._translate(images)}
        # One at a time, as the official test and every filter do: statistics are then the picture's own.
        alone = [self._translate(images[i : i + 1]) for i in range(images.shape[0])]
        return {"generator": ops.concatenate(alone)}

    def _translate(self, image: Tensor) -> Tensor:
        return self._filter(_inputs(self._filter, image, self._test_draws(image)), training=False)["image"]

    def _test_draws(self, image: Tensor) -> dict[str, Tensor]:
        """Dropout's draws at test, the same at every call, so that sheets compare."""
        if not self.settings.test_dropout:
            return {}
        random = np.random.default_rng(0)
        shapes = draw_shapes(self.generator, *image.shape[:3])
        return {name: ops.convert_to_tensor(random.random(shape, np.float32)) for name, shape in shapes.items()}

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Input, output and truth."""
        image, _ = self.pair(batch)
        if self.settings.task == "colorize":
            image = lab_to_rgb(ops.pad(image, [[0, 0]] * 3 + [[0, 2]]))  # grey
        return {"a": image, "a to b": self.translated(batch)["generator"], "b": batch["b"]}
