"""pix2pix: published counts, structure, every setting, each loss term by hand, and eager steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from helpers.structure import assert_golden, structure
from keras import ops

from kgan import engine
from kgan.errors import UserError
from kgan.layers import BatchNormalization
from kgan.layers.batch import draw_shapes
from kgan.layers.color import rgb_to_lab
from kgan.systems.pix2pix import Pix2Pix, Settings, build_discriminator, build_generator

TINY: dict[str, Any] = {
    "image_size": 32,
    "filters": 2,
    "depth": 5,
    "residual_blocks": 1,
    "discriminator_filters": 2,
    "discriminator_layers": 2,
    "dropout": "paper",
}


def pictures(batch: int = 1, seed: int = 0) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(seed).uniform(-1, 1, (batch, 32, 32, 3)).astype("float32"))


def arrays(variables: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


# --- networks at their published sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "generator"),
    [
        (Settings(), 54_413_955),
        (Settings(image_size=128, depth=7), 41_828_995),
        (Settings.lua(), 54_419_459),
        # A ResNet-9 whose instance norms and their biases gave way to batch norms: gamma and beta for each bias.
        (Settings(generator="resnet"), 11_378_179 + 64 + 128 + 256 + 18 * 256 + 128 + 64),
        # One channel in, two out: 4 x 4 x 64 weights less in front, 4 x 4 x 128 + 1 less at the end.
        (Settings(task="colorize"), 54_413_955 - 2 * 1024 - 2048 - 1),
    ],
)
def test_published_counts(settings: Settings, generator: int) -> None:
    assert structure(lambda: build_generator(settings)).count == generator


def test_the_published_discriminator() -> None:
    network = structure(lambda: build_discriminator(Settings()), (1, 256, 256, 6))
    assert (network.count, network.outputs) == (2_768_705, (1, 30, 30, 1))


def test_golden_structure() -> None:
    assert_golden(
        "pix2pix",
        "pix2pix at 256 px",
        {
            "generator": structure(lambda: build_generator(Settings())),
            "generator, resnet": structure(lambda: build_generator(Settings(generator="resnet"))),
            "discriminator": structure(lambda: build_discriminator(Settings())),
        },
    )


# --- settings: each changes what it says -------------------------------------------------------------------------


def test_the_lua_preset() -> None:
    ours, paper = Settings(), Settings.lua(image_size=512)
    changed = {name: value for name, value in vars(paper).items() if value != getattr(ours, name)}
    assert changed == {
        "image_size": 512,
        "dropout": "paper",
        "conv_bias": True,
        "discriminator_weight": 1.0,
        "decay": "none",
        "epsilon_place": "before",
    }
    rate = Settings.lua(**TINY | {"dropout": "none"}).create(steps=200, seed=0).rate
    assert float(rate(199)) == pytest.approx(2e-4)


@pytest.mark.parametrize("at_test", ["batch", "moving"])
def test_statistics_at_test(at_test: str) -> None:
    """With the batch's own, an output depends on its company in the batch, and not on the averages."""
    model = build_generator(Settings(**TINY, test_statistics=at_test))
    draws = dict.fromkeys(draw_shapes(model, 1, 32, 32))

    def made(x: Any) -> np.ndarray:
        return ops.convert_to_numpy(model({"image": x, **draws}, training=False)["image"])

    alone, two = made(pictures(seed=1)), made(ops.concatenate([pictures(seed=1), pictures(seed=2)]))
    assert np.allclose(alone[0], two[0], atol=1e-6) == (at_test == "moving")
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 0.1)
    assert np.allclose(made(pictures(seed=1)), alone, atol=1e-6) == (at_test == "batch")


def test_a_batch_of_one_is_normalized_as_an_instance() -> None:
    """What a phone computes: batch statistics of its only picture."""
    settings = Settings(**TINY | {"dropout": "none"})
    batch = build_generator(settings)
    instance = build_generator(Settings(**TINY | {"dropout": "none", "norm": "instance"}))
    kernels = {v.path: v for v in batch.trainable_variables if v.path.endswith("kernel")}
    for variable in instance.trainable_variables:
        if variable.path.endswith("kernel"):
            variable.assign(kernels[variable.path])
    for layer in batch.layers:
        if isinstance(layer, BatchNormalization):
            layer.gamma.assign(ops.ones(layer.gamma.shape))
    x = pictures()
    np.testing.assert_allclose(batch(x)["image"], instance(x)["image"], atol=1e-5)


