"""A measurement in a process of its own: with its own engine, and a memory peak that nothing else has raised."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


def run(module: str, engine: str = "tensorflow", **arguments: Any) -> Any:
    """What `measure(**arguments)` of benchmarks.`module` returns, under that Keras backend; all of it fit for JSON.

    Raises:
      RuntimeError: it failed; the message ends as its standard error did.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # 3: TensorFlow logs an error of its graph optimizer that has no effect.
    environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", __name__, module, json.dumps(arguments)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"benchmarks.{module} failed under {engine}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def under_both(rows: Callable[[str], Iterable[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The rows of TensorFlow, then those of JAX, each with its "engine"; or one that says that it is not installed."""
    for engine in ("tensorflow", "jax"):
        if importlib.util.find_spec(engine) is None:
            yield {"engine": engine, "skipped": f'{engine} is not installed: pip install "kgan[{engine}]" brings it'}
        else:
            yield from ({"engine": engine} | row for row in rows(engine))


if __name__ == "__main__":
    measure = importlib.import_module(f"benchmarks.{sys.argv[1]}").measure
    print(json.dumps(measure(**json.loads(sys.argv[2]))))
