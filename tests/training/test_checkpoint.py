"""Checkpoints: whole, checked, and refused where they do not fit."""

from pathlib import Path

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.training import checkpoint

ARRAYS = {
    "generator_ab/conv/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "step": np.array(7, np.int32),
    "generator_optimizer/iteration": np.array(7, np.int64),
}


def test_round_trip(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 7, ARRAYS, {"config": {"name": "a"}}, keep=3)
    arrays, about = checkpoint.load(path)
    assert path.name == "checkpoint-00000007.npz"
    assert about["step"] == 7 and about["config"] == {"name": "a"}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape


def test_the_newest_are_kept_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (5, 10, 100_000_000, 15):
        checkpoint.save(tmp_path, step, ARRAYS, {}, keep=2)
    assert [path.name for path in checkpoint.paths(tmp_path)] == ["checkpoint-00000015.npz", "checkpoint-100000000.npz"]


def test_found_in_a_missing_folder(tmp_path: Path) -> None:
    assert checkpoint.paths(tmp_path / "none") == []


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = checkpoint.save(tmp_path, 1, ARRAYS, {}, keep=1)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flip":
        data[data.index(np.float32(5).tobytes())] ^= 1
    else:
        data = bytearray(b"not a checkpoint")
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"checkpoint-00000001\.npz .*Remove it to go on from the one before it"):
        checkpoint.load(path)


def test_arrays_swapped_behind_a_valid_archive_fail_the_checksum(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, ARRAYS, {}, keep=1)
    with np.load(path) as archive:
        contents = {name: archive[name] for name in archive.files}
    contents["step"] = np.array(8, np.int32)
    with path.open("wb") as file:
        np.savez(file, **contents)
    with pytest.raises(UserError, match="do not match their checksum"):
        checkpoint.load(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 1, ARRAYS, {}, keep=1)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path, 1, ARRAYS, {"unserializable": object()}, keep=1)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_does_not_fit_is_named() -> None:
    shapes = {"generator_ab/conv/kernel": (2, 4), "step": (), "new": (1,)}
    with pytest.raises(UserError) as caught:
        checkpoint.check_fit(ARRAYS, shapes, "old.npz")
    for part in ("old.npz", "kernel is (2, 3) and should be (2, 4)", "new is missing", "iteration is not wanted"):
        assert part in str(caught.value)
