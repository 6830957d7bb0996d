"""Latency of exported filters: U-GAT-IT light as `.tflite`, in LiteRT on the CPU, by every recipe."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import alone

SYSTEM = {"light": True, "image_size": 256, "filters": 16}
COLUMNS = {
    "file": "",
    "threads": "d",
    "bytes": ",d",
    "partitions": "d",
    "median": ".1f",
    "low": ".1f",
    "high": ".1f",
    "relative": ".2f",
    "memory": ".0f",
}


def rows(system: Mapping[str, Any] = SYSTEM, seconds: float = 10.0) -> Iterator[dict]:
    """One for each recipe and number of threads: a `kgan.export.latency.Latency`, relative to float32."""
    yield from alone.run("export", system=system, seconds=seconds)


def measure(system: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """Convert the network by each recipe, with random weights, and time the files as `kgan benchmark` does."""
    from kgan.export import latency, recipes, tflite
    from kgan.systems.ugatit import Settings, build_generator

    settings = Settings(**system)
    network, side = build_generator(settings), settings.image_size
    picture = np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{name}.tflite") for name in recipes.RECIPES]
        for file, recipe in zip(files, recipes.RECIPES.values(), strict=True):
            file.write_bytes(tflite.convert(network, (side, side), recipe, [{"image": picture}]))
        return [dataclasses.asdict(row) for row in latency.measure(files, seconds=seconds)]
