"""Small generators of both kinds, with weights large enough for pictures that are not grey."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from kgan.filters.card import Card
from kgan.pictures import emoji, images
from kgan.systems.ugatit import Settings, build_generator

SIZE = 32


def generator(light: bool) -> keras.Model:
    """U-GAT-IT at 32 px with 4 filters and weights from a fixed seed."""
    model = build_generator(Settings(image_size=SIZE, light=light, filters=4, residual_blocks=1))
    random = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(variable + random.normal(0, 0.05, variable.shape))
    return model


@pytest.fixture(scope="session")
def light() -> keras.Model:
    """Takes any size that is a multiple of 4."""
    return generator(light=True)


@pytest.fixture(scope="session")
def full() -> keras.Model:
    """Takes 32x32 only."""
    return generator(light=False)


@pytest.fixture(scope="session")
def light_file(light: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The light generator as training leaves it: a .keras file with its card."""
    path = tmp_path_factory.mktemp("model") / "generator_ab.keras"
    light.save(path)
    Card(name="tiny", system="ugatit", image_size=SIZE, training={"steps": 7}).write(path)
    return path


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Three real pictures, uint8 [32, 32, 3]."""
    return [images.resize(picture, (SIZE, SIZE)) for picture in emoji.load("fluent3d", "test")[:3]]
