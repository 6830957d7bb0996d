"""StyleGAN: published counts, structure, the growth table, every loss by hand, and steps through all levels."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.steps import Eager, assert_resumes, schedule
from helpers.structure import Structure, assert_golden, structure
from keras import ops

from kgan import engine
from kgan.configs import stylegan_ffhq
from kgan.data import Unlabelled
from kgan.errors import UserError
from kgan.layers import Truncation
from kgan.losses import gradient_penalty, r1_penalty
from kgan.systems import stylegan
from kgan.systems.stylegan import (
    Settings,
    StyleGAN,
    build_discriminator,
    build_mapping,
    build_synthesis,
    layers_at,
    level,
)
from kgan.systems.system import Stage
from kgan.training import Config, checkpoint

TINY: dict[str, Any] = {"image_size": 16, "latent_size": 8, "mapping_layers": 2, "filters": 32, "filters_most": 8}
SMALL = Settings(
    **TINY, start_size=4, stable_kimg=0.032, fade_kimg=0.032, batches=(2, 2, 1), repeats=2, minibatch_group=2
)


def array(x: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(x), np.float32)


def pictures(count: int = 4, size: int = 16, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    return ops.convert_to_tensor(random.uniform(-1, 1, (count, size, size, 3)).astype("float32"))


def randomized(network: keras.Model, seed: int = 0) -> keras.Model:
    """Noise strengths and biases too, which start at zero."""
    random = np.random.default_rng(seed)
    for variable in network.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    return network


# --- networks at their published sizes ---------------------------------------------------------------------------


@functools.cache
def published(size: int, network: str) -> Structure:
    settings = Settings(image_size=size)
    build = {
        "mapping": lambda: build_mapping(settings),
        "synthesis": lambda: build_synthesis(settings),
        "discriminator": lambda: build_discriminator(settings),
    }
    return structure(build[network])


@pytest.mark.parametrize(
    ("size", "generator", "discriminator"),
    [
        (32, 22_841_356, 20_726_785),
        (64, 25_137_935, 22_498_049),
        (128, 25_843_858, 22_941_313),
        (256, 26_086_229, 23_052_353),
        (512, 26_179_768, 23_080_225),
        (1024, 26_219_627, 23_087_249),
    ],
)
def test_published_counts(size: int, generator: int, discriminator: int) -> None:
    assert published(size, "mapping").count == 2_101_248
    assert published(size, "mapping").count + published(size, "synthesis").count == generator
    assert published(size, "discriminator").count == discriminator


def test_the_published_layers_and_noise() -> None:
    """18 layers at 1024 px, each with a picture of noise of its own: 2,796,192 values that are not trained."""
    noise = [shape for path, shape, _ in published(1024, "synthesis").variables if path.endswith("_noise/fixed")]
    assert len(noise) == layers_at(1024) == 18 and layers_at(256) == 14 and layers_at(8) == 4
    assert sum(math.prod(shape) for shape in noise) == 2_796_192
    assert [shape[1] for shape in noise] == sorted(2 * [2**i for i in range(2, 11)])
    assert [Settings().channels(size) for size in (4, 32, 64, 1024)] == [512, 512, 256, 16]


def test_golden_structure() -> None:
    networks = {name: published(1024, name) for name in ("mapping", "synthesis", "discriminator")}
    assert_golden("stylegan", "StyleGAN at 1024 px", networks)


def test_labels_are_embedded_and_projected() -> None:
    settings = Settings(image_size=32)
    mapping = structure(lambda: build_mapping(settings, 5))
    assert mapping.count == 2_101_248 + 5 * 512 + 512 * 512  # the embedding, and twice as wide a first layer
    discriminator = structure(lambda: build_discriminator(settings, 5))
    assert discriminator.count == 20_726_785 + 4 * (512 + 1)  # a logit a label


# --- what the networks compute -----------------------------------------------------------------------------------


def test_at_the_start_the_picture_does_not_depend_on_the_noise() -> None:
    synthesis = level(build_synthesis(Settings(**TINY)), 16)
    ws = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")
    names = [tensor.name for tensor in synthesis.inputs if tensor.name != "ws"]
    noise = {t.name: np.full((2, *t.shape[1:]), 5.0, "float32") for t in synthesis.inputs if t.name != "ws"}
    fixed = array(synthesis({"ws": ws, **dict.fromkeys(names)}))
    assert sorted(names) == [f"noise{i}" for i in range(6)]
    np.testing.assert_array_equal(array(synthesis({"ws": ws, **noise})), fixed)
    synthesis.get_layer("r8_up_noise").strength.assign(np.ones(8))
    assert np.abs(array(synthesis({"ws": ws, **noise})) - fixed).max() > 0.01


def test_each_layer_has_its_own_style() -> None:
    """A change in row i of ws leaves what comes before it alone."""
    network = randomized(build_synthesis(Settings(**TINY)))
    styled = [layer for layer in network.layers if layer.name.endswith("_style")]
    assert [layer.index for layer in styled] == list(range(6))
    # Strength 0 again: fixed noise differs from layer to layer, not from call to call, but keep to the styles.
    probe = keras.Model(network.inputs, [layer.output for layer in styled])
    ws = np.random.default_rng(1).normal(size=(1, 6, 8)).astype("float32")
    none = dict.fromkeys(tensor.name for tensor in network.inputs if tensor.name != "ws")
    before = [array(x) for x in probe({"ws": ws, **none})]
    for i in range(6):
        changed = ws.copy()
        changed[:, i] += 1
        after = [array(x) for x in probe({"ws": changed, **none})]
        differs = [not np.array_equal(x, y) for x, y in zip(before, after, strict=True)]
        assert differs == [False] * i + [True] * (6 - i)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_level_fades_in_over_the_one_below(alpha: float) -> None:
    network = randomized(build_synthesis(Settings(**TINY)))
    ws = np.random.default_rng(1).normal(size=(2, 6, 8)).astype("float32")

    def made(size: int) -> np.ndarray:
        part = level(network, size)
        return array(part({t.name: ws if t.name == "ws" else None for t in part.inputs}))

    fade = network.get_layer("fade")
    fade.alpha.assign(1.0)
    below, own = np.repeat(np.repeat(made(8), 2, 1), 2, 2), made(16)
    fade.alpha.assign(alpha)
    np.testing.assert_allclose(made(16), below + alpha * (own - below), atol=1e-4)
    assert np.abs(own - below).max() > 0.1


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_discriminator_fades_as_the_generator(alpha: float) -> None:
    """Before the fade a level's logits are those that the level below gives of the picture halved."""
    network = randomized(build_discriminator(Settings(**TINY)))
    network.get_layer("fade").alpha.assign(alpha)
    x = pictures()
    halved = ops.average_pool(x, 2, strides=2)
    whole = array(level(network, 16)({"image16": x}))
    network.get_layer("fade").alpha.assign(1.0)
    below = array(level(network, 8)({"image8": halved}))
    assert np.allclose(whole, below, rtol=1e-4) == (alpha == 0)


