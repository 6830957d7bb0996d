"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before any test imports TensorFlow

# Keras and TensorFlow make graphs of very many objects, and nearly all stay for a while: looking through them for
# garbage as often as Python does by default takes up to a tenth of the time.
gc.set_threshold(100_000)

# In the background of a script SIGINT is ignored, and under nohup SIGHUP, in all processes that are started there. What
# is handled here is not ignored in those that tests start.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the project: real data and measured facts, which not every checkout has."""
    folder = (Path(__file__).resolve().parents[1] / "../shared").resolve()
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder} with real data")
    return folder
