"""Checkpoints are read in every form without PyTorch, and whatever is not plain tensors is refused in a sentence."""

from __future__ import annotations

import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import pickles
from helpers.pickles import Call, Name, Persistent, Raw, storage, tensor

from kgan import state_dict
from kgan.errors import UserError

ARRAYS = {
    "conv.weight": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "conv.bias": np.array([0.5, -1], "f2"),
    "norm.num_batches_tracked": np.array(7, "i8"),
    "mask": np.array([True, False]),
}
BYTES = {str(i): array.tobytes() for i, array in enumerate(ARRAYS.values())}
NUMBERED = {str(i): array for i, array in enumerate(ARRAYS.values())}
ROW = np.arange(6, dtype="f4")


def assert_read(path: Path, expected: dict[str, np.ndarray]) -> None:
    arrays = state_dict.read(path)
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        state_dict.read(path)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_zip_of_today(tmp_path: Path) -> None:
    content = pickles.ordered(pickles.tensors(ARRAYS))
    assert_read(pickles.write_zip(tmp_path / "net.pth", content, BYTES), ARRAYS)


def test_dicts_within_each_other_are_joined_by_dots(tmp_path: Path) -> None:
    content = {"step": 3, "nets": [{"g": pickles.ordered(pickles.tensors({"w": ROW}))}, None], "lr": (1, "x")}
    assert_read(pickles.write_zip(tmp_path / "all.pt", content, {"0": ROW.tobytes()}), {"nets.0.g.w": ROW})


def test_a_module_of_torchscript(tmp_path: Path) -> None:
    weights = pickles.tensors({"weight": ROW})
    inner = Call(Name("__torch__.layers", "Conv"), (), {"training": True, **weights}, new=True)
    sizes = Call(Name("torch.jit._pickle", "build_intlist"), ([1, 2],))
    outer = Call(Name("__torch__", "Net"), (), {"conv": inner, "sizes": sizes}, new=True)
    assert_read(pickles.write_zip(tmp_path / "script.pt", outer, {"0": ROW.tobytes()}), {"conv.weight": ROW})


def test_the_legacy_form(tmp_path: Path) -> None:
    content = pickles.ordered(pickles.tensors(ARRAYS, None))
    assert_read(pickles.write_legacy(tmp_path / "net.pth", content, NUMBERED), ARRAYS)


def test_the_legacy_form_of_python_2(tmp_path: Path) -> None:
    """An OrderedDict is a list of pairs, a tensor is rebuilt without hooks, a parameter around it, and views count."""
    view = storage("0", "Float", 6, ("1", 2, 4))  # numbers 2 to 5 of the storage
    plain = Call(Name("torch._utils", "_rebuild_tensor"), (view, 1, (3,), (1,)))
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), (plain, True, None))
    content = Call(Name("collections", "OrderedDict"), ([["w", parameter]],))
    assert_read(pickles.write_legacy(tmp_path / "old.pth", content, {"0": ROW}), {"w": ROW[3:]})


