"""Precision: statistics and losses in float32 at least, and filters in float32 whatever they were trained in."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras import ops

from kgan.types import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """x in float32, or in float64 where it is that already. (keras.backend.result_type narrows float64 on JAX.)"""
    return ops.cast(x, at_least_float32_dtype(x.dtype))


def at_least_float32_dtype(dtype: Any) -> str:
    """The dtype of `at_least_float32`."""
    return "float64" if keras.backend.standardize_dtype(dtype) == "float64" else "float32"


def variable_dtype() -> str:
    """The dtype of variables under Keras' global policy: float32 where it is a mixed one."""
    return str(keras.config.dtype_policy().variable_dtype)


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Within the block, `name` is Keras' global dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def float32_copy(model: keras.Model) -> keras.Model:
    """The model under the float32 policy, weights copied; the model itself where it is that already."""
    serialized = keras.saving.serialize_keras_object(model)
    changed = _float32(serialized)
    if changed == serialized:
        return model
    copy = keras.saving.deserialize_keras_object(changed)
    copy.set_weights(model.get_weights())
    return copy


def _float32(node: Any) -> Any:
    if isinstance(node, dict):
        if node.get("class_name") == "DTypePolicy":
            return {**node, "config": {**node["config"], "name": "float32"}}
        return {key: "float32" if _is_float(key, value) else _float32(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_float32(value) for value in node)
    return node


def _is_float(key: str, value: Any) -> bool:
    """Inputs and some layers state a plain dtype."""
    return key == "dtype" and isinstance(value, str) and value in ("float16", "bfloat16", "float64")


def timeless(path: str | Path) -> None:
    """Rewrite a .keras file without the time and the addresses that Keras notes in it: equal models are equal bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members["metadata.json"])
    members["metadata.json"] = json.dumps({**about, "date_saved": "1980-01-01@00:00:00"}).encode()
    numbers: dict[bytes, bytes] = {}

    def renumbered(match: re.Match[bytes]) -> bytes:
        return match[1] + numbers.setdefault(match[2], b"%d" % len(numbers))

    members["config.json"] = re.sub(rb'("shared_object_id": )(\d+)', renumbered, members["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # dated 1980
