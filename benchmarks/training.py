"""Training: each system at the size of its small budget, as `kgan train` does it: pictures held by the device."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import alone
from kgan import memory

JPEGS = "JPEGS"  # stands for the folder of files that the benchmark makes
CASES = (  # config, data.root, precision, batch
    ("ugatit_light_selfie2anime_64", JPEGS, "float32", 1),
    ("ugatit_light_selfie2anime_64", JPEGS, "mixed_bfloat16", 1),
    ("ugatit_light_selfie2anime_64", JPEGS, "mixed_bfloat16", 4),
    ("cyclegan_selfie2anime", JPEGS, "mixed_bfloat16", 1),
    ("pix2pix_facades", "emoji:fluent3d:google", "mixed_bfloat16", 1),
    ("stargan_emoji", "emoji", "mixed_bfloat16", 8),
)
COLUMNS = {
    "config": "",
    "engine": "",
    "precision": "",
    "batch": "d",
    "images/s": ".2f",
    "ms a step": ".0f",
    "compile s": ".0f",
    "GFLOP/s": ".0f",
    "share of convolution": ".0%",
    "preparing batches": ".1%",
    "peak GiB": ".2f",
    "told GiB": ".2f",
    "peak/told": ".2f",
}


def rows(
    folder: Path,
    cases: Sequence[tuple[str, str, str, int]] = CASES,
    changes: Mapping[str, Any] | None = None,
    seconds: float = 6.0,
) -> Iterator[dict]:
    """One for each engine and case; an engine that is not installed has one that says so.

    `changes` are made to the settings of every case's system.
    """

    def of(engine: str) -> Iterator[dict]:
        for config, root, precision, batch in cases:
            case = {"config": config, "root": str(folder) if root == JPEGS else root}
            arguments = {**case, "precision": precision, "batch": batch, "changes": changes or {}}
            yield alone.run("training", engine, **arguments, seconds=seconds)

    return alone.under_both(of)


def measure(
    config: str, root: str, precision: str, batch: int, changes: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Train for about `seconds` and at least three steps, in the engine of this process; at its last level if it grows.

    Returns:
      images/s: pictures of each domain that one update of G or D sees in a second, as log.jsonl counts them;
      ms a step: its median, the host's part included;
      compile s: before the first step, and by how much that took longer;
      GFLOP/s: as the engine counts its own operations, at the median step; they differ by some percent;
      share of convolution: of the rate that one convolution reached beside each step, median;
      preparing batches: share of the time that the host takes before a call;
      peak GiB: resident memory of this process at most;
      told GiB: what kgan.engine.Compiled.cost said;
      base GiB: resident at most before the first step, when all was built and traced.
    """
    import keras

    from kgan import engine
    from kgan.training import Config
    from kgan.training.config import open_data, stages
    from kgan.training.window import open_window

    keras.config.set_dtype_policy(precision)
    experiment: Config = importlib.import_module(f"kgan.configs.{config}").get_config()
    experiment = experiment.replace("system", **changes).replace("data", root=root)
    experiment = experiment.replace("training", batch_size=batch)
    stage = stages(experiment)[-1]
    reader = open_data(experiment, stage)
    system = experiment.system.create(1000, 0, reader.labels)
    step = open_window(experiment, system, stage, reader, stage.first_step).step
    several = engine.steps_per_call()

    start = time.perf_counter()
    batches = [reader.step(i) for i in range(several)]
    cost = step.cost(*batches)
    base, told = memory.peak(), cost.tensors + cost.held
    engine.to_host(step(*batches))
    first = time.perf_counter() - start

    steps: list[float] = []
    waits: list[float] = []
    shares: list[float] = []
    rate = engine.convolution_rate(0.1)
    while len(steps) < 3 or sum(steps) < seconds:
        start = time.perf_counter()
        batches = [reader.step((len(steps) + 1) * several + i) for i in range(several)]
        waits.append((time.perf_counter() - start) / several)
        engine.to_host(step(*batches))
        steps.append((time.perf_counter() - start) / several)
        # Another program's load changes from second to second: only neighbours are compared.
        before, rate = rate, engine.convolution_rate(0.1)
        shares.append(cost.operations / steps[-1] / ((before + rate) / 2))

    typical, peak = median(steps), memory.peak()
    return {
        "config": config,
        "precision": precision,
        "batch": batch,
        "images/s": batch / typical,
        "ms a step": 1000 * typical,
        "compile s": first - several * typical,
        "GFLOP/s": cost.operations / typical / 1e9,
        "share of convolution": median(shares),
        "preparing batches": sum(waits) / sum(steps),
        "peak GiB": peak / 2**30,
        "told GiB": told / 2**30,
        "peak/told": peak / told,
        "base GiB": base / 2**30,
    }
