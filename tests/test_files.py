"""The digest of arrays, by which checkpoints and weights are known, and the names of what is unfinished."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kgan import files


def test_the_digest_sees_names_types_shapes_and_values() -> None:
    base = {"a": np.zeros(4, np.float32)}
    others = [{"b": base["a"]}, {"a": np.zeros(4, np.int32)}, {"a": np.zeros((2, 2), np.float32)}, {"a": base["a"] + 1}]
    assert len({files.digest(arrays) for arrays in [base, *others]}) == 5


def test_the_digest_does_not_see_order_and_layout() -> None:
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7)
    assert files.digest({"a": a, "b": b}) == files.digest({"b": b, "a": np.asfortranarray(a)})


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "ä" * 125 + ".png", "😀" * 60 + ".jpg", "a" * 90, "b.png"])
def test_a_temporary_name_is_as_short_as_file_systems_ask(tmp_path: Path, name: str) -> None:
    with files.replacing(tmp_path / name) as temporary:
        assert len(os.fsencode(temporary.name)) <= max(len(os.fsencode(name)), 100)
        assert temporary.suffix == Path(name).suffix
        temporary.write_bytes(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_was_to_have_a_long_name_is_swept(tmp_path: Path) -> None:
    name = "a" * 250
    for other in (name, "b" * 250):
        files._aside(tmp_path / other).write_bytes(b"x")
    files.sweep(tmp_path, name)
    assert [path.name[-1] for path in tmp_path.iterdir()] == ["b"]
