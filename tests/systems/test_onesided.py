"""One-sided: its networks, each loss term by hand, what moves, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.steps import assert_resumes, schedule, train_eagerly
from helpers.structure import assert_golden, structure
from keras import ops

from kgan import engine
from kgan.configs import onesided_finetune, onesided_selfie2anime
from kgan.data import Unpaired
from kgan.errors import UserError
from kgan.filters import card
from kgan.systems import projected
from kgan.systems.onesided import (
    LINED,
    TEMPERATURE,
    Palette,
    Settings,
    Vividness,
    build_generator,
    build_patch_discriminator,
    calm,
    edges,
    ink,
    signature,
    vivid_weights,
)
from kgan.systems.system import Stage
from kgan.training import Config, checkpoint

TINY: dict[str, Any] = {
    "image_size": 32,
    "grow_at": (),
    "filters": 2,
    "residual_blocks": 1,
    "colour_cells": 4,
    "patch_filters": 2,
    "patch_layers": (2, 3),
    "match_weight": 0.0,
    "augment": False,
}


def pictures(batch: int = 2, seed: int = 0, size: int = 32) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(seed).uniform(-1, 1, (batch, size, size, 3)).astype("float32"))


def floats(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def test_golden_structure() -> None:
    built = {
        "generator": structure(lambda: build_generator(Settings())),
        "ResNet generator": structure(
            lambda: build_generator(Settings(generator="resnet", filters=24, residual_blocks=4))
        ),
        "discriminator": structure(lambda: projected.build_discriminator(projected.ALL)),
        "patch discriminator": structure(lambda: build_patch_discriminator(Settings())),
    }
    # 6x6, 3x3 down, twelve 3x3 at 96, 3x3 after the doubling, each with a gamma and a beta; 2 x 2 pixels of 12; 3x3.
    widths = [(3, 48, 36), (48, 96, 9), *[(96, 96, 9)] * 12, (96, 48, 9)]
    drawn = (9 * 48 + 1) * 48 + 9 * (12 + 3) * 3 + 3
    assert built["generator"].count == sum(k * i * o + 2 * o for i, o, k in widths) + drawn
    # 7x7, two halvings, eight 3x3 at 96, two 3x3 after doublings, 7x7.
    widths = [(3, 24, 49), (24, 48, 9), (48, 96, 9), *[(96, 96, 9)] * 8, (96, 48, 9), (48, 24, 9), (24, 3, 49)]
    assert built["ResNet generator"].count == sum(k * i * o + 2 * o for i, o, k in widths) - 3
    assert_golden("onesided", "One-sided", built)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_phone_generator_draws_any_size(norm: str) -> None:
    generator = build_generator(Settings(filters=4, residual_blocks=1, norm=norm))
    image = ops.convert_to_numpy(generator(np.zeros((1, 24, 40, 3), np.float32), training=False)["image"])
    assert image.shape == (1, 24, 40, 3) and np.abs(image).max() <= 1


def test_a_phone_generator_draws_no_grid() -> None:
    """One colour becomes one colour, away from the borders; unblurred, every second pixel would have another."""
    generator = build_generator(Settings(filters=16, residual_blocks=1, norm="batch"))
    generator.set_weights([10 * weight if weight.ndim == 4 else weight for weight in generator.get_weights()])
    unblurred = keras.Model(generator.input, generator.get_layer("pixels").output)
    image = np.full((1, 96, 96, 3), 0.5, np.float32)
    inside = [ops.convert_to_numpy(x)[0, 40:56, 40:56] for x in (unblurred(image), generator(image)["image"])]
    assert inside[0].std((0, 1)).min() > 0.1 and np.abs(inside[1]).min() > 0.1
    np.testing.assert_allclose(inside[1], np.broadcast_to(inside[1][0, 0], inside[1].shape), atol=1e-5)


def test_pictures_grow() -> None:
    assert Settings(image_size=256, grow_at=(10, 30)).stages(4) == (
        Stage(0, 0, 64, 4),
        Stage(10, 40, 128, 4),
        Stage(30, 120, 256, 4),
    )


@pytest.mark.usefixtures("coarse")
def test_content_by_hand() -> None:
    """Less their means, taps of [1, 0, 0] against [0, 2, 0] everywhere, each of length 1 then: 2 for each of two."""
    system = Settings(**TINY, content_taps=(0, 3)).create(10, 0)
    x, y = ([np.float32(c) * np.ones((1, s, s, 1), "f") for s in (8, 4, 2, 1)] for c in ([1, 0, 0], [0, 2, 0]))
    assert float(system.content(x, y)) == pytest.approx(4, rel=1e-5)
    assert float(system.content(x, x)) == 0
    for mean in system.means_fake_b.means:  # what all drawings have in common says nothing of one
        mean.assign([1, -2, 0])
    assert float(system.content(x, y)) == pytest.approx(0, abs=1e-5)


@pytest.mark.usefixtures("coarse")
def test_means_follow_places_and_pictures() -> None:
    system = Settings(**TINY, content_decay=0.75).create(10, 0)
    taps = [np.zeros((2, s, s, 3), "f") for s in (8, 4, 2, 1)]
    taps[0][1, :4, :, 1] = 8.0  # a quarter of all places
    taps[3][:, ..., 2] = [[[4.0]], [[0.0]]]
    system.means_a.follow(taps, 0)
    means = [ops.convert_to_numpy(mean).tolist() for mean in system.means_a.means]
    assert means == [[0, 2, 0], [0, 0, 0], [0, 0, 0], [0, 0, 2]]  # all of the way
    taps[0][:] = 0
    for step, mean in ((1, 2 / 2), (2, 2 / 3), (3, 2 / 4), (4, 2 / 4 * 0.75), (5, 2 / 4 * 0.75**2)):
        system.means_a.follow(taps, step)  # the mean of all so far, until a quarter of the way is more
        assert float(system.means_a.means[0][1]) == pytest.approx(mean, rel=1e-6)


def flat(*channels: list[float]) -> list[Any]:
    """Four taps of pictures that have these channels everywhere."""
    return [np.float32(channels)[:, None, None] * np.ones((1, s, s, 1), "f") for s in (8, 4, 2, 1)]


@pytest.mark.usefixtures("coarse")
def test_match_by_hand() -> None:
    """Pictures at right angles to each other, as is to all what is not there yet; then one that was there before."""
    system = Settings(**TINY | {"match_weight": 2.0}, match_count=3).create(10, 0)
    x, y, z = [1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]
    far, near = np.exp(0.0), np.exp(1 / TEMPERATURE)
    found = np.log((near + far + 3 * far) / near)  # of the other one, and of three that are not there
    assert float(system.match(flat(x, y), flat(x, y))) == pytest.approx(found, abs=2e-6)
    assert float(system.match(flat(x, y), flat(y, x))) == pytest.approx(found + 1 / TEMPERATURE, abs=2e-5)
    system.recent_a.follow(signature(system.means_a, flat(x, y)))
    system.recent_a.follow(signature(system.means_a, flat(z, z)))
    rows = ops.convert_to_numpy(system.recent_a.rows)
    assert rows.shape == (3, 12)  # the last three, the newest first
    np.testing.assert_allclose(rows, [[0, 0, 0.5] * 4, [0, 0, 0.5] * 4, [0.5, 0, 0] * 4], atol=1e-6)
    # x is there from before too, as near as itself. What all drawings have in common says nothing.
    for mean in system.means_fake_b.means:
        mean.assign([0.0, 0.0, 5.0])
    drawn = flat([7.0, 0.0, 5.0])
    assert float(system.match(drawn, flat(x))) == pytest.approx(np.log((2 * near + 2 * far) / near), rel=1e-4)


@pytest.mark.usefixtures("coarse")
def test_content_is_looked_for_in_the_picture_as_it_is() -> None:
    """Augmented is only what the discriminators see."""
    system, image = Settings(**TINY | {"augment": True}).create(10, 0), pictures()
    seen, plain = system.seen(image, "fake_b"), system.look(image)
    assert np.abs(seen["shown"] - image).max() > 0.1
    for tap, same, augmented in zip(plain["taps"], seen["taps"], system.look(seen["shown"])["taps"], strict=True):
        np.testing.assert_array_equal(tap, same)
        assert np.abs(ops.convert_to_numpy(augmented - tap)).max() > 0.01


@pytest.mark.usefixtures("coarse")
def test_colours_are_the_means_of_cells_in_lab() -> None:
    """By 50, from an L* of 50 on: white has 50, black -50, and the red of sRGB 3.24, with a* 80.09 and b* 67.20."""
    system = Settings(**TINY).create(10, 0)
    image = -np.ones((1, 32, 32, 3), np.float32)
    image[0, :8, 8:16] = 1.0
    image[0, 8:16, :8, 0] = 1.0
    image[0, 16:24, :4] = 1.0  # half of a cell: the mean is the middle grey of sRGB
    cells = 50 * ops.convert_to_numpy(system.cells(image))
    assert cells.shape == (1, 4, 4, 3)
    np.testing.assert_allclose(cells[0, 0, 0], [-50, 0, 0], atol=0.02)
    np.testing.assert_allclose(cells[0, 0, 1], [50, 0, 0], atol=0.02)
    np.testing.assert_allclose(cells[0, 1, 0], [3.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose(cells[0, 2, 0], [3.39, 0, 0], atol=0.02)


@pytest.mark.usefixtures("coarse")
def test_a_cell_that_is_too_light_matters_less_than_one_that_is_too_dark() -> None:
    """Black and white differ by 2 in L*, of three coordinates."""
    system, even = (Settings(**TINY | {"lighter_weight": weight}).create(10, 0) for weight in (0.2, 1.0))
    black, white = -np.ones((1, 32, 32, 3), np.float32), np.ones((1, 32, 32, 3), np.float32)
    assert float(system.colour(white, white)) == pytest.approx(0, abs=1e-4)
    assert float(system.colour(black, white)) == pytest.approx(2 / 3, rel=1e-3)
    assert float(system.colour(white, black)) == pytest.approx(0.2 * 2 / 3, rel=1e-3)
    assert float(even.colour(white, black)) == pytest.approx(2 / 3, rel=1e-3)
    red = np.where(np.arange(3) == 0, 1.0, -1.0).astype("float32") * np.ones((1, 32, 32, 1), "float32")
    by_hand = (0.2 * 53.24 + 80.09 + 67.20) / 50 / 3  # what is not lightness counts in full
    assert float(system.colour(red, black)) == pytest.approx(by_hand, rel=1e-3)


def test_the_face_filters_are_trained_to_have_clean_faces() -> None:
    for config, match_weight in ((onesided_selfie2anime.get_config(), 2.0), (onesided_finetune.get_config(), 2.5)):
        system = config.system
        assert (system.lighter_weight, system.calm_weight) == (0.2, 0.0)
        assert (system.line_weight, system.ink_weight, system.match_weight) == (20.0, 80.0, match_weight)


def test_a_palette_moves_and_stretches_colours_to_those_of_b() -> None:
    palette = Palette(0.5, "palette")
    a = np.array([[0.0, 2.0], [0.0, 4.0]], "f")[:, None, :, None] * np.ones(3, "f")  # two pictures of 1 x 2 cells
    b = np.array([[1.0, 2.0], [1.0, 2.0]], "f")[:, None, :, None] * np.float32([1, 1, 0])  # a constant third one
    palette.follow(a, b, 0)
    for moments, expected in (
        (palette.means, [[1.5] * 3, [1.5, 1.5, 0]]),
        (palette.squares, [[5.0] * 3, [2.5, 2.5, 0]]),
    ):
        np.testing.assert_allclose(np.stack([ops.convert_to_numpy(each) for each in moments]), expected)
    moved = ops.convert_to_numpy(palette(a))
    np.testing.assert_allclose(moved.mean((0, 1, 2)), [1.5, 1.5, 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moved.std((0, 1, 2)), [0.5, 0.5, 0.01], rtol=1e-3)
    palette.follow(0 * a, b, 9)  # half of the way
    assert ops.convert_to_numpy(palette.means[0]).tolist() == [0.75] * 3


def test_edges_by_hand() -> None:
    image = np.zeros((1, 3, 3, 3), "float32")
    image[0, 1, 1] = (0.5, 1.0, 0.0)  # 0.5 on the average, below one pixel, right of another, and before two
    np.testing.assert_allclose(ops.convert_to_numpy(edges(image))[0, ..., 0], [[0, 0.5], [0.5, 1.0]])


def test_calm_is_what_has_no_edge_near() -> None:
    for size in (128, 256):  # the same edge, drawn twice as large, is half as steep and twice as wide
        ramp = np.clip((np.arange(size) - size / 2) / (size / 16), 0, 1) * 0.6  # 0.6 in 8 of 128 px
        image = np.tile(ramp[None, None, :, None], (1, size, 1, 3)).astype("float32")
        weight = ops.convert_to_numpy(calm(image, 0.12))[0, ..., 0]
        assert weight.shape == (size, size)
        np.testing.assert_allclose(weight[:, size // 2 + size // 32], np.exp(-((0.075 / 0.12) ** 2)), rtol=1e-3)
        np.testing.assert_array_equal(weight[:, : size // 2 - size // 32], 1)
        np.testing.assert_array_equal(weight[:, size // 2 + 3 * size // 32 :], 1)
    step = np.where(np.arange(128)[:, None] < 64, -1, 1) * np.ones((1, 128, 1, 3), "float32")
    edge = ops.convert_to_numpy(calm(step.astype("float32"), 0.12))[0, ..., 0]
    assert edge[:, 62:65].max() < 1e-4
    np.testing.assert_array_equal(edge[:, :60], 1)
    assert edge[:, [60, 66]].max() < 1 and edge[:, 67:].min() == 1  # two pixels, and one of blur
    between_rows = ops.convert_to_numpy(calm(np.swapaxes(step, 1, 2).astype("float32"), 0.12))[0, ..., 0]
    np.testing.assert_array_equal(between_rows, edge.T)
    for size in (64, 128):
        noise = np.random.default_rng(0).normal(0, 0.02, (1, size, size, 3)).astype("float32")
        assert ops.convert_to_numpy(calm(noise, 0.12)).min() > 0.9  # noise is no edge


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("augment", [False, True])
def test_what_is_calm_is_heeded_by_its_own_share(augment: bool) -> None:
    """Discriminators see the same; their gradient is weaker where a is calm, but for the content's."""
    growing = TINY | {"image_size": 64, "grow_at": (3,), "calm_weight": 0.25, "augment": augment}
    system = Settings(**growing).create(10, 0)
    assert system.heed(pictures(1)) is None  # from the last size on
    plain_on_the_left = np.where(np.arange(64)[:, None] < 32, 0, pictures(1, size=64)).astype("float32")
    heed = ops.convert_to_numpy(system.heed(plain_on_the_left))
    np.testing.assert_allclose(heed[:, :, :29], 0.25, rtol=1e-5)
    assert heed[:, :, 34:].mean() > 0.5

    drawn = pictures(1, seed=1, size=64)
    as_it_is, seen = system.seen(drawn, "fake_b"), system.seen(drawn, "fake_b", heed)
    np.testing.assert_allclose(*(ops.convert_to_numpy(each["shown"]) for each in (as_it_is, seen)), atol=1e-6)
    for key, share in (("shown", heed), ("maps", heed), ("taps", np.ones_like(heed))):

        def gradients(weight: Any, key: str = key) -> Any:
            def total(x: Any) -> Any:
                value = system.seen(x, "fake_b", weight)[key]
                return ops.sum(ops.square(value if key == "shown" else value[0]))

            return ops.convert_to_numpy(engine.input_gradients(total, drawn))

        full = gradients(None)
        assert np.abs(full).max() > 0
        np.testing.assert_allclose(gradients(heed), full * share, rtol=2e-3, atol=1e-4 * np.abs(full).max())