def test_a_labels_own_logit_is_taken() -> None:
    network = randomized(build_discriminator(Settings(**TINY), 3))
    x = pictures()

    def of(label: list[float]) -> np.ndarray:
        return array(level(network, 16)({"image16": x, "label": ops.convert_to_tensor([label] * 4)}))

    one, two, both = of([1.0, 0.0, 0.0]), of([0.0, 0.0, 1.0]), of([1.0, 0.0, 1.0])
    assert one.shape == (4, 1) and np.abs(one - two).max() > 1e-3
    np.testing.assert_allclose(both, one + two, rtol=1e-4)


# --- the schedule ------------------------------------------------------------------------------------------------


def test_the_growth_table() -> None:
    """8 px to 600 kimg, then 600 of fade and 600 of rest a level; 1024 px from 7800 kimg on, without fade from 8400."""
    settings = Settings(repeats=1)
    assert [settings.begins(2**i) / 1000 for i in range(3, 11)] == [0, 600, 1800, 3000, 4200, 5400, 6600, 7800]
    stages = settings.stages(32)
    assert [stage.image_size for stage in stages] == [2**i for i in range(3, 11)]
    assert [stage.batch_size for stage in stages] == [256, 128, 64, 32, 32, 32, 32, 32]
    for stage in stages:  # each begins as soon as its images have been seen
        assert 0 <= stage.first_image - settings.begins(stage.image_size) < 256
    for stage, after in itertools.pairwise(stages):
        images = (after.first_step - stage.first_step) * stage.batch_size
        assert stage.first_image + images == after.first_image
    assert [settings.at(settings.learning_rates, 2**i) for i in range(2, 11)] == [1, 1, 1, 1, 1, 1.5, 2, 3, 3]


