"""The projection of pictures onto a trained network's maps: shapes, scale, and that it is the same everywhere."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.pictures import emoji, images
from kgan.pretrained import lite0, projection


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return projection.load()


def test_maps_and_taps_have_a_4th_to_a_32nd_of_the_size(network: keras.Model) -> None:
    outputs = network(np.zeros((2, 64, 128, 3), np.float32))
    sides = [(16, 32), (8, 16), (4, 8), (2, 4)]
    assert [tuple(x.shape) for x in outputs["maps"]] == [
        (2, *s, w) for s, w in zip(sides, (32, 64, 128, 256), strict=True)
    ]
    assert [tuple(x.shape) for x in outputs["taps"]] == [
        (2, *s, w) for s, w in zip(sides, (24, 40, 112, 320), strict=True)
    ]
    assert not network.trainable_variables


def test_taps_are_lite0_s_scaled(network: keras.Model) -> None:
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    for scaled, tap, scale in zip(network(picture)["taps"], lite0.load()(picture), projection.SCALES, strict=True):
        np.testing.assert_allclose(scaled, scale * ops.convert_to_numpy(tap), rtol=1e-5, atol=1e-6)


def test_everything_is_about_as_large(network: keras.Model) -> None:
    """On drawings, which are flatter than the photographs and faces that the scales are measured on."""
    pictures = [images.resize(each, (128, 128)) for each in emoji.load("google")[:16]]
    outputs = network(images.to_float(np.stack(pictures)))
    sizes = {name: [float(np.sqrt(np.mean(np.square(x)))) for x in maps] for name, maps in outputs.items()}
    assert all(0.4 < size < 1.6 for size in sizes["taps"]), sizes
    assert all(0.3 < size < 2.5 for size in sizes["maps"]), sizes


def test_a_seed_is_a_projection(network: keras.Model) -> None:
    weights, same, other = (each.get_weights() for each in (network, projection.load(), projection.load(seed=1)))
    assert all(map(np.array_equal, weights, same)) and not all(map(np.array_equal, weights, other))
    mixed = next(w for w in weights if w.shape == (1, 1, 24, 32))  # the first drawn: numpy's generator, seed 0
    bound = np.sqrt(3 / 24)
    np.testing.assert_allclose(mixed, np.random.default_rng(0).uniform(-bound, bound, mixed.shape), rtol=1e-6)


def test_gradients_reach_the_picture(network: keras.Model) -> None:
    picture = ops.convert_to_tensor(np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32))
    for scale in range(4):
        gradient = engine.input_gradients(lambda x, scale=scale: ops.mean(network(x)["maps"][scale]), picture)
        assert np.abs(ops.convert_to_numpy(gradient)).max() > 0
