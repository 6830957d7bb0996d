"""StarGAN: one generator for all domains, told by a label which to draw.

Choi, Choi, Kim, Ha, Kim and Choo, CVPR 2018, https://arxiv.org/abs/1711.09020. The defaults are the authors' PyTorch
code (yunjey/stargan); where the paper differs, a setting carries the difference.
"""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from kgan import engine
from kgan.blocks import Initial, conv, tanh, transposed
from kgan.errors import UserError
from kgan.labels import Labels
from kgan.layers import AppendLabel, InstanceNormalization, NearestUpsampling2D
from kgan.losses import WASSERSTEIN, between, cross_entropy, flags_cross_entropy, gradient_penalty, l1
from kgan.optimizers import EPSILON_PLACES, LinearDecay, adam
from kgan.settings import Checks, choice, free, since
from kgan.systems import projected
from kgan.systems.system import average, named
from kgan.types import Batch, Tensor


@dataclasses.dataclass
class Settings:
    """Hyper-parameters; defaults as the official code.

    Attributes:
      image_size: pixels a side; a multiple of 2^discriminator_layers. The generator accepts any multiple of 4.
      filters, residual_blocks: of the generator; the width is of its first layer.
      upsampling: "transposed" convolutions as published, or "resize" and convolve: no checkerboard.
      discriminator_filters, discriminator_layers: width of the first layer, and how many strided layers there are.
      n_critic: updates of D before one of G.
      classification_weight, reconstruction_weight, gradient_penalty_weight: lambda_cls, lambda_rec and lambda_gp.
      feature_weight: of a second discriminator, which sees a trained network's maps; 0 for none, as official.
      ema: decay of the generator's moving average, 0 for none. Not in the official code.

      decay: "linear" to zero over the second half, as the paper says. The official code means that, and takes 1/100,000
        of the rate a hundred times: "official" ends at 99.9 % of it.
      initializer: PyTorch's default, or N(0, 0.02).
      epsilon_place: where Adam adds epsilon, see `kgan.optimizers.adam`.
    """

    image_size: int = 128
    filters: int = 64
    residual_blocks: int = 6
    upsampling: str = choice("transposed", "resize")
    discriminator_filters: int = 64
    discriminator_layers: int = 6
    n_critic: int = 5
    classification_weight: float = 1.0
    reconstruction_weight: float = 10.0
    gradient_penalty_weight: float = 10.0
    feature_weight: float = 0.0
    learning_rate: float = free(1e-4)
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    ema: float = 0.0

    decay: str = choice("linear", "official")
    initializer: str = choice("pytorch", "normal")
    epsilon_place: str = since("before", choice(*EPSILON_PLACES))

    data_kinds: ClassVar[tuple[str, ...]] = ("Labelled",)

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.at_least(1, "filters", "residual_blocks", "discriminator_filters", "discriminator_layers", "n_critic")
        checks.not_negative("feature_weight")
        checks.share("ema")
        shrinks = 2 ** max(2, self.discriminator_layers)
        if self.image_size < shrinks or self.image_size % shrinks:
            raise UserError(
                f"system.image_size must be a multiple of {shrinks} for a discriminator of "
                f"{self.discriminator_layers} layers, got {self.image_size}."
            )
        if self.feature_weight and self.image_size % (multiple := projected.multiple_of(self.image_size)):
            raise UserError(
                f"With system.feature_weight system.image_size must be a multiple of {multiple}, got {self.image_size}."
            )

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for each update of D, and G's is on the pictures of the last."""
        return self.n_critic

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "StarGAN":
        """The system, for a training of `steps` steps; a `UserError` where the pictures are not labelled."""
        if labels is None:
            raise UserError("StarGAN learns from labelled pictures: the config's data should be kgan.data.Labelled.")
        return StarGAN(self, labels, steps, seed)