def test_dropout_takes_its_draws() -> None:
    model = build_generator(Settings(**TINY))
    shapes = draw_shapes(model, 1, 32, 32)
    assert shapes == {"up5_dropout_draws": (1, 2, 2, 16)}
    x = pictures()

    def made(value: float | None) -> np.ndarray:
        draws = None if value is None else ops.full((1, 2, 2, 16), value)
        return ops.convert_to_numpy(model({"image": x, "up5_dropout_draws": draws}, training=True)["image"])

    assert np.abs(made(0.1) - made(0.9)).max() > 1e-5  # all dropped, none dropped and doubled
    np.testing.assert_array_equal(made(0.1), made(0.4))


def test_a_picture_is_drawn_as_if_it_came_alone() -> None:
    """Sheets and measures show what the filter draws, whose batch is one picture."""
    system = Settings(**TINY).create(steps=200, seed=0)
    batch = {"a": pictures(2, 1), "b": pictures(2, 2)}
    both = system.translated(batch)["generator"]
    alone = system.translated({name: x[1:] for name, x in batch.items()})["generator"]
    np.testing.assert_array_equal(both[1:], alone)


def test_dropout_at_test_repeats_itself() -> None:
    batch = {"a": pictures(2, 1), "b": pictures(2, 2)}
    system = Settings(**TINY).create(steps=200, seed=0)
    first, second = (ops.convert_to_numpy(system.translated(batch)["generator"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    system.settings.test_dropout = False
    assert np.abs(ops.convert_to_numpy(system.translated(batch)["generator"]) - first).max() > 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 48}, r"a multiple of 32, 32 at least, got 48: or set system\.depth to 4"),
        ({"generator": "resnet", "image_size": 30}, r"a multiple of 4, 8 at least, got 30\."),
        ({"depth": 1}, r"system\.depth must be at least 2, got 1"),
        ({"norm": "group"}, r"system\.norm is one of batch, instance, not 'group'"),
        ({"discriminator_layers": 4}, "32 px are too few for a discriminator with 4 strided layers"),
        ({"task": "inpaint"}, r"system\.task is one of translate, colorize, not 'inpaint'"),
        ({"ema": -0.1}, r"system\.ema must be at least 0 and less than 1"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**(TINY | changes)).check()


# --- losses by hand ----------------------------------------------------------------------------------------------


class MeanOfPair(keras.Model):
    """Stands for D: the mean of the six channels."""

    def call(self, pair: Any, training: bool = False) -> Any:
        return ops.mean(pair, axis=-1, keepdims=True)


def by_hand(**changes: Any) -> Pix2Pix:
    system = Settings(**(TINY | {"adversarial": "lsgan"} | changes)).create(steps=200, seed=0)
    system.discriminator = MeanOfPair()
    return system


def flat(value: float) -> Any:
    return ops.full((1, 32, 32, 3), value)


def test_losses_by_hand() -> None:
    """D sees (a, b): with a = 0.2, it says 0.3 of the real b = 0.4, and 0.5 of the fake 0.8."""
    system = by_hand()
    terms = system.generator_losses(flat(0.2), flat(0.4), flat(0.8))
    assert float(terms["adversarial"]) == pytest.approx((0.5 - 1) ** 2, rel=1e-5)
    assert float(terms["l1"]) == pytest.approx(100 * 0.4, rel=1e-5)
    (judged,) = system.discriminator_losses(flat(0.2), flat(0.4), flat(0.8)).values()
    assert float(judged) == pytest.approx(0.5 * ((0.3 - 1) ** 2 + 0.5**2), rel=1e-5)


def test_the_penalty_of_a_linear_critic() -> None:
    """A logit is the mean of six channels, so each of the 3 x 1024 values of b has the slope 1/6."""
    terms = by_hand(adversarial="wgan-gp").discriminator_losses(flat(0.0), pictures(seed=1), pictures(seed=2))
    norm = np.sqrt(3 * 32 * 32) / 6
    assert float(terms["penalty"]) == pytest.approx(0.5 * 10 * (norm - 1) ** 2, rel=1e-4)


# --- steps -------------------------------------------------------------------------------------------------------


def step(system: Pix2Pix, seed: int = 0) -> dict[str, float]:
    batch = {"a": pictures(2, 2 * seed), "b": pictures(2, 2 * seed + 1)}
    return {name: float(value) for name, value in system.train_step((batch,)).items()}


def test_g_learns_from_the_fake_that_d_judged_through_the_new_d() -> None:
    """The step equals one written with D's update first, a large one, and then an ordinary gradient of G's losses."""
    ours, plain = (Settings(**TINY, learning_rate=0.05).create(steps=200, seed=0) for _ in range(2))
    batch = {"a": pictures(2, 1), "b": pictures(2, 2)}
    ours.train_step((batch,))

    real_a, real_b = plain.pair(batch)
    statistics = arrays(plain.generator.non_trainable_variables)
    fake_b = plain.draw(real_a)
    losses: Any = lambda: (plain.discriminator_losses(real_a, real_b, fake_b), ())  # noqa: E731
    plain.minimize(plain.discriminator_optimizer, plain.discriminator_variables(), losses)
    for variable, value in zip(plain.generator.non_trainable_variables, statistics, strict=True):
        variable.assign(value)  # G's statistics move once a step
    losses = lambda: (plain.generator_losses(real_a, real_b, plain.draw(real_a)), ())  # noqa: E731
    plain.minimize(plain.generator_optimizer, plain.generator_variables(), losses)
    plain.step.assign_add(1)
    # Adam's first moments are half of the gradients: its steps are hardly more than their signs.
    moments = {
        path: v.value for path, v in ours.state().items() if "generator_optimizer" in path and "momentum" in path
    }
    assert len(moments) == len(ours.generator.trainable_variables)
    for path, moment in moments.items():
        scale = float(np.abs(moment).max())
        np.testing.assert_allclose(moment, plain.state()[path].value, atol=1e-4 * scale, err_msg=path)


def test_each_update_moves_its_own_side_alone() -> None:
    system = Settings(**TINY).create(steps=200, seed=0)
    real_a, real_b = pictures(seed=1), pictures(seed=2)
    fakes = system.draw_once(lambda: system.draw(real_a))
    before = arrays(system.generator_variables()), arrays(system.discriminator_variables())
    losses: Any = lambda: (system.discriminator_losses(real_a, real_b, fakes.value), ())  # noqa: E731
    system.minimize(system.discriminator_optimizer, system.discriminator_variables(), losses)
    middle = arrays(system.generator_variables()), arrays(system.discriminator_variables())
    fooled: Any = lambda fake: system.generator_losses(real_a, real_b, fake)  # noqa: E731
    system.minimize_through(system.generator_optimizer, fooled, fakes)
    after = arrays(system.generator_variables()), arrays(system.discriminator_variables())

    def moved(old: list[np.ndarray], new: list[np.ndarray]) -> bool:
        return any((x != y).any() for x, y in zip(old, new, strict=True))

    assert [moved(before[i], middle[i]) for i in (0, 1)] == [False, True]
    assert [moved(middle[i], after[i]) for i in (0, 1)] == [True, False]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_moves_every_kernel(policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        system = Settings(**TINY).create(steps=200, seed=0)
        start = arrays(system.generator_variables())
        row = step(system)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(list(row.values())).all()
    for variable, old in zip(system.generator_variables(), start, strict=True):
        assert (ops.convert_to_numpy(variable) != old).any() or not variable.path.endswith("kernel"), variable.path


@pytest.mark.parametrize(
    "changes",
    [
        {"generator": "resnet", "adversarial": "wgan-gp"},
        {"task": "colorize", "ema": 0.9},
        pytest.param({"generator": "resnet", "norm": "instance", "adversarial": "hinge"}, marks=pytest.mark.slow),
        pytest.param({"generator": "phone"}, marks=pytest.mark.slow),
    ],
)
def test_eager_steps_come_closer(changes: dict[str, Any]) -> None:
    """Fast for a U-Net and a ResNet, and with a second gradient; tests above build the others and their losses."""
    system = Settings(**(TINY | changes), learning_rate=2e-3).create(steps=200, seed=0)
    rows = [step(system)]
    if system.settings.ema:  # the mean of one step
        for average, weight in zip(system.ema_generator.weights, system.generator.weights, strict=True):
            np.testing.assert_allclose(
                ops.convert_to_numpy(average), ops.convert_to_numpy(weight), rtol=1e-5, atol=1e-7
            )
    rows += [step(system) for _ in range(3)]
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert rows[-1]["l1"] < rows[0]["l1"]
    test_pictures = {name: ops.convert_to_numpy(pictures(2, seed)) for name, seed in (("a", 1), ("b", 2))}
    columns = engine.to_host(system.sample(test_pictures))
    assert {name: column.shape for name, column in columns.items()} == dict.fromkeys(
        ("a", "a to b", "b"), (2, 32, 32, 3)
    )


# --- colorization ------------------------------------------------------------------------------------------------


def test_a_colorizer_keeps_the_lightness_and_needs_no_colour() -> None:
    system = Settings(**TINY | {"task": "colorize", "dropout": "none"}).create(steps=200, seed=0)
    model = system.generators()["generator"]
    picture = 0.5 * pictures()
    made = model(picture, training=False)["image"]
    np.testing.assert_allclose(rgb_to_lab(made)[..., 0], rgb_to_lab(picture)[..., 0], atol=0.02)
    real_a, real_b = system.pair({"a": picture, "b": picture})
    assert (real_a.shape[-1], real_b.shape[-1]) == (1, 2)
    grey = ops.broadcast_to(ops.mean(picture, -1, keepdims=True), picture.shape)
    assert system.pair({"a": grey, "b": grey})[1].numpy() == pytest.approx(0, abs=1e-3)