def test_levels_change_after_whole_repeats() -> None:
    stages = dataclasses.replace(SMALL, stable_kimg=0.033).stages(4)
    assert [stage.first_step for stage in stages] == [0, 6, 14] and all(s.first_step % 2 == 0 for s in stages)


def test_a_level_takes_no_step_more_than_its_images() -> None:
    """300 - 200 images are 25 batches of 4, though 1000 (.1 + .2 - .2) is a hair more than 100."""
    settings = dataclasses.replace(SMALL, stable_kimg=0.1, fade_kimg=0.2, batches=(1,), repeats=1)
    assert [stage.first_step for stage in settings.stages(4)] == [0, 25, 100]


def test_the_published_training_on_one_gpu() -> None:
    settings = dataclasses.replace(stylegan_ffhq.get_config().system, batches=(32, 32, 32, 16, 8, 4, 2, 1))
    assert [stage.batch_size for stage in settings.stages(4)] == [128, 128, 64, 32, 16, 8, 4, 4]
    assert f"--config.training.steps={settings.steps(stylegan_ffhq.KIMG, 4)}" in (stylegan_ffhq.__doc__ or "")


def test_steps_of_a_training() -> None:
    assert [SMALL.steps(kimg, 4) for kimg in (0.032, 0.04, 0.096, 0.1)] == [4, 5, 12, 13]
    assert [(s.first_step, s.image_size) for s in SMALL.stages(4)] == [(0, 4), (4, 8), (12, 16)]
    flat = dataclasses.replace(SMALL, start_size=16)
    assert flat.stages(4) == (Stage(0, 0, 16, 4),) and flat.steps(0.1, 4) == 25
    assert [s.image_size for s in dataclasses.replace(SMALL, stable_kimg=0, fade_kimg=0).stages(4)] == [16]


@pytest.fixture(scope="module")
def system() -> StyleGAN:
    return SMALL.create(1, 0)


def alpha_at(system: StyleGAN, step: int) -> float:
    stage = max((s for s in SMALL.stages(4) if s.first_step <= step), key=lambda s: s.first_step)
    system.enter(stage)
    system.step.assign(step)
    return float(system._alpha())


def test_alpha_follows_the_images_and_moves_with_the_repeats(system: StyleGAN) -> None:
    """A batch of 8 of a fade of 32 images: a quarter a step, moved every second step; at 16 px an eighth."""
    assert [alpha_at(system, step) for step in range(12)] == [1, 1, 1, 1, 0, 0, 0.5, 0.5, 1, 1, 1, 1]
    assert [alpha_at(system, step) for step in (12, 13, 14, 20, 99)] == [0, 0, 0.25, 1, 1]


@pytest.mark.parametrize(("batch", "beta"), [(32, 0.9977844), (4, 0.9997228)])
def test_the_averages_half_life_is_in_images(batch: int, beta: float) -> None:
    system = Settings(**TINY).create(1, 0)
    system.enter(Stage(0, 0, 16, batch))
    variable, mean = system.mapping.trainable_variables[0], system.ema_mapping.trainable_variables[0]
    np.testing.assert_array_equal(array(mean), array(variable))  # they start equal
    variable.assign(array(mean) + 1)
    before = array(mean)
    system._average()
    np.testing.assert_allclose(1 - (array(mean) - before), beta, atol=2e-5)  # values of 100 in float32
    assert 0.5 ** (batch / 10_000) == pytest.approx(beta, abs=1e-7)


# --- losses ------------------------------------------------------------------------------------------------------


