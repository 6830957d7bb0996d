"""Distillation: students of every kind, each loss by hand, resume, an online teacher, and refusals."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.steps import assert_resumes, schedule, train_eagerly
from helpers.structure import assert_golden, structure
from keras import ops

import kgan
from kgan.data import Labelled, Paired, Unlabelled, Unpaired
from kgan.errors import UserError
from kgan.export import operations, recipes, tflite
from kgan.filters import card as cards
from kgan.labels import Group, Labels, LabelSet
from kgan.layers import AppendLabel
from kgan.litert import Model
from kgan.pretrained import lite0
from kgan.students import build
from kgan.systems import cyclegan, onesided, stargan, stylegan
from kgan.systems.distillation import Distillation, Settings
from kgan.systems.system import Stage
from kgan.training import Config, checkpoint
from kgan.training.run import train

TINY: dict[str, Any] = {"image_size": 16, "filters": 2, "residual_blocks": 1}
# Everything that touches the teacher in the simplest way.
PLAIN: dict[str, Any] = {**TINY, "feature_weight": 0.0}
LABELS = Labels((LabelSet("emoji", (Group("vendor", ("google", "twitter")),)),))


@pytest.fixture
def negative(tmp_path: Path) -> str:
    """A teacher that draws the negative: -x, with a layer "bent" of two channels inside."""
    image = keras.Input((None, None, 3), name="image")
    conv = keras.layers.Conv2D(3, 1, use_bias=False, name="image_conv")
    bent = keras.layers.Conv2D(2, 1, use_bias=False, kernel_initializer="ones", name="bent")
    x = conv(image)
    model = keras.Model(image, {"image": keras.layers.Add(name="sum")([x, 0 * bent(image)[..., :1]])})
    conv.set_weights([-np.eye(3, dtype=np.float32)[None, None]])
    model.save(tmp_path / "negative.keras")
    return str(tmp_path / "negative.keras")


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    """A teacher that adds its label of two numbers to two of the colours."""
    inputs = {"image": keras.Input((None, None, 3), name="image"), "label": keras.Input((2,), name="label")}
    conv = keras.layers.Conv2D(3, 1, use_bias=False, name="image_conv")
    model = keras.Model(inputs, {"image": conv(AppendLabel()([inputs["image"], inputs["label"]]))})
    conv.set_weights([np.eye(5, 3, dtype=np.float32)[None, None] + np.eye(5, 3, -3, dtype=np.float32)])
    model.save(tmp_path / "labelled.keras")
    return str(tmp_path / "labelled.keras")


def pictures(batch: int = 2, seed: int = 0, size: int = 16) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(seed).uniform(-1, 1, (batch, size, size, 3)).astype("float32"))


def floats(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def test_golden_structure() -> None:
    built = {
        "student": structure(lambda: build(Settings())),
        "student of labels": structure(lambda: build(Settings(residual_blocks=1), label_size=7)),
        "ResNet student": structure(lambda: build(Settings(generator="resnet", filters=8))),
    }
    # 6x6, 3x3 down, four 3x3 at 64, 3x3 after the doubling, each with a gamma and a beta; 2 x 2 pixels of 8; 3x3.
    widths = [(3, 32, 36), (32, 64, 9), *[(64, 64, 9)] * 4, (64, 32, 9)]
    drawn = (9 * 32 + 1) * 32 + 9 * (8 + 3) * 3 + 3
    assert built["student"].count == sum(k * i * o + 2 * o for i, o, k in widths) + drawn
    assert_golden("distillation", "students", built)


# --- each loss by hand -------------------------------------------------------------------------------------------


def losses(teacher: str, ours: Any, theirs: Any, **weights: float) -> dict[str, float]:
    """The terms of a student that draws `ours` where the teacher draws `theirs`; other weights are 0."""
    none = {field.name: 0.0 for field in dataclasses.fields(Settings) if field.name.endswith("_weight")}
    system = Settings(**TINY | none | weights, teacher=teacher).create(10, 0)
    return floats(system.student_losses({"image": ours}, {"image": theirs}))


def test_pixels_structure_and_variation_by_hand(negative: str) -> None:
    black, grey = ops.full((1, 16, 16, 3), -1.0), ops.zeros((1, 16, 16, 3))
    assert losses(negative, grey, black, pixel_weight=2.0) == {"pixel": 2}
    assert losses(negative, black, grey, ssim_weight=3.0)["ssim"] == pytest.approx(3 * (1 - 4e-4 / 1.0004), rel=1e-4)
    assert losses(negative, grey, grey, ssim_weight=3.0)["ssim"] == pytest.approx(0, abs=1e-5)
    stripes = ops.convert_to_tensor(np.tile(np.float32([-1, 1])[:, None], (1, 16, 8, 3)).reshape(1, 16, 16, 3))
    terms = losses(negative, stripes, stripes, pixel_weight=1.0, variation_weight=0.5)
    assert terms == {"pixel": 0, "variation": pytest.approx(0.5 * 4)}  # each pixel differs by 2 from its neighbours


def test_features_and_grams_by_hand(negative: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Lite0's place: tap 0 is the mean colour of cells of 4 pixels, tap 1 twice that of 8 pixels."""

    def load(taps: tuple[int, ...]) -> keras.Model:
        picture = keras.Input((None, None, 3))
        maps = [keras.layers.AveragePooling2D(4)(picture), 2 * keras.layers.AveragePooling2D(8)(picture)]
        return keras.Model(picture, [maps[tap] for tap in taps])

    monkeypatch.setattr(lite0, "load", load)
    monkeypatch.setattr("kgan.pretrained.projection.SCALES", (1.0, 10.0, 0.0, 0.0))
    x, y = ops.full((1, 16, 16, 3), 0.5), ops.zeros((1, 16, 16, 3))
    # |0.5| of tap 0, and 10 * 2 * |0.5| of tap 1.
    assert losses(negative, x, y, feature_weight=2.0) == {"features": pytest.approx(2 * (0.5 + 10))}
    # Every entry of Gram's matrix is 0.5^2 / 3, or 10^2 / 3.
    assert losses(negative, x, y, gram_weight=1.0) == {"gram": pytest.approx(0.25 / 3 + 100 / 3)}
    assert losses(negative, x, x, gram_weight=1.0, feature_weight=1.0) == {"features": 0, "gram": 0}