@pytest.mark.usefixtures("coarse")
def test_a_step_heeds_by_its_own_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    system = Settings(**TINY | {"calm_weight": 0.5}).create(10, 0)
    shares, seen = [], system.seen

    def noted(image: Any, name: str, *share: Any) -> Any:
        shares.append((name, share))
        return seen(image, name, *share)

    monkeypatch.setattr(system, "seen", noted)
    batch = {"a": np.zeros((2, 32, 32, 3), "float32"), "b": pictures(seed=2)}
    system.train_step((batch,))
    (of_b, nothing), (of_fake, (share,)) = shares
    assert (of_b, nothing, of_fake) == ("real_b", (), "fake_b")
    np.testing.assert_allclose(ops.convert_to_numpy(share), 0.5)


def test_ink_is_what_is_darker_or_more_colourful_than_anything_near() -> None:
    """By 50: black is 100 darker than white; the red of sRGB, L* 53.24, has a* 80.09 and b* 67.20."""
    white = np.ones((1, 128, 128, 3), "float32")
    spot, red, picture = white.copy(), white.copy(), white.copy()
    spot[0, 8, 8] = -1.0
    red[0, 8, 8] = (1, -1, -1)
    by_hand = ops.convert_to_numpy(ink(spot, white))[0, ..., 0]
    assert by_hand[8, 8] == pytest.approx(2, rel=1e-3)
    assert by_hand.sum() == pytest.approx(2, abs=0.02)
    assert ops.convert_to_numpy(ink(red, white))[0, 8, 8, 0] == pytest.approx((46.76 + 80.09 + 67.20) / 50, rel=1e-3)
    picture[0, 11, 11] = -1.0  # 3 px beside and below, as far as near goes
    assert ops.convert_to_numpy(ink(spot, picture)).max() == pytest.approx(0, abs=1e-3)
    colour = ops.convert_to_numpy(ink(red, picture))[0, 8, 8, 0]
    assert colour == pytest.approx((80.09 + 67.20) / 50, rel=1e-3)  # dark enough now
    picture[0, 11, 11], picture[0, 8, 12], picture[0, 12, 8] = 1.0, -1.0, -1.0
    assert ops.convert_to_numpy(ink(spot, picture))[0, 8, 8, 0] == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(("size", "reach"), [(16, 1), (64, 2), (128, 3), (256, 6)])
