"""Time .tflite files on this machine's processor, side by side.

  kgan benchmark --models=exported/generator_ab_float32.tflite,exported/generator_ab_dynamic_wi8_afp32.tflite

prints bytes, parameters, multiply-adds (MACs), pieces that XNNPACK runs, milliseconds of a run with one thread and with
two, and memory. Files of others can be among them. All run in turns: compare figures of one table, and only those.
A name alone, such as onesided_selfie2anime, means the .tflite that comes with kgan.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags

from kgan import commands, files
from kgan.errors import UserError
from kgan.filters import included
from kgan.pictures import images

MODELS = commands.shared(
    commands.DEFINE_paths, "models", "The .tflite files, separated by commas; the first is what others relate to."
)
THREADS = flags.DEFINE_list("threads", ["1", "2"], "How many threads each may use; several numbers give several rows.")
SECONDS = flags.DEFINE_float("seconds", 10.0, "How long to run them, in all.", lower_bound=0.0)
OUTPUT = commands.shared(commands.DEFINE_path, "output", "A .json file for the figures; a chart (.png) goes beside it.")


def main() -> None:
    from kgan.export import latency

    commands.require(MODELS)
    if not all(count.isdigit() and int(count) for count in THREADS.value):
        raise UserError(f"--threads holds numbers from 1 on, separated by commas, got {','.join(THREADS.value)}.")
    if OUTPUT.value and Path(OUTPUT.value).suffix != ".json":
        raise UserError(f"--output names a .json file, got {OUTPUT.value}.")
    models, threads = [included.find_tflite(name) for name in MODELS.value], [int(count) for count in THREADS.value]
    rows = latency.measure(models, threads, SECONDS.value)
    print(latency.table(rows))
    if OUTPUT.value:
        path = Path(OUTPUT.value)
        files.write_json(path, [dataclasses.asdict(row) for row in rows])
        images.write(path.with_suffix(".png"), latency.chart(rows))
        print(f"{path} holds the figures, {path.with_suffix('.png')} the chart.")


if __name__ == "__main__":
    commands.run(main)