def enlarged(x: Any, times: int) -> Any:
    return ops.repeat(ops.repeat(x, times, axis=1), times, axis=2)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_penalties_of_a_level_equal_those_of_the_full_size(size: int) -> None:
    """A critic of full-size pictures that looks at their level only, as the official one."""
    weights = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(size * size * 3, 1)).astype("float32"))
    k, x = 16 // size, pictures(size=size)

    def critic(x: Any) -> Any:
        return ops.tanh(ops.reshape(x, (x.shape[0], -1)) @ weights / 10)

    def full(x: Any) -> Any:
        return critic(ops.average_pool(x, k, strides=k))

    def value(loss: Any) -> float:
        return float(loss)

    assert value(r1_penalty(critic, x)) / k**2 == pytest.approx(value(r1_penalty(full, enlarged(x, k))), rel=1e-4)
    expected = value(gradient_penalty(full, enlarged(x, k)))
    assert value(gradient_penalty(critic, x, scale=1 / k)) == pytest.approx(expected, rel=1e-4)


def test_r1_by_hand() -> None:
    """critic = sum of 3 x over 12 values: |gradient|^2 = 9 * 12 for each image."""
    assert float(r1_penalty(lambda x: 3 * x, ops.zeros((5, 2, 2, 3)))) == pytest.approx(108)


@pytest.mark.parametrize("where", ["full", "level"])
@pytest.mark.parametrize("adversarial", ["r1", "wgan-gp"])
def test_discriminator_losses_by_hand(monkeypatch: pytest.MonkeyPatch, adversarial: str, where: str) -> None:
    """A critic that adds up a picture: at 8 of 16 px its gradient has 192 ones."""
    settings = dataclasses.replace(SMALL, adversarial=adversarial, penalty_at=where, penalty_weight=6.0, drift=0.5)
    system = settings.create(1, 0)
    system.enter(Stage(0, 0, 8, 4))
    monkeypatch.setattr(system, "judge", lambda x, labels: ops.sum(x, axis=(1, 2, 3))[:, None])
    real, fake = ops.full((4, 8, 8, 3), 0.01), ops.full((4, 8, 8, 3), -0.02)
    terms = {name: float(term) for name, term in system.discriminator_losses(real, fake).items()}
    r, f, share = 1.92, -3.84, 0.25 if where == "full" else 1.0
    if adversarial == "r1":
        expected = {
            "discriminator": math.log1p(math.exp(-r)) + math.log1p(math.exp(f)),
            "penalty": 3 * share * 192,
        }
    else:
        expected = {
            "discriminator": f - r,
            "penalty": 6 * (math.sqrt(192 * share) - 1) ** 2,
            "penalty_drift": 0.5 * r * r,
        }
    assert terms == pytest.approx(expected, rel=1e-5)


def test_generator_loss_by_hand(monkeypatch: pytest.MonkeyPatch, system: StyleGAN) -> None:
    monkeypatch.setattr(system, "judge", lambda x, labels: ops.ones((x.shape[0], 1)))
    terms, w = system.generator_losses(4)
    assert float(terms["generator"]) == pytest.approx(math.log1p(math.exp(-1)))
    assert w.shape == (4, 8)


