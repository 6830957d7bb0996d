"""Tensors of a .safetensors file: the length of a JSON text (8 bytes), the text, raw numbers.

The text names each tensor's type, shape and place. As the format demands, tensors must fill the rest of the file one
after the other, without overlap or gap. Format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np

from kgan.errors import UserError

LONGEST = 100_000_000  # bytes of the text, the format's own limit
DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"},
    **{f"I{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
}


def read(path: Path) -> dict[str, np.ndarray]:
    """All tensors by name, as views of the file; bfloat16 becomes float32.

    Raises:
      UserError: the file is damaged; what it says of a tensor cannot be.
    """
    try:
        with path.open("rb") as file:
            stream = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (length,) = struct.unpack_from("<Q", stream)
        if length > min(LONGEST, len(stream) - 8):
            raise UserError(f"its list of tensors should be {length} bytes long, which it is not.")
        entries = json.loads(stream[8 : 8 + length].decode("utf-8"), object_pairs_hook=_once)
        entries.pop("__metadata__", None)
        return _arrays(entries, memoryview(stream)[8 + length :])
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # whatever bytes that mean nothing lead to
        raise UserError(f"{path} cannot be read: it is damaged, or no file of safetensors ({error}).") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of pairs whose keys are all different."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise UserError(f"it has {next(name for name in names if names.count(name) > 1)} twice.")
    return values


def _arrays(entries: dict[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    if not entries:
        raise UserError("there are no tensors in it.")
    arrays, end = {}, 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
        if entry["dtype"] not in DTYPES:
            raise UserError(f"its tensor {name} has the type {entry['dtype']}, which is not read.")
        dtype = np.dtype(DTYPES[entry["dtype"]])
        if not all(isinstance(number, int) and number >= 0 for number in (*shape, start, stop)):
            raise UserError(f"its tensor {name} has no shape or place.")
        if start != end:
            raise UserError(f"its tensor {name} does not begin where the one before ends.")
        if stop > len(data) or stop - start != math.prod(shape) * dtype.itemsize:
            raise UserError(f"its tensor {name} has another size than it should, or the file ends too soon.")
        array = np.frombuffer(data[start:stop], dtype).reshape(shape)
        widened = array.astype("<u4") << 16 if entry["dtype"] == "BF16" else array
        arrays[name], end = widened.view("<f4") if entry["dtype"] == "BF16" else array, stop
    if end != len(data):
        raise UserError("it goes on behind its last tensor.")
    return arrays
