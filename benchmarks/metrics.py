"""Measuring: features of pictures, resizing included, beside plain `predict` of the same network on ready arrays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np

from benchmarks import alone
from kgan.errors import UserError
from kgan.pretrained import resizing, weights
from kgan.quiet import quiet

COLUMNS = {"features": "", "from": "", "pictures/s": ".1f", "predict, pictures/s": ".1f", "of predict": ".2f"}
SIDE = 256


def rows(count: int = 32, rounds: int = 3) -> Iterator[dict[str, Any]]:
    """A row of the table for each way of resizing; where the weights are missing, one that says so."""
    with quiet():
        from kgan.pretrained import inception  # an engine starts with it
    try:
        weights.find(inception.NAME, inception.SHA256)
    except UserError as error:
        yield {"engine": "metrics", "skipped": str(error)}
    else:
        yield from alone.run("metrics", count=count, rounds=rounds)


def measure(count: int, rounds: int) -> list[dict[str, Any]]:
    """Rows with the speeds of our features and of plain `predict`, which take turns `rounds` times on `count` pictures.

    Speeds are medians, and so is the ratio of two turns that follow each other.
    """
    from kgan.pretrained import inception

    network = inception.load()
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(count)]
    measured = []
    for name, resize in resizing.METHODS.items():
        ready = np.stack([resize(picture, inception.SIZE) for picture in pictures])

        def features(name: str = name) -> None:
            for _ in inception.features(network, pictures, name):
                pass

        def predict(ready: np.ndarray = ready) -> None:
            network.predict(ready, batch_size=inception.BATCH, verbose=0)

        times: dict[Any, list[float]] = {features: [], predict: []}
        for _ in range(rounds + 1):  # the first compiles
            for function, taken in times.items():
                start = time.perf_counter()
                function()
                taken.append(time.perf_counter() - start)
        ours, plain = (taken[1:] for taken in times.values())
        measured.append(
            {
                "features": f"resize {name}",
                "from": f"{SIDE} px",
                "pictures/s": count / median(ours),
                "predict, pictures/s": count / median(plain),
                "of predict": median(b / a for a, b in zip(ours, plain, strict=True)),
            }
        )
    return measured
