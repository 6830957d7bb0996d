"""One-sided: its networks, each loss term by hand, what moves, and refusals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers.structure import assert_golden, structure
from keras import ops

from kgan.data import Unpaired
from kgan.errors import UserError
from kgan.pretrained import vgg16, weights
from kgan.systems.onesided import OneSided, Settings, build_discriminator, build_generator
from kgan.training import Config, Training, checkpoint
from kgan.training.run import train

TINY: dict[str, Any] = {
    "image_size": 32,
    "filters": 2,
    "residual_blocks": 1,
    "discriminator_filters": 2,
    "heads": (2, 3),
}


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """In VGG16's place: the picture itself, and its half."""

    def maps(taps: tuple[int, ...]) -> keras.Model:
        picture = keras.Input((None, None, 3), dtype="float32")
        return keras.Model(picture, [picture, keras.layers.AveragePooling2D(2, dtype="float32")(picture)])

    monkeypatch.setattr(vgg16, "load_maps", maps)


def pictures(batch: int = 2, seed: int = 0) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(seed).uniform(-1, 1, (batch, 32, 32, 3)).astype("float32"))


def floats(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def test_golden_structure() -> None:
    generator = structure(lambda: build_generator(Settings()))
    discriminator = structure(lambda: build_discriminator(Settings()))
    # 7x7, two halvings, ten 3x3 at 96, two 3x3 after doublings, 7x7; a gamma and a beta for each but the last's biases.
    widths = [(3, 24, 49), (24, 48, 9), (48, 96, 9), *[(96, 96, 9)] * 10, (96, 48, 9), (48, 24, 9), (24, 3, 49)]
    assert generator.count == sum(k * i * o + 2 * o for i, o, k in widths) - 3
    assert discriminator.outputs == [(None, 15, 15, 1), (None, 3, 3, 1)]
    assert_golden("onesided", "One-sided at 128 px", {"generator": generator, "discriminator": discriminator})


@pytest.mark.usefixtures("coarse")
def test_content_by_hand() -> None:
    """Pixels [1, 0, 0] against [0, 1, 0] everywhere: 2 in each of both maps."""
    system = Settings(**TINY).create(10, 0)
    red, green = (np.broadcast_to(np.float32(c), (1, 8, 8, 3)).copy() for c in ([1, 0, 0], [0, 1, 0]))
    assert float(system.content(red, green)) == pytest.approx(4)
    assert float(system.content(red, red)) == 0


@pytest.mark.usefixtures("coarse")
def test_terms_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """D says 3 of whatever it sees with one head and 0.5 with the other."""
    system = Settings(**TINY).create(10, 0)

    def judge(image: Any, training: bool) -> dict[str, Any]:
        return {"2": ops.full((image.shape[0], 2, 2, 1), 3.0), "3": ops.full((image.shape[0], 1, 1, 1), 0.5)}

    monkeypatch.setattr(OneSided, "discriminator_b", judge, raising=False)
    object.__setattr__(system, "discriminator_b", judge)
    real_a, real_b = pictures(seed=1), pictures(seed=2)
    assert floats(system.discriminator_losses(real_b, real_a)) == {
        "discriminator_2": pytest.approx((3 - 1) ** 2 + 3**2),
        "discriminator_3": pytest.approx(0.25 + 0.25),
    }
    fakes = {"to_b": real_a, "same_b": real_b + 0.1}
    assert floats(system.generator_losses(fakes, real_a, real_b)) == {
        "adversarial_2": pytest.approx(4),
        "adversarial_3": pytest.approx(0.25),
        "content": 0,
        "identity_b": pytest.approx(5 * 0.1, rel=1e-4),
    }


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("augment", [False, True])
def test_eager_steps_keep_the_content_better(augment: bool) -> None:
    system = Settings(**TINY, augment=augment, learning_rate=3e-3, content_weight=50.0).create(100, 0)
    batch = {"a": pictures(seed=1), "b": pictures(seed=2)}
    before = {path: np.array(ops.convert_to_numpy(v)) for path, v in system.state().items()}
    rows = [floats(system.train_step((batch,))) for _ in range(8)]
    assert rows[-1]["content"] < 0.95 * rows[0]["content"]
    assert int(system.step.value) == 8
    still = [path for path, v in system.state().items() if np.array_equal(before[path], ops.convert_to_numpy(v))]
    # The direction of a single output cannot turn.
    assert all(path.endswith("learning_rate") or ("logits" in path and path.endswith("u")) for path in still), still


@pytest.mark.usefixtures("coarse")
def test_a_resumed_run_ends_in_the_same_bytes(tmp_path: Path) -> None:
    schedule = Training(steps=4, batch_size=2, save_every=2, sample_every=4, log_every=2, samples=1, tensorboard=False)
    config = Config("onesided", Settings(**TINY), Unpaired(root="emoji:fluent3d:google"), schedule)
    straight, resumed = train(config, tmp_path / "straight"), tmp_path / "resumed"
    resumed.mkdir()
    shutil.copy(straight / "checkpoint-00000002.npz", resumed)
    train(config, resumed)
    ends = [checkpoint.load(folder / "checkpoint-00000004.npz") for folder in (straight, resumed)]
    assert ends[0][1]["sha256"] == ends[1][1]["sha256"]
    parts = {path.partition("/")[0] for path in ends[0][0]}
    networks = {"generator_ab", "ema_generator_ab", "discriminator_b"}  # VGG16 is none of them
    assert parts == networks | {"generator_optimizer", "discriminator_optimizer", "step"}


def test_vggs_slope_is_finite_where_it_sees_nothing(shared: Path) -> None:
    """A black picture has places at which none of the 512 features answers."""
    from kgan import engine

    if not (shared / "weights" / vgg16.NAME).is_file():
        pytest.skip(f"needs {vgg16.NAME} in {shared / 'weights'}")
    network = vgg16.load_maps((2, 3), shared / "weights")
    assert network.count_params() == 7_635_264  # up to relu4_3
    x = ops.full((1, 32, 32, 3), -1.0)
    y = pictures(1)
    maps = [np.asarray(each) for each in network(y)]
    for each in maps:
        np.testing.assert_allclose(np.square(each).sum(-1), 1, rtol=1e-4)

    def content(x: Any) -> Any:
        return sum(ops.sum(ops.square(a - b)) for a, b in zip(network(x), maps, strict=True))

    slope = engine.input_gradients(content, x)
    assert np.isfinite(ops.convert_to_numpy(slope)).all() and np.abs(slope).max() > 0


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"lpips_vgg16\.npz are missing"):
        Settings(**TINY).create(10, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 30}, r"image_size must be a multiple of 4, 32 at least, got 30"),
        ({"heads": ()}, r"heads must hold numbers of strided layers"),
        ({"heads": (3, 6)}, r"image_size must be a multiple of 4, 128 at least, got 32"),
        ({"ema": 1.0}, r"ema must be at least 0 and less than 1"),
        ({"filters": 0}, r"filters must be at least 1"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Settings(**TINY | changes).check()
