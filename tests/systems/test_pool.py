"""The image pool: filling, chances, order, and that a checkpoint can hold it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from keras import ops

from kgan import engine
from kgan.systems.pool import ImagePool


def images(*values: float) -> np.ndarray:
    """One pixel each."""
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def exchange(pool: ImagePool, fakes: np.ndarray, draws: list[tuple[float, float]]) -> list[float]:
    exchanged = pool.exchange(ops.convert_to_tensor(fakes), ops.convert_to_tensor(np.array(draws, np.float32)))
    return ops.convert_to_numpy(exchanged).ravel().tolist()


def test_by_hand() -> None:
    pool = ImagePool(2, (1, 1, 1), "pool")
    assert exchange(pool, images(1, 2), [(0.9, 0.0), (0.9, 0.0)]) == [1, 2]  # fills, whatever the draws
    assert exchange(pool, images(3, 4), [(0.4, 0.0), (0.6, 0.4)]) == [3, 1]  # passed on; swapped with slot 0
    assert exchange(pool, images(5, 6), [(0.6, 0.0), (0.6, 0.9)]) == [4, 2]  # 4 lies there now; slot 1 is the last
    np.testing.assert_array_equal(ops.convert_to_numpy(pool.images).ravel(), [5, 6])


def test_an_image_can_leave_within_the_batch_that_brought_it() -> None:
    pool = ImagePool(1, (1, 1, 1), "pool")
    assert exchange(pool, images(1, 2, 3), [(0, 0), (0.9, 0), (0.9, 0)]) == [1, 1, 2]


def test_half_of_what_comes_out_is_older() -> None:
    pool = ImagePool(50, (1, 1, 1), "pool")
    owner = SimpleNamespace(state=lambda: {variable.path: variable for variable in pool.variables})

    def exchanged(batches: engine.Batches) -> engine.Terms:
        draws = engine.uniform(0, batches[0]["number"][0], "pool", (1, 2))
        return {"image": pool.exchange(batches[0]["image"], draws)}

    compiled = engine.Compiled(owner, exchanged)

    def step(number: int, image: int) -> float:
        return engine.to_host(compiled(({"number": np.array([number]), "image": images(image)},)))["image"].item()

    for i in range(50):
        step(i, -i - 1)
    out = np.array([step(1000 + i, i) for i in range(2000)])
    passed = out == np.arange(2000)
    assert 0.45 < passed.mean() < 0.55  # 5 standard deviations are 0.056
    ages = np.arange(100, 2000)[~passed[100:]] - out[100:][~passed[100:]]
    # A stored image leaves with a chance of 1 in 100 at each step: it is 100 steps old on average.
    assert 80 < ages.mean() < 120


def test_an_empty_pool_passes_everything_on() -> None:
    pool = ImagePool(0, (1, 1, 1), "pool")
    fakes = ops.convert_to_tensor(images(1, 2))
    assert pool.exchange(fakes, ops.zeros((2, 2))) is fakes
    assert not pool.variables


def test_its_state_is_two_named_variables() -> None:
    assert [(v.path, tuple(v.shape)) for v in ImagePool(50, (4, 6, 3), "pool_a").variables] == [
        ("pool_a/images", (50, 4, 6, 3)),
        ("pool_a/filled", ()),
    ]
