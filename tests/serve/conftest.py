"""Servers that many tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.served import Client, listening, write_half_plus_two
from PIL import Image

from kgan.pictures import images
from kgan.serve.app import Server
from kgan.serve.limits import Limits
from kgan.serve.models import Models, in_folder, of_kgan


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """half_plus_two in the versions 122 and 123, of which the second adds 2."""
    folder = tmp_path_factory.mktemp("served")
    write_half_plus_two(folder / "half_plus_two/122", plus=7)
    write_half_plus_two(folder / "half_plus_two/123")
    return folder


@pytest.fixture(scope="session")
def client(served_folder: Path) -> Iterator[Client]:
    models = Models(lambda: in_folder(served_folder))
    models.refresh()
    with listening(Server(models)) as address:
        yield Client(address)
    models.close()


@pytest.fixture(scope="session")
def included_server() -> Iterator[Server]:
    models = Models(of_kgan, lazy=True)
    models.refresh()
    yield Server(models, Limits(megabytes=2, megapixels=4))
    models.close()


@pytest.fixture(scope="session")
def included(included_server: Server) -> Iterator[Client]:
    with listening(included_server) as address:
        yield Client(address)


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """A photo with one face, uint8 [384, 384, 3]."""
    return images.read(Path(__file__).parents[2] / "kgan/serve/page/astronaut.webp")


@pytest.fixture(scope="session")
def jpeg(portrait: np.ndarray) -> bytes:
    return images.encode(portrait, ".jpg")


@pytest.fixture(scope="session")
def small_png() -> bytes:
    """128 x 128 pixels, as the included filter takes them at once."""
    return images.encode(np.asarray(Image.radial_gradient("L").resize((128, 128)).convert("RGB")))
