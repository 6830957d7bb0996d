"""Distillation: a small network learns to draw what a large filter draws.

The student sees pictures and what a teacher makes of them, and nothing else: no discriminator, no ground truth. The
losses are those of OMGD (Ren, Wu, Xiao and Yang, ICCV 2021, https://arxiv.org/abs/2108.06908), each with its weight;
by default those that a CPU computes in a small part of the step's time, on EfficientNet-Lite0 in place of VGG16. The
teacher is any filter in a `.keras` file, or is itself trained in the same steps, as OMGD's.
"""

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from kgan import engine, students
from kgan.blocks import Initial
from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included
from kgan.filters.loading import card_of, image_of, inputs_of, load_keras, outputs
from kgan.labels import Labels
from kgan.layers.batch import statistics
from kgan.losses import gram, l1, ssim, total_variation
from kgan.optimizers import LinearDecay, adam
from kgan.precision import at_least_float32
from kgan.pretrained import lite0, projection, vgg16
from kgan.settings import Checks, at_home, choice, free
from kgan.systems import system
from kgan.systems.system import Stage, System, average, named
from kgan.types import Batch, Tensor


@dataclasses.dataclass
class Settings:
    """Who teaches, who learns, and what of a picture they should share. A weight of 0 leaves a loss out.

    Attributes:
      teacher: a filter's `.keras` file, or the name of an included one.
      teacher_sha256: of that file; a run that goes on must find the same. Filled in where it is empty.
      online: in place of a teacher, settings of a system that is trained in the same steps, by the same batches; its
        averaged generator, of pictures of b from a, teaches from the first step on.
      image_size: pixels a side; a multiple of 4, and of what the teacher needs.
      generator: the student: a network that phones run fast, or a ResNet with resize-convolutions.
      filters: of its first layer; a phone's widest has twice as many, a ResNet's four times.
      residual_blocks: of it.
      norm: the "batch"'s statistics while it trains and their moving average afterwards, which a .tflite holds inside
        its convolutions, or each picture's own.
      pixel_weight: of |student - teacher|.
      ssim_weight: of 1 - SSIM.
      features: which network's maps the next losses compare, each map scaled to a mean square of about 1: "lite0",
        which comes with kgan, taps 0 to 3 at a 4th to a 32nd of the size; or "vgg16", many times slower, taps 0
        to 4 from the full size to a 16th.
      feature_weight, feature_taps: of |map of student - map of teacher|, each tap's mean added up.
      gram_weight, gram_taps: of |Gram of student - Gram of teacher|, likewise: how often which features go together,
        wherever they are.
      variation_weight: of the total variation of what the student draws, which smooths it.
      channel_weight: of channel distillation: a 1x1 convolution, which learns along, brings a map inside the student to
        the width of one inside the teacher, and the mean squared difference of their channels' means is added up.
      channel_layers: where: "STUDENT=TEACHER" names a layer of each, such as "block1_add=block2_add".
      learning_rate: full for half of the training, then down to 0.
      ema: decay of the student's moving average, 0 for none.
    """

    teacher: str = free("")
    teacher_sha256: str = ""
    online: system.Settings | None = None
    image_size: int = 128
    generator: str = choice("phone", "resnet")
    filters: int = 32
    residual_blocks: int = 2
    norm: str = choice("batch", "instance")
    pixel_weight: float = 10.0
    ssim_weight: float = 1.0
    features: str = choice("lite0", "vgg16")
    feature_weight: float = 1.0
    feature_taps: tuple[int, ...] = (0, 1)
    gram_weight: float = 0.0
    gram_taps: tuple[int, ...] = (0, 1)
    variation_weight: float = 0.0
    channel_weight: float = 0.0
    channel_layers: tuple[str, ...] = ()
    learning_rate: float = free(2e-3)
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-8
    ema: float = 0.99

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""
        checks = Checks(self, "system")
        checks.at_least(1, "filters", "residual_blocks")
        weights = [field.name for field in dataclasses.fields(self) if field.name.endswith("_weight")]
        checks.not_negative(*weights)
        checks.share("ema")
        if bool(self.teacher) == (self.online is not None):
            raise UserError(
                "A student has one teacher: system.teacher names a filter's .keras file or an included filter, or "
                "system.online is a system that learns along."
            )
        weights.remove("variation_weight")  # which looks at the student alone
        if not any(getattr(self, name) for name in weights):
            raise UserError(f"A student needs a loss that names its teacher: one of {', '.join(weights)} above 0.")
        least = 4
        if self.ssim_weight:
            least = 12  # SSIM's window has 11 pixels
        if self.compared_by == "vgg16":
            least = max(least, vgg16.SMALLEST)
        if self.image_size < least or self.image_size % 4:
            raise UserError(f"system.image_size must be a multiple of 4 from {least} on, got {self.image_size}.")
        taps = len(vgg16.CONVOLUTIONS) if self.features == "vgg16" else len(lite0.TAPS)
        for name in ("feature_taps", "gram_taps"):
            values = getattr(self, name)
            if not values or not set(values) <= set(range(taps)) or len(set(values)) < len(values):
                raise UserError(
                    f"system.{name} must hold some of 0 to {taps - 1}, the taps of {self.features}, each once, got "
                    f"{values}."
                )
        if any(len(pair.split("=")) != 2 for pair in self.channel_layers) or (
            self.channel_weight and not self.channel_layers
        ):
            raise UserError(
                "system.channel_layers must hold pairs of layers, STUDENT=TEACHER, such as block1_add=block2_add, got "
                f"{self.channel_layers}."
            )
        if self.online:
            self.online.check()
            if self.online.image_size != self.image_size:
                raise UserError(
                    f"system.image_size is {self.image_size} and system.online.image_size {self.online.image_size}: "
                    "teacher and student see the same pictures."
                )

    @property
    def compared_by(self) -> str:
        """The network whose maps are compared; "" where none are."""
        return self.features if self.feature_weight or self.gram_weight else ""

    @property
    def data_kinds(self) -> tuple[str, ...]:
        """Those of the teacher that learns along; else any."""
        own = ("Unpaired", "Paired", "Unlabelled", "Labelled")
        return getattr(self.online, "data_kinds", own) if self.online else own

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one, or those of the teacher that learns along."""
        return self.online.batches_per_step if self.online else 1

    def stages(self, batch_size: int) -> tuple[Stage, ...]:
        """Those of the teacher that learns along; else a single one."""
        return system.stages(self.online, batch_size) if self.online else (Stage(0, 0, self.image_size, batch_size),)

    def resolved(self) -> "Settings":
        """The same with the teacher's sha256.

        Raises:
          UserError: there is no such file, or it is not the one that `teacher_sha256` names.
        """
        if not self.teacher:
            return self
        path = included.find(at_home(self.teacher))
        if not path.is_file():
            raise UserError(
                f"system.teacher={self.teacher}: there is no such file, and of the filters that come with kgan there "
                f"are {', '.join(included.names())}."
            )
        sha256 = cards.digest(path)[1]
        if self.teacher_sha256 not in ("", sha256):
            raise UserError(
                f"{path} is not the teacher that system.teacher_sha256 names: its sha256 begins with {sha256[:12]}, "
                f"and not with {self.teacher_sha256[:12]}."
            )
        return dataclasses.replace(self, teacher_sha256=sha256)

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> "Distillation":
        """The system, for a training of `steps` steps; a `UserError` where the teacher does not fit the pictures."""
        return Distillation(self, labels, steps, seed)


def build_connectors(pairs: Sequence[tuple[Tensor, Tensor]], seed: int = 0) -> keras.Model:
    """Maps of the student [B, h, w, C] to their means [B, K], with as many channels as the teacher's map of the pair.

    Inputs and outputs are {"map0": ..., "map1": ...}, in the order of the pairs (student's map, teacher's map).
    """
    initial, inputs, means = Initial(seed), {}, {}
    for i, (ours, theirs) in enumerate(pairs):
        name = f"map{i}"
        x = inputs[name] = keras.Input((None, None, ours.shape[-1]), name=name)
        kernel = initial.kernel()
        x = keras.layers.Conv2D(theirs.shape[-1], 1, kernel_initializer=kernel, name=f"connector{i}")(x)
        means[name] = keras.layers.GlobalAveragePooling2D(name=f"mean{i}")(x)
    return keras.Model(inputs, means, name="connectors")


class Distillation(System):
    """A student and its teacher.

    `train_step` takes one batch {"a": [B, H, W, 3]} or {"image": [B, H, W, 3]}, where the teacher takes labels also
    {"target": [B, L]}; what else is in it is for the teacher that learns along, which may take several.
    """

    def __init__(self, settings: Settings, labels: Labels | None = None, steps: int = 5_000, seed: int = 0) -> None:
        super().__init__(name="distillation")
        settings.check()
        self.settings = settings
        self.batch_norm = "moving" if settings.norm == "batch" else ""

        if settings.online:
            self.teacher_system = settings.online.create(steps, seed, labels)
            if self.teacher_system.kind != "filter":
                raise UserError("system.online must make pictures of pictures, and this system draws them of noise.")
            self._teacher = next(iter(self.teacher_system.generators().values()))
        else:
            self._teacher, learned = load_teacher(settings)
            check_labels(learned, labels, settings)
        self.label_size = label_size_of(self._teacher, labels, settings)
        self._alone = statistics(self._teacher) == "batch"  # its statistics are those of a single picture, as at test

        def student(name: str) -> keras.Model:
            return named(name, lambda: students.build(settings, self.label_size, seed, name))

        self.student = student("student")
        if settings.ema:
            self.ema_student = student("ema_student")
        self._features = load_features(settings) if settings.compared_by else None
        if settings.channel_weight:
            pairs = [pair.split("=") for pair in settings.channel_layers]
            ours = maps_inside(self.student, [ours for ours, _ in pairs], "the student")
            theirs = maps_inside(self._teacher, [theirs for _, theirs in pairs], "the teacher")
            self.connectors = named("connectors", lambda: build_connectors(list(zip(ours, theirs, strict=True)), seed))
            self._student = with_maps(self.student, ours)
            self._teacher = with_maps(self._teacher, theirs)
        else:
            self._student = self.student

        half = max(1, steps // 2)
        self.rate = LinearDecay(settings.learning_rate, half, half)
        betas = (settings.beta_1, settings.beta_2, settings.epsilon)
        self.generator_optimizer = adam("generator_optimizer", self.rate, *betas)
        self.ready(seed)

    def enter(self, stage: Stage, anew: bool = False) -> None:
        if self.settings.online:
            self.teacher_system.enter(stage, anew)

    def generator_variables(self) -> list[keras.Variable]:
        connectors = self.connectors.trainable_variables if self.settings.channel_weight else []
        return [*self.student.trainable_variables, *connectors]

    def generators(self) -> dict[str, keras.Model]:
        return {"student": self.ema_student if self.settings.ema else self.student}

    def train_step(self, batches: engine.Batches) -> engine.Terms:
        """The teacher's own step, where it learns along; then the student's towards what the teacher now draws."""
        teacher_terms = self.teacher_system.train_step(batches) if self.settings.online else {}
        image, label = self.given(batches[-1])
        taught = self.taught(image, label)
        terms, _ = self.minimize(
            self.generator_optimizer,
            self.generator_variables(),
            lambda: (self.student_losses(self.learned(image, label), taught), ()),
        )
        if self.settings.ema:
            average(self.ema_student, self.student.weights, self.settings.ema, self.step)
        self.step.assign_add(1)
        return terms | {f"teacher_{name}": term for name, term in teacher_terms.items()}

    def given(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The pictures that both are given, and the labels where they take some."""
        image = batch["a"] if "a" in batch else batch["image"]
        return ops.convert_to_tensor(image), ops.convert_to_tensor(batch["target"]) if self.label_size else None

    def taught(self, image: Tensor, label: Tensor | None = None) -> dict[str, Tensor]:
        """What the teacher draws as "image" [B, H, W, 3], and the "maps" inside it that are compared."""
        image = at_least_float32(image)

        def draw(rows: slice) -> dict[str, Tensor]:
            drawn = outputs(self._teacher, image[rows], None if label is None else label[rows])
            return drawn if isinstance(drawn, dict) else {"image": drawn}

        parts = [slice(i, i + 1) for i in range(image.shape[0])] if self._alone else [slice(None)]
        drawn = keras.tree.map_structure(lambda *each: ops.concatenate(each), *map(draw, parts))
        return keras.tree.map_structure(ops.stop_gradient, drawn)

    def learned(self, image: Tensor, label: Tensor | None = None) -> dict[str, Tensor]:
        """As `taught`, of the student in training."""
        return self._student(image if label is None else {"image": image, "label": label}, training=True)

    def student_losses(self, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> engine.Terms:
        """Draw what the teacher drew.

        With S and T, pictures of the student and the teacher: pixel |S - T| + ssim (1 - SSIM(S, T)) + feature sum
        |maps(S) - maps(T)| + gram sum |Gram(maps(S)) - Gram(maps(T))| + variation TV(S) + channel sum (mean of channels
        of S's connected maps - mean of channels of T's)^2.
        """
        settings, x, y = self.settings, ours["image"], theirs["image"]
        terms = {}
        if settings.pixel_weight:
            terms["pixel"] = settings.pixel_weight * l1(x, y)
        if settings.ssim_weight:
            terms["ssim"] = settings.ssim_weight * (1 - ssim(x, y))
        if self._features:
            maps_x, maps_y = self._features(x), self._features(y)
            if settings.feature_weight:
                each = [l1(maps_x[tap], maps_y[tap]) for tap in settings.feature_taps]
                terms["features"] = settings.feature_weight * sum(each)
            if settings.gram_weight:
                each = [l1(gram(maps_x[tap]), gram(maps_y[tap])) for tap in settings.gram_taps]
                terms["gram"] = settings.gram_weight * sum(each)
        if settings.variation_weight:
            terms["variation"] = settings.variation_weight * total_variation(x)
        if settings.channel_weight:
            means = self.connectors(ours["maps"], training=True)
            each = [
                ops.mean(ops.square(at_least_float32(mean) - spatial_mean(theirs["maps"][name])))
                for name, mean in means.items()
            ]
            terms["channels"] = settings.channel_weight * sum(each)
        return terms

    def progress(self, terms: dict[str, float]) -> str:
        """What the progress bar says of a step: the student's own losses."""
        return super().progress({name: term for name, term in terms.items() if not name.startswith("teacher_")})

    def judged(self) -> dict[str, tuple[str, str]]:
        return {"student": ("image", "image") if self.label_size else ("a", "b")}

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        image, label = self.given(batch)
        return {name: image_of(outputs(network, image, label)) for name, network in self.generators().items()}

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Input, what the teacher makes of it, and what the student makes of it."""
        image, label = self.given(batch)
        return {
            "input": image,
            "teacher": self.taught(image, label)["image"],
            "student": self.translated(batch)["student"],
        }


def spatial_mean(x: Tensor) -> Tensor:
    """[B, h, w, C] to [B, C]."""
    return ops.mean(at_least_float32(x), axis=(1, 2))


def load_teacher(settings: Settings) -> tuple[keras.Model, Labels | None]:
    """The network in the teacher's file, which nothing trains, and the labels that its card says it takes.

    Raises:
      UserError: it is no `.keras` filter, or takes pictures of another size.
    """
    path = included.find(at_home(settings.teacher))
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise UserError(
            f"system.teacher={settings.teacher}: a teacher is a network in a .keras file, which this is not. Name the "
            ".keras that it was exported from."
        )
    teacher = load_keras(path)
    card = cards.checked(path) or card_of(teacher, path.stem)
    teacher.trainable = False
    size = inputs_of(teacher)["image"][1]
    if size not in (None, settings.image_size):
        raise UserError(
            f"The teacher {path} takes pictures of {size} px alone: set system.image_size={size}, not "
            f"{settings.image_size}."
        )
    if settings.image_size % card.multiple or settings.image_size < card.smallest:
        raise UserError(
            f"The teacher {path} takes pictures of multiples of {card.multiple} px from {card.smallest} on: "
            f"system.image_size is {settings.image_size}."
        )
    return teacher, card.labels


def check_labels(learned: Labels | None, labels: Labels | None, settings: Settings) -> None:
    """A `UserError` where the pictures' labels have the numbers of those that the teacher learned and mean others."""

    def meaning(each: Labels) -> list[tuple[int, str, tuple[str, ...]]]:
        return [(place.set, place.group.name, place.group.values) for place in each.places()]

    if learned and labels and learned.width == labels.width and meaning(learned) != meaning(labels):
        raise UserError(
            f"The teacher {settings.teacher} learned the labels {learned.describe()}, and the pictures have "
            f"{labels.describe()}: give data.sets the same groups, in the same order, of the same values."
        )


def label_size_of(teacher: keras.Model, labels: Labels | None, settings: Settings) -> int:
    """How many numbers a label has that the teacher takes, 0 where it takes none; a `UserError` where data differ."""
    name = settings.teacher or "that learns along"
    shape = inputs_of(teacher).get("label")
    if shape is None and labels:
        raise UserError(
            f"The teacher {name} takes no label, and the pictures have some: the config's data should be "
            "kgan.data.Unpaired, Paired or Unlabelled."
        )
    if shape is not None and (not labels or labels.width != shape[1]):
        given = (
            f"{labels.width}: {labels.describe()}" if labels else "none: the config's data should be kgan.data.Labelled"
        )
        raise UserError(f"The teacher {name} takes labels of {shape[1]} numbers, and the pictures have {given}.")
    return int(shape[1]) if shape else 0


def maps_inside(network: keras.Model, names: Sequence[str], whose: str) -> list[Tensor]:
    """The outputs of these layers, [B, h, w, C]; a `UserError` that lists the layers where one is not there."""
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    maps = {layer.name: layer.output for layer in layers if len(getattr(layer.output, "shape", ())) == 4}
    for name in names:
        if name not in maps:
            raise UserError(f"system.channel_layers: {whose} has no layer {name}; there are {', '.join(maps)}.")
    return [maps[name] for name in names]


def with_maps(network: keras.Model, maps: Sequence[Tensor]) -> keras.Model:
    """The same network, which also returns "maps", {"map0": [B, h, w, C], ...}."""
    named_maps = {f"map{i}": x for i, x in enumerate(maps)}
    return keras.Model(network.input, {"image": image_of(network.output), "maps": named_maps})


def load_features(settings: Settings) -> Callable[[Tensor], dict[int, Tensor]]:
    """From [B, H, W, 3] in [-1, 1] to the maps of the taps that the settings name, of a mean square of about 1."""
    taps = [*settings.feature_taps] * bool(settings.feature_weight) + [*settings.gram_taps] * bool(settings.gram_weight)
    taps = sorted(set(taps))
    if settings.features == "vgg16":
        network = vgg16.load_maps(tuple(taps))  # of the length 1 at each pixel
        scales = [float(np.sqrt(each.shape[-1])) for each in network.outputs]
    else:
        network = lite0.load(tuple(taps))
        scales = [projection.SCALES[tap] for tap in taps]

    def maps(image: Tensor) -> dict[int, Tensor]:
        each = network(at_least_float32(image), training=False)
        each = each if isinstance(each, list) else [each]
        return {tap: scale * x for tap, scale, x in zip(taps, scales, each, strict=True)}

    return maps
