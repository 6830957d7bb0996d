"""The input pipeline with training switched off: steps of pictures, from JPEG files and from memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import alone
from kgan.pictures import emoji, images

COLUMNS = {
    "pictures": "",
    "resized to": "",
    "from": "",
    "batch": "d",
    "pictures/s": ",.0f",
    "steps/s": ",.0f",
    "times training": ",.0f",
}
TRAINED = "ugatit_light_selfie2anime_64"  # takes one batch of two domains a step, as this benchmark does
# Side of the files, and of the pictures in a step. The first is what `benchmarks.training` trains on.
SIZES = ((256, 64), (256, 256), (1024, 64))


def make(folder: Path, side: int, count: int = 48) -> Path:
    """Two domains of `count` JPEG files, `side` pixels square, each of four emoji: as large a file as a photo's."""
    for name, vendor in (("trainA", "fluent3d"), ("trainB", "google")):
        pictures = emoji.load(vendor, "train")
        for i in range(count):
            a, b, c, d = pictures[4 * i : 4 * i + 4]
            sheet = np.concatenate([np.concatenate([a, b], 1), np.concatenate([c, d], 1)])
            images.write(folder / name / f"{i:03d}.jpg", images.resize(sheet, (side, side)))
    return folder


def rows(
    folder: Path,
    trained: Sequence[dict[str, Any]],
    sizes: Sequence[tuple[int, int]] = SIZES,
    batch: int = 1,
    seconds: float = 0.6,
) -> Iterator[dict[str, Any]]:
    """One for each of `sizes`, streamed and kept in memory, beside the fastest U-GAT-IT of `trained` of that batch."""
    for side in {side for side, _ in sizes}:
        make(folder / str(side), side)
    steps = [row["ms a step"] / 1000 for row in trained if (row.get("config"), row.get("batch")) == (TRAINED, batch)]
    for row in alone.run("data", folder=str(folder), sizes=sizes, batch=batch, seconds=seconds):
        if steps and row["resized to"] == f"{sizes[0][1]} px":
            row["times training"] = row["steps/s"] * min(steps)
        yield row


def measure(folder: str, sizes: Sequence[tuple[int, int]], batch: int, seconds: float) -> list[dict[str, Any]]:
    """Each the median of five times `seconds`, with the files in the system's cache.

    A step takes one batch of two domains, as the training does: steps/s are pictures/s divided by 2 `batch`.
    """
    from kgan.data import Unpaired

    measured = []
    for side, size in sizes:
        for memory, source in (("stream", "files"), ("keep", "memory")):
            reader = Unpaired(root=f"{folder}/{side}", memory=memory).open(size, batch, batches=1, seed=0)
            rates, step = [], 0
            for _ in range(5):
                start, first = time.perf_counter(), step
                while time.perf_counter() - start < seconds:
                    reader.step(step)
                    step += 1
                rates.append((step - first) / (time.perf_counter() - start))
            measured.append(
                {
                    "pictures": f"JPEG, {side} px",
                    "resized to": f"{size} px",
                    "from": source,
                    "batch": batch,
                    "pictures/s": median(rates) * 2 * batch,
                    "steps/s": median(rates),
                }
            )
    return measured