def test_near_grows_with_the_picture(size: int, reach: int) -> None:
    spot, picture = np.ones((2, 1, size, size, 3), "float32")
    spot[0, 8, 8] = picture[0, 8 + reach, 8 - reach] = -1.0
    assert ops.convert_to_numpy(ink(spot, picture)).max() == pytest.approx(0, abs=1e-3)
    assert ops.convert_to_numpy(ink(spot, np.roll(picture, 1, axis=1))).max() == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(("dtype", "expected"), [("bfloat16", "float32"), ("float64", "float64")])
def test_ink_is_computed_in_32_bits_at_least(dtype: str, expected: str) -> None:
    image = ops.ones((1, 16, 16, 3), dtype)
    assert keras.backend.standardize_dtype(ink(image, image).dtype) == expected


def test_what_is_lighter_or_greyer_is_no_ink() -> None:
    colours = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype("float32")
    grey = np.ones((1, 16, 16, 3), "float32")
    assert ops.convert_to_numpy(ink(grey, colours)).max() < 1e-3
    assert ops.convert_to_numpy(ink(colours, colours)).max() == 0
    blue, green = (np.broadcast_to(np.float32(each), grey.shape) for each in ((-1, -1, 1), (-1, 1, -1)))
    # L*, a*, b* of sRGB's blue 32.30, 79.19, -107.86 and of its green 87.73, -86.18, 83.18
    assert ops.convert_to_numpy(ink(blue, green)).max() == pytest.approx(
        (87.73 - 32.30 + 79.19 + 107.86) / 50, rel=1e-3
    )
    assert ops.convert_to_numpy(ink(green, blue)).max() == pytest.approx((86.18 + 83.18) / 50, rel=1e-3)


