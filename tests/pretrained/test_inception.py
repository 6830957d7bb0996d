"""The Inception of FID against features, and distances, of an independent implementation of the same network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgan.metrics import fid, kid
from kgan.pictures import images

PHOTOS = ("skimage_astronaut", "skimage_chelsea")


@pytest.fixture(scope="module")
def network(shared: Path) -> Any:
    from kgan.pretrained import inception

    if not (shared / "weights" / inception.NAME).is_file():
        pytest.skip(f"needs {inception.NAME} in {shared / 'weights'}")
    return inception.load(shared / "weights")


def test_features_are_the_golden_ones(network: Any, shared: Path) -> None:
    from kgan.pretrained import inception

    golden_file = shared / "weights/fid_features_golden.npz"
    if not golden_file.is_file():
        pytest.skip(f"needs {golden_file}")
    assert network.count_params() == 21_802_784
    photos = [images.read(shared / f"data/photos/{photo}.jpg") for photo in PHOTOS]
    with np.load(golden_file) as golden:
        for resize in ("clean", "legacy"):
            (block,) = inception.features(network, photos, resize)
            expected = np.stack([golden[f"{photo}.{resize}"] for photo in PHOTOS])
            np.testing.assert_allclose(block, expected, atol=1e-4, rtol=0)


def test_batches_are_filled_but_never_padded_into_the_result() -> None:
    from kgan.pretrained import inception

    class Means:
        """In the network's place: the mean of each picture."""

        def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
            assert batch.shape == (16, 299, 299, 3)
            return batch.mean(axis=(1, 2, 3))[:, None]

    pictures: Iterator[np.ndarray] = (np.full((4, 5, 3), i, np.uint8) for i in range(37))
    blocks = list(inception.features(Means(), pictures))
    assert [len(block) for block in blocks] == [16, 16, 5]
    np.testing.assert_allclose(np.concatenate(blocks)[:, 0], np.arange(37), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("resize", "filtered", "floor"),
    [("clean", (23.1781, 278.496), (0.3401, 87.406)), ("legacy", (22.8445, 275.264), (0.3775, 88.044))],
)
def test_distances_of_real_sets_are_the_known_ones(
    network: Any, shared: Path, resize: str, filtered: tuple[float, float], floor: tuple[float, float]
) -> None:
    from kgan.pretrained import inception

    def features(folder: str) -> np.ndarray:
        path = shared / "data/selfie2anime" / folder
        if not path.is_dir():
            pytest.skip(f"needs {path}")
        pictures = map(images.read, images.find(path)[:100])
        return np.concatenate(list(inception.features(network, pictures, resize)))

    real = features("testB")
    for folder, (kernel, frechet) in {"testA": filtered, "trainB": floor}.items():
        others = features(folder)
        assert 100 * kid.distance(others, real) == pytest.approx(kernel, rel=5e-3)
        assert fid.distance(fid.gaussian([real]), fid.gaussian([others])) == pytest.approx(frechet, rel=5e-3)
