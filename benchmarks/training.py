"""Training: U-GAT-IT light from JPEG files that are decoded anew for every step, as `kgan train` does it."""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import alone

# At 64 px the official six layers of the global discriminator do not fit.
SYSTEM = {"light": True, "image_size": 64, "filters": 32, "discriminator_layers": 5}
CASES = (("float32", 1), ("mixed_bfloat16", 1), ("mixed_bfloat16", 4))
COLUMNS = {
    "engine": "",
    "precision": "",
    "batch": "d",
    "images/s": ".2f",
    "ms a step": ".0f",
    "compile s": ".0f",
    "GFLOP/s": ".0f",
    "share of convolution": ".0%",
    "waiting for input": ".1%",
    "peak GiB": ".2f",
    "told GiB": ".2f",
    "peak/told": ".2f",
}


def rows(folder: Path, cases: Any = CASES, system: Mapping[str, Any] = SYSTEM, seconds: float = 6.0) -> Iterator[dict]:
    """One for each engine and (precision, batch size); an engine that is not installed has one that says so."""
    for engine in ("tensorflow", "jax"):
        if importlib.util.find_spec(engine) is None:
            yield {"engine": engine, "skipped": f'{engine} is not installed: pip install "kgan[{engine}]" brings it'}
            continue
        for precision, batch in cases:
            arguments = {"folder": str(folder), "precision": precision, "batch": batch, "system": system}
            yield {"engine": engine} | alone.run("training", engine, **arguments, seconds=seconds)


def measure(folder: str, precision: str, batch: int, system: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Train for about `seconds` and at least three steps, in the engine of this process.

    Returns:
      images/s: pictures of each domain that one update of G or D sees in a second, as log.jsonl counts them;
      ms a step: its median, the wait for pictures included;
      compile s: before the first step, and by how much that took longer;
      GFLOP/s: as the engine counts its own operations, at the median step; they differ by some percent;
      share of convolution: of the rate that one convolution reached beside each step, median;
      waiting for input: share of the time in which the step had no pictures yet;
      peak GiB: resident memory of this process at most;
      told GiB: what kgan.engine.Compiled.cost said;
      base GiB: resident at most before the first step, when all was built and traced.
    """
    import keras

    from kgan import engine
    from kgan.data import Unpaired
    from kgan.systems.ugatit import Settings

    keras.config.set_dtype_policy(precision)
    settings = Settings(**system)
    model = settings.create(steps=1000, seed=0)
    reader = Unpaired(root=folder, memory="stream").open(settings.image_size, batch, settings.batches_per_step, seed=0)
    step = engine.Compiled(model, lambda batches: model.train_step(tuple(map(reader.prepare, batches))))

    start = time.perf_counter()
    operations, told = step.cost(reader.step(0))
    base = resident()
    engine.to_host(step(reader.step(0)))
    first = time.perf_counter() - start

    steps: list[float] = []
    waits: list[float] = []
    shares: list[float] = []
    rate = engine.convolution_rate(0.1)
    while len(steps) < 3 or sum(steps) < seconds:
        start = time.perf_counter()
        batches = reader.step(len(steps) + 1)
        waits.append(time.perf_counter() - start)
        engine.to_host(step(batches))
        steps.append(time.perf_counter() - start)
        # Another program's load changes from second to second: only neighbours are compared.
        before, rate = rate, engine.convolution_rate(0.1)
        shares.append(operations / steps[-1] / ((before + rate) / 2))

    typical, peak = median(steps), resident()
    return {
        "precision": precision,
        "batch": batch,
        "images/s": batch / typical,
        "ms a step": 1000 * typical,
        "compile s": first - typical,
        "GFLOP/s": operations / typical / 1e9,
        "share of convolution": median(shares),
        "waiting for input": sum(waits) / sum(steps),
        "peak GiB": peak / 2**30,
        "told GiB": told / 2**30,
        "peak/told": peak / told,
        "base GiB": base / 2**30,
    }


def resident() -> float:
    """Bytes that this process held in memory at most until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
