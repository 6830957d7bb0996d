"""One-sided: a filter within an hour of a laptop, by one generator and a discriminator that sees no pixels.

Not a published system, but four published ideas. The discriminator judges the maps of a trained network, as
Projected GANs do (Sauer et al. 2021, https://arxiv.org/abs/2111.01007): it need not learn to see, and a generator
reaches in thousands of steps what takes CycleGAN hundreds of thousands. The same maps must agree between the picture
and what is drawn of it, as in CartoonGAN (Chen, Lai and Liu, CVPR 2018), in place of CycleGAN's way back; each less the
mean of its kind here, or a drawing would have to stay a photograph. Where it is asked for, they must tell a drawing's
own picture from others, as in CUT (Park et al. 2020, https://arxiv.org/abs/2007.15651), but for whole pictures. And the
pictures grow, as in ProGAN (Karras et al. 2018, https://arxiv.org/abs/1710.10196): what is large is learned while steps
are cheap. The trained network is EfficientNet-Lite0, which comes with kgan.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from kgan import engine, students
from kgan.blocks import Initial, conv
from kgan.errors import UserError
from kgan.labels import Labels
from kgan.layers.color import rgb_to_lab
from kgan.losses import LSGAN, l1
from kgan.optimizers import LinearDecay, adam
from kgan.precision import at_least_float32, variable_dtype
from kgan.pretrained import projection
from kgan.settings import Checks, choice, free
from kgan.systems import projected
from kgan.systems.adversarial import Adversarial
from kgan.systems.system import Stage, average, named, newest, together
from kgan.types import Batch, Tensor

TEMPERATURE = 0.1  # what cosines are divided by before they are compared
HEEDED, LINED = 0.08, 0.15  # edges from which a picture is `calm` no more: to discriminators, and for lines


@dataclasses.dataclass
class Settings:
    """Hyper-parameters, for 128 px.

    All weights may change in the course of a run; those of match, colour and patches not from or to 0, for what they
    need is kept.

    Attributes:
      image_size: pixels a side at the end of growth.
      grow_at: steps after which the pictures double; a training begins at image_size / 2^(how many there are).
      generator: "phone" works at a half and a quarter of the size, "resnet" at full size too: five times the work.
      filters: width of the generator's first layer; a phone's widest has twice as many, a ResNet's four times.
      residual_blocks: of the generator.
      norm: of the generator: each picture's own statistics, or the "batch"'s while it trains and their moving average
        afterwards, which a .tflite holds inside its convolutions.
      scales: which maps have a discriminator: 0 at a 4th of the size, 1 at an 8th, 2 at a 16th, 3 at a 32nd. The
        coarsest knows whole faces, and without match_weight wants everyone's to be the same.
      content_taps, content_weight: which of Lite0's maps must differ from those of other drawings as those of the
        picture do from those of other pictures, and how much it matters.
      content_decay: of the moving means that tell what the maps and colours of all pictures and of all drawings have in
        common, and how strong drawn colours are; a new training begins with the mean of all that it has seen.
      match_weight: how much it matters that a drawing, its maps averaged over the picture, is nearer to its own picture
        than to others of the batch and the last match_count ones; 0 for not at all.
      colour_weight, colour_cells: of the mean colours of colour_cells x colour_cells cells, which should stay, but for
        what the colours of all pictures and of all of b differ in: how light they are, say. What is drawn is greyer
        than that, so the averaged generator's colours are made stronger, by one number for all (`Vividness`).
      lighter_weight: how much a cell that is drawn too light matters beside one that is too dark: 1 for as much, 0 for
        not at all. Drawn faces have no shades, and those of a photograph, where they must stay, become hair or wounds.
      calm_weight: share of the discriminators' gradient that reaches the drawing where the picture is `calm`, from
        image_size on; 1 switches this off. Nearly every drawn face has a fringe; a bare, calm forehead should get none.
        1 where what is learned has more texture than the pictures, as photographs of label maps do. Where augment is
        off, less than 1 looks at drawings through Lite0 twice.
      line_weight: of edges drawn where the picture is calm, so that skin gets no cracks, from image_size on; 0 where
        what is learned has more texture than the pictures.
      ink_weight: of what is drawn darker or more colourful than the picture is anywhere near, so that foreheads get
        less fringe, noses fewer spots and shades no red; 0 where what is learned has what the pictures lack.
      identity_weight: of pictures of b, which should stay; 0 saves half of the generator's work.
      patch_weight: of a second discriminator, which sees pixels; 0 for none. What Lite0 overlooks, it sees.
      patch_filters, patch_layers: width of its first layer; strided layers before each of its heads.
      learning_rate, discriminator_learning_rate: full for half of the training, then down to 0.
      ema: decay of the generator's moving average; 0 for none, and then colours stay greyer.
      augment: the discriminators see reals and fakes through `kgan.augmentation`, in their own colours.
    """

    image_size: int = 128
    grow_at: tuple[int, ...] = (1_500,)
    generator: str = choice("phone", "resnet")
    filters: int = 48
    residual_blocks: int = 6
    norm: str = choice("instance", "batch")
    scales: tuple[int, ...] = (0, 1, 2, 3)
    content_taps: tuple[int, ...] = (0, 1, 2, 3)
    content_weight: float = free(0.5)
    content_decay: float = 0.98
    match_weight: float = free(3.0)
    match_count: int = 256
    colour_weight: float = free(4.0)
    colour_cells: int = 16
    lighter_weight: float = free(1.0)
    calm_weight: float = free(1.0)
    line_weight: float = free(0.0)
    ink_weight: float = free(0.0)
    identity_weight: float = free(0.0)
    patch_weight: float = free(0.5)
    patch_filters: int = 32
    patch_layers: tuple[int, ...] = (2, 4)
    learning_rate: float = free(3e-4)
    discriminator_learning_rate: float = free(6e-4)
    beta_1: float = 0.5
    beta_2: float = 0.99
    epsilon: float = 1e-8
    ema: float = 0.999
    augment: bool = True

    data_kinds: ClassVar[tuple[str, ...]] = ("Unpaired", "Paired")

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.at_least(1, "filters", "residual_blocks", "match_count", "colour_cells", "patch_filters")
        checks.not_negative("content_weight", "match_weight", "colour_weight")
        checks.not_negative("line_weight", "ink_weight", "identity_weight", "patch_weight")
        checks.within(0.0, 1.0, "lighter_weight", "calm_weight")
        checks.share("ema", "content_decay")
        for name in ("scales", "content_taps"):
            values = getattr(self, name)
            if not values or not set(values) <= set(range(4)) or len(set(values)) < len(values):
                raise UserError(f"system.{name} must hold some of 0, 1, 2 and 3, each once, got {values}.")
        if not self.patch_layers or min(self.patch_layers) < 1:
            raise UserError(
                f"system.patch_layers must hold numbers of strided layers from 1 on, got {self.patch_layers}."
            )
        if list(self.grow_at) != sorted(set(self.grow_at)) or any(step < 1 for step in self.grow_at):
            raise UserError(f"system.grow_at must hold rising numbers of steps, got {self.grow_at}.")
        if self.image_size % 2 ** len(self.grow_at):
            raise UserError(
                f"system.image_size={self.image_size} cannot be halved as often as grow_at={self.grow_at} asks."
            )
        least = 2 ** (max(self.patch_layers) + 1) if self.patch_weight else 4  # a head needs a map of 2 x 2
        cells = self.colour_cells if self.colour_weight else 1
        needs = [f"colour_cells={self.colour_cells}"] if self.colour_weight else []
        needs += [f"patch_layers={self.patch_layers}"] if self.patch_weight else []
        for stage in self.stages(1):
            size = stage.image_size
            multiple = math.lcm(cells, projected.multiple_of(size))
            if size < least or size % multiple:
                raise UserError(
                    f"With system.image_size={self.image_size} and grow_at={self.grow_at} the pictures have {size} px "
                    f"at first or later: a multiple of {multiple} and at least {least} is needed, for "
                    f"{' and '.join([', '.join(needs)] * bool(needs) + ['the trained network'])}."
                )

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for both updates."""
        return 1

    def stages(self, batch_size: int) -> tuple[Stage, ...]:
        """One for each size of the pictures; the last one has no end."""
        size = self.image_size // 2 ** len(self.grow_at)
        return tuple(
            Stage(step, step * batch_size, size * 2**level, batch_size) for level, step in enumerate((0, *self.grow_at))
        )

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "OneSided":
        """The system, for a training of `steps` steps."""
        return OneSided(self, steps, seed)