def build_generator(settings: Settings, width: int, seed: int = 0, name: str = "generator") -> keras.Model:
    """{"image": [B, H, W, 3], "label": [B, width]} to {"image": [B, H, W, 3]}. All padding is by zeros."""
    initial = Initial(seed, settings.initializer)
    image, label = keras.Input((None, None, 3), name="image"), keras.Input((width,), name="label")

    def normed(x: Tensor, name: str) -> Tensor:
        return InstanceNormalization(name=name)(x)

    def relu(x: Tensor, name: str) -> Tensor:
        return keras.layers.ReLU(name=f"{name}_relu")(normed(x, f"{name}_norm"))

    x = AppendLabel(name="labelled")([image, label])  # [B, H, W, 3 + C]
    x = relu(conv(x, settings.filters, 7, name="stem_conv", initial=initial, pad=3, use_bias=False), "stem")
    for i in (1, 2):
        x = conv(x, 2 * x.shape[-1], 4, name=f"down{i}_conv", initial=initial, strides=2, pad=1, use_bias=False)
        x = relu(x, f"down{i}")  # [B, H/4, W/4, 4F] at last
    for i in range(1, settings.residual_blocks + 1):
        y = conv(x, x.shape[-1], 3, name=f"block{i}_conv1", initial=initial, pad=1, use_bias=False)
        y = keras.layers.ReLU(name=f"block{i}_relu")(normed(y, f"block{i}_norm1"))
        y = conv(y, x.shape[-1], 3, name=f"block{i}_conv2", initial=initial, pad=1, use_bias=False)
        x = keras.layers.Add(name=f"block{i}_add")([x, normed(y, f"block{i}_norm2")])
    for i in (1, 2):
        half = x.shape[-1] // 2
        if settings.upsampling == "resize":
            x = NearestUpsampling2D(name=f"up{i}")(x)
            x = conv(x, half, 3, name=f"up{i}_conv", initial=initial, pad=1, use_bias=False)
        else:
            x = transposed(x, half, 4, name=f"up{i}_conv", initial=initial, use_bias=False)
        x = relu(x, f"up{i}")  # [B, H, W, F] at last
    x = conv(x, 3, 7, name="image_conv", initial=initial, pad=3, use_bias=False)
    return keras.Model({"image": image, "label": label}, {"image": tanh(x)}, name=name)


def build_discriminator(settings: Settings, classes: int, seed: int = 0, name: str = "discriminator") -> keras.Model:
    """[B, H, W, 3] to {"logits": [B, h, w, 1], "class_logits": [B, classes]}, h = H / 2^discriminator_layers."""
    initial = Initial(seed, settings.initializer)
    image = keras.Input((settings.image_size, settings.image_size, 3), name="image")
    x, filters = image, settings.discriminator_filters
    for i in range(1, settings.discriminator_layers + 1):
        x = conv(x, filters, 4, name=f"conv{i}", initial=initial, strides=2, pad=1)
        x = keras.layers.LeakyReLU(0.01, name=f"conv{i}_lrelu")(x)
        filters *= 2
    logits = conv(x, 1, 3, name="logits", initial=initial, pad=1, use_bias=False)
    y = conv(x, classes, x.shape[1], name="class_conv", initial=initial, use_bias=False)  # [B, 1, 1, C]
    class_logits = keras.layers.Reshape((classes,), name="class_logits")(y)
    return keras.Model(image, {"logits": logits, "class_logits": class_logits}, name=name)


