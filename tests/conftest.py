"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before any test imports TensorFlow


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the project: real data and measured facts, which not every checkout has."""
    folder = (Path(__file__).resolve().parents[1] / "../shared").resolve()
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder} with real data")
    return folder
