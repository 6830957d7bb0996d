"""Peak memory: of this process, and of no other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from kgan import memory


def test_what_was_held_counts_and_what_another_process_held_does_not() -> None:
    before = memory.peak()
    size = int(before) + 2**28  # bytes; with what is held now more than ever before
    assert np.ones(size, np.uint8)[-1] == 1
    assert memory.peak() >= before + 2**28 * 0.9
    code = "from kgan import memory; print(memory.peak())"
    child = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 2**20 < child < 2**28
