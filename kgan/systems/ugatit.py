"""U-GAT-IT: unpaired translation with attention (CAM) and adaptive layer-instance normalization (AdaLIN).

Kim, Kim, Kang and Lee, ICLR 2020, https://arxiv.org/abs/1907.10830. The defaults are the authors' TensorFlow code
(taki0112/UGATIT, which made the paper's figures); `Settings.pytorch()` is their PyTorch port (znxlwm/UGATIT-pytorch).
Where the two disagree, a setting carries the difference.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from kgan import engine
from kgan.blocks import Initial, conv, dense, residual_block, tanh
from kgan.errors import UserError
from kgan.labels import Labels
from kgan.layers import CAM, LIN, AdaLIN, Heatmap, InstanceNormalization, NearestUpsampling2D
from kgan.losses import (
    HINGE,
    LSGAN,
    NON_SATURATING,
    WASSERSTEIN,
    between,
    binary_cross_entropy,
    gradient_penalty,
    l1,
    l2,
)
from kgan.optimizers import LinearDecay, adam
from kgan.precision import variable_dtype
from kgan.settings import Checks, choice, free
from kgan.systems.adversarial import Adversarial
from kgan.systems.system import average, named, together
from kgan.types import Batch, Tensor

OBJECTIVES = {
    "lsgan": LSGAN,
    "gan": NON_SATURATING,
    "hinge": HINGE,
    "wgan-gp": WASSERSTEIN,
    "wgan-lp": WASSERSTEIN,
    "dragan": NON_SATURATING,
}


@dataclasses.dataclass
class Settings:
    """Hyper-parameters; defaults as the official TensorFlow code.

    Attributes:
      image_size: pixels a side; a multiple of 4. The full generator accepts no other size, the light one any.
      light: gamma and beta from pooled features (10.6 M parameters) in place of the whole map (279 M).
      filters: width of the first layer (ngf).
      residual_blocks: in the encoder, and again in the AdaLIN decoder.
      discriminator_layers: n_dis; the global discriminator has n_dis - 1 strided layers, the local one n_dis - 3.
      adversarial: objective on patch and CAM logits alike.
      spectral: spectral normalization in the discriminators.
      ema: decay of the generators' moving average, 0 for none. Not in the official code.

      conv_bias: generators' convolutions have a bias. (Port: only the 1x1.)
      instance_norm_affine: the encoder's instance norm learns gamma and beta. (Port: not.)
      cam_heads: one classifier for both poolings, with a bias that also enters the attention weights, or two without;
        "separate" drops the bias of D's last convolution too, as the port does.
      discriminator_cam_weight: D's attention uses the normalized weight, or the raw one as the port does.
      rho, rho_smoothing: AdaLIN starts at rho and uses clip(rho - smoothing, 0, 1). (Port: 0.9 and 0.)
      unbiased_variance: of AdaLIN and LIN. (Port: torch.var's.)
      initializer: N(0, 0.02), or PyTorch's default.
      l2, l2_variables: weight of half the squared norm of all kernels, or of all variables (= torch's weight_decay).
      decay: the rate falls linearly in the second half, after each of 100 epochs, or after each step.
      separate_batches: G's update sees other pictures than D's, as one batch each. (Port: the same.)
      discriminator_padding: around the 4x4 convolutions of stride 1: "same" keeps the map's size, 1 pixel before and 2
        after; "one" on each side shrinks it by one.
      discriminator_calls: D judges reals and fakes "together" in one call, which is faster, or "apart", reals first, as
        both official codes do. The one difference is that power iterations of spectral norms then run twice: while u
        has not converged, losses of the first steps differ by 0.1 to 0.3.
      epsilon_place: where Adam adds epsilon, see `kgan.optimizers.adam`. (Port: after.)
    """

    image_size: int = 256
    light: bool = False
    filters: int = 64
    residual_blocks: int = 4
    discriminator_layers: int = 6
    adversarial: str = choice(*OBJECTIVES)
    spectral: bool = True
    adversarial_weight: float = 1.0
    cycle_weight: float = 10.0
    identity_weight: float = 10.0
    cam_weight: float = 1000.0
    gradient_penalty_weight: float = 10.0
    learning_rate: float = free(1e-4)
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    ema: float = 0.0

    conv_bias: bool = True
    instance_norm_affine: bool = True
    cam_heads: str = choice("shared", "separate")
    discriminator_cam_weight: str = choice("normalized", "raw")
    rho: float = 1.0
    rho_smoothing: float = 0.1
    unbiased_variance: bool = False
    initializer: str = choice("normal", "pytorch")
    l2: float = 1e-4
    l2_variables: str = choice("kernels", "all")
    decay: str = choice("epoch", "step")
    separate_batches: bool = True
    discriminator_padding: str = choice("same", "one")
    discriminator_calls: str = choice("together", "apart")
    epsilon_place: str = choice("before", "after")

    @classmethod
    def pytorch(cls, **changes: Any) -> "Settings":
        """The authors' PyTorch port: each difference that a step can see, named. Its weight decay is `l2` of all."""
        port = cls(
            conv_bias=False,
            instance_norm_affine=False,
            cam_heads="separate",
            discriminator_cam_weight="raw",
            rho=0.9,
            rho_smoothing=0.0,
            unbiased_variance=True,
            initializer="pytorch",
            l2_variables="all",
            decay="step",
            separate_batches=False,
            discriminator_padding="one",
            discriminator_calls="apart",
            epsilon_place="after",
        )
        return dataclasses.replace(port, **changes)

    data_kinds: ClassVar[tuple[str, ...]] = ("Unpaired", "Paired")

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.share("ema", "rho_smoothing")
        checks.within(0, 1, "rho")
        checks.at_least(1, "filters", "residual_blocks")
        if self.image_size % 4:
            raise UserError(f"system.image_size must be a multiple of 4, got {self.image_size}.")
        if self.discriminator_layers < 4:
            raise UserError("system.discriminator_layers must be at least 4: the local discriminator has three fewer.")
        shrinks = 2 ** (self.discriminator_layers - 1)
        smallest, fewer = self.image_size // shrinks, (self.image_size // 3).bit_length()
        if smallest < 3:
            raise UserError(
                f"At {self.image_size} px a discriminator of {self.discriminator_layers} layers ends in a {smallest}x"
                f"{smallest} map, too small to pad by reflection: use pictures of at least {3 * shrinks} px"
                f"{f', or set system.discriminator_layers to {fewer}' if fewer >= 4 else ''}."
            )

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for D and one for G, or one for both."""
        return 2 if self.separate_batches else 1

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "UGATIT":
        """The system, for a training of `steps` steps."""
        return UGATIT(self, steps, seed)


def build_generator(settings: Settings, seed: int = 0, name: str = "generator") -> keras.Model:
    """Photo to drawing: [B, H, W, 3] to {"image": [B, H, W, 3], "cam_logits": [B, 2], "heatmap": [B, H/4, W/4, 1]}."""
    initial = Initial(seed, settings.initializer)
    bias = settings.conv_bias

    def instance_norm(x: Tensor, name: str) -> Tensor:
        affine = settings.instance_norm_affine
        return InstanceNormalization(center=affine, scale=affine, name=name)(x)

    size = None if settings.light else settings.image_size
    inputs = keras.Input((size, size, 3), name="image")

    # Encoder.
    x = conv(inputs, settings.filters, 7, name="stem_conv", initial=initial, reflect=3, use_bias=bias)
    x = keras.layers.ReLU(name="stem_relu")(instance_norm(x, "stem_norm"))  # [B, H, W, F]
    for i in range(2):
        name_ = f"down{i + 1}"
        x = conv(x, 2 * x.shape[-1], 3, name=f"{name_}_conv", initial=initial, strides=2, reflect=1, use_bias=bias)
        x = keras.layers.ReLU(name=f"{name_}_relu")(instance_norm(x, f"{name_}_norm"))  # [B, H/4, W/4, 4F] at last
    for i in range(settings.residual_blocks):
        x = residual_block(x, name=f"encoder{i + 1}", norm=instance_norm, initial=initial, use_bias=bias)

    # Attention.
    channels = x.shape[-1]
    shared = settings.cam_heads == "shared"
    cam = CAM(settings.cam_heads, use_bias=shared, kernel_initializer=initial.kernel(), name="cam")
    x, cam_logits = cam(x)  # [B, H/4, W/4, 8F], [B, 2]
    x = conv(x, channels, 1, name="attention_conv", initial=initial)
    x = keras.layers.ReLU(name="attention_relu")(x)  # [B, H/4, W/4, 4F]
    heatmap = Heatmap(name="heatmap", dtype=variable_dtype())(x)  # [B, H/4, W/4, 1]

    # gamma and beta of every AdaLIN.
    y = (keras.layers.GlobalAveragePooling2D if settings.light else keras.layers.Flatten)(name="style_input")(x)
    for i in range(2):
        y = dense(y, channels, name=f"style_dense{i + 1}", initial=initial, use_bias=bias)
        y = keras.layers.ReLU(name=f"style_relu{i + 1}")(y)
    gamma = dense(y, channels, name="gamma", initial=initial, use_bias=bias)  # [B, 4F]
    beta = dense(y, channels, name="beta", initial=initial, use_bias=bias)  # [B, 4F]

    def adalin(x: Tensor, name: str) -> Tensor:
        layer = AdaLIN(settings.rho, settings.rho_smoothing, unbiased=settings.unbiased_variance, name=name)
        return layer(x, gamma, beta)

    # Decoder.
    for i in range(settings.residual_blocks):
        x = residual_block(x, name=f"decoder{i + 1}_adalin", norm=adalin, initial=initial, use_bias=bias)
    for i in range(2):
        name_ = f"up{i + 1}"
        x = NearestUpsampling2D(name=f"{name_}_nearest")(x)
        x = conv(x, x.shape[-1] // 2, 3, name=f"{name_}_conv", initial=initial, reflect=1, use_bias=bias)
        x = LIN(unbiased=settings.unbiased_variance, name=f"{name_}_lin")(x)
        x = keras.layers.ReLU(name=f"{name_}_relu")(x)  # [B, H, W, F] at last
    x = conv(x, 3, 7, name="image_conv", initial=initial, reflect=3, use_bias=bias)
    image = tanh(x)  # [B, H, W, 3]
    return keras.Model(inputs, {"image": image, "cam_logits": cam_logits, "heatmap": heatmap}, name=name)


def build_discriminator(settings: Settings, layers: int, seed: int = 0, name: str = "discriminator") -> keras.Model:
    """Patches: [B, H, W, 3] to {"logits" and "heatmap": [B, h, w, 1], "cam_logits": [B, 2]}, h = H / 2^(layers - 1).

    With padding "one" the heatmap is a pixel smaller than that, and the logits are two.
    """
    initial = Initial(seed, settings.initializer)
    spectral, shared = settings.spectral, settings.cam_heads == "shared"
    same = ((1, 2), (1, 2)) if settings.discriminator_padding == "same" else 1
    inputs = keras.Input((None, None, 3), name="image")

    x, filters = inputs, settings.filters
    for i in range(layers):
        strides, pad = (2, 1) if i < layers - 1 else (1, same)
        name_ = f"conv{i + 1}"
        x = conv(x, filters, 4, name=name_, initial=initial, strides=strides, reflect=pad, spectral=spectral)
        x = keras.layers.LeakyReLU(0.2, name=f"{name_}_lrelu")(x)
        filters *= 2
    channels = x.shape[-1]  # [B, h, w, F 2^(layers - 1)]
    cam = CAM(
        settings.cam_heads,
        use_bias=shared,
        spectral=spectral,
        raw_map=settings.discriminator_cam_weight == "raw",
        kernel_initializer=initial.kernel(),
        name="cam",
    )
    x, cam_logits = cam(x)
    x = conv(x, channels, 1, name="attention_conv", initial=initial)
    x = keras.layers.LeakyReLU(0.2, name="attention_lrelu")(x)
    heatmap = Heatmap(name="heatmap", dtype=variable_dtype())(x)
    logits = conv(x, 1, 4, name="logits", initial=initial, reflect=same, use_bias=shared, spectral=spectral)
    return keras.Model(inputs, {"logits": logits, "cam_logits": cam_logits, "heatmap": heatmap}, name=name)


class UGATIT(Adversarial):
    """Two generators and, for each domain, a local and a global discriminator.

    `train_step` takes batches {"a": [B, H, W, 3], "b": [B, H, W, 3]} in [-1, 1]: one for D and one for G, or one for
    both where `separate_batches` is off.
    """

    def __init__(self, settings: Settings, steps: int = 1_000_000, seed: int = 0) -> None:
        super().__init__(name="ugatit")
        settings.check()
        self.settings = settings
        self.objective = OBJECTIVES[settings.adversarial]

        def generator(name: str, number: int) -> keras.Model:
            return named(name, lambda: build_generator(settings, 6 * seed + number, name))

        def discriminator(name: str, layers: int, number: int) -> keras.Model:
            return named(name, lambda: build_discriminator(settings, layers, 6 * seed + number, name))

        layers = settings.discriminator_layers
        self.generator_ab = generator("generator_ab", 0)
        self.generator_ba = generator("generator_ba", 1)
        self.discriminator_a_global = discriminator("discriminator_a_global", layers, 2)
        self.discriminator_a_local = discriminator("discriminator_a_local", layers - 2, 3)
        self.discriminator_b_global = discriminator("discriminator_b_global", layers, 4)
        self.discriminator_b_local = discriminator("discriminator_b_local", layers - 2, 5)
        if settings.ema:
            self.ema_generator_ab = generator("ema_generator_ab", 0)
            self.ema_generator_ba = generator("ema_generator_ba", 1)

        self.fixed_size = None if settings.light else settings.image_size
        epoch = max(1, steps // 100)
        self.rate = rate = (
            LinearDecay(settings.learning_rate, steps / 2 / epoch, steps / 2 / epoch, period=epoch)
            if settings.decay == "epoch"
            else LinearDecay(settings.learning_rate, steps // 2, max(1, steps // 2), ahead=1)
        )
        betas = (settings.beta_1, settings.beta_2, settings.epsilon, settings.epsilon_place)
        self.generator_optimizer = adam("generator_optimizer", rate, *betas)
        self.discriminator_optimizer = adam("discriminator_optimizer", rate, *betas)
        self.ready(seed)

    def generator_variables(self) -> list[keras.Variable]:
        return [*self.generator_ab.trainable_variables, *self.generator_ba.trainable_variables]

    def discriminator_variables(self) -> list[keras.Variable]:
        return [
            variable
            for network in (*self.discriminators_a, *self.discriminators_b)
            for variable in network.trainable_variables
        ]

    @property
    def discriminators_a(self) -> tuple[keras.Model, keras.Model]:
        return self.discriminator_a_global, self.discriminator_a_local

    @property
    def discriminators_b(self) -> tuple[keras.Model, keras.Model]:
        return self.discriminator_b_global, self.discriminator_b_local

    def generators(self) -> dict[str, keras.Model]:
        """The generators as a user wants them: the averaged ones where there are."""
        prefix = "ema_" if self.settings.ema else ""
        return {name: getattr(self, prefix + name) for name in ("generator_ab", "generator_ba")}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The discriminators' update, then the generators', each on its own pictures or both on the same."""
        real_a, real_b = batches[-1]["a"], batches[-1]["b"]
        fakes = self.draw_once(lambda: self.draw(real_a, real_b))

        seen_a, seen_b = batches[0]["a"], batches[0]["b"]
        fake_b, fake_a = fakes.value["to_b"]["image"], fakes.value["to_a"]["image"]
        if self.settings.separate_batches:
            fake_b = self.generator_ab(seen_a, training=True)["image"]
            fake_a = self.generator_ba(seen_b, training=True)["image"]
        discriminator_terms, _ = self.minimize(
            self.discriminator_optimizer,
            self.discriminator_variables(),
            lambda: (self.discriminator_losses(seen_a, fake_a, seen_b, fake_b), ()),
        )
        generator_terms = self.minimize_through(
            self.generator_optimizer,
            lambda fakes: self.generator_losses(fakes, real_a, real_b),
            fakes,
        )

        if self.settings.ema:
            average(self.ema_generator_ab, self.generator_ab.weights, self.settings.ema, self.step)
            average(self.ema_generator_ba, self.generator_ba.weights, self.settings.ema, self.step)
        self.step.assign_add(1)
        return discriminator_terms | generator_terms

    def discriminator_losses(self, real_a: Tensor, fake_a: Tensor, real_b: Tensor, fake_b: Tensor) -> engine.Terms:
        """Patch and CAM logits of both scales are judged alike and summed."""
        settings = self.settings
        terms = {
            "discriminator_a": settings.adversarial_weight * self._judge(self.discriminators_a, real_a, fake_a),
            "discriminator_b": settings.adversarial_weight * self._judge(self.discriminators_b, real_b, fake_b),
            "l2_discriminators": settings.l2 * l2(self._decayed(self.discriminator_variables())),
        }
        if settings.adversarial in ("wgan-gp", "wgan-lp", "dragan"):
            weight = settings.adversarial_weight * settings.gradient_penalty_weight
            terms["penalty_a"] = weight * self._penalty(self.discriminators_a, real_a, fake_a, "a")
            terms["penalty_b"] = weight * self._penalty(self.discriminators_b, real_b, fake_b, "b")
        return terms

    def draw(self, real_a: Tensor, real_b: Tensor) -> dict[str, dict[str, Tensor]]:
        """Images and CAM logits of both pictures in either domain."""
        to_b, same_b = together(self.generator_ab, real_a, real_b)
        to_a, same_a = together(self.generator_ba, real_b, real_a)
        outputs = {"to_b": to_b, "same_b": same_b, "to_a": to_a, "same_a": same_a}
        return {name: {key: each[key] for key in ("image", "cam_logits")} for name, each in outputs.items()}

    def generator_losses(self, fakes: dict[str, dict[str, Tensor]], real_a: Tensor, real_b: Tensor) -> engine.Terms:
        """Fool both scales, come back, leave pictures of the target domain alone, and tell the domains apart (CAM).

        With G_ab(a) = fake_b and G_ba(b) = fake_a, all distances the mean of |x - y|:
          adversarial_ab: the objective on patch and CAM logits of D_b(fake_b), local and global;
          cycle_a: G_ba(fake_b) to a; identity_a: G_ba(a) to a;
          cam_ab: -log sigmoid(CAM logits of G_ab(a)) - log(1 - sigmoid(CAM logits of G_ab(b))).
        """
        settings = self.settings
        to_b, same_b, to_a, same_a = (fakes[name] for name in ("to_b", "same_b", "to_a", "same_a"))
        cycled_a = self.generator_ba(to_b["image"], training=True)["image"]
        cycled_b = self.generator_ab(to_a["image"], training=True)["image"]
        return {
            "adversarial_ab": settings.adversarial_weight * self._fool(self.discriminators_b, to_b["image"]),
            "adversarial_ba": settings.adversarial_weight * self._fool(self.discriminators_a, to_a["image"]),
            "cycle_a": settings.cycle_weight * l1(cycled_a, real_a),
            "cycle_b": settings.cycle_weight * l1(cycled_b, real_b),
            "identity_a": settings.identity_weight * l1(same_a["image"], real_a),
            "identity_b": settings.identity_weight * l1(same_b["image"], real_b),
            "cam_ab": settings.cam_weight * self._attend(to_b["cam_logits"], same_b["cam_logits"]),
            "cam_ba": settings.cam_weight * self._attend(to_a["cam_logits"], same_a["cam_logits"]),
            "l2_generators": settings.l2 * l2(self._decayed(self.generator_variables())),
        }

    def _judge(self, discriminators: tuple[keras.Model, ...], real: Tensor, fake: Tensor) -> Tensor:
        loss = 0.0
        for discriminator in discriminators:
            if self.settings.discriminator_calls == "together":
                of_real, of_fake = together(discriminator, real, fake)
            else:
                of_real, of_fake = discriminator(real, training=True), discriminator(fake, training=True)
            for key in ("logits", "cam_logits"):
                loss = loss + self.objective.discriminator(of_real[key], of_fake[key])
        return loss

    def _fool(self, discriminators: tuple[keras.Model, ...], fake: Tensor) -> Tensor:
        outputs = [discriminator(fake, training=True) for discriminator in discriminators]
        return sum(self.objective.generator(output[key]) for output in outputs for key in ("logits", "cam_logits"))

    @staticmethod
    def _attend(translated: Tensor, same: Tensor) -> Tensor:
        """G's classifier: is this picture from the domain to be translated, or already of the target?"""
        return binary_cross_entropy(translated, True) + binary_cross_entropy(same, False)

    def _penalty(self, discriminators: tuple[keras.Model, ...], real: Tensor, fake: Tensor, domain: str) -> Tensor:
        """Gradient penalty of every logit, between reals and fakes, or around the reals (DRAGAN)."""
        shape = ops.shape(real)
        if self.settings.adversarial == "dragan":
            noise = self.uniform(f"noise_{domain}", shape)
            fake = real + 0.5 * ops.std(engine.gather(real)) * ops.cast(noise, real.dtype)
        points = between(real, fake, self.uniform(f"penalty_{domain}", (shape[0], 1, 1, 1)))
        one_sided = self.settings.adversarial == "wgan-lp"

        def critic(discriminator: keras.Model, key: str) -> Callable[[Tensor], Tensor]:
            return lambda x: discriminator(x, training=True)[key]

        critics = [critic(network, key) for network in discriminators for key in ("logits", "cam_logits")]
        return sum(gradient_penalty(each, points, one_sided) for each in critics)

    def _decayed(self, variables: list[keras.Variable]) -> list[keras.Variable]:
        if self.settings.l2_variables == "all":
            return variables
        return [variable for variable in variables if variable.path.endswith("kernel")]

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"generator_ab": ("a", "b"), "generator_ba": ("b", "a")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        ab, ba = self.generators().values()
        return {
            "generator_ab": ab(batch["a"], training=False)["image"],
            "generator_ba": ba(batch["b"], training=False)["image"],
        }

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Input, attention, output and cycle of both directions."""
        ab, ba = self.generators().values()
        to_b, to_a = ab(batch["a"], training=False), ba(batch["b"], training=False)
        return {
            "a": batch["a"],
            "heatmap a": to_b["heatmap"],
            "a to b": to_b["image"],
            "a to b to a": ba(to_b["image"], training=False)["image"],
            "b": batch["b"],
            "heatmap b": to_a["heatmap"],
            "b to a": to_a["image"],
            "b to a to b": ab(to_a["image"], training=False)["image"],
        }