def test_pickled_arrays(tmp_path: Path) -> None:
    columns = np.asfortranarray(ROW.reshape(2, 3))
    content = {"net": {"rows": pickles.array(ROW), "columns": pickles.array(columns), "old": pickles.array(ROW, True)}}
    path = tmp_path / "arrays.ckpt"
    path.write_bytes(pickles.pickled(content))
    assert_read(path, {"net.rows": ROW, "net.columns": columns, "net.old": ROW})


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_as_pickle_itself_writes_them(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": {"x": ARRAYS["conv.weight"], "y": ROW[::2].copy()}}, protocol))
    assert_read(path, {"a.x": ARRAYS["conv.weight"], "a.y": ROW[::2]})


def test_transposed_and_shifted_tensors(tmp_path: Path) -> None:
    source = storage("0", "Float", 6)
    content = {"t": tensor(source, 0, (3, 2), (1, 3)), "empty": tensor(source, 0, (0, 5), (5, 1))}
    expected = {"t": ROW.reshape(2, 3).T, "empty": np.zeros((0, 5), "f4")}
    assert_read(pickles.write_zip(tmp_path / "t.pth", content, {"0": ROW.tobytes()}), expected)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (Call(Name("os", "system"), ("touch executed",)), "calls os.system, and what a file calls is not executed"),
        (Call(Name("builtins", "eval"), ("1",)), "calls builtins.eval"),
        (Call(Name("numpy", "load"), ("x",)), "calls numpy.load"),
        ({"w": Call(Name("torch", "FloatStorage"), ())}, "calls torch.FloatStorage"),
        (Raw(b"X\x01\x00\x00\x00xX\x01\x00\x00\x00y\x93"), "calls x.y"),
        (Raw(b"(ios\nsystem\n"), "holds INST"),
        (Call(Name("numpy", "dtype"), ("O8", False, True)), "no plain numbers"),
        ({"w": tensor(storage("0", "Float", 6), 0, (7,), (1,))}, "its tensor w of 7 numbers is larger than what holds"),
        ({"w": tensor(storage("0", "Float", 6), 3, (2, 2), (2, 1))}, "its tensor w of 2 x 2 numbers is larger"),
        ({"w": tensor(storage("0", "Float", 6), -1, (2,), (1,))}, "its tensor w of 2 numbers is larger"),
        ({"w": tensor(storage("0", "Float", 6), 0, (1 << 40,), (0,))}, "its tensor w of 1099511627776 numbers is"),
        ({"w": tensor(storage("0", "Float", 6), 0, (-1,), (1,))}, "the shape of a tensor in it is none"),
        ({"w": tensor(storage("0", "Float", 6), 5, (2,), (-1,))}, "the shape of a tensor in it is none"),
        ({"w": tensor(storage("0", "Float", 7), 0, (6,), (1,))}, "its storage 0 holds 24 bytes and should hold 28"),
        ({"w": tensor(storage("9", "Float", 6), 0, (6,), (1,))}, "the numbers of its storage 9 are missing"),
        ({"w": tensor(storage("0", "BFloat16", 6), 0, (6,), (1,))}, "torch.BFloat16Storage"),
        (
            [tensor(storage("0", "Float", 6), 0, (6,), (1,)), tensor(storage("0", "Long", 3), 0, (3,), (1,))],
            "its storage 0 has two sizes or types",
        ),
        ({"w": Call(Name("torch._utils", "_rebuild_tensor_v2"), (7, 0, (1,), (1,)))}, "damaged"),
        (Raw(b"}(X\x01\x00\x00\x00wK\x01X\x01\x00\x00\x00wK\x02u"), "it has w twice"),
        ({("a", "b"): 1}, "has no name that one can read"),
        ({"a" * 501: 1}, "has no name that one can read"),
        (Raw(b"})" + b"\x85" * 300_000 + b"K\x01s"), "has no name that one can read"),  # hashing it would crash
        (Raw(b"(X\x07\x00\x00\x00storage)" + b"\x85" * 300_000 + b"X\x01\x00\x00\x000NK\x01tQ"), "has no name that"),
        (Raw(b")q\x00" + b"0h\x00h\x00\x86q\x00" * 60 + b"h\x00\x93"), "has no name that"),
        ({"step": 3}, "there are no tensors in it"),
        (Raw(b"}q\x00(X\x01\x00\x00\x00ah\x00u"), "the same things within each other"),  # a dict in itself
        (Raw(b"]q\x00" + b"0](h\x00h\x00eq\x00" * 60), "the same things within each other"),  # 2^60 places
        (Raw(b"a"), "damaged, or no checkpoint"),
        (Raw(b"h\x07"), "damaged, or no checkpoint"),
    ],
)
def test_what_is_refused(content: Any, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(pickles.write_zip(tmp_path / "bad.pth", content, {"0": ROW.tobytes()}))
    assert not (tmp_path / "executed").exists()


def test_names_that_collide(tmp_path: Path) -> None:
    first, second = (tensor(storage(key, "Float", 6), 0, (6,), (1,)) for key in "01")
    content = {"a": {"b": first}, "a.b": second}
    path = pickles.write_zip(tmp_path / "bad.pth", content, {"0": ROW.tobytes(), "1": ROW.tobytes()})
    assert "it has the tensor a.b twice" in refused(path)


def test_tensors_that_share_their_numbers(tmp_path: Path) -> None:
    content = {f"w{i}": tensor(storage("0", "Float", 6000), 0, (6000,), (1,)) for i in range(9)}
    path = pickles.write_zip(tmp_path / "bad.pth", content, {"0": bytes(24000)})
    assert "larger than the file, as several share their numbers" in refused(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    size = 1 << 26
    content = {"w": tensor(storage("0", "Byte", size), 0, (size,), (1,))}
    path = pickles.write_zip(tmp_path / "bomb.pth", content, {"0": bytes(size)}, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    assert "is compressed, or larger than the file" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_lengths_beyond_the_file_allocate_nothing(tmp_path: Path) -> None:
    path = tmp_path / "long.pkl"
    for code in (b"\x8e" + b"\xff" * 7 + b"\x7f", b"\x8b\xff\xff\xff\x7f", b"}r\xff\xff\xff\xff", b"B\xff\xff\xff\xff"):
        path.write_bytes(b"\x80\x04" + code + b".")
        tracemalloc.start()
        refused(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
        tracemalloc.stop()


def test_other_files(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone.pth") == f"There is no file {tmp_path / 'gone.pth'}."
    for name, data in (("empty.pth", b""), ("text.pth", b"<html>"), ("noise.pth", bytes(range(256)))):
        (tmp_path / name).write_bytes(data)
        assert "damaged, or no checkpoint of PyTorch" in refused(tmp_path / name)
    with tarfile.open(tmp_path / "old.pth", "w") as archive:
        archive.add(tmp_path / "text.pth", "storages")
    assert "in the tar form of PyTorch before 0.2" in refused(tmp_path / "old.pth")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photos/a.png", b"")
    assert "there is no data.pkl in it" in refused(tmp_path / "photos.zip")
    big = pickles.write_zip(tmp_path / "big.pth", pickles.tensors({"w": ROW}), {"0": ROW.tobytes()})
    with zipfile.ZipFile(big, "a") as archive:
        archive.writestr("archive/byteorder", "big")
    assert "big-endian" in refused(big)


def test_legacy_files_that_do_not_fit(tmp_path: Path) -> None:
    content, path = pickles.ordered(pickles.tensors(ARRAYS, None)), tmp_path / "net.pth"
    pickles.write_legacy(path, content, {**NUMBERED, "0": ROW})
    assert "its storage 0 has another size than it should" in refused(path)
    pickles.write_legacy(path, content, NUMBERED, list(NUMBERED)[1:])
    assert "the numbers of its storage 0 are missing" in refused(path)
    pickles.write_legacy(path, content, NUMBERED, [*NUMBERED, "0"])
    assert "damaged" in refused(path)
    pickles.write_legacy(path, content, NUMBERED)
    path.write_bytes(path.read_bytes() + b"more")
    assert "it goes on behind its end" in refused(path)
    view = {"w": tensor(Persistent((*storage("0", "Float", 6).id, ("1", 3, 4))), 3, (2,), (1,))}
    pickles.write_legacy(path, view, {"0": ROW})
    assert "a view of its storage 0 reaches beyond it" in refused(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_files_cut_anywhere_and_changed_anywhere(form: str, tmp_path: Path) -> None:
    """Cut ones are refused; a changed byte may be one of a number, or of no matter, and else is refused."""
    path = tmp_path / "net.pth"
    if form == "zip":
        pickles.write_zip(path, pickles.ordered(pickles.tensors(ARRAYS)), BYTES)
    elif form == "legacy":
        pickles.write_legacy(path, pickles.ordered(pickles.tensors(ARRAYS, None)), NUMBERED)
    else:
        path.write_bytes(pickles.pickled({name: pickles.array(value) for name, value in ARRAYS.items()}))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        refused(path)
    random, survivors = np.random.default_rng(0), 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[random.integers(len(whole))] = random.integers(256)
        path.write_bytes(changed)
        try:
            state_dict.read(path)
            survivors += 1
        except UserError as error:
            assert str(path) in str(error)
    assert 0 < survivors < 250


def test_the_official_code_s_checkpoint(shared: Path) -> None:
    """A ResNet-9 at width 8, saved by PyTorch: 24 convolutions with biases."""
    path = shared / "data/checkpoints/cyclegan_resnet_9.pth"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    arrays = state_dict.read(path)
    assert len(arrays) == 48 and arrays["model.1.weight"].shape == (8, 3, 7, 7)
    assert arrays["model.19.weight"].shape == (32, 16, 3, 3) and all(a.dtype == np.float32 for a in arrays.values())
