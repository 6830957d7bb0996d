"""Checkpoints: whole, checked, and refused where they do not fit."""

import tracemalloc
import zipfile
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
    with pytest.raises(UserError, match=r"checkpoint-00000001\.npz is damaged"):
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


# --- damage --------------------------------------------------------------------------------------------------------


def test_every_flip_is_refused_or_loads_the_same(tmp_path: Path) -> None:
    """300 flipped bits, all over a small file: no traceback, and no other numbers."""
    path = checkpoint.save(tmp_path, 7, ARRAYS, {"config": {"name": "a"}, "data": {"a": {"pictures": 2}}}, keep=1)
    data, (arrays, about) = path.read_bytes(), checkpoint.load(path)
    random, refused = np.random.default_rng(0), 0
    for place in random.choice(8 * len(data), 300, replace=False):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            others, said = checkpoint.load(path)
        except checkpoint.Damaged as error:
            assert "checkpoint-00000007.npz is damaged" in str(error)
            refused += 1
            continue
        assert said == about and others.keys() == arrays.keys()
        assert all(others[name].tobytes() == array.tobytes() for name, array in arrays.items())
    assert refused > 150


def test_every_cut_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 7, ARRAYS, {}, keep=1)
    data = path.read_bytes()
    for length in (*range(0, len(data), 37), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(checkpoint.Damaged):
            checkpoint.load(path)


def header(shape: str, descr: str = "'<f4'") -> bytes:
    """The beginning of an .npy file that claims any shape."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "member, compression",
    [
        (header("(2147483648,)"), zipfile.ZIP_STORED),  # claims 8 GiB
        (header("(-1, -1)"), zipfile.ZIP_STORED),
        (header("(0, 10000000000000000000000)"), zipfile.ZIP_STORED),
        (header("(1,)", "'|O'") + b"cos\nsystem\n", zipfile.ZIP_STORED),
        (header("(8000000,)") + bytes(32_000_000), zipfile.ZIP_DEFLATED),  # a small file that unpacks to a large one
        (b"\x93NUMPY\x09\x00", zipfile.ZIP_STORED),
        (b"", zipfile.ZIP_STORED),
    ],
)
def test_a_file_cannot_claim_more_than_it_holds(tmp_path: Path, member: bytes, compression: int) -> None:
    path = tmp_path / "checkpoint-00000001.npz"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("weights.npy", member)
    tracemalloc.start()
    try:
        with pytest.raises(checkpoint.Damaged):
            checkpoint.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * path.stat().st_size + 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "about",
    [
        "[" * 100_000,
        '{"config": ' * 80 + "1" + "}" * 80,
        "[]",
        "null",
        '{"step": "8", "sha256": ""}',
        '{"step": 8, "sha256": "", "config": []}',
        '{"step": 8, "sha256": "", "data": {"a": 5}}',
        '{"step": 8, "sha256": "", "free": [[]]}',
        '{"step": ' + "9" * 5000 + "}",
        "\udcff",
    ],
)
def test_whatever_stands_in_it_is_no_traceback(tmp_path: Path, about: str) -> None:
    path = tmp_path / "checkpoint-00000001.npz"
    np.savez(path, about=np.array(about))
    with pytest.raises(checkpoint.Damaged):
        checkpoint.load(path)


def test_the_one_before_takes_the_place_of_damaged_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in (2, 4):
        checkpoint.save(tmp_path, step, ARRAYS, {}, keep=3)
    (tmp_path / "checkpoint-00000006.npz").write_bytes(b"")
    (tmp_path / "checkpoint-00000008.npz").mkdir()
    (tmp_path / "checkpoint-00000009.npz").symlink_to("nowhere")
    contents = checkpoint.newest_whole(tmp_path)
    assert contents and contents[0].name == "checkpoint-00000004.npz" and contents[2]["step"] == 4
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and all("checkpoint-00000004.npz takes its place" in line for line in said)
    checkpoint.set_aside(tmp_path, contents[0])
    assert [path.name for path in checkpoint.paths(tmp_path)] == ["checkpoint-00000002.npz", "checkpoint-00000004.npz"]
    assert (tmp_path / "checkpoint-00000006.npz.damaged").is_file()


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_anew(tmp_path: Path) -> None:
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step:08d}.npz").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"00000004\.npz is damaged .*00000002\.npz is damaged .* begin anew in another"
    ):
        checkpoint.newest_whole(tmp_path)
    assert len(checkpoint.paths(tmp_path)) == 2