def build_generator(settings: Settings, seed: int = 0, name: str = "generator_ab") -> keras.Model:
    """[B, H, W, 3] to {"image": [B, H, W, 3]}: a network for phones, or a ResNet with resize-convolutions."""
    return students.build(settings, 0, seed, name)


def build_patch_discriminator(settings: Settings, seed: int = 0, name: str = "patch_discriminator_b") -> keras.Model:
    """Patches of pixels: [B, H, W, 3] to logits [B, h, w, 1] of each head, by its number of strided layers."""
    initial = Initial(seed)
    image = keras.Input((None, None, 3), name="image")
    x, logits = image, {}
    for i in range(1, max(settings.patch_layers) + 1):
        filters = settings.patch_filters * min(2 ** (i - 1), 8)
        x = conv(x, filters, 4, name=f"conv{i}", initial=initial, strides=2, pad=1, spectral=True)
        x = keras.layers.LeakyReLU(0.2, name=f"conv{i}_lrelu")(x)  # [B, H/2^i, W/2^i, F]
        if i in settings.patch_layers:
            logits[str(i)] = conv(x, 1, 4, name=f"logits{i}", initial=initial, pad=1, spectral=True)
    return keras.Model(image, logits, name=name)


class Means(keras.layers.Layer):
    """What Lite0's maps have in common, over all places and recent pictures of a domain, by a moving mean.

    Attributes:
      means: [C] of each tap.
    """

    def __init__(self, widths: Sequence[int], decay: float, name: str) -> None:
        super().__init__(dtype=variable_dtype(), name=name)  # also in mixed precision
        self.decay = decay
        self.means = [
            self.add_weight((width,), "zeros", trainable=False, name=f"{i}") for i, width in enumerate(widths)
        ]
        self.built = True

    def follow(self, taps: list[Tensor], step: Tensor) -> None:
        """Move towards the means of a batch's taps, [B, h, w, C]."""
        for mean, tap in zip(self.means, taps, strict=True):
            move(mean, tap, self.decay, step)

    def call(self, taps: list[Tensor]) -> list[Tensor]:
        """How taps differ from the means, each of length 1 at each place."""
        return [unit(tap - mean) for tap, mean in zip(taps, self.means, strict=True)]


