"""Weights are found in three places, and are the right ones or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgan import files
from kgan.errors import UserError
from kgan.pretrained import weights

ARRAYS = {"b": np.arange(3, dtype="f4"), "a": np.ones((2, 2), "f2")}
SHA256 = files.digest(ARRAYS)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    monkeypatch.setattr(weights, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def put(path: Path, **changes: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**ARRAYS, **changes})
    return path


def test_a_path_goes_before_the_variable_and_that_before_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = put(cache / "net.npz")
    assert weights.find("net.npz", SHA256) == cached
    folder = put(tmp_path / "folder/net.npz")
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "folder"))
    assert weights.find("net.npz", SHA256) == folder
    other = put(tmp_path / "other/renamed.npz")
    assert weights.find("net.npz", SHA256, other) == other
    assert weights.find("net.npz", SHA256, cache) == cached


def test_files_of_other_bytes_and_the_same_arrays_are_the_right_ones(cache: Path) -> None:
    cache.mkdir()
    np.savez_compressed(cache / "net.npz", **dict(reversed(ARRAYS.items())))
    arrays = weights.load("net.npz", SHA256)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_missing_weights_say_how_to_get_them(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"no file {cache / 'net.npz'}\. Get them with: kgan weights\..*KGAN_WEIGHTS.*--weights=PATH"
    ):
        weights.find("net.npz", SHA256)
    with pytest.raises(UserError, match=r"no file .*gone\.npz"):
        weights.find("net.npz", SHA256, tmp_path / "gone.npz")


def test_other_weights_are_refused(cache: Path) -> None:
    put(cache / "net.npz", b=np.array([0, 1, 3], "f4"))
    with pytest.raises(UserError, match=r"holds other weights than net\.npz should.*kgan weights"):
        weights.find("net.npz", SHA256)


@pytest.mark.parametrize("position", [0, 70, -30])
def test_damaged_weights_are_refused(cache: Path, position: int) -> None:
    data = bytearray(put(cache / "net.npz").read_bytes())
    data[position] ^= 255
    (cache / "net.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"net\.npz (is damaged|holds other weights)"):
        weights.find("net.npz", SHA256)
    (cache / "net.npz").write_bytes(data[:100])
    with pytest.raises(UserError, match=r"net\.npz is damaged: .*kgan weights"):
        weights.load("net.npz", SHA256)
