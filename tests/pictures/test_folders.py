"""Listing a folder: every picture that Pillow reads here, and a count of everything else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgan.errors import UserError
from kgan.pictures import folders, images

KINDS = ["jpg", "JPG", "jpeg", "jfif", "png", "webp", "bmp", "tif", "tiff", "gif", "avif", "jp2", "tga", "ppm", "ico"]


def some(folder: Path) -> Path:
    """A picture of each kind, and what lies beside pictures in the wild."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        Image.new("RGB", (16, 16), "red").save(folder / f"{'upper' if kind == 'JPG' else 'a'}.{kind}")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", ".hidden.png", "notes.txt", "noname"):
        (folder / name).write_bytes(b"junk")
    for name in ("one.heic", "two.HEIC", "clip.mp4", "raw.CR2"):
        (folder / name).write_bytes(b"x")
    for name in ("__MACOSX", ".ipynb_checkpoints", "@eaDir", "more", "more2"):
        (folder / name).mkdir()
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_every_picture_that_pillow_reads_is_found_and_readable(tmp_path: Path) -> None:
    listing = folders.look(some(tmp_path / "a"))
    assert len(listing.pictures) == len(KINDS)
    for path in listing.pictures:
        assert images.read(path).shape == (16, 16, 3)
    assert images.find(tmp_path / "a") == listing.pictures


def test_all_else_is_counted_by_kind_with_what_to_do(tmp_path: Path) -> None:
    listing = folders.look(some(tmp_path / "a"))
    assert {kind: len(names) for kind, names in listing.others.items()} == {
        "hidden or system's own": 8,
        ".heic": 2,
        "folder": 2,
        ".txt": 1,
        ".mp4": 1,
        ".cr2": 1,
        "without a suffix": 1,
        "dangling link": 1,
        "pipe or device": 1,
    }
    text = str(listing)
    assert f"{tmp_path / 'a'}: 15 pictures. Left out: " in text
    for words in (
        "2 .heic (pip install pillow-heif)",
        "2 folders (only what lies directly in here is read",
        "1 .mp4 (clip.mp4; a film: ffmpeg -i FILM",
        "1 .cr2 (raw.CR2; raw: develop",
        "1 dangling link (gone.jpg; ",
        "1 pipe or device (pipe.png; ",
        "1 .txt (notes.txt)",
        "8 hidden or system's own",
    ):
        assert words in text


def test_a_folder_of_pictures_alone_says_their_number(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert str(folders.look(tmp_path)) == f"{tmp_path}: 1 picture."
    assert str(folders.look(tmp_path).none()).endswith("looked for directly in it.")
    with pytest.raises(UserError, match="There is no folder"):
        folders.look(tmp_path / "a.png")


def test_programs_and_stubs_are_no_pictures() -> None:
    assert not {"EPS", "MPEG", "WMF", "HDF5", "GRIB", "BUFR"} & set(folders.formats())
    assert not {".eps", ".ps", ".mpg", ".h5", ".pdf", ".wmf"} & folders.suffixes()
    assert {".mpo", ".jfif", ".avif", ".tiff"} <= folders.suffixes()


def test_postscript_under_another_name_does_not_run_ghostscript(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(UserError, match="cannot be read as a picture: it holds none of a known kind"):
        images.read(tmp_path / "a.jpg")


def test_heic_is_read_where_pillow_heif_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(UserError, match=r"a\.heic cannot be read.*pip install pillow-heif"):
        images.read(tmp_path / "a.heic")