def test_channels_by_hand(negative: str) -> None:
    """Means of the teacher's two channels: the sum of the colours, twice; the connector is all zeros at first."""
    settings = Settings(**PLAIN, teacher=negative, channel_weight=2.0, channel_layers=("block1_add=bent",))
    system = settings.create(10, 0)
    assert [tuple(v.shape) for v in system.connectors.weights] == [(1, 1, 4, 2), (2,)]
    system.connectors.set_weights([np.zeros((1, 1, 4, 2), np.float32), np.float32([0.25, 0.25])])
    x = ops.full((1, 16, 16, 3), 0.25)
    taught, learned = system.taught(x), system.learned(x)
    np.testing.assert_allclose(ops.convert_to_numpy(taught["maps"]["map0"]), 0.75)
    np.testing.assert_allclose(ops.convert_to_numpy(taught["image"]), -0.25)
    assert floats(system.student_losses(learned, taught))["channels"] == pytest.approx(2 * (0.75 - 0.25) ** 2)
    before = [np.array(ops.convert_to_numpy(v)) for v in system.connectors.weights]
    system.train_step(({"a": x},))
    assert any((b != ops.convert_to_numpy(v)).any() for b, v in zip(before, system.connectors.weights, strict=True))


# --- steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "instance", "generator": "resnet", "ema": 0.0},
        {"feature_weight": 1.0, "gram_weight": 1.0, "variation_weight": 0.1, "feature_taps": (0,), "gram_taps": (1,)},
    ],
)
def test_a_student_comes_nearer_and_the_teacher_stays(negative: str, changes: dict[str, Any]) -> None:
    system = Settings(**PLAIN | changes, teacher=negative).create(1000, 0)
    batch = {"a": pictures(seed=1), "b": pictures(seed=2)}
    rows = [floats(system.train_step((batch,))) for _ in range(10)]
    assert rows[-1]["pixel"] < 0.99 * rows[0]["pixel"] and int(system.step.value) == 10
    np.testing.assert_array_equal(ops.convert_to_numpy(system.taught(batch["a"])["image"]), -batch["a"])
    parts = {path.partition("/")[0] for path in system.state()}
    assert parts == {"student", "generator_optimizer", "step"} | ({"ema_student"} if system.settings.ema else set())
    assert system.sample({"a": batch["a"]}).keys() == {"input", "teacher", "student"}