class StarGAN(projected.WithFeatures):
    """A generator, and a discriminator that also says which labels it sees.

    `train_step` takes `n_critic` batches of `kgan.data.Labelled`: {"image": [B, H, W, 3], "label" and "target": [B, W],
    "known" and "target_known": [B, C]}.
    """

    def __init__(self, settings: Settings, labels: Labels, steps: int = 40_000, seed: int = 0) -> None:
        super().__init__(name="stargan")
        settings.check()
        self.settings, self.labels = settings, labels

        def generator(name: str) -> keras.Model:
            return named(name, lambda: build_generator(settings, labels.width, 2 * seed, name))

        self.generator = generator("generator")
        self.discriminator = named("discriminator", lambda: build_discriminator(settings, labels.classes, 2 * seed + 1))
        self.build_feature_discriminator(2 * seed + 1)
        if settings.ema:
            self.ema_generator = generator("ema_generator")

        def rate(updates: int) -> LinearDecay:
            """The schedule of an optimizer that makes so many updates a step."""
            if settings.decay == "linear":
                return LinearDecay(settings.learning_rate, steps // 2, steps - steps // 2, period=updates)
            period = max(1, steps // 200)  # a thousand of 200,000 iterations
            return LinearDecay(settings.learning_rate, 100, 100_000, period=period * updates)

        self.rate = rate(1)
        betas = (settings.beta_1, settings.beta_2, settings.epsilon, settings.epsilon_place)
        self.generator_optimizer = adam("generator_optimizer", self.rate, *betas)
        self.discriminator_optimizer = adam("discriminator_optimizer", rate(settings.n_critic), *betas)
        self.ready(seed)

    def generator_variables(self) -> list[keras.Variable]:
        return self.generator.trainable_variables

    def discriminator_variables(self) -> list[keras.Variable]:
        return [*self.discriminator.trainable_variables, *self.feature_variables()]

    def generators(self) -> dict[str, keras.Model]:
        """The generator as a user wants it: the averaged one where there is one."""
        return {"generator": self.ema_generator if self.settings.ema else self.generator}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The discriminator's update on each batch, then the generator's on the last; D's terms are means."""
        critic_terms = [self._criticize(batch, n) for n, batch in enumerate(batches)]
        generator_terms, _ = self.minimize(
            self.generator_optimizer,
            self.generator_variables(),
            lambda: (self.generator_losses(batches[-1]), ()),
        )

        if self.settings.ema:
            average(self.ema_generator, self.generator.weights, self.settings.ema, self.step)
        self.step.assign_add(1)
        means = {name: sum(terms[name] for terms in critic_terms) / len(batches) for name in critic_terms[0]}
        return means | generator_terms

    def _criticize(self, batch: Batch, n: int) -> engine.Terms:
        fake = self._draw(batch["image"], batch["target"])
        terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(batch, fake, n), ()),
        )
        return terms

    def discriminator_losses(self, batch: Batch, fake: Tensor, n: int) -> engine.Terms:
        """Reals score above fakes, with slopes of 1 between them, and show their labels.

        D(fake) - D(real) + gp (|gradient of D between them| - 1)^2 + cls H(label, D_cls(real))
        + max(0, 1 - F(real)) + max(0, 1 + F(fake)) where there is an F that sees features.

        Args:
          n: which of the step's updates of D this is.
        """
        settings, real = self.settings, batch["image"]
        of_real, of_fake = self.discriminator(real, training=True), self.discriminator(fake, training=True)
        alpha = self.uniform(f"penalty{n}", (real.shape[0], 1, 1, 1))
        points = between(fake, real, alpha)
        penalty = gradient_penalty(lambda x: self.discriminator(x, training=True)["logits"], points)
        classes = self._classify(of_real["class_logits"], batch["label"], batch["known"])
        terms = {
            "discriminator": WASSERSTEIN.discriminator(of_real["logits"], of_fake["logits"]),
            "discriminator_classes": settings.classification_weight * classes,
            "penalty": settings.gradient_penalty_weight * penalty,
        }
        if settings.feature_weight:
            terms |= self.feature_discriminator_terms(real, fake)
        return terms

    def generator_losses(self, batch: Batch) -> engine.Terms:
        """Look real, show the target's labels, and lead back to the picture when asked for its own.

        -D(fake) - feature_weight F(fake) + cls H(target, D_cls(fake)) + rec |G(fake, label) - real|, where
        fake = G(real, target).
        """
        settings, real = self.settings, batch["image"]
        fake = self._draw(real, batch["target"])
        of_fake = self.discriminator(fake, training=True)
        classes = self._classify(of_fake["class_logits"], batch["target"], batch["target_known"])
        terms = {
            "adversarial": WASSERSTEIN.generator(of_fake["logits"]),
            "classes": settings.classification_weight * classes,
            "reconstruction": settings.reconstruction_weight * l1(self._draw(fake, batch["label"]), real),
        }
        if settings.feature_weight:
            terms |= self.feature_generator_terms(fake)
        return terms

    def _draw(self, image: Tensor, label: Tensor) -> Tensor:
        return self.generator({"image": image, "label": label}, training=True)["image"]

    def _classify(self, logits: Tensor, label: Tensor, known: Tensor) -> Tensor:
        """Summed over groups; what is not known costs nothing."""
        loss = 0.0
        for place in self.labels.places():
            judge = flags_cross_entropy if place.group.flags else cross_entropy
            loss = loss + judge(logits[:, place.slice], label[:, place.slice], known[:, place.slice])
        return loss

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"generator": ("image", "image")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        return {"generator": self._show(batch["image"], batch["target"])}

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Each input, and what it becomes in every domain."""
        targets = self.labels.domains(np.asarray(batch["label"]))
        outputs = {title: self._show(batch["image"], target) for title, target in targets.items()}
        return {"input": batch["image"]} | outputs

    def _show(self, image: Tensor, label: Tensor) -> Tensor:
        """What the generator that a user gets makes of an image and a label."""
        (generator,) = self.generators().values()
        inputs = {"image": ops.convert_to_tensor(image), "label": ops.convert_to_tensor(label)}
        return generator(inputs, training=False)["image"]
