"""A measurement in a process of its own: with its own engine, and a memory peak that nothing else has raised."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
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


if __name__ == "__main__":
    measure = importlib.import_module(f"benchmarks.{sys.argv[1]}").measure
    print(json.dumps(measure(**json.loads(sys.argv[2]))))