def test_a_student_of_labels(labelled: str) -> None:
    """Told "google" the teacher adds 1 to red, told "twitter" to green."""
    system = Settings(**PLAIN, teacher=labelled).create(10, 0, LABELS)
    batch = {"image": pictures(), "target": np.eye(2, dtype=np.float32)}
    added = ops.convert_to_numpy(system.taught(*system.given(batch))["image"] - batch["image"])
    np.testing.assert_allclose(added.mean((1, 2)), [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    assert system.judged() == {"student": ("image", "image")}
    system.train_step((batch,))
    for average, weight in zip(system.ema_student.weights, system.student.weights, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(average), ops.convert_to_numpy(weight), rtol=1e-5, atol=1e-7
        )  # the mean of one step
    same = {**batch, "image": ops.repeat(batch["image"][:1], 2, axis=0)}
    one, other = ops.convert_to_numpy(system.translated(same)["student"])
    assert np.abs(one - other).max() > 0


@pytest.mark.parametrize("generator", ["phone", "resnet"])
def test_every_student_with_instance_norms_sees_its_label(generator: str) -> None:
    network = build(Settings(**PLAIN, teacher="x", generator=generator, norm="instance"), label_size=2)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype("f4")
    image[1] = image[0]
    one, other = ops.convert_to_numpy(network({"image": image, "label": np.eye(2, dtype="f4")})["image"])
    assert np.abs(one - other).max() > 1e-3


def test_the_bar_tells_of_the_student_alone() -> None:
    system = Settings(**PLAIN | {"image_size": 32}, online=ONLINE).create(10, 0)
    assert system.progress({"pixel": 2.0, "teacher_cycle_a": 40.0}) == "loss 2"


def test_a_teacher_of_batch_statistics_sees_one_picture_at_a_time(tmp_path: Path) -> None:
    """As it does when it is used: its statistics are then the picture's own."""
    image = keras.Input((None, None, 3), name="image")
    norm = kgan.layers.BatchNormalization(at_test="batch")
    keras.Model(image, {"image": norm(image)}).save(tmp_path / "teacher.keras")
    system = Settings(**PLAIN, teacher=str(tmp_path / "teacher.keras")).create(10, 0)
    x = ops.concatenate([pictures(1, 1), 0.1 * pictures(1, 2)])
    both = ops.convert_to_numpy(system.taught(x)["image"])
    np.testing.assert_allclose(both.std((1, 2)), 1, rtol=1e-2)


CYCLEGAN = cyclegan.Settings(**TINY, discriminator_filters=2, discriminator_layers=2, pool=2, ema=0.5)
ONLINE = onesided.Settings(
    image_size=32,
    grow_at=(2,),
    filters=2,
    residual_blocks=1,
    colour_cells=4,
    patch_filters=2,
    patch_layers=(2,),
    ema=0.9,
)


def test_teacher_and_student_advance_in_one_step() -> None:
    system = Settings(**PLAIN, online=CYCLEGAN).create(10, 0)
    batch = {"a": pictures(seed=1), "b": pictures(seed=2)}
    before = {path: np.array(ops.convert_to_numpy(v)) for path, v in system.state().items()}
    terms = floats(system.train_step((batch,)))
    assert {"pixel", "ssim", "teacher_cycle_a", "teacher_discriminator_b"} <= terms.keys()
    moved = {path for path, v in system.state().items() if (before[path] != ops.convert_to_numpy(v)).any()}
    for network in ("student", "teacher_system/generator_ab", "teacher_system/discriminator_a"):
        assert any(path.startswith(f"{network}/") for path in moved), network
    assert int(system.step.value) == int(system.teacher_system.step.value) == 1
    assert "teacher_system/generator_ab" in system.networks() and "student" in system.networks()
    # It is the averaged generator that teaches, as it is after the step.
    average = system.teacher_system.ema_generator_ab(batch["a"], training=False)["image"]
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (system.taught(batch["a"])["image"], average)))