class Palette(keras.layers.Layer):
    """Colours of a as they would be among those of b: each of L*, a* and b* moved and stretched to b's mean and
    standard deviation (Reinhard et al. 2001, Color Transfer between Images), by moving moments.

    Attributes:
      means, squares: of recent pictures of a and of b, the mean of each coordinate and of its square, [3].
    """

    def __init__(self, decay: float, name: str) -> None:
        super().__init__(dtype=variable_dtype(), name=name)
        self.decay = decay
        self.means = [self.add_weight((3,), "zeros", trainable=False, name=f"mean_{domain}") for domain in "ab"]
        self.squares = [self.add_weight((3,), "ones", trainable=False, name=f"square_{domain}") for domain in "ab"]
        self.built = True

    def follow(self, a: Tensor, b: Tensor, step: Tensor) -> None:
        """Move towards the moments of colours of a and of b, [B, h, w, 3] each."""
        for moments, x in ((self.means, (a, b)), (self.squares, (ops.square(a), ops.square(b)))):
            for moment, each in zip(moments, x, strict=True):
                move(moment, each, self.decay, step)

    def call(self, a: Tensor) -> Tensor:
        """[B, h, w, 3] of a, among the colours of b."""
        deviation_a, deviation_b = (
            ops.sqrt(ops.maximum(square - ops.square(mean), 1e-4))
            for mean, square in zip(self.means, self.squares, strict=True)
        )
        return (a - self.means[0]) / deviation_a * deviation_b + self.means[1]


