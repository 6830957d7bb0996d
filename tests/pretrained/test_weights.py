"""Weights are found in three places, and are the right ones or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kgan.errors import UserError
from kgan.pretrained import weights

SHA256 = hashlib.sha256(b"right").hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    monkeypatch.setattr(weights, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def put(path: Path, content: bytes = b"right") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_path_goes_before_the_variable_and_that_before_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = put(cache / "net.npz")
    assert weights.find("net.npz", SHA256) == cached
    named = put(tmp_path / "folder/net.npz")
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "folder"))
    assert weights.find("net.npz", SHA256) == named
    given = put(tmp_path / "other/renamed.npz")
    assert weights.find("net.npz", SHA256, given) == given
    assert weights.find("net.npz", SHA256, cache) == cached


def test_missing_weights_say_what_to_do(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"no file {cache / 'net.npz'}.*sha256 {SHA256[:12]}.*KGAN_WEIGHTS.*--weights=PATH"
    ):
        weights.find("net.npz", SHA256)
    with pytest.raises(UserError, match=r"no file .*gone\.npz"):
        weights.find("net.npz", SHA256, tmp_path / "gone.npz")


def test_other_weights_are_refused(cache: Path) -> None:
    put(cache / "net.npz", b"wrong")
    with pytest.raises(UserError, match="is not the file that was looked for, or is damaged"):
        weights.find("net.npz", SHA256)
