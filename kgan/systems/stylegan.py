"""StyleGAN: pictures out of nothing, from styles that a mapping network makes of noise.

Karras, Laine and Aila, CVPR 2019, https://arxiv.org/abs/1812.04948, grown level by level as in Karras, Aila, Laine and
Lehtinen (ProGAN), ICLR 2018, https://arxiv.org/abs/1710.10196. The defaults are the values that the papers and the
description of the official training state, for FFHQ at 1024 px; this code is written from those descriptions alone.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from kgan import engine
from kgan.blocks import Initial
from kgan.errors import UserError
from kgan.labels import Labels
from kgan.layers import (
    Bias,
    Blur2D,
    EqualizedConv2D,
    EqualizedDense,
    Fade,
    LearnedConstant,
    MinibatchDeviation,
    NearestUpsampling2D,
    Noise,
    PixelNormalization,
    Style,
    Truncation,
)
from kgan.layers.resampling import nearest_double
from kgan.losses import NON_SATURATING, WASSERSTEIN, between, gradient_penalty, r1_penalty
from kgan.optimizers import adam
from kgan.precision import variable_dtype
from kgan.settings import Checks, choice, free
from kgan.systems import projected
from kgan.systems.system import Stage, named
from kgan.types import Batch, Tensor

OBJECTIVES = {"r1": NON_SATURATING, "wgan-gp": WASSERSTEIN}
FEATURES_FROM = 32  # pixels a side of the first level whose pictures show a trained network anything


@dataclasses.dataclass
class Settings:
    """Hyper-parameters; defaults as published for FFHQ at 1024 px on eight GPUs, whose batch at full size is 32.

    Attributes:
      image_size: pixels a side at the end of growth; a power of two.
      latent_size: of z and w; mapping_layers between them, which learn at mapping_rate times the learning rate.
      filters: a layer at r px has 2 filters / r channels, filters_most at most.
      fused_from: pixels a side from which resampling and convolution are one operation: the same result, faster.
      adversarial: the non-saturating loss with R1, or WGAN-GP (with learning rates of at most .002).
      penalty_weight: R1's gamma, which is halved as usual, or WGAN-GP's lambda; drift: on D(real)^2, WGAN-GP only.
      penalty_at: the penalties' gradient is meant in the picture enlarged to "full" size, as in the official code: at
        level r R1 weighs (r / image_size)^2. "level": in the picture of the level.
      feature_weight: of a second discriminator, which sees a trained network's maps from 32 px on; 0 for none.
      minibatch_group: images whose differences D is told; minibatch_groups: see `kgan.layers.MinibatchDeviation`.
      mixing: how often the style changes to that of another z at a random layer; mixing_per: one draw for all images
        of a batch, as in the official code, or for each.
      w_mean_decay: of the average w, which moves twice a step.
      ema_kimg: thousands of images after which half of the averaged generator is new; 0 for no averaging.
      truncation_psi, truncation_cutoff: of sample sheets; the cutoff is a saved generator's too.

      start_size: the first level; stable_kimg, fade_kimg: thousands of images that a level lasts after it is faded in,
        and those of the fade.
      batches: of each level from 4 px on, in multiples of training.batch_size; the last holds for all larger ones.
      learning_rates: likewise, in multiples of learning_rate.
      reset_optimizers: forget Adam's moments when a level begins. The official code does so at the end of its fade too.
      repeats: steps between changes of alpha and of level.
    """

    image_size: int = 1024
    latent_size: int = 512
    mapping_layers: int = 8
    mapping_rate: float = 0.01
    filters: int = 8192
    filters_most: int = 512
    fused_from: int = 128
    adversarial: str = choice(*OBJECTIVES)
    penalty_weight: float = 10.0
    drift: float = 0.001
    penalty_at: str = choice("full", "level")
    feature_weight: float = 0.0
    minibatch_group: int = 4
    minibatch_groups: str = choice("neighbours", "strided")
    mixing: float = 0.9
    mixing_per: str = choice("batch", "image")
    w_mean_decay: float = 0.995
    ema_kimg: float = 10.0
    truncation_psi: float = 0.7
    truncation_cutoff: int = 8
    learning_rate: float = free(0.001)
    beta_1: float = 0.0
    beta_2: float = 0.99
    epsilon: float = 1e-8

    start_size: int = 8
    stable_kimg: float = 600.0
    fade_kimg: float = 600.0
    batches: tuple[int, ...] = (16, 8, 4, 2, 1)
    learning_rates: tuple[float, ...] = free((1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0, 3.0))
    reset_optimizers: bool = True
    repeats: int = 4

    data_kinds: ClassVar[tuple[str, ...]] = ("Unlabelled", "Labelled")

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        for name in ("image_size", "start_size"):
            if (size := getattr(self, name)) < 4 or size & (size - 1):
                raise UserError(f"system.{name} must be a power of two from 4 on, got {size}.")
        if self.start_size > self.image_size:
            raise UserError(f"system.start_size ({self.start_size}) is above system.image_size ({self.image_size}).")
        checks.at_least(1, "latent_size", "mapping_layers", "filters_most", "minibatch_group", "repeats")
        if 2 * self.filters < self.image_size:
            raise UserError(
                f"system.filters must be at least {self.image_size // 2}: the layers at r px have 2 filters / r "
                f"channels, got {self.filters}."
            )
        checks.within(0, 1, "mixing")
        checks.share("w_mean_decay")
        checks.not_negative("feature_weight", "stable_kimg", "fade_kimg", "ema_kimg")
        if self.feature_weight and self.image_size < FEATURES_FROM:
            raise UserError(
                f"system.feature_weight needs pictures of at least {FEATURES_FROM} px, and system.image_size is "
                f"{self.image_size}: set it to 0."
            )
        if self.mapping_rate <= 0:
            raise UserError(f"system.mapping_rate must be positive, got {self.mapping_rate}.")
        for name in ("batches", "learning_rates"):
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise UserError(f"system.{name} must hold positive numbers, got {getattr(self, name)}.")

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: the reals that D sees."""
        return 1

    @property
    def layers(self) -> int:
        """How many styled layers the synthesis network has at full size: two a level."""
        return layers_at(self.image_size)

    def channels(self, size: int) -> int:
        """How many channels the layers at `size` px have."""
        return min(2 * self.filters // size, self.filters_most)

    def at(self, values: tuple[Any, ...], size: int) -> Any:
        """The one of `values`, which begin at 4 px, for a level."""
        return values[min(size.bit_length() - 3, len(values) - 1)]

    def begins(self, size: int) -> int:
        """Images after which a level begins to fade in."""
        level = (size // self.start_size).bit_length() - 1
        return round(1000 * (level * (self.stable_kimg + self.fade_kimg) - self.fade_kimg)) if level else 0

    def stages(self, batch_size: int) -> tuple[Stage, ...]:
        """Every level's beginning in steps and images, and its batch; the last one has no end."""
        stages, step, image, size = [], 0, 0, self.start_size
        while size <= self.image_size:
            batch = batch_size * self.at(self.batches, size)
            stages.append(Stage(step, image, size, batch))
            lasts = max(0, math.ceil((self.begins(2 * size) - image) / (batch * self.repeats))) * self.repeats
            step, image, size = step + lasts, image + lasts * batch, 2 * size
        following = [each.first_step for each in stages[1:]] + [None]
        return tuple(each for each, after in zip(stages, following, strict=True) if each.first_step != after)

    def steps(self, kimg: float, batch_size: int) -> int:
        """Steps until that many thousands of images have been seen: what a config gives as training.steps."""
        images = round(1000 * kimg)
        stage = max((s for s in self.stages(batch_size) if s.first_image < images), key=lambda s: s.first_step)
        return stage.first_step + math.ceil((images - stage.first_image) / stage.batch_size)

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "StyleGAN":
        """The system, whose schedules count images and not `steps`."""
        return StyleGAN(self, seed, labels.width if labels else 0)


def layers_at(size: int) -> int:
    """Layers of the synthesis network up to `size` px: 18 at 1024."""
    return 2 * (size.bit_length() - 2)


def sizes(settings: Settings) -> list[int]:
    """Pixels a side of every level: 4, 8, ... image_size."""
    return [2**i for i in range(2, settings.image_size.bit_length())]


def build_mapping(settings: Settings, label_width: int = 0, seed: int = 0, name: str = "mapping") -> keras.Model:
    """z [B, Z] and, of labelled pictures, labels [B, N], to w [B, Z]; in float32."""
    initial, dtype = Initial(seed), variable_dtype()
    inputs = {"z": keras.Input((settings.latent_size,), name="z")}
    x = inputs["z"]
    if label_width:
        inputs["label"] = keras.Input((label_width,), name="label")
        normal = keras.initializers.RandomNormal(stddev=1.0, seed=initial.seed())
        embed = keras.layers.Dense(
            settings.latent_size, use_bias=False, kernel_initializer=normal, name="label_dense", dtype=dtype
        )
        x = keras.layers.Concatenate(name="labelled", dtype=dtype)([x, embed(inputs["label"])])
    x = PixelNormalization(name="normalize", dtype=dtype)(x)
    for i in range(1, settings.mapping_layers + 1):
        layer = EqualizedDense(
            settings.latent_size, rate=settings.mapping_rate, seed=initial.seed(), name=f"dense{i}", dtype=dtype
        )
        x = keras.layers.LeakyReLU(0.2, name=f"dense{i}_lrelu", dtype=dtype)(layer(x))
    return keras.Model(inputs, x, name=name)


def build_synthesis(settings: Settings, seed: int = 0, name: str = "synthesis") -> keras.Model:
    """Styles to the pictures of every level, of which a training uses one: see `level`.

    Inputs: "ws" [B, layers, Z], one w a layer, and "noise0", "noise1" ... [B, r, r, 1], which may be left out: the
    layers have fixed noise. Outputs: {"4": [B, 4, 4, 3], "8": ...}, about [-1, 1], each faded in over that of the level
    below.
    """
    initial, dtype = Initial(seed), variable_dtype()
    ws = keras.Input((settings.layers, settings.latent_size), name="ws")
    inputs, images = {"ws": ws}, {}
    fade = Fade(name="fade", dtype=dtype)

    def styled(x: Tensor, index: int, name: str) -> Tensor:
        noise = keras.Input((*x.shape[1:3], 1), name=f"noise{index}", optional=True)
        inputs[noise.name] = noise
        x = Noise(seed=initial.seed(), name=f"{name}_noise")(x, noise)
        x = keras.layers.LeakyReLU(0.2, name=f"{name}_lrelu")(Bias(name=f"{name}_bias")(x))
        return Style(index, seed=initial.seed(), name=f"{name}_style")(x, ws)

    x, below = LearnedConstant((4, 4, settings.channels(4)), name="constant")(ws), None
    for size in sizes(settings):
        filters, index, r = settings.channels(size), layers_at(size) - 2, f"r{size}"
        if size > 4:
            fused = size >= settings.fused_from
            up = EqualizedConv2D(filters, 3, "up", fused, use_bias=False, seed=initial.seed(), name=f"{r}_up")
            x = Blur2D(name=f"{r}_blur")(up(x))  # [B, r, r, C]
        x = styled(x, index, f"{r}_up" if size > 4 else "constant")
        conv = EqualizedConv2D(filters, 3, use_bias=False, seed=initial.seed(), name=f"{r}_conv")
        x = styled(conv(x), index + 1, f"{r}_conv")
        to_rgb = EqualizedConv2D(3, 1, gain=1.0, seed=initial.seed(), name=f"{r}_rgb", dtype=dtype)
        image = to_rgb(x)  # [B, r, r, 3]
        images[str(size)] = image
        if below is not None:
            images[str(size)] = fade(NearestUpsampling2D(name=f"{r}_below", dtype=dtype)(below), image)
        below = image
    return keras.Model(inputs, images, name=name)


def build_discriminator(
    settings: Settings, label_width: int = 0, seed: int = 0, name: str = "discriminator"
) -> keras.Model:
    """Pictures of every level to their logits, of which a training uses one: see `level`.

    Inputs: {"image4": [B, 4, 4, 3], "image8": ...} and, of labelled pictures, "label" [B, N], whose own logit is
    taken. Outputs: {"4": [B, 1], "8": ...}. Each level is faded in over the level below, which sees the picture halved.
    """
    initial, dtype = Initial(seed), variable_dtype()
    layers: dict[str, keras.layers.Layer] = {}

    def equalized(name: str, make: Any, **arguments: Any) -> None:
        layers[name] = make(seed=initial.seed(), name=name, **arguments)
        layers[f"{name}_lrelu"] = keras.layers.LeakyReLU(0.2, name=f"{name}_lrelu")

    def run(x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = layers[name](x)
        return x

    for size in sizes(settings):
        filters, r = settings.channels(size), f"r{size}"
        equalized(f"{r}_rgb", EqualizedConv2D, filters=filters, kernel_size=1)
        equalized(f"{r}_conv", EqualizedConv2D, filters=filters, kernel_size=3)
        if size > 4:
            fused, narrow = size >= settings.fused_from, settings.channels(size // 2)
            layers[f"{r}_blur"] = Blur2D(name=f"{r}_blur")
            equalized(f"{r}_down", EqualizedConv2D, filters=narrow, kernel_size=3, resample="down", fused=fused)
            layers[f"{r}_half"] = keras.layers.AveragePooling2D(2, name=f"{r}_half")
    strided = settings.minibatch_groups == "strided"
    layers["deviation"] = MinibatchDeviation(settings.minibatch_group, strided, name="deviation")
    layers["flatten"] = keras.layers.Flatten(name="flatten")
    equalized("dense", EqualizedDense, units=settings.channels(4))
    layers["logits"] = EqualizedDense(max(1, label_width), gain=1.0, seed=initial.seed(), name="logits", dtype=dtype)
    layers["fade"] = Fade(name="fade")
    layers["own"] = keras.layers.Dot(1, name="own_logit", dtype=dtype)

    def from_rgb(image: Tensor, size: int) -> Tensor:
        return run(image, f"r{size}_rgb", f"r{size}_rgb_lrelu")

    def halved(x: Tensor, size: int) -> Tensor:
        r = f"r{size}"
        return run(x, f"{r}_conv", f"{r}_conv_lrelu", f"{r}_blur", f"{r}_down", f"{r}_down_lrelu")

    inputs, outputs = {}, {}
    if label_width:
        inputs["label"] = keras.Input((label_width,), name="label")
    for top in sizes(settings):
        image = inputs[f"image{top}"] = keras.Input((top, top, 3), name=f"image{top}")
        x = from_rgb(image, top)  # [B, r, r, C]
        for size in reversed(sizes(settings)):
            if 4 < size <= top:
                x = halved(x, size)  # [B, r / 2, r / 2, C]
            if size == top > 4:
                x = layers["fade"](from_rgb(layers[f"r{size}_half"](image), size // 2), x)
        x = run(x, "deviation", "r4_conv", "r4_conv_lrelu", "flatten", "dense", "dense_lrelu", "logits")
        outputs[str(top)] = layers["own"]([x, inputs["label"]]) if label_width else x
    return keras.Model(inputs, outputs, name=name)


def level(network: keras.Model, size: int) -> keras.Model:
    """The part of a synthesis or discriminator network that works at `size` px; it shares the layers."""
    wanted = {"ws", "label", f"image{size}", *(f"noise{i}" for i in range(layers_at(size)))}
    inputs = {tensor.name: tensor for tensor in network.inputs if tensor.name in wanted}
    return keras.Model(inputs, network.output[str(size)], name=f"{network.name}{size}")


def build_generator(mapping: keras.Model, truncation: Truncation, synthesis: keras.Model) -> keras.Model:
    """The three as one: what a user is given.

    Inputs: "z" [B, Z], N(0, 1); "psi" [B, 1], 1 for no truncation; "label" [B, N] of labelled pictures; "noise0" ...,
    optional, as the synthesis network's. Output: {"image": [B, r, r, 3]}, about [-1, 1].
    """
    inputs = {
        tensor.name: keras.Input(tensor.shape[1:], name=tensor.name, optional=tensor.name.startswith("noise"))
        for tensor in [*mapping.inputs, *synthesis.inputs]
        if tensor.name != "ws"
    }
    psi = keras.Input((1,), name="psi")
    w = mapping({tensor.name: inputs[tensor.name] for tensor in mapping.inputs})
    noise = {name: tensor for name, tensor in inputs.items() if name.startswith("noise")}
    image = synthesis({"ws": truncation(w, psi), **noise})
    return keras.Model({**inputs, "psi": psi}, {"image": image}, name="generator")


class StyleGAN(projected.WithFeatures):
    """Mapping, synthesis and discriminator of all levels, of which `enter` chooses the one that trains.

    `train_step` takes one batch {"image": [B, r, r, 3]} in [-1, 1], r the level's size, and {"label": [B, N]} where
    the pictures have some: `kgan.data.Labelled` with enlarge=1. One of whose labels none is known teaches nothing, for
    D has no logit of its own for it.
    """

    kind = "generator"

    def __init__(self, settings: Settings, seed: int = 0, label_width: int = 0) -> None:
        super().__init__(name="stylegan")
        settings.check()
        self.settings = settings
        self.objective = OBJECTIVES[settings.adversarial]
        self.mapping = named("mapping", lambda: build_mapping(settings, label_width, 3 * seed))
        self.synthesis = named("synthesis", lambda: build_synthesis(settings, 3 * seed + 1))
        self.discriminator = named("discriminator", lambda: build_discriminator(settings, label_width, 3 * seed + 2))
        self.build_feature_discriminator(3 * seed + 2)
        if settings.ema_kimg:
            self.ema_mapping = named("ema_mapping", lambda: build_mapping(settings, label_width, 3 * seed))
            self.ema_synthesis = named("ema_synthesis", lambda: build_synthesis(settings, 3 * seed + 1))
        self.truncation = Truncation(
            settings.layers, settings.truncation_cutoff, name="truncation", dtype=variable_dtype()
        )
        self.truncation.build((None, settings.latent_size), (None, 1))

        arguments = (settings.learning_rate, settings.beta_1, settings.beta_2, settings.epsilon)
        self.generator_optimizer = adam("generator_optimizer", *arguments)
        self.discriminator_optimizer = adam("discriminator_optimizer", *arguments)
        self.ready(seed)
        self.enter(Stage(0, 0, settings.image_size, 1))

    def generator_variables(self) -> list[keras.Variable]:
        return [*self.mapping.trainable_variables, *self.synthesis.trainable_variables]

    def discriminator_variables(self) -> list[keras.Variable]:
        return [*self.discriminator.trainable_variables, *self.feature_variables()]

    # --- growth ---

    def enter(self, stage: Stage, anew: bool = False) -> None:
        """Train at a stage's level from now on; `anew` at its very first step, which forgets Adam's moments."""
        settings = self.settings
        self.stage, self.fixed_size = stage, stage.image_size
        self._synthesis = level(self.synthesis, stage.image_size)
        self._discriminator = level(self.discriminator, stage.image_size)
        if settings.ema_kimg:
            self._generator = build_generator(
                self.ema_mapping, self.truncation, level(self.ema_synthesis, stage.image_size)
            )
        else:
            self._generator = build_generator(self.mapping, self.truncation, self._synthesis)
        if anew:  # a run that is stopped before its first step saves a generator too
            self._fade(self._alpha())
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            if anew and settings.reset_optimizers:
                for variable in getattr(optimizer, "inner_optimizer", optimizer).variables:
                    variable.assign(ops.zeros(variable.shape, variable.dtype))
            optimizer.learning_rate = self.rate(stage.first_step)

    def rate(self, step: Tensor) -> float:
        """The level's learning rate."""
        return self.settings.learning_rate * self.settings.at(self.settings.learning_rates, self.stage.image_size)

    def _alpha(self) -> Tensor:
        """How far the level is faded in, by the images seen until the last change."""
        settings, stage = self.settings, self.stage
        if stage.image_size == settings.start_size or not settings.fade_kimg:
            return ops.ones((), "float32")
        steps = (self.step.value - stage.first_step) // settings.repeats * settings.repeats
        images = steps * stage.batch_size + (stage.first_image - settings.begins(stage.image_size))
        return ops.clip(ops.cast(images, "float32") / (1000 * settings.fade_kimg), 0.0, 1.0)

    def _fade(self, alpha: Tensor) -> None:
        averaged = [self.ema_synthesis] if self.settings.ema_kimg else []
        for network in (self.synthesis, self.discriminator, *averaged):
            variable = network.get_layer("fade").alpha
            variable.assign(ops.cast(alpha, variable.dtype))

    # --- the step ---

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The discriminator's update, the average's, then the generator's: each on fakes of its own."""
        alpha = self._alpha()
        self._fade(alpha)
        real, labels = self.faded(batches[0]["image"], alpha), batches[0].get("label")

        fake, w = self.fakes("discriminator", real.shape[0], labels)
        self._follow(w)
        discriminator_terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(real, fake, labels), ()),
        )
        self._average()
        generator_terms, w = self.minimize(
            self.generator_optimizer,
            self.generator_variables(),
            lambda: self.generator_losses(real.shape[0], labels),
        )
        self._follow(w)
        self.step.assign_add(1)
        return discriminator_terms | generator_terms

    def faded(self, real: Tensor, alpha: Tensor) -> Tensor:
        """Reals as the fakes are: what the level below cannot show fades in with the level."""
        return real + ops.cast(1 - alpha, real.dtype) * (nearest_double(ops.average_pool(real, 2, strides=2)) - real)

    def fakes(self, side: str, count: int, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Pictures [count, r, r, 3] whose styles are mixed, and the batch's w [count, Z].

        Args:
          side: "discriminator" or "generator", for whose update they are drawn.
        """
        settings, size = self.settings, self.stage.image_size

        def mapped(name: str) -> Tensor:
            z = self.normal(f"{side}_{name}", (count, settings.latent_size))
            return self.mapping({"z": z} if labels is None else {"z": z, "label": labels}, training=True)

        w, other, used = mapped("z"), mapped("other_z"), layers_at(size)
        chance = self.uniform(f"{side}_mixing", (count, 2))  # mix? and from which layer?
        if settings.mixing_per == "batch":
            chance = engine.gather(chance)[:1]
        cutoff = ops.cast(1 + chance[:, 1] * (used - 1), "int32")
        cutoff = ops.where(chance[:, 0] < settings.mixing, cutoff, used)[:, None, None]
        layers = ops.arange(settings.layers, dtype="int32")[None, :, None]
        ws = ops.where(layers < cutoff, w[:, None], other[:, None])  # [B, layers, Z]
        noise = {
            f"noise{i}": self.normal(f"{side}_noise{i}", (count, 2 ** (2 + i // 2), 2 ** (2 + i // 2), 1))
            for i in range(used)
        }
        return self._synthesis({"ws": ws, **noise}, training=True), w

    def judge(self, image: Tensor, labels: Tensor | None) -> Tensor:
        """What D says of the level's pictures: logits [B, 1]."""
        inputs = {f"image{self.stage.image_size}": image}
        return self._discriminator(inputs if labels is None else {**inputs, "label": labels}, training=True)

    @property
    def sees_features(self) -> bool:
        """Whether the second discriminator judges the level's pictures."""
        return self.settings.feature_weight > 0 and self.stage.image_size >= FEATURES_FROM

    def discriminator_losses(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> engine.Terms:
        """Tell reals from fakes, with a slope that is small at reals (R1), or 1 between both (WGAN-GP).

        R1: -log sigmoid(D(real)) - log(1 - sigmoid(D(fake))) + gamma / 2 |gradient of D at reals|^2.
        WGAN-GP: D(fake) - D(real) + lambda (|gradient of D between them| - 1)^2 + drift D(real)^2.
        Beside either, where there is an F that sees features: max(0, 1 - F(real)) + max(0, 1 + F(fake)).
        """
        settings = self.settings
        of_real, of_fake = self.judge(real, labels), self.judge(fake, labels)
        terms = {"discriminator": self.objective.discriminator(of_real, of_fake)}
        # Enlarged k times, a picture's pixels share the gradient in blocks of k^2: the norm is 1/k of this one's.
        shrink = self.stage.image_size / settings.image_size if settings.penalty_at == "full" else 1.0
        if settings.adversarial == "r1":
            weight = settings.penalty_weight / 2 * shrink**2
            terms["penalty"] = weight * r1_penalty(lambda x: self.judge(x, labels), real)
        else:
            alpha = self.uniform("penalty", (real.shape[0], 1, 1, 1))
            points = between(real, fake, alpha)
            slope = gradient_penalty(lambda x: self.judge(x, labels), points, scale=shrink)
            terms["penalty"] = settings.penalty_weight * slope
            terms["penalty_drift"] = settings.drift * ops.mean(of_real * of_real)
        if self.sees_features:
            terms |= self.feature_discriminator_terms(real, fake)
        return terms

    def generator_losses(self, count: int, labels: Tensor | None = None) -> tuple[engine.Terms, Tensor]:
        """Fool D, by -log sigmoid(D(fake)) or by -D(fake), and F, which sees features; and the w of the fakes."""
        fake, w = self.fakes("generator", count, labels)
        terms = {"generator": self.objective.generator(self.judge(fake, labels))}
        if self.sees_features:
            terms |= self.feature_generator_terms(fake)
        return terms, w

    def _follow(self, w: Tensor) -> None:
        """The average w moves towards this batch's."""
        mean, decay = self.truncation.mean, self.settings.w_mean_decay
        now = ops.cast(ops.mean(engine.gather(w), axis=0), mean.dtype)
        mean.assign(decay * mean + (1 - decay) * now)

    def _average(self) -> None:
        """The generator's average over images, with half of its weight on the last `ema_kimg`."""
        if not self.settings.ema_kimg:
            return
        decay = 0.5 ** (self.stage.batch_size / (1000 * self.settings.ema_kimg))
        for target, source in ((self.ema_mapping, self.mapping), (self.ema_synthesis, self.synthesis)):
            for mean, value in zip(target.trainable_variables, source.trainable_variables, strict=True):
                mean.assign(decay * mean + (1 - decay) * value)

    # --- what others see of it ---

    def generators(self) -> dict[str, keras.Model]:
        """The generator at the level reached, averaged where there is an average."""
        return {"generator": self._generator}

    def beginnings(self, name: str) -> list[keras.Model]:
        """The generators of the first level, the averaged one too; a level that had not faded in yet begins whole."""
        pairs = [(self.mapping, self.synthesis)]
        if self.settings.ema_kimg:
            pairs.append((self.ema_mapping, self.ema_synthesis))
        size = self.settings.start_size
        return [build_generator(mapping, self.truncation, level(synthesis, size)) for mapping, synthesis in pairs]

    def generate(self, z: Tensor, psi: float, labels: Tensor | None = None) -> Tensor:
        """z [B, Z] to pictures [B, r, r, 3] with fixed noise."""
        inputs = {tensor.name: None for tensor in self._generator.inputs}
        inputs |= {"z": z, "psi": np.full((len(z), 1), psi, "float32")} | ({} if labels is None else {"label": labels})
        return self._generator(inputs, training=False)["image"]

    def latents(self, numbers: Iterable[int]) -> np.ndarray:
        """z [B, Z], each the same whenever its number is asked for."""
        width = self.settings.latent_size
        return np.stack([np.random.default_rng(int(n)).standard_normal(width, "float32") for n in numbers])

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"generator": ("", "image")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        return {"generator": self.generate(self.latents(batch["number"]), 1.0, batch.get("label"))}

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """A real picture, three without truncation, and the same three with it."""
        count, labels = len(batch["image"]), batch.get("label")
        columns = {"real": batch["image"]}
        for psi in (1.0, self.settings.truncation_psi):
            for i in range(3):
                numbers = range(i * count, (i + 1) * count)
                columns[f"psi {psi:g}" + " " * i] = self.generate(self.latents(numbers), psi, labels)
        return columns