class Vividness(keras.layers.Layer):
    """How many times as far from grey drawn colours would lie nearest to those asked for, by least squares.

    Discriminators and lightness make drawings greyer than was asked for, alike enough that one number mends most of it.
    It is found of the generator that discriminators see, and changes its average alone: nothing is made stronger twice.

    Attributes:
      asked, drawn: of recent drawings, the means of asked x drawn and of drawn x drawn, for a* and for b*, [2].
    """

    def __init__(self, decay: float, name: str) -> None:
        super().__init__(dtype=variable_dtype(), name=name)
        self.decay = decay
        self.asked = self.add_weight((2,), "ones", trainable=False, name="asked")
        self.drawn = self.add_weight((2,), "ones", trainable=False, name="drawn")
        self.built = True

    def follow(self, asked: Tensor, drawn: Tensor, step: Tensor) -> None:
        """Move towards the moments of colours, [B, h, w, 3] each."""
        asked, drawn = asked[..., 1:], drawn[..., 1:]
        move(self.asked, asked * drawn, self.decay, step)
        move(self.drawn, ops.square(drawn), self.decay, step)

    def strength(self) -> Tensor:
        """[], from 1 to 2."""
        return ops.clip(ops.sum(self.asked) / (ops.sum(self.drawn) + 1e-6), 1.0, 2.0)


class Recent(keras.layers.Layer):
    """The last `count` rows of what it was shown, [count, width], the newest first; zeros until there are as many."""

    def __init__(self, count: int, width: int, name: str) -> None:
        super().__init__(dtype=variable_dtype(), name=name)
        self.rows = self.add_weight((count, width), "zeros", trainable=False, name="rows")
        self.built = True

    def follow(self, rows: Tensor) -> None:
        """Take up [B, width], and forget as many."""
        self.rows.assign(ops.concatenate([engine.gather(rows), self.rows])[: self.rows.shape[0]])


