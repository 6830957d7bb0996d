"""Latency of exported filters: U-GAT-IT light as `.tflite`, in LiteRT on the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

import numpy as np

from benchmarks import alone

SYSTEM = {"light": True, "image_size": 256, "filters": 16}
COLUMNS = {
    "file": "",
    "MB": ".2f",
    "px": "d",
    "threads": "d",
    "ms": ".0f",
    "of float32": ".2f",
    "of 1 thread": ".2f",
}


def rows(system: Mapping[str, Any] = SYSTEM, seconds: float = 10.0) -> Iterator[dict]:
    """One for each recipe and number of threads."""
    yield from alone.run("export", system=system, seconds=seconds)


def measure(system: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """Run each file in turns, for `seconds` in all and at least five times each; weights are random.

    Each row has the median of a run in ms, and the medians of its ratios to the runs beside it of float32 with as
    many threads, and of the same file with one thread.
    """
    from ai_edge_litert.interpreter import Interpreter

    from kgan.export import recipes, tflite
    from kgan.quiet import quiet
    from kgan.systems.ugatit import Settings, build_generator

    settings = Settings(**system)
    network, side = build_generator(settings), settings.image_size
    picture = np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    calibration = [{"image": picture}]
    files = {name: tflite.convert(network, (side, side), each, calibration) for name, each in recipes.RECIPES.items()}

    interpreters = {}
    with quiet():
        for name, file in files.items():
            for threads in (1, 2):
                interpreter = Interpreter(model_content=file, num_threads=threads)
                interpreter.allocate_tensors()
                interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
                interpreter.invoke()
                interpreters[name, threads] = interpreter

    times: dict[tuple[str, int], list[float]] = {key: [] for key in interpreters}
    begun = time.perf_counter()
    while len(times["float32", 1]) < 5 or time.perf_counter() - begun < seconds:
        for key, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.invoke()
            times[key].append(time.perf_counter() - start)

    def ratio(key: tuple[str, int], other: tuple[str, int]) -> float:
        return median(a / b for a, b in zip(times[key], times[other], strict=True))

    return [
        {
            "file": f"{name}.tflite",
            "MB": len(files[name]) / 1e6,
            "px": side,
            "threads": threads,
            "ms": 1000 * median(times[name, threads]),
            "of float32": ratio((name, threads), ("float32", threads)),
            "of 1 thread": ratio((name, threads), (name, 1)),
        }
        for name, threads in interpreters
    ]
