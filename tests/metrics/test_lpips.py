"""LPIPS against values of an independent implementation, and by hand where the network is simple."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.pictures import images
from kgan.pretrained import vgg16


@pytest.fixture(scope="module")
def network(shared: Path) -> Any:
    from kgan.metrics import lpips

    if not (shared / "weights" / vgg16.NAME).is_file():
        pytest.skip(f"needs {vgg16.NAME} in {shared / 'weights'}")
    return lpips.load(shared / "weights")


def photo(shared: Path, name: str) -> np.ndarray:
    return images.resize(images.read(shared / f"data/photos/skimage_{name}.jpg"), (256, 256))


def test_photos_are_at_the_known_distances(network: Any, shared: Path) -> None:
    from kgan.metrics import lpips

    astronaut, chelsea = photo(shared, "astronaut"), photo(shared, "chelsea")
    coarse = images.resize(images.resize(astronaut, (64, 64)), (256, 256))
    x = np.stack([images.to_float(astronaut)] * 4)
    y = np.stack([images.to_float(other) for other in (chelsea, astronaut[:, ::-1], coarse, astronaut)])
    distances = lpips.distance(network, x, y)
    assert distances.shape == (4,)
    np.testing.assert_allclose(distances, [0.708102, 0.690575, 0.299006, 0], atol=1e-4)
    assert distances[3] == 0
    assert network.count_params() == 14_714_688 + 64 + 128 + 256 + 512 + 512


def test_any_size_in_batches_or_alone(network: Any) -> None:
    from kgan.metrics import lpips

    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 3, 17, 40, 3)).astype(np.float32)
    alone = [lpips.distance(network, a[None], b[None])[0] for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(lpips.distance(network, x, y), alone, rtol=1e-5)
    np.testing.assert_allclose(list(lpips.neighbours(network, [*x, x[0]])), lpips.distance(network, x, x[[1, 2, 0]]))


class Pixels:
    """In the network's place: the picture itself, and its red channel at half the size."""

    def predict_on_batch(self, x: np.ndarray) -> list[np.ndarray]:
        return [x, x[:, ::2, ::2, :1]]


def test_channels_are_summed_pixels_averaged_layers_summed() -> None:
    from kgan.metrics import lpips

    x = np.zeros((2, 16, 16, 3), np.float32)
    y = x.copy()
    y[1, 0, 0] = 2.0
    np.testing.assert_allclose(lpips.distance(Pixels(), x, y), [0, 3 * 4 / 256 + 4 / 64], rtol=1e-6)


def test_pictures_that_do_not_compare_are_refused() -> None:
    from kgan.metrics import lpips

    x = np.zeros((1, 16, 20, 3), np.float32)
    with pytest.raises(UserError, match="of one size, not 16 x 20 with 16 x 16"):
        lpips.distance(Pixels(), x, x[:, :, :16])
    with pytest.raises(UserError, match="needs 16 pixels a side, got pictures of 15 x 20"):
        lpips.distance(Pixels(), x[:, :15], x[:, :15])


def test_a_circle_pairs_every_picture_twice_and_none_with_itself() -> None:
    from kgan.metrics import lpips

    order = lpips.circle(9, 1000, seed=1)
    assert sorted(order[:9]) == list(range(9)) and order[0] == order[9] and len(order) == 10
    assert lpips.circle(9, 1000, seed=1).tolist() == order.tolist() != lpips.circle(9, 1000, seed=2).tolist()
    assert lpips.circle(9, 4, seed=1).tolist() == order[:5].tolist()
    assert sorted(lpips.circle(2, 1000)) == [0, 1]
    with pytest.raises(UserError, match="at least two pictures, got 1"):
        lpips.circle(1, 1000)


def test_all_pairs_are_as_likely() -> None:
    """Of four pictures each of the six pairs in 2/3 of the circles."""
    from kgan.metrics import lpips

    counts = np.zeros((4, 4))
    for seed in range(3000):
        order = lpips.circle(4, 1000, seed)
        np.add.at(counts, (order[:-1], order[1:]), 1)
    pairs = (counts + counts.T)[np.triu_indices(4, 1)]
    np.testing.assert_allclose(pairs / 3000, 2 / 3, atol=0.04)