@pytest.mark.usefixtures("coarse")
def test_feature_terms_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one scale F says 3 of reals, which are 0.5, and -0.5 of fakes, by another 0.25 of all it sees."""
    monkeypatch.setattr(stylegan, "FEATURES_FROM", 16)
    system = dataclasses.replace(SMALL, feature_weight=0.5).create(1, 0)

    def judge(image: Any) -> dict[str, Any]:
        real = ops.cast(image[:, :1, :1, :1] == 0.5, "float32")
        return {"0": 3.5 * real - 0.5, "1": 0 * real + 0.25}

    monkeypatch.setattr(system, "judge_features", judge)
    real, fake = ops.full((4, 16, 16, 3), 0.5), ops.zeros((4, 16, 16, 3))
    terms = system.discriminator_losses(real, fake)
    assert set(terms) == {"discriminator", "penalty", "discriminator_0", "discriminator_1"}
    assert float(terms["discriminator_0"]) == pytest.approx(0 + 0.5)  # max(0, 1 - 3) + max(0, 1 - 0.5)
    assert float(terms["discriminator_1"]) == pytest.approx(0.75 + 1.25)
    terms, _ = system.generator_losses(4)
    assert float(terms["adversarial_0"]) == pytest.approx(-0.5 * -0.5)
    assert float(terms["adversarial_1"]) == pytest.approx(-0.5 * 0.25)
    system.enter(Stage(0, 0, 8, 4))
    assert set(system.generator_losses(4)[0]) == {"generator"}  # too small to show anything


@pytest.mark.usefixtures("coarse")
def test_a_step_teaches_the_discriminator_of_features_from_its_first_level_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stylegan, "FEATURES_FROM", 8)
    system = dataclasses.replace(SMALL, feature_weight=1.0).create(1, 0)
    assert {path.partition("/")[0] for path in system.state()} - {
        path.partition("/")[0] for path in SMALL.create(1, 0).state()
    } == {"feature_discriminator"}
    for stage, sees in zip(SMALL.stages(4)[:2], (False, True), strict=True):
        system.step.assign(stage.first_step)
        system.enter(stage, anew=True)
        before = [array(v) for v in system.feature_discriminator.trainable_variables]
        terms = system.train_step(({"image": pictures(stage.batch_size, stage.image_size)},))
        assert ("discriminator_3" in terms and "adversarial_3" in terms) == sees
        assert all(np.isfinite(float(value)) for value in terms.values())
        after = [array(v) for v in system.feature_discriminator.trainable_variables]
        assert any((x != y).any() for x, y in zip(before, after, strict=True)) == sees


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_reals_fade_too(system: StyleGAN, alpha: float) -> None:
    real = np.zeros((1, 2, 2, 3), "float32")
    real[0, 0, 0] = 1
    made = array(system.faded(ops.convert_to_tensor(real), alpha))[0, ..., 0]
    np.testing.assert_allclose(made, (1 - alpha) * 0.25 + alpha * real[0, ..., 0])


# --- styles ------------------------------------------------------------------------------------------------------


def styles_of(system: StyleGAN, chance: list[list[float]], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Where the first w is used: bool [B, layers], by draws [B, 2]."""
    caught = {}

    def synthesis(inputs: dict[str, Any], training: bool) -> Any:
        caught.update(inputs)
        return inputs["ws"]

    monkeypatch.setattr(system, "_synthesis", synthesis)
    count = len(chance)
    with engine.injected({"generator_mixing": np.array(chance, "float32")}):
        w = array(system.fakes("generator", count, None)[1])
    return np.isclose(array(caught["ws"]), w[:, None]).all(axis=-1)