class OneSided(Adversarial):
    """A generator and its discriminators. `train_step` takes one batch {"a": [B, H, W, 3], "b": [B, H, W, 3]}."""

    critic_terms = ("discriminator", "patch_discriminator")
    augments_colours = False  # colours are a half of what makes a drawing look like one of b

    def __init__(self, settings: Settings, steps: int = 5_000, seed: int = 0) -> None:
        super().__init__(name="onesided")
        settings.check()
        self.settings = settings
        self.batch_norm = "moving" if settings.norm == "batch" else ""

        def generator(name: str) -> keras.Model:
            return named(name, lambda: build_generator(settings, 2 * seed, name))

        self.generator_ab = generator("generator_ab")
        if settings.ema:
            self.ema_generator_ab = generator("ema_generator_ab")
        self._project = projection.load()  # fixed: no part of the state
        self.discriminator_b = named(
            "discriminator_b",
            lambda: projected.build_discriminator(settings.scales, 2 * seed + 1, "discriminator_b"),
        )
        if settings.patch_weight:
            self.patch_discriminator_b = named(
                "patch_discriminator_b", lambda: build_patch_discriminator(settings, 2 * seed + 1)
            )

        widths = [tap.shape[-1] for tap in self._project.output["taps"]]
        self.means_a = named("means_a", lambda: Means(widths, settings.content_decay, "means_a"))
        self.means_fake_b = named("means_fake_b", lambda: Means(widths, settings.content_decay, "means_fake_b"))
        if settings.colour_weight:
            self.palette = named("palette", lambda: Palette(settings.content_decay, "palette"))
            if settings.ema:
                self.vividness = named("vividness", lambda: Vividness(settings.content_decay, "vividness"))
        if settings.match_weight:
            self.recent_a = named("recent_a", lambda: Recent(settings.match_count, sum(widths), "recent_a"))

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
        patches = self.patch_discriminator_b.trainable_variables if self.settings.patch_weight else []
        return [*self.discriminator_b.trainable_variables, *patches]

    def generators(self) -> dict[str, keras.Model]:
        return {"generator_ab": self.ema_generator_ab if self.settings.ema else self.generator_ab}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The discriminators' update, then the generator's, on the same fakes."""
        real_a, real_b = batches[0]["a"], batches[0]["b"]

        seen_b, taps_a = self.seen(real_b, "real_b"), self.look(real_a)["taps"]
        fakes = self.draw_once(lambda: self.draw(real_a, real_b))
        discriminator_terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(seen_b, fakes.value), ()),
        )
        self.means_a.follow(taps_a, self.step)
        self.means_fake_b.follow(fakes.value["taps"], self.step)
        if self.settings.colour_weight:
            cells_a = self.cells(real_a)
            self.palette.follow(cells_a, self.cells(real_b), self.step)
            if self.settings.ema:
                self.vividness.follow(self.palette(cells_a), self.cells(fakes.value["to_b"]), self.step)
        generator_terms = self.minimize_through(
            self.generator_optimizer,
            lambda fakes: self.generator_losses(fakes, real_a, taps_a, real_b),
            fakes,
        )
        if self.settings.match_weight:
            self.recent_a.follow(signature(self.means_a, taps_a))

        if self.settings.ema:
            weights = self.generator_ab.weights
            if self.settings.colour_weight:
                weights = vivid_weights(self.generator_ab, self.vividness.strength())
            average(self.ema_generator_ab, weights, self.settings.ema, self.step)
        self.step.assign_add(1)
        return discriminator_terms | generator_terms

    def draw(self, real_a: Tensor, real_b: Tensor) -> dict[str, Any]:
        """What becomes of pictures of a, "to_b", and what is `seen` of it; where b should stay, also "same_b"."""
        if self.settings.identity_weight:
            to_b, same_b = together(self.generator_ab, real_a, real_b)
            fakes = {"to_b": to_b["image"], "same_b": same_b["image"]}
        else:
            fakes = {"to_b": self.generator_ab(real_a, training=True)["image"]}
        return fakes | self.seen(fakes["to_b"], "fake_b", self.heed(real_a))

    def heed(self, real_a: Tensor) -> Tensor | None:
        """The share of the discriminators' gradient that pixels get, [B, H, W, 1] in [0, 1]; None for all of it."""
        less = 1 - self.settings.calm_weight
        return 1 - less * calm(real_a, HEEDED) if less and real_a.shape[1] == self.settings.image_size else None

    def seen(self, image: Tensor, name: str, heed: Tensor | None = None) -> dict[str, Any]:
        """Of [B, H, W, 3] in [-1, 1] what discriminators see, it as it is "shown" and the projection's "maps" of that,
        and what tells its content: Lite0's own "taps" of the picture as it is. The gradient of the first two reaches
        the image by the share `heed`, [B, H, W, 1]."""
        shown = self.shown(image if heed is None else with_gradient(image, heed), name)
        features = self.look(shown)
        taps = features["taps"] if shown is image else self.look(image)["taps"]
        return {"shown": shown, "maps": features["maps"], "taps": taps}

    def look(self, image: Tensor) -> dict[str, list[Tensor]]:
        """The projection's "maps" and Lite0's own, "taps"."""
        return projected.features(self._project, image)

    def judge(self, maps: list[Tensor]) -> dict[str, Tensor]:
        """Logits of the projection's maps, by scale."""
        return projected.judge(self.discriminator_b, self.settings.scales, maps)

    def discriminator_losses(self, real_b: dict[str, Any], fake_b: dict[str, Any]) -> engine.Terms:
        """Tell reals from fakes, of which this is what is `seen`, by every scale and every patch head.

        By scale: max(0, 1 - D(b)) + max(0, 1 + D(fake_b)); in patches of pixels: (D(b) - 1)^2 + D(fake_b)^2.
        """
        maps = [ops.concatenate(pair) for pair in zip(real_b["maps"], fake_b["maps"], strict=True)]
        terms = projected.discriminator_terms(self.judge(maps))
        if self.settings.patch_weight:
            real, fake = real_b["shown"], fake_b["shown"]
            of_real, of_fake = together(self.patch_discriminator_b, real, ops.cast(fake, real.dtype))
            for head in of_real:
                terms[f"patch_discriminator_{head}"] = LSGAN.discriminator(of_real[head], of_fake[head])
        return terms

    def generator_losses(
        self, fakes: dict[str, Any], real_a: Tensor, taps_a: list[Tensor], real_b: Tensor
    ) -> engine.Terms:
        """Fool every discriminator, keep content and colours of a, draw no line or ink of its own, and leave b alone.

        With G(a) = fake_b: - D(fake_b) + patch_weight (D(fake_b) - 1)^2
        + content_weight |means_fake_b(Lite0(fake_b)) - means_a(Lite0(a))|^2 + match_weight match(fake_b, a)
        + colour_weight colour(fake_b, a) + line_weight edges(fake_b) calm(a)
        + ink_weight ink(fake_b, a) + identity_weight |G(b) - b|. Gradients of the first two reach fake_b by `heed`.
        """
        settings, fake_b = self.settings, fakes["to_b"]
        terms = projected.generator_terms(self.judge(fakes["maps"]))
        if settings.patch_weight:
            for head, logits in self.patch_discriminator_b(fakes["shown"], training=True).items():
                terms[f"patch_adversarial_{head}"] = settings.patch_weight * LSGAN.generator(logits)
        if settings.content_weight:
            terms["content"] = settings.content_weight * self.content(fakes["taps"], taps_a)
        if settings.match_weight:
            terms["match"] = settings.match_weight * self.match(fakes["taps"], taps_a)
        if settings.colour_weight:
            terms["colour"] = settings.colour_weight * self.colour(fake_b, real_a)
        if settings.line_weight and fake_b.shape[1] == settings.image_size:
            terms["lines"] = settings.line_weight * ops.mean(edges(fake_b) * calm(real_a, LINED)[:, :-1, :-1])
        if settings.ink_weight:
            terms["ink"] = settings.ink_weight * ops.mean(ink(fake_b, real_a))
        if settings.identity_weight:
            terms["identity_b"] = settings.identity_weight * l1(fakes["same_b"], real_b)
        return terms

    def content(self, taps_fake_b: list[Tensor], taps_a: list[Tensor]) -> Tensor:
        """How otherwise than a picture its drawing differs from others: the sum over taps of mean squared distances."""
        drawn, source = self.means_fake_b(taps_fake_b), self.means_a(taps_a)
        pairs = [(drawn[tap], source[tap]) for tap in self.settings.content_taps]
        return sum(ops.mean(ops.sum(ops.square(x - y), axis=-1)) for x, y in pairs)

    def match(self, taps_fake_b: list[Tensor], taps_a: list[Tensor]) -> Tensor:
        """- log of the probability that each drawing is matched to its own picture, among this batch's and recent ones.

        InfoNCE (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748) with a queue, as MoCo has it
        (He et al. 2020, https://arxiv.org/abs/1911.05722).
        """
        drawn, source = signature(self.means_fake_b, taps_fake_b), signature(self.means_a, taps_a)
        pictures = ops.concatenate([engine.gather(source), self.recent_a.rows])  # [B + match_count, C]
        logits = ops.matmul(drawn, ops.transpose(pictures)) / TEMPERATURE
        own = ops.sum(drawn * source, axis=-1) / TEMPERATURE
        return ops.mean(ops.logsumexp(logits, axis=-1) - own)

    def colour(self, fake_b: Tensor, a: Tensor) -> Tensor:
        """|cells(fake_b) - palette(cells(a))|, but lighter_weight of it where a cell is too light."""
        off = self.cells(fake_b) - self.palette(self.cells(a))
        light = ops.maximum(-off[..., :1], self.settings.lighter_weight * off[..., :1])
        return ops.mean(ops.concatenate([light, ops.abs(off[..., 1:])], axis=-1))

    def cells(self, image: Tensor) -> Tensor:
        """`lab` of mean colours: [B, colour_cells, colour_cells, 3]."""
        side = image.shape[1] // self.settings.colour_cells
        return lab(ops.average_pool(at_least_float32(image), side, strides=side))

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"generator_ab": ("a", "b")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        return {name: network(batch["a"], training=False)["image"] for name, network in self.generators().items()}

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Input and output."""
        (network,) = self.generators().values()
        return {"a": batch["a"], "a to b": network(batch["a"], training=False)["image"]}


def vivid_weights(generator: keras.Model, strength: Tensor | float) -> list[Tensor]:
    """A generator's weights, but for its last layer's, which draw colours `strength` times as far from the same grey.

    That is before the tanh, which takes some of it back.
    """

    def stronger(weight: keras.Variable) -> Tensor:
        """Of a kernel or a bias, [..., 3] of red, green and blue; grey is their luma (ITU-R BT.601)."""
        grey = ops.sum(weight * ops.cast([0.299, 0.587, 0.114], weight.dtype), axis=-1, keepdims=True)
        return weight + ops.cast(strength - 1, weight.dtype) * (weight - grey)

    in_last_layer = {weight.path for weight in generator.get_layer("image_conv").weights}
    return [stronger(weight) if weight.path in in_last_layer else weight for weight in generator.weights]


def move(mean: keras.Variable, x: Tensor, decay: float, step: Tensor) -> None:
    """Move a mean, [C], towards that of [B, h, w, C] over all places and all replicas' pictures."""
    now = ops.mean(engine.gather(ops.mean(x, axis=(1, 2))), axis=0)
    mean.assign(mean + ops.cast(newest(decay, step), mean.dtype) * (now - mean))


