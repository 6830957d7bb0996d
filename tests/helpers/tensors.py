"""Checkpoints of other forms than PyTorch's, written as their programs do."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

TYPES = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64"}


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    entries, data = {}, b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        kind, shape = TYPES[array.dtype.str[1:]], list(array.shape)
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def write_tensorflow(prefix: Path, arrays: dict[str, np.ndarray]) -> Path:
    """A checkpoint of TensorFlow 1's Saver."""
    import tensorflow as tf

    names = sorted(arrays)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tensors = [tf.constant(arrays[name]) for name in names]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
    return prefix
