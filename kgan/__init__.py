"""kgan: from two folders of pictures to a photo-to-anime filter on a phone, with Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kgan.pinned import pin

if TYPE_CHECKING:
    import numpy as np

__version__ = "0.1.0"

pin()


def load(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load a filter from `.keras`, `.tflite` or a SavedModel folder; see `kgan.filters.loading.load`."""
    from kgan.filters.loading import load as load_filter  # here: importing kgan must stay cheap and engine-free

    return load_filter(path)