@pytest.mark.usefixtures("coarse")
def test_terms_by_hand() -> None:
    """D says 3 of whatever it sees with one scale and 0.5 with another; patches are said to be -1 everywhere."""
    settings = Settings(**TINY, scales=(0, 2), identity_weight=5.0)
    system = settings.create(10, 0)

    def judge(maps: dict[str, Any], training: bool) -> dict[str, Any]:
        assert training and set(maps) == {"map0", "map2"}
        batch = maps["map0"].shape[0]
        return {"0": ops.full((batch, 4, 4, 1), 3.0), "2": ops.full((batch, 2, 2, 1), 0.5)}

    object.__setattr__(system, "discriminator_b", judge)
    object.__setattr__(
        system, "patch_discriminator_b", lambda x, training: {"2": ops.full((x.shape[0], 3, 3, 1), -1.0)}
    )
    real_a, real_b = pictures(seed=1), pictures(seed=2)
    seen = system.seen(real_a, "fake_b")
    assert seen["shown"] is real_a and [tap.shape[0] for tap in seen["taps"]] == [2] * 4
    assert floats(system.discriminator_losses(system.seen(real_b, "real_b"), seen)) == {
        "discriminator_0": pytest.approx(0 + 4),  # max(0, 1 - 3) + max(0, 1 + 3)
        "discriminator_2": pytest.approx(0.5 + 1.5),
        "patch_discriminator_2": pytest.approx(4 + 1),
    }
    fakes = {"to_b": real_a, "same_b": real_b + 0.1} | seen
    assert floats(system.generator_losses(fakes, real_a, seen["taps"], real_b)) == {
        "adversarial_0": pytest.approx(-3),
        "adversarial_2": pytest.approx(-0.5),
        "patch_adversarial_2": pytest.approx(0.5 * 4),
        "content": 0,
        "colour": 0,
        "identity_b": pytest.approx(5 * 0.1, rel=1e-4),
    }


