"""How fast kgan is on this machine. Takes about ten minutes on two cores; nothing is downloaded.

  python -m benchmarks --only=training,straightforward,input,export,metrics --output=build/bench.json

training: every system at 64 or 128 px under TensorFlow and JAX, each case in a process of its own: speed, the share it
          reaches of what one convolution reaches on this machine, and peak memory beside what `kgan train` says before
straightforward: CycleGAN's and U-GAT-IT's step as one would write it first, in float32, and how many times faster and
          smaller kgan's is, in float32 and in bfloat16
input:    pictures read, resized and batched with training switched off, and how many times faster that is
export:   time of one picture of 256 px through the exported .tflite files
metrics:  speed of `kgan evaluate`'s features beside plain `predict` of Inception, whose weights it needs

Other programs slow the times down; ratios are of neighbours in time, and bear some of that.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import data, export, metrics, straightforward, training
from kgan import commands, files
from kgan.commands import shared
from kgan.errors import UserError

PARTS = {
    "training": training.COLUMNS,
    "straightforward": straightforward.COLUMNS,
    "input": data.COLUMNS,
    "export": export.COLUMNS,
    "metrics": metrics.COLUMNS,
}
ONLY = shared(flags.DEFINE_list, "only", "Which parts to run. Default: all.")
OUTPUT = shared(flags.DEFINE_string, "output", "Where to write all figures as JSON. Default: build/bench.json.")


def main() -> None:
    bench(ONLY.value or list(PARTS), OUTPUT.value or "build/bench.json")


def bench(parts: Sequence[str], output: str | Path) -> dict[str, Any]:
    """Measure `parts`, printing each row as it comes, and write everything to `output`."""
    if unknown := sorted(set(parts) - set(PARTS)):
        raise UserError(f"There is no benchmark '{unknown[0]}': --only takes some of {', '.join(PARTS)}.")
    figures: dict[str, Any] = {"machine": machine()}
    print(", ".join(f"{name} {value}" for name, value in figures["machine"].items()))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "training" in parts:
            side, _ = data.SIZES[0]
            figures["training"] = show("training", training.rows(data.make(folder / "training", side)))
        if "straightforward" in parts:
            figures["straightforward"] = show("straightforward", straightforward.rows())
        if "input" in parts:
            figures["input"] = show("input", data.rows(folder / "input", figures.get("training", [])))
        if "export" in parts:
            figures["export"] = show("export", export.rows())
        if "metrics" in parts:
            figures["metrics"] = show("metrics", metrics.rows())
    files.write_json(output, figures)
    print(f"\nAll figures are in {output}.")
    return figures


def show(part: str, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print a table, each row as soon as it is measured; returns the rows."""
    columns = PARTS[part]
    print(f"\n{part}\n{line({name: name for name in columns}, columns)}", flush=True)
    shown = []
    for row in rows:
        print(f"{row['engine']}: {row['skipped']}" if "skipped" in row else line(row, columns), flush=True)
        shown.append(row)
    return shown


def line(row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """The values of a row under the names of its columns; words to the left, numbers to the right."""
    cells = []
    for name, form in columns.items():
        value = row.get(name, "")
        text = value if isinstance(value, str) else format(value, form)
        cells.append(f"{text:>{len(name)}}" if form else f"{text:<{max(14, len(name))}}")
    return "  ".join(cells).rstrip()


def machine() -> dict[str, Any]:
    """What the figures depend on: this machine, and the versions of packages."""
    packages = ("kgan", "tensorflow", "keras", "jax", "ai-edge-litert")
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "processor": platform.machine(),
        "python": platform.python_version(),
        **{name: version for name in packages if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    commands.run(main)
