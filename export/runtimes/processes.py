"""A runtime in a process of its own: another Python, other libraries, and a crash that ends nothing here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgan.errors import UserError
from kgan.export.runtimes import Absent, Inputs, guest

LONGEST = 1800.0  # seconds; an emulated processor takes some for a picture


def run(
    runtime: str,
    file: Path,
    inputs: Sequence[Inputs],
    python: Sequence[str | Path] = (sys.executable,),
    environment: Mapping[str, str] | None = None,
) -> list[np.ndarray]:
    """What `kgan.export.runtimes.guest` draws under another Python.

    Args:
      runtime: the function in `guest`.
      file, inputs: as of a `Runtime`.
      python: the command that starts that Python.
      environment: variables that it gets beside this process's.

    Raises:
      Absent: the runtime does not read such files.
      UserError: the process failed; the sentence holds its last words.
    """
    with tempfile.TemporaryDirectory(prefix="kgan-") as temporary:
        source, target = Path(temporary, "inputs.npz"), Path(temporary, "pictures.npy")
        arrays: dict[str, Any] = {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}
        np.savez(source, **arrays)
        # -P: else this folder, in which a module is called openvino, would be looked for packages first.
        line = [*python, "-P", guest.__file__, runtime, file.absolute(), source, target]
        try:
            done = subprocess.run(
                [str(word) for word in line],
                env={**os.environ, **(environment or {})},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"it took more than {LONGEST / 60:.0f} minutes") from None
        if done.returncode == guest.UNREADABLE:
            raise Absent(f"{runtime} does not read such a file: {last_words(done)[-100:]}")
        if done.returncode or not target.exists():
            raise UserError(last_words(done))
        return list(np.load(target))


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Why a process failed: the last line that tells of an error, the signal that ended it, or its exit code."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "not supported" in line] or lines
    words = [errors[-1].rstrip(".")] if errors else []
    if done.returncode < 0:
        return "; ".join([f"it was ended by signal {-done.returncode}", *words])
    return words[0] if words else f"it ended with exit code {done.returncode} and said nothing"