@pytest.mark.usefixtures("coarse")
def test_lines_weigh_from_the_last_size_on_and_ink_at_every_size() -> None:
    growing = TINY | {"image_size": 64, "grow_at": (3,), "line_weight": 40.0, "ink_weight": 80.0}
    system = Settings(**growing).create(10, 0)
    for size in (32, 64):
        real, drawn = pictures(size=size) / 100, pictures(seed=1, size=size)
        fakes = {"to_b": drawn} | system.seen(drawn, "fake_b")
        terms = system.generator_losses(fakes, real, system.look(real)["taps"], drawn)
        assert ("lines" in terms) == (size == 64)
        assert float(terms["ink"]) == pytest.approx(80 * float(ops.mean(ink(drawn, real))))
        assert float(terms["ink"]) > 0.1
    assert float(terms["lines"]) == pytest.approx(40 * float(ops.mean(edges(drawn) * calm(real, LINED)[:, :-1, :-1])))


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    "changes",
    [
        {"augment": True, "line_weight": 1.0, "ink_weight": 1.0, "match_weight": 1.0, "match_count": 4},
        {"generator": "resnet", "patch_weight": 0.0, "colour_weight": 0.0},
        pytest.param({"identity_weight": 0.5, "norm": "batch", "scales": (3,)}, marks=pytest.mark.slow),
    ],
)
def test_eager_steps_keep_the_content_better(changes: dict[str, Any]) -> None:
    """Fast with every term but one, and with the least; the terms are computed by hand above."""
    system = Settings(**TINY | {"learning_rate": 3e-3, "content_weight": 50.0} | changes).create(100, 0)
    batch = {"a": pictures(seed=1), "b": pictures(seed=2)}
    before = {path: np.array(ops.convert_to_numpy(v)) for path, v in system.state().items()}
    rows = [floats(system.train_step((batch,))) for _ in range(5)]
    assert rows[-1]["content"] < 0.97 * rows[0]["content"]
    assert int(system.step.value) == 5
    still = [path for path, v in system.state().items() if np.array_equal(before[path], ops.convert_to_numpy(v))]
    # The direction of a single output cannot turn, and while every logit lies within 1 the hinge moves no bias.
    assert all(path.endswith("learning_rate") or "logits" in path for path in still), still