def unit(x: Tensor) -> Tensor:
    """[B, h, w, C] of length 1 at each place."""
    return x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-6)


def signature(means: Means, taps: list[Tensor]) -> Tensor:
    """How a picture as a whole differs from the mean of its kind, by its taps: [B, C of all], of length 1."""
    whole = [ops.mean(tap, axis=(1, 2), keepdims=True) for tap in taps]
    parts = ops.concatenate(means(whole), axis=-1)
    return parts[:, 0, 0] / len(taps) ** 0.5


def with_gradient(x: Tensor, share: Tensor) -> Tensor:
    """x as it is; its gradient is multiplied by `share`, whose shape broadcasts to x's."""
    fixed = ops.stop_gradient(x)
    return fixed + ops.cast(share, x.dtype) * (x - fixed)


def edges(image: Tensor) -> Tensor:
    """How much each pixel of [B, H, W, 3] differs from those below and to the right: [B, H - 1, W - 1, 1]."""
    image = at_least_float32(image)
    here, below, right = image[:, :-1, :-1], image[:, 1:, :-1], image[:, :-1, 1:]
    return ops.mean(ops.abs(below - here) + ops.abs(right - here), axis=-1, keepdims=True)


def calm(image: Tensor, edge: float) -> Tensor:
    """[B, H, W, 1]: 1 where a picture has no edge near, e^(-(its strongest near one / edge)^2) elsewhere.

    Like the weight by which networks for depth keep their maps smooth (Godard, Mac Aodha and Brostow 2017,
    https://arxiv.org/abs/1609.03677), but of `edges` that a blur leaves over, so that noise is none, and of the
    strongest within a 64th of the size, for a line has a width. They are counted as of 128 px: twice as much in
    pictures of 256, whose edges are half as steep where they were enlarged.
    """
    size = image.shape[1]
    reach = max(1, round(size / 64))
    blurred = ops.average_pool(at_least_float32(image), 2 * max(1, round(size / 128)) + 1, strides=1, padding="same")
    steepness = edges(ops.pad(blurred, ((0, 0), (0, 1), (0, 1), (0, 0)), "reflect")) * (size / 128)
    return ops.exp(-ops.square(ops.max_pool(steepness, 2 * reach + 1, strides=1, padding="same") / edge))


def lab(image: Tensor) -> Tensor:
    """(L* - 50, a*, b*) / 50 of [B, H, W, 3] in [-1, 1]."""
    scaled = rgb_to_lab(image)
    return ops.concatenate([scaled[..., :1], scaled[..., 1:] * (110 / 50)], axis=-1)


def ink(drawn: Tensor, picture: Tensor) -> Tensor:
    """How much darker a drawing is than anything near in its picture, and how much redder, greener, yellower or bluer
    than that and than grey, in `lab`: [B, H, W, 1].

    Near is within a 42nd of the size: 3 px of 128, 2 of 64. What is lighter or greyer is no ink; another hue is.
    """
    reach = max(1, round(picture.shape[1] / 42))
    drawn, picture = lab(drawn), lab(picture)
    least, most = (s * ops.max_pool(s * picture, 2 * reach + 1, strides=1, padding="same") for s in (-1, 1))
    darker = ops.relu(least - drawn)[..., :1]
    greener_or_bluer = ops.relu(ops.minimum(least, 0) - drawn)[..., 1:]
    redder_or_yellower = ops.relu(drawn - ops.maximum(most, 0))[..., 1:]
    return darker + ops.sum(greener_or_bluer + redder_or_yellower, axis=-1, keepdims=True)