def test_mixing_cutoffs(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 8 px four layers: the cutoff is 1, 2 or 3, and with a tenth of the chance there is none."""
    system = dataclasses.replace(SMALL, mixing_per="image").create(1, 0)
    system.enter(SMALL.stages(4)[1])
    own = styles_of(system, [[0.0, 0.0], [0.0, 0.5], [0.89, 0.999], [0.91, 0.0]], monkeypatch)
    assert own[:, :4].sum(axis=1).tolist() == [1, 2, 3, 4]
    assert (np.diff(own[:, :4].astype(int), axis=1) <= 0).all()  # coarse styles are the picture's own


def test_one_cutoff_for_a_batch_as_in_the_official_code(monkeypatch: pytest.MonkeyPatch) -> None:
    system = SMALL.create(1, 0)
    system.enter(SMALL.stages(4)[2])
    own = styles_of(system, [[0.5, 0.5], [0.95, 0.1]], monkeypatch)
    assert own.sum(axis=1).tolist() == [3, 3]


def test_the_average_w(system: StyleGAN) -> None:
    system.truncation.mean.assign(np.zeros(8))
    system._follow(ops.convert_to_tensor(np.stack([np.arange(8), np.arange(8) + 2]).astype("float32")))
    np.testing.assert_allclose(system.truncation.mean, 0.005 * (np.arange(8) + 1), rtol=1e-4)


# --- steps -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> Iterator[tuple[StyleGAN, dict[int, list[np.ndarray]]]]:
    """Three steps at each level, and the state before and after: alpha is 0 for two of them, where there is a fade."""
    system = SMALL.create(1, 0)
    seen: dict[int, list[np.ndarray]] = {}
    for stage in SMALL.stages(4):
        system.step.assign(stage.first_step)
        system.enter(stage, anew=True)
        step = Eager(system, system.train_step)
        state = system.state()
        seen[stage.image_size] = [dict(zip(state, engine.read(list(state.values())), strict=True))]  # type: ignore
        for _ in range(3):
            terms = engine.to_host(step(({"image": array(pictures(stage.batch_size, stage.image_size))},)))
            assert set(terms) == {"discriminator", "penalty", "generator"}
            assert all(np.isfinite(value) for value in terms.values())
        seen[stage.image_size].append(dict(zip(state, engine.read(list(state.values())), strict=True)))  # type: ignore
    yield system, seen


def test_a_step_moves_the_level_and_leaves_the_others(trained: Any) -> None:
    before, after = trained[1][8]
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    for network in ("synthesis", "discriminator"):
        assert f"{network}/r8_conv/kernel" in moved and f"{network}/r4_conv/kernel" in moved
        assert not [path for path in moved if path.startswith(f"{network}/r16")]
    assert {"mapping/dense1/kernel", "ema_mapping/dense1/kernel", "ema_synthesis/r8_conv/kernel"} <= moved
    assert {"truncation/mean", "step"} <= moved
    assert not [path for path in moved if path.endswith("_noise/fixed")]


def test_all_fades_are_one(trained: Any) -> None:
    for size, expected in ((4, 1.0), (8, 0.5), (16, 0.25)):
        after = trained[1][size][1]
        alphas = {path: float(value) for path, value in after.items() if path.endswith("fade/alpha")}
        assert alphas == dict.fromkeys(
            ("synthesis/fade/alpha", "ema_synthesis/fade/alpha", "discriminator/fade/alpha"), expected
        )


def test_adams_moments_are_forgotten_where_a_level_begins(trained: Any) -> None:
    (begun, ended), (anew, _) = trained[1][4], trained[1][8]
    moments = [path for path in begun if path.startswith(("generator_optimizer/", "discriminator_optimizer/"))]
    assert any(np.abs(ended[path]).max() > 0 for path in moments if "velocity" in path)
    for path in moments:
        if path.endswith("learning_rate"):
            assert anew[path] == np.float32(0.001)
        else:
            assert not np.any(anew[path]), path
    kept = dataclasses.replace(SMALL, reset_optimizers=False).create(1, 0)
    kept.generator_optimizer.iterations.assign(7)
    kept.enter(SMALL.stages(4)[1], anew=True)
    assert int(kept.generator_optimizer.iterations) == 7


def test_learning_rates_of_levels() -> None:
    system = dataclasses.replace(SMALL, learning_rates=(1.0, 1.0, 2.5)).create(1, 0)
    for size, rate in ((8, 0.001), (16, 0.0025)):
        system.enter(Stage(0, 0, size, 4))
        assert float(system.discriminator_optimizer.learning_rate) == pytest.approx(rate)
        assert system.rate(0) == pytest.approx(rate)


def test_before_its_first_step_a_level_shows_the_one_below() -> None:
    """As a run saves it that is stopped there."""
    system = SMALL.create(1, 0)
    small, large = SMALL.stages(4)[:2]
    system.enter(small)
    below = array(system.generate(system.latents([0]), 1.0))
    system.step.assign(large.first_step)
    system.enter(large, anew=True)
    np.testing.assert_array_equal(array(system.generate(system.latents([0]), 1.0)), array(enlarged(below, 2)))


@pytest.mark.usefixtures("coarse")
def test_a_resumed_run_with_features_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stylegan, "FEATURES_FROM", 8)
    settings = dataclasses.replace(SMALL, image_size=8, start_size=8, feature_weight=1.0, ema_kimg=0.0)
    config = Config("features", settings, Unlabelled(root="emoji:google"), schedule())
    arrays, _ = checkpoint.load(assert_resumes(config, tmp_path) / "checkpoint-00000004.npz")
    parts = {path.partition("/")[0] for path in arrays}
    assert "feature_discriminator" in parts and not any("project" in part for part in parts)


# --- what a user is given ----------------------------------------------------------------------------------------


def test_a_saved_generator_is_the_averaged_one(tmp_path: Path, trained: Any) -> None:
    system, seen = trained
    state = seen[16][1]
    system.generators()["generator"].save(tmp_path / "generator.keras")
    model = keras.saving.load_model(tmp_path / "generator.keras", compile=False)
    names = {tensor.name for tensor in model.inputs}
    assert names == {"z", "psi", *(f"noise{i}" for i in range(6))}
    z = system.latents(range(3))
    inputs = {**dict.fromkeys(names), "z": z, "psi": np.ones((3, 1), "float32")}
    np.testing.assert_allclose(array(model(inputs)["image"]), array(system.generate(z, 1.0)), atol=1e-5)
    truncation = model.get_layer("truncation")
    assert isinstance(truncation, Truncation)
    np.testing.assert_array_equal(array(truncation.mean), state["truncation/mean"])
    kernel = model.get_layer("mapping").get_layer("dense1").kernel
    np.testing.assert_array_equal(array(kernel), state["ema_mapping/dense1/kernel"])


def test_truncation_gathers_pictures_round_the_mean(trained: Any) -> None:
    system, _ = trained
    z = system.latents(range(4))
    free, half, none = (array(system.generate(z, psi)) for psi in (1.0, 0.5, 0.0))
    spread = [float(x.std(axis=0).mean()) for x in (free, half, none)]
    assert spread[0] > spread[1] > spread[2] == pytest.approx(0, abs=1e-6)  # six layers, all below the cutoff


def test_what_the_loop_shows_and_measures(trained: Any) -> None:
    system, _ = trained
    columns = system.sample({"image": array(pictures(2))})
    assert next(iter(columns)) == "real" and len(columns) == 7
    assert all(np.asarray(column).shape == (2, 16, 16, 3) for column in columns.values())
    assert system.judged() == {"generator": ("", "image")} and system.kind == "generator"
    batch = {"image": array(pictures(4)), "number": np.arange(4)}
    whole = array(system.translated(batch)["generator"])
    rest = array(system.translated({name: rows[2:] for name, rows in batch.items()})["generator"])
    np.testing.assert_allclose(whole[2:], rest, atol=1e-5)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_state_holds_every_variable_once(system: StyleGAN) -> None:
    state = system.state()
    assert len({id(variable) for variable in state.values()}) == len(state)
    attributes = {path.split("/")[0] for path in state}
    assert attributes == {
        *("mapping", "synthesis", "discriminator", "ema_mapping", "ema_synthesis", "truncation", "step"),
        *("generator_optimizer", "discriminator_optimizer"),
    }
    assert set(system.networks()) == {"mapping", "synthesis", "discriminator"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image_size": 48}, "image_size must be a power of two from 4 on, got 48"),
        ({"start_size": 32}, r"start_size \(32\) is above system.image_size \(16\)"),
        ({"filters": 4}, "filters must be at least 8"),
        ({"feature_weight": -1.0}, "feature_weight must not be negative"),
        ({"feature_weight": 1.0}, "feature_weight needs pictures of at least 32 px, and system.image_size is 16"),
        ({"w_mean_decay": 1.0}, "w_mean_decay must be at least 0 and less than 1"),
        ({"mixing": 1.5}, "mixing must lie between 0 and 1"),
        ({"fade_kimg": -1.0}, "fade_kimg must not be negative"),
        ({"batches": ()}, "batches must hold positive numbers"),
        ({"learning_rates": (1.0, 0.0)}, "learning_rates must hold positive numbers"),
        ({"mapping_rate": 0.0}, "mapping_rate must be positive"),
        ({"adversarial": "lsgan"}, "adversarial is one of r1, wgan-gp"),
        ({"repeats": 0}, "repeats must be at least 1"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        dataclasses.replace(SMALL, **changes).check()