@pytest.mark.usefixtures("coarse")
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path) -> None:
    settings = Settings(**TINY | {"image_size": 64, "grow_at": (3,), "match_weight": 1.0})
    config = Config("onesided", settings, Unpaired(root="emoji:fluent3d:google"), schedule(precision="mixed_bfloat16"))
    resumed = assert_resumes(config, tmp_path)
    about = card.read(resumed / "generator_ab.keras")
    assert about is not None and about.image_size == 64 and about.training["steps"] == 4
    arrays, _ = checkpoint.load(resumed / "checkpoint-00000004.npz")
    parts = {path.partition("/")[0] for path in arrays}
    networks = {"generator_ab", "ema_generator_ab", "discriminator_b", "patch_discriminator_b"}  # not the projection
    seen = {"means_a", "means_fake_b", "palette", "vividness", "recent_a"}
    assert parts == networks | seen | {"generator_optimizer", "discriminator_optimizer", "step"}


@pytest.mark.usefixtures("coarse")
def test_weights_of_losses_may_change_in_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But not where there is something else to be kept: recent pictures, by which drawings are matched."""
    settings = Settings(**TINY | {"match_weight": 3.0, "ink_weight": 160.0})
    data = Unpaired(root="emoji:fluent3d:google")
    config = Config("onesided", settings, data, schedule(steps=1, save_every=1, sample_every=9))
    workdir = train_eagerly(config, tmp_path / "run")
    later = config.replace("system", match_weight=2.0, ink_weight=80.0, calm_weight=0.0).replace("training", steps=2)
    train_eagerly(later, workdir)
    output = capsys.readouterr().out
    assert "system.ink_weight was 160.0 and is 80.0; system.match_weight was 3.0 and is 2.0" in output
    assert checkpoint.load(workdir / "checkpoint-00000002.npz")[1]["config"]["system"]["match_weight"] == 2.0
    sentence = (
        r"recent_a/rows is not wanted\. system\.match_weight was 2\.0 and is 0\.0: give the old settings to go on, or "
        r"begin anew from its generators"
    )
    longer = later.replace("training", steps=3)
    with pytest.raises(UserError, match=sentence):
        train_eagerly(longer.replace("system", match_weight=0.0), workdir)
    for name in ("colour_weight", "patch_weight"):
        with pytest.raises(UserError, match=rf"is not wanted.* system\.{name} was .* and is 0\.0: give the old"):
            train_eagerly(longer.replace("system", **{name: 0.0}), workdir)
    with pytest.raises(UserError, match=r"other settings: system\.filters was 2 and is 3"):
        train_eagerly(longer.replace("system", filters=3), workdir)
    capsys.readouterr()
    train_eagerly(later.replace("system", match_weight=5.0), workdir)  # which has finished
    assert "Of no effect on what is finished: system.match_weight was 2.0 and is 5.0." in capsys.readouterr().out


def test_settings_of_what_is_switched_off_refuse_nothing() -> None:
    Settings(**TINY | {"image_size": 12, "colour_weight": 0.0, "patch_weight": 0.0}).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 30}, r"the pictures have 30 px at first or later: a multiple of 4 and at least 16 is needed"),
        ({"image_size": 144}, r"the pictures have 144 px at first or later: a multiple of 32 and at least 16"),
        ({"grow_at": (4, 4)}, r"grow_at must hold rising numbers of steps, got \(4, 4\)"),
        ({"grow_at": (4, 5)}, r"the pictures have 8 px at first"),
        ({"image_size": 33, "grow_at": (4,)}, r"image_size=33 cannot be halved as often as grow_at=\(4,\) asks"),
        (
            {"image_size": 72, "colour_cells": 16},
            r"a multiple of 16 and .* is needed, for colour_cells=16, patch_layers=\(2, 3\) and the trained network\.",
        ),
        (
            {"image_size": 144, "colour_weight": 0.0, "patch_weight": 0.0},
            r"a multiple of 32 and at least 4 is needed, for the trained network\.",
        ),
        ({"patch_layers": ()}, r"patch_layers must hold numbers of strided layers"),
        ({"scales": ()}, r"scales must hold some of 0, 1, 2 and 3"),
        ({"content_taps": (0, 0)}, r"content_taps must hold some of 0, 1, 2 and 3, each once"),
        ({"scales": (1, 4)}, r"scales must hold some of 0, 1, 2 and 3"),
        ({"ema": 1.0}, r"ema must be at least 0 and less than 1"),
        ({"filters": 0}, r"filters must be at least 1"),
        ({"colour_weight": -1.0}, r"colour_weight must not be negative"),
        ({"line_weight": -1.0}, r"line_weight must not be negative"),
        ({"ink_weight": -1.0}, r"ink_weight must not be negative"),
        ({"lighter_weight": 1.5}, r"lighter_weight must lie between 0\.0 and 1\.0"),
        ({"lighter_weight": -0.1}, r"lighter_weight must lie between 0\.0 and 1\.0"),
        ({"calm_weight": 1.5}, r"calm_weight must lie between 0\.0 and 1\.0"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**TINY | changes).check()


def test_vividness_is_the_least_squares_slope() -> None:
    """Drawn (a*, b*) of (1, 2) and (3, 0), where (2, 3) and (4, 1) were asked for: (2 + 6 + 12) / (1 + 4 + 9)."""
    vividness = Vividness(0.5, "vividness")
    drawn = np.array([[[[9, 1, 2], [7, 3, 0]]]], "float32")
    asked = np.array([[[[0, 2, 3], [0, 4, 1]]]], "float32")
    vividness.follow(asked, drawn, 0)
    assert float(vividness.strength()) == pytest.approx(20 / 14)
    vividness.follow(0 * asked, drawn, 9)  # half of the way
    assert float(vividness.strength()) == 1  # 10 / 14: colours are never made greyer
    vividness.follow(9 * asked, drawn, 9)
    assert float(vividness.strength()) == 2
    vividness.follow(-asked, drawn, 0)
    assert float(vividness.strength()) == 1
    vividness.follow(asked, 0 * drawn, 0)  # all is grey
    assert float(vividness.strength()) == 1


@pytest.mark.parametrize("generator", ["phone", "resnet"])
def test_vivid_weights_draw_stronger_colours_and_the_same_greys(generator: str) -> None:
    settings = Settings(**(TINY | {"generator": generator}))
    source, target = build_generator(settings, 1), build_generator(settings, 2)
    for weight, value in zip(target.weights, vivid_weights(source, 1.5), strict=True):
        weight.assign(value)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype("float32")
    before, after = (np.arctanh(ops.convert_to_numpy(each(picture)["image"])) for each in (source, target))
    luma = np.array([0.299, 0.587, 0.114], "float32")
    grey = before @ luma
    np.testing.assert_allclose(after @ luma, grey, atol=1e-3)
    np.testing.assert_allclose(after - grey[..., None], 1.5 * (before - grey[..., None]), atol=1e-3)


@pytest.mark.parametrize(("colour_weight", "strength"), [(1.0, 1.5), (0.0, 1.0)])
def test_what_is_averaged_is_as_vivid_as_was_asked_for(
    colour_weight: float, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first step leaves is all that is averaged."""
    monkeypatch.setattr(Vividness, "strength", lambda _: ops.convert_to_tensor(1.5))
    system = Settings(**TINY | {"colour_weight": colour_weight}).create(10, 0)
    system.train_step(({"a": pictures(seed=0), "b": pictures(seed=1)},))
    expected = vivid_weights(system.generator_ab, strength)
    for mean, value in zip(system.ema_generator_ab.weights, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(mean), ops.convert_to_numpy(value), atol=1e-6)
    kernel = system.generator_ab.get_layer("image_conv").kernel
    averaged = system.ema_generator_ab.get_layer("image_conv").kernel
    assert (float(ops.max(ops.abs(averaged - kernel))) > 0.01) == (colour_weight > 0)


def test_vividness_compares_what_is_drawn_with_the_palette() -> None:
    system = Settings(**TINY).create(10, 0)
    a, b = pictures(seed=0), pictures(seed=1)
    drawn = ops.convert_to_numpy(system.cells(system.generator_ab(a, training=True)["image"]))[..., 1:]
    system.train_step(({"a": a, "b": b},))
    asked = ops.convert_to_numpy(system.palette(system.cells(a)))[..., 1:]
    for moment, expected in ((system.vividness.asked, asked * drawn), (system.vividness.drawn, drawn * drawn)):
        np.testing.assert_allclose(ops.convert_to_numpy(moment), expected.mean((0, 1, 2)), rtol=1e-3, atol=1e-5)


def test_without_an_average_nothing_is_vivid() -> None:
    system = Settings(**TINY | {"ema": 0.0}).create(10, 0)
    system.train_step(({"a": pictures(seed=0), "b": pictures(seed=1)},))
    assert not any("vividness" in path for path in system.state())
