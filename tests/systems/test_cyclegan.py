"""CycleGAN: published counts, structure, every setting, the schedule, each loss term by hand, and eager steps."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest
from helpers.structure import assert_golden, structure
from keras import ops

from kgan import engine
from kgan.errors import UserError
from kgan.layers import InstanceNormalization
from kgan.systems.cyclegan import CycleGAN, Settings, build_discriminator, build_generator
from kgan.systems.system import newest

TINY: dict[str, Any] = {
    "image_size": 16,
    "filters": 2,
    "residual_blocks": 1,
    "discriminator_filters": 2,
    "discriminator_layers": 2,
    "pool": 2,
}


def pictures(batch: int = 1, seed: int = 0, size: int = 16) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(seed).uniform(-1, 1, (batch, size, size, 3)).astype("float32"))


def arrays(variables: Any) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


# --- networks at their published sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        (Settings(), 11_378_179, 2_764_737),
        (Settings(residual_blocks=6, image_size=128), 7_837_699, 2_764_737),
        (Settings.lua(), 11_388_675, 2_764_737 + 2 * (128 + 256 + 512)),
    ],
)
def test_published_counts(settings: Settings, generator: int, discriminator: int) -> None:
    assert structure(lambda: build_generator(settings)).count == generator
    assert structure(lambda: build_discriminator(settings)).count == discriminator


def test_the_published_map() -> None:
    assert structure(lambda: build_discriminator(Settings()), (1, 256, 256, 3)).outputs == (1, 30, 30, 1)


def test_golden_structure() -> None:
    assert_golden(
        "cyclegan",
        "CycleGAN at 256 px",
        {
            "generator": structure(lambda: build_generator(Settings())),
            "generator, resize, 6 blocks": structure(
                lambda: build_generator(Settings(upsampling="resize", residual_blocks=6))
            ),
            "generator, unet": structure(lambda: build_generator(Settings(generator="unet"))),
            "discriminator": structure(lambda: build_discriminator(Settings())),
            "discriminator, lua": structure(lambda: build_discriminator(Settings.lua())),
        },
    )


def test_the_generator_takes_any_size() -> None:
    model = build_generator(Settings(**TINY))
    image = ops.convert_to_numpy(model(np.zeros((1, 20, 28, 3), np.float32))["image"])
    assert image.shape == (1, 20, 28, 3) and np.abs(image).max() <= 1


# --- settings: each changes what it says -------------------------------------------------------------------------


def test_the_lua_preset() -> None:
    ours, paper = Settings(), Settings.lua(image_size=128)
    changed = {name: value for name, value in vars(paper).items() if value != getattr(ours, name)}
    assert changed == {
        "image_size": 128,
        "instance_norm_affine": True,
        "discriminator_weight": 1.0,
        "decay": "lua",
        "epsilon_place": "before",
    }


def test_affine_gamma_starts_around_one() -> None:
    model = build_generator(Settings.lua(filters=64, residual_blocks=1, image_size=16))
    norms = [layer for layer in model.layers if isinstance(layer, InstanceNormalization)]
    gamma = np.concatenate([ops.convert_to_numpy(layer.gamma) for layer in norms])
    assert abs(gamma.mean() - 1) < 0.005 and gamma.std() == pytest.approx(0.02, rel=0.1)
    assert not any(ops.convert_to_numpy(layer.beta).any() for layer in norms)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pytorch", {0: 1.0, 99: 1.0, 100: 100 / 101, 199: 1 / 101}),
        ("pytorch_early", {98: 1.0, 99: 100 / 101, 198: 1 / 101, 199: 0.0}),
        ("lua", {0: 1.0, 100: 1.0, 101: 0.99, 199: 0.01}),
        ("none", {0: 1.0, 199: 1.0}),
    ],
)
def test_the_official_rate_at_every_epoch(kind: str, expected: dict[int, float]) -> None:
    """200 epochs of 7 steps: the first and the last step of an epoch have the same rate."""
    rate = Settings(**TINY, decay=kind).create(steps=1400, seed=0).rate
    for epoch, share in expected.items():
        for step in (7 * epoch, 7 * epoch + 6):
            assert float(rate(step)) == pytest.approx(2e-4 * share, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("steps", [201, 300, 1500, 123_457])
def test_the_epochs_fill_any_number_of_steps(steps: int) -> None:
    rate = Settings(**TINY).create(steps=steps, seed=0).rate
    assert float(rate(steps - 1)) == pytest.approx(2e-4 / 101, rel=1e-3)
    assert float(rate(steps // 2 - 1)) == pytest.approx(2e-4)


def test_the_last_epoch_of_the_released_code() -> None:
    assert float(Settings(**TINY).create(steps=200, seed=0).rate(199)) == pytest.approx(1.98e-6, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 30}, "system.image_size must be a multiple of 4, 8 at least, got 30"),
        (
            {"generator": "unet", "depth": 5, "image_size": 48},
            "system.image_size must be a multiple of 32, 32 at least, got 48",
        ),
        ({"adversarial": "wgan"}, "system.adversarial is one of lsgan, gan, hinge, wgan-gp, not 'wgan'"),
        ({"upsampling": "bilinear"}, "system.upsampling is one of transposed, resize, not 'bilinear'"),
        ({"decay": "cosine"}, "system.decay is one of pytorch, pytorch_early, lua, none"),
        ({"image_size": 4}, "a multiple of 4, 8 at least, got 4"),
        ({"generator": "unet", "depth": 0}, "system.depth must be at least 2, got 0"),
        ({"filters": 0}, "system.filters must be at least 1, got 0"),
        ({"pool": -1}, "system.pool must not be negative, got -1"),
        ({"ema": 1.0}, "system.ema must be at least 0 and less than 1, got 1.0"),
        ({"discriminator_layers": 3}, "16 px are too few for a discriminator with 3 strided layers"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**(TINY | changes)).check()


# --- losses by hand ----------------------------------------------------------------------------------------------


class Constant(keras.Model):
    """Stands for a network: adds `shift` to the image, or gives `logit` everywhere."""

    def __init__(self, shift: float | None = None, logit: float | None = None) -> None:
        super().__init__()
        self.shift, self.logit = shift, logit

    def call(self, image: Any, training: bool = False) -> Any:
        if self.logit is not None:
            return 0 * image[..., :1] + self.logit
        return {"image": image + self.shift}


@functools.cache
def _system(**changes: Any) -> CycleGAN:
    return Settings(**(TINY | changes)).create(steps=200, seed=0)


def by_hand(**changes: Any) -> CycleGAN:
    """AB adds 0.25, BA subtracts 0.75; D_A says 0.5 and D_B 2 whatever they see."""
    system = Settings(**(TINY | changes)).create(steps=200, seed=0)
    system.generator_ab, system.generator_ba = Constant(shift=0.25), Constant(shift=-0.75)
    system.discriminator_a, system.discriminator_b = Constant(logit=0.5), Constant(logit=2.0)
    return system


def test_generator_losses_by_hand() -> None:
    real_a, real_b = pictures(seed=1), pictures(seed=2)
    terms, (fake_a, fake_b) = by_hand(cycle_weight_a=10.0, cycle_weight_b=4.0).generator_losses(real_a, real_b)
    expected = {
        "adversarial_ab": (2 - 1) ** 2,
        "adversarial_ba": (0.5 - 1) ** 2,
        "cycle_a": 10 * 0.5,
        "cycle_b": 4 * 0.5,
        "identity_a": 0.5 * 10 * 0.75,
        "identity_b": 0.5 * 4 * 0.25,
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(fake_b, real_a + 0.25, atol=1e-6)
    np.testing.assert_allclose(fake_a, real_b - 0.75, atol=1e-6)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_discriminator_losses_by_hand(weight: float) -> None:
    x = pictures()
    terms = by_hand(discriminator_weight=weight).discriminator_losses(x, x, x, x)
    expected = {"discriminator_a": weight * (0.5**2 + 0.5**2), "discriminator_b": weight * (1 + 4)}
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_without_identity_there_is_no_such_term() -> None:
    terms, _ = by_hand(identity_weight=0.0).generator_losses(pictures(), pictures())
    assert sorted(terms) == ["adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b"]


def test_the_penalty_of_a_critic_without_slope_is_its_weight() -> None:
    terms = by_hand(adversarial="wgan-gp").discriminator_losses(*(pictures(seed=i) for i in range(4)))
    assert float(terms["penalty_a"]) == pytest.approx(0.5 * 10.0, rel=1e-4)  # (0 - 1)^2, and half of D's loss


# --- steps -------------------------------------------------------------------------------------------------------


def step(system: CycleGAN, seed: int) -> dict[str, float]:
    batch = {"a": pictures(2, 2 * seed), "b": pictures(2, 2 * seed + 1)}
    return {name: float(value) for name, value in system.train_step((batch,)).items()}


def test_each_update_moves_its_own_side_alone() -> None:
    system = Settings(**TINY).create(steps=200, seed=0)
    real_a, real_b = pictures(seed=1), pictures(seed=2)
    sides = {"generator": system.generator_variables(), "discriminator": system.discriminator_variables()}
    before = {name: arrays(side) for name, side in sides.items()}

    def moved() -> dict[str, bool]:
        found = {
            name: any((new != old).any() for new, old in zip(arrays(side), before[name], strict=True))
            for name, side in sides.items()
        }
        before.update({name: arrays(side) for name, side in sides.items()})
        return found

    losses: Any = lambda: system.generator_losses(real_a, real_b)  # noqa: E731
    system.minimize(system.generator_optimizer, sides["generator"], losses)
    assert moved() == {"generator": True, "discriminator": False}
    losses = lambda: (system.discriminator_losses(real_a, real_b, real_b, real_a), ())  # noqa: E731
    system.minimize(system.discriminator_optimizer, sides["discriminator"], losses)
    assert moved() == {"generator": False, "discriminator": True}


def test_d_sees_the_fakes_from_before_the_generators_update(monkeypatch: pytest.MonkeyPatch) -> None:
    system = Settings(**TINY).create(steps=200, seed=0)
    batch = {"a": pictures(seed=1), "b": pictures(seed=2)}
    expected = system.generator_ab(batch["a"], training=True)["image"]
    seen: list[Any] = []
    losses = system.discriminator_losses

    def noting(*images: Any) -> dict[str, Any]:
        seen.append(images)
        return losses(*images)

    monkeypatch.setattr(system, "discriminator_losses", noting)
    system.train_step((batch,))
    np.testing.assert_allclose(seen[0][3], expected, atol=1e-5)  # the pool is empty, and passes them on
    assert np.abs(system.generator_ab(batch["a"], training=True)["image"] - expected).max() > 1e-4


@pytest.mark.parametrize(
    "changes",
    [
        {"adversarial": "wgan-gp"},
        {"adversarial": "gan", "generator": "unet", "depth": 3},
        {"generator": "phone"},
        pytest.param({"adversarial": "hinge", "upsampling": "resize"}, marks=pytest.mark.slow),
        pytest.param({"discriminator_layers": 0, "pool": 0}, marks=pytest.mark.slow),
    ],
)
def test_eager_steps_lower_the_cycle(changes: dict[str, Any]) -> None:
    """Fast for each kind of generator, and with a second gradient; tests above build the others and their losses."""
    system = Settings(**(TINY | changes), learning_rate=2e-3).create(steps=200, seed=0)
    rows = [step(system, 0) for _ in range(4)]
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert rows[-1]["cycle_a"] + rows[-1]["cycle_b"] < rows[0]["cycle_a"] + rows[0]["cycle_b"]
    assert int(system.step.value) == 4


def test_the_pool_is_part_of_the_state() -> None:
    system = _system()
    assert {"pool_a/images", "pool_a/filled", "pool_b/images", "pool_b/filled"} <= system.state().keys()


def test_the_newest_counts_more_at_first() -> None:
    shares = [float(newest(0.75, ops.convert_to_tensor(step))) for step in (0, 1, 3, 4, 1000)]
    assert shares == [1, 0.5, 0.25, 0.25, 0.25]


def test_the_average_follows() -> None:
    """The mean of the first four steps, for 1 / (1 - 0.75) = 4, and 0.75 of that and 0.25 of the fifth."""
    system = Settings(**TINY, ema=0.75).create(steps=200, seed=0)
    passed = []
    for _ in range(5):
        step(system, 0)
        passed.append(arrays(system.generator_ab.weights))
    for average, *each in zip(arrays(system.generators()["generator_ab"].weights), *passed, strict=True):
        expected = 0.75 * np.mean(each[:4], axis=0) + 0.25 * each[4]
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-7)


def test_the_sample_sheet_shows_both_directions() -> None:
    system = _system()
    batch = {"a": pictures(2, 1), "b": pictures(2, 2)}
    columns = system.sample(batch)
    assert list(columns) == ["a", "a to b", "a to b to a", "b", "b to a", "b to a to b"]
    made = system.generator_ab(batch["a"], training=False)["image"]
    np.testing.assert_allclose(columns["a to b"], made, atol=1e-6)
    np.testing.assert_allclose(columns["a to b to a"], system.generator_ba(made, training=False)["image"], atol=1e-6)
    assert system.judged() == {"generator_ab": ("a", "b"), "generator_ba": ("b", "a")}
    assert engine.to_host(system.translated(batch))["generator_ba"].shape == (2, 16, 16, 3)
