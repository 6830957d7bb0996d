"""Large pictures tile by tile: the same as the whole picture, for every kind of network that is understood."""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import kgan
from kgan import interrupts
from kgan import layers as own
from kgan.errors import UserError
from kgan.filters import included, loading, photos, streaming
from kgan.filters.card import Card
from kgan.labels import Group, Labels, LabelSet
from kgan.layers.batch import draw_shapes
from kgan.pictures import images, tiling
from kgan.systems import cyclegan, onesided, pix2pix, stargan, ugatit
from kgan.types import Tensor


def gradient(height: int, width: int) -> np.ndarray:
    """A plain evening sky, uint8: what a tile's own statistics blow up to confetti."""
    y, x = np.mgrid[:height, :width]
    return np.stack([100 + 60 * y / height, 150 + 50 * y / height, 200 + 40 * x / width], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def photo(shared: Path) -> np.ndarray:
    path = shared / "data/photos/skimage_astronaut.jpg"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return images.read(path)


def randomized(network: keras.Model) -> keras.Model:
    """With weights that show: biases, moving statistics and mixtures that are not where they start."""
    random = np.random.default_rng(0)
    for variable in network.variables:
        kind = variable.path.rsplit("/", 1)[-1]
        if kind in ("moving_variance", "gamma"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif kind == "rho":
            variable.assign(random.uniform(0, 1, variable.shape))
        elif kind in ("beta", "bias", "moving_mean"):
            variable.assign(random.normal(0, 0.3, variable.shape))
        elif kind == "kernel":
            variable.assign(random.normal(0, 2 / math.sqrt(np.prod(variable.shape[:-1])), variable.shape))
    return network


def compared(network: keras.Model, picture: np.ndarray, draws: bool = False, core: int = 64) -> float:
    """The largest difference between a picture in tiles and the whole one, in [-1, 1]."""
    plan = streaming.plan(network)
    assert plan is not None
    cores = [max(core // each.unit * each.unit, each.unit) for each in plan.stretches]
    small = [dataclasses.replace(each, core=core) for each, core in zip(plan.stretches, cores, strict=True)]
    plan = dataclasses.replace(plan, stretches=tuple(small))
    height, width = (side // plan.multiple * plan.multiple for side in picture.shape[:2])
    pixels = images.to_float(picture[:height, :width])[None]
    random = np.random.default_rng(0)
    shapes = draw_shapes(network, 1, height, width) if draws else {}
    extra = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    names = loading.inputs_of(network)
    label = np.eye(names["label"][1], dtype=np.float32)[:1] if "label" in names else None
    whole = keras.ops.convert_to_numpy(loading.apply(network, pixels, label, extra))
    result = streaming.run(plan, {"image": pixels, "label": label, **extra})
    assert result.shape == whole.shape and np.std(whole) > 0.01
    return float(np.abs(result - whole).max())


LABELS = Labels((LabelSet("set", (Group("hue", ("red", "blue")),)),))
U_NET = {"image_size": 32, "filters": 4, "depth": 5}
SYSTEMS: dict[str, Callable[[], keras.Model]] = {
    "cyclegan": lambda: cyclegan.build_generator(cyclegan.Settings(filters=4, residual_blocks=2)),
    "cyclegan resize": lambda: cyclegan.build_generator(
        cyclegan.Settings(filters=4, residual_blocks=1, upsampling="resize", instance_norm_affine=True)
    ),
    "onesided": lambda: onesided.build_generator(onesided.Settings(filters=4, residual_blocks=1)),
    "ugatit": lambda: ugatit.build_generator(
        ugatit.Settings(light=True, filters=4, residual_blocks=2, unbiased_variance=True, image_size=32)
    ),
    "stargan": lambda: stargan.build_generator(stargan.Settings(filters=4, residual_blocks=1), LABELS.width),
    "pix2pix batch": lambda: pix2pix.build_generator(pix2pix.Settings(**U_NET)),
    "pix2pix moving": lambda: pix2pix.build_generator(pix2pix.Settings(test_statistics="moving", **U_NET)),
    "pix2pix colorizer": lambda: pix2pix.build_colorizer(
        pix2pix.build_generator(pix2pix.Settings(task="colorize", **U_NET)), "colorizer"
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_s_filter_gives_the_whole_picture(name: str) -> None:
    network = randomized(SYSTEMS[name]())
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    assert compared(network, noise, draws=name.startswith("pix2pix")) < 2e-4
    assert compared(network, gradient(96, 160)) < 2e-3  # a quarter of a grey level


def resnet(norm: Callable[[Tensor], Tensor]) -> keras.Model:
    """Down, twice normalized, up: of Keras' own layers."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 5, strides=2, padding="same", activation="relu")(image)
    x = norm(x)
    x = layers.SeparableConv2D(8, 3, padding="same", dilation_rate=2)(x)
    x = layers.MaxPooling2D(2)(layers.LeakyReLU()(norm(x)))
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(layers.PReLU(shared_axes=[1, 2])(x))
    return keras.Model(image, layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


def squeezed(x: Tensor) -> Tensor:
    """Channels weighed by what the whole map holds: squeeze and excitation."""
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    weights = layers.Reshape((1, 1, x.shape[-1]))(layers.Dense(x.shape[-1], activation="sigmoid")(pooled))
    return layers.Multiply()([x, weights])


FOREIGN: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "moving": lambda x: layers.BatchNormalization()(x),
    "instance": lambda x: layers.GroupNormalization(-1)(x),
    "group": lambda x: layers.GroupNormalization(4)(x),
    "layer": lambda x: layers.GroupNormalization(1)(x),
    "channels": lambda x: layers.LayerNormalization()(x),
    "addons": lambda x: own.addons.InstanceNormalization()(x),
    "squeezed": squeezed,
    "nested": lambda x: keras.Sequential([layers.Conv2D(8, 3, padding="same"), own.InstanceNormalization()])(x),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_networks_of_keras_own_layers(name: str) -> None:
    keras.utils.set_random_seed(0)
    network = randomized(resnet(FOREIGN[name]))
    picture = np.random.default_rng(0).integers(0, 256, (72, 136, 3), np.uint8)
    assert compared(network, picture, core=32) < 1e-4


def test_networks_that_cannot_be_cut(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))

    class Unknown(layers.Layer):
        def call(self, inputs: Tensor) -> Tensor:
            return inputs - keras.ops.mean(inputs)

    assert streaming.plan(keras.Model(image, Unknown()(image))) is None
    assert streaming.plan(keras.Model(image, layers.LayerNormalization(axis=[-1, 3])(image))) is None
    assert streaming.plan(keras.Model(image, layers.Conv2D(3, 3)(image))) is None  # smaller than its picture


def test_spans_by_hand() -> None:
    assert tiling.spans(100, 100, 8, 4, even=True) == [(0, 100, 0, 100)]
    assert tiling.spans(120, 80, 8, 4, even=True) == [(0, 76, 0, 60), (44, 120, 60, 120)]
    # Two cores of 80 and one of 40, all in tiles of 96.
    assert tiling.spans(200, 80, 8, 4, even=False) == [(0, 96, 0, 80), (72, 168, 80, 160), (104, 200, 160, 200)]
    for length in range(4, 400, 12):
        for even in (True, False):
            tiles = tiling.spans(length, 64, 12, 4, even)
            assert [low for _, _, low, _ in tiles] == [0, *(high for *_, high in tiles[:-1])]
            assert tiles[-1][3] == length and len({stop - start for start, stop, _, _ in tiles}) == 1
            for start, stop, low, high in tiles:
                assert start == 0 or low - start >= 12
                assert stop == length or stop - high >= 12
                assert 0 <= start < stop <= length and high > low


def test_maps_on_the_disk_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "IN_MEMORY", 10_000)
    monkeypatch.setattr(streaming.tempfile, "tempdir", str(tmp_path))
    network = randomized(SYSTEMS["cyclegan"]())
    assert compared(network, gradient(64, 96)) < 2e-3
    assert not list(tmp_path.iterdir())

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(streaming.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        compared(network, gradient(64, 96))


@pytest.mark.slow
def test_a_photo_and_a_sky_in_tiles_as_whole(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest difference, with the weights of a real filter: one grey level, where a value lies between two.

    That tiles equal the whole, tests above show for each kind of network with weights at random.
    """
    network = loading.load_keras(included.find("onesided_selfie2anime"))
    for picture, most in ((photo[:240, 100:420], 1e-4), (gradient(240, 320), 1e-3)):
        assert compared(network, picture, core=100) < most
    monkeypatch.setattr(streaming, "WHOLE", 200 * 300)
    streamed = kgan.load("onesided_selfie2anime")
    whole = loading.Filter(loading.keras_runner(network), Card(multiple=4))
    picture = np.concatenate([photo[:241, 100:300], gradient(241, 150)], 1)
    (result,) = photos.translate(streamed, picture, crop="none")  # type: ignore[arg-type]
    difference = np.abs(result.astype(int) - whole(picture))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_it_ends_between_tiles_where_nobody_waits() -> None:
    network = loading.load_keras(included.find("onesided_selfie2anime"))
    plan, asked = streaming.plan(network), iter([True] * 3 + [False] * 100)
    assert plan
    with interrupts.awaited(lambda: next(asked)), pytest.raises(interrupts.Abandoned):
        streaming.run(plan, {"image": np.zeros((1, 64, 64, 3), np.float32)})
    assert len(list(asked)) == 99


def test_what_cannot_be_cut_is_done_whole_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "LARGEST_WHOLE", 100 * 100)
    unknown = loading.Filter(np.negative, Card())
    picture = np.random.default_rng(0).integers(0, 256, (100, 101, 3), np.uint8)
    np.testing.assert_array_equal(photos.translate(unknown, picture[:, :100])[0], 255 - picture[:, :100])
    with pytest.raises(UserError, match=r"has 101 x 100 pixels.*\.keras file that it was made of.*--tile=1024"):
        photos.translate(unknown, picture)
    np.testing.assert_array_equal(photos.translate(unknown, picture, tile=64)[0], 255 - picture)


ON_JAX = """
import jax, numpy as np
from kgan.filters import loading, streaming
from kgan.systems import cyclegan

network = cyclegan.build_generator(cyclegan.Settings(filters=2, residual_blocks=1))
plan = streaming.plan(network)
compiled = []
jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: compiled.append(name))
for height, width in ((300, 320), (340, 292)):
    compiled.clear()
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, height, width, 3)).astype(np.float32)
    result = streaming.run(plan, {"image": pixels})
    print(sum("compile" in name for name in compiled))
assert np.abs(result - np.asarray(loading.apply(network, pixels))).max() < 1e-4
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs the extra jax")
def test_jax_compiles_nothing_for_another_size() -> None:
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", ON_JAX], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    first, second = map(int, done.stdout.split())
    assert first > 10 and second == 0


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network for phones with batch normalization, as .keras of any size and as .tflite of 96 x 96 pixels."""
    from kgan.export import export

    path = tmp_path_factory.mktemp("phone") / "phone.keras"
    network = randomized(onesided.build_generator(onesided.Settings(filters=8, residual_blocks=1, norm="batch")))
    network.save(path)
    Card(name="phone", image_size=96, batch_norm="moving").write(path)
    export(path, path.parent, [gradient(96, 96)], 96, ["float32"], saved_model=False)
    return path, path.with_name("phone_float32.tflite")


def test_a_fixed_size_in_tiles_gives_what_the_whole_gives(phone: tuple[Path, Path]) -> None:
    whole, tiles = kgan.load(phone[0]), kgan.load(phone[1])
    margin, unit = tiles.card.tiles or (0, 0)
    assert tiles.size == (96, 96) and unit == 4 and 8 < margin < 48
    rng = np.random.default_rng(0)
    for height, width in ((150, 210), (97, 96)):
        picture = images.resize(rng.integers(0, 256, (height // 6, width // 6, 3), np.uint8), (height, width))
        (result,) = photos.translate(tiles, picture)
        expected = whole(picture)
        assert result.shape == expected.shape == picture.shape and expected.std() > 20
        assert np.abs(result.astype(int) - expected).max() <= 1


def test_too_small_a_picture_is_fitted(phone: tuple[Path, Path]) -> None:
    (result,) = photos.translate(kgan.load(phone[1]), gradient(60, 200))
    assert result.shape == (29, 96, 3)  # the long side becomes that of the filter


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_only_what_takes_no_statistics_of_the_picture_is_done_in_tiles(norm: str) -> None:
    network = onesided.build_generator(onesided.Settings(filters=8, residual_blocks=1, norm=norm))
    assert (streaming.margin(network) is None) == (norm == "instance")


def test_a_filter_with_statistics_is_fitted_and_never_cut(light_tflite: Path) -> None:
    light = kgan.load(light_tflite)
    assert light.size == (32, 32) and light.card.tiles is None
    (result,) = photos.translate(light, gradient(64, 96))
    assert result.shape == (21, 32, 3)


@pytest.fixture(scope="module")
def light_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for phones with instance normalization, as .tflite of 32 x 32 pixels."""
    from kgan.export import export

    path = tmp_path_factory.mktemp("light") / "light.keras"
    randomized(onesided.build_generator(onesided.Settings(filters=8, residual_blocks=1))).save(path)
    Card(name="light", image_size=32).write(path)
    export(path, path.parent, [gradient(32, 32)], 32, ["float32"], saved_model=False)
    return path.with_name("light_float32.tflite")