def test_a_teacher_that_grows_has_its_student_grow() -> None:
    settings = Settings(**TINY | {"image_size": 32}, online=ONLINE)
    assert settings.stages(4) == ONLINE.stages(4) and settings.stages(4)[1] == Stage(2, 8, 32, 4)
    assert settings.batches_per_step == 1
    assert Settings(teacher="x", online=None).stages(4) == (Stage(0, 0, 128, 4),)
    critic = stargan.Settings(image_size=16, discriminator_layers=2, n_critic=3)
    assert Settings(image_size=16, online=critic).batches_per_step == 3


def test_a_teacher_that_learns_along_makes_pictures_of_pictures() -> None:
    noise = stylegan.Settings(image_size=16, latent_size=4, mapping_layers=1, filters=16, filters_most=4)
    with pytest.raises(UserError, match=r"system\.online must make pictures of pictures"):
        Settings(**PLAIN, online=noise).create(10, 0)


# --- in the loop -------------------------------------------------------------------------------------------------

SCHEDULE = schedule()
CHANNELS: dict[str, Any] = {"channel_weight": 1.0, "channel_layers": ("block1_add=bent",)}


@pytest.mark.parametrize(
    "name, data",
    [
        ("one folder", Unlabelled(root="emoji:google")),
        pytest.param("pairs", Paired(root="emoji:fluent3d:google"), marks=pytest.mark.slow),
        pytest.param("labels", Labelled(root="emoji:google:twitter"), marks=pytest.mark.slow),
        pytest.param("online", Unpaired(root="emoji:fluent3d:google"), marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_ends_in_the_same_bytes(
    tmp_path: Path, negative: str, labelled: str, name: str, data: Any
) -> None:
    settings = Settings(**PLAIN, teacher=negative, **CHANNELS)
    if name == "labels":
        settings = Settings(**PLAIN, teacher=labelled)
    if name == "online":
        settings = Settings(**PLAIN, online=CYCLEGAN)
    config = Config("student", settings, data, SCHEDULE)
    student = assert_resumes(config, tmp_path) / "student.keras"
    picture = np.zeros((20, 24, 3), np.uint8)
    label = {"label": "vendor=google"} if name == "labels" else {}
    assert kgan.load(student)(picture, **label).shape == picture.shape


def test_another_teacher_is_refused(tmp_path: Path, negative: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same file elsewhere is the same teacher; another one at the same place is not."""
    config = Config("student", Settings(**PLAIN, teacher=negative), Unlabelled(root="emoji:google"), SCHEDULE)
    run = train_eagerly(config, tmp_path / "run")
    about, digest = cards.read(run / "student.keras"), cards.digest(Path(negative))[1]
    assert about is not None and about.batch_norm == "moving" and about.system == "distillation"
    assert about.training["config"]["system"]["teacher_sha256"] == digest
    assert checkpoint.load(run / "checkpoint-00000004.npz")[1]["config"]["system"]["teacher_sha256"] == digest
    shutil.copy(negative, tmp_path / "moved.keras")
    moved = dataclasses.replace(
        config, system=dataclasses.replace(config.system, teacher=str(tmp_path / "moved.keras"))
    )
    train(moved, run)
    assert "has finished 4 steps" in capsys.readouterr().out
    build(Settings(**PLAIN, teacher="x")).save(negative)
    with pytest.raises(UserError, match=r"other settings: system\.teacher_sha256 was .* Give the old settings"):
        train(config, run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": ""}, r"A student has one teacher"),
        ({"online": ONLINE}, r"A student has one teacher"),
        ({"pixel_weight": 0.0, "ssim_weight": 0.0}, r"A student needs a loss that names its teacher: one of pixel"),
        ({"pixel_weight": -1.0}, r"pixel_weight must not be negative"),
        ({"image_size": 8}, r"image_size must be a multiple of 4 from 12 on, got 8"),
        ({"image_size": 12, "features": "vgg16", "gram_weight": 1.0}, r"image_size must be a multiple of 4 from 16 on"),
        ({"feature_taps": (4,)}, r"feature_taps must hold some of 0 to 3, the taps of lite0, .* got \(4,\)"),
        ({"gram_taps": (1, 1)}, r"gram_taps must hold some of 0 to 3"),
        ({"channel_layers": ("block1_add",)}, r"pairs of layers, STUDENT=TEACHER, such as"),
        ({"channel_weight": 1.0}, r"pairs of layers, STUDENT=TEACHER, such as"),
        ({"ema": 1.0}, r"ema must be at least 0 and less than 1"),
        ({"teacher": "", "online": ONLINE}, r"image_size is 16 and system\.online\.image_size 32"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**PLAIN | {"teacher": "x"} | changes).check()


def test_teachers_that_cannot_be(tmp_path: Path, negative: str, labelled: str) -> None:
    def create(teacher: str, labels: Labels | None = None, **changes: Any) -> Distillation:
        return Settings(**PLAIN | changes, teacher=teacher).resolved().create(10, 0, labels)

    with pytest.raises(
        UserError, match=r"teacher=mine: there is no such file, and .* there are .*onesided_selfie2anime"
    ):
        create("mine")
    with pytest.raises(UserError, match=r"sha256 begins with .{12}, and not with 0123456789ab\."):
        create(negative, teacher_sha256="0123456789abcdef")
    with pytest.raises(UserError, match=r"stylegan_animefaces.keras is no filter: it draws pictures of noise"):
        create("stylegan_animefaces")
    (tmp_path / "x.tflite").write_bytes(b"")
    with pytest.raises(UserError, match=r"a teacher is a network in a \.keras file"):
        create(str(tmp_path / "x.tflite"))
    with pytest.raises(UserError, match=r"takes no label, and the pictures have some: .*kgan\.data\.Unpaired"):
        create(negative, LABELS)
    with pytest.raises(
        UserError, match=r"takes labels of 2 numbers, and the pictures have none: .*kgan\.data\.Labelled"
    ):
        create(labelled)
    with pytest.raises(UserError, match=r"the teacher has no layer bend; there are bent, image_conv, sum\."):
        create(negative, channel_weight=1.0, channel_layers=("block1_add=bend",))
    with pytest.raises(UserError, match=r"the student has no layer block2_add; there are stem_conv"):
        create(negative, channel_weight=1.0, channel_layers=("block2_add=bent",))
    cards.Card(labels=LABELS).write(labelled)
    turned = Labels((LabelSet("emoji", (Group("vendor", ("twitter", "google")),)),))
    with pytest.raises(
        UserError, match=r"learned the labels vendor \(google, twitter\), and the pictures have vendor \(twitter, goo"
    ):
        create(labelled, turned)
    create(labelled, Labels((LabelSet("another name of the set", LABELS.sets[0].groups),)))
    image = keras.Input((32, 32, 3), name="image")
    keras.Model(image, keras.layers.Conv2D(3, 1)(image)).save(tmp_path / "fixed.keras")
    with pytest.raises(UserError, match=r"takes pictures of 32 px alone: set system\.image_size=32, not 16"):
        create(str(tmp_path / "fixed.keras"))
    cards.Card(multiple=12, smallest=24).write(negative)
    with pytest.raises(UserError, match=r"multiples of 12 px from 24 on: system\.image_size is 16"):
        create(negative)


def test_students_are_exported(tmp_path: Path) -> None:
    """Batch normalization is inside the convolutions: there is nothing left to multiply. A label is a second input."""
    network = build(Settings(**TINY), label_size=2)
    random, path = np.random.default_rng(0), tmp_path / "student.tflite"
    network.set_weights([random.uniform(0.5, 1, each.shape) / each.shape[-1] for each in network.get_weights()])
    path.write_bytes(tflite.convert(network, (16, 16), recipes.get("float32")))
    image, label = random.uniform(-1, 1, (1, 16, 16, 3)).astype("f4"), np.float32([[0, 1]])
    (drawn,) = Model(path).named({"image": image, "label": label}).values()
    wanted = ops.convert_to_numpy(network({"image": image, "label": label}, training=False)["image"])
    np.testing.assert_allclose(drawn, wanted, atol=1e-5)
    counts, _ = operations.contents(path.read_bytes())
    assert counts["CONV_2D"] == 7 and not {"RSQRT", "SUB", "MEAN"} & counts.keys()
