"""A `.keras` file with its weights in 16 bits: half the size, to keep and to share.

It is loaded like any other, by Keras alone too, and computes in float32: only what lies on the disk is rounded, each
weight to 11 binary digits.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"
FLOOR = 60.0  # dB, as of a float16 .tflite


def halve(model: Path, output: Path) -> None:
    """Write the `.keras` file `model` to `output` with every float32 weight as float16, compressed.

    A weight that float16 cannot hold (above 65504, or not a number) stays as it is, with all others of its array.
    """
    with zipfile.ZipFile(model) as before, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, _in_16_bits(data) if name == WEIGHTS else data)


def _in_16_bits(data: bytes) -> bytes:
    """An HDF5 file with its arrays halved; groups and attributes stay."""
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as before, h5py.File(buffer, "w") as after:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            is_array = isinstance(item, h5py.Dataset)
            target = after.create_dataset(name, data=_half(item[()])) if is_array else after.require_group(name)
            target.attrs.update(item.attrs)

        after.attrs.update(before.attrs)
        before.visititems(copy)
    return buffer.getvalue()


def _half(array: np.ndarray) -> np.ndarray:
    """float32 as float16 where that holds every value, anything else as it is."""
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array
