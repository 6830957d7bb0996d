"""Nothing half-written stays behind: files and folders appear under their names when they are whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kgan.errors import UserError

MARK = ".unfinished"  # how names of what is not whole begin


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` for a file or folder, renamed to `path` when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _aside(path)
    try:
        yield temporary
        place(temporary, path)
    finally:
        _remove(temporary)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file of any kind as a whole: a reader sees the old one or the new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, as a whole."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def place(source: Path, path: Path) -> None:
    """Rename a whole file or folder to `path`, on the same disk, in the place of what was there."""
    if source.is_dir():
        former = _aside(path)
        if path.exists():
            path.replace(former)  # a folder cannot be renamed to one that is there
        source.replace(path)
        _remove(former)
    else:
        with source.open("r+b") as file:
            os.fsync(file.fileno())
        source.replace(path)
    _sync(path.parent)


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keeps other processes out of `folder` for as long as this block, or this process, lasts.

    Raises:
      UserError: another process is in.
    """
    try:
        import fcntl
    except ImportError:  # Windows: a convenience is missing there
        yield
        return
    with (Path(folder) / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"Another process is at work in {folder}: stop it, or choose another folder.") from None
        yield


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of names, types, shapes and numbers, however a file orders, dates or compresses them."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.data if array.size else b"")
    return total.hexdigest()


def sweep(folder: str | Path, name: str | None = None) -> None:
    """Remove what a killed process left unfinished in `folder`: all of it, or what was to be called `name`."""
    for path in Path(folder).glob(f"{MARK}-*"):
        if name is None or re.fullmatch(rf"{re.escape(MARK)}-\w{{8}}-{re.escape(_end(name))}", path.name):
            _remove(path)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same member of a tar without an owner, and with its time in whole seconds, which need no further header."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(member.mtime)
    return member


def _aside(path: Path) -> Path:
    """A new name beside `path`, which `sweep` finds. The suffix stays last: writers choose the format by it."""
    return path.with_name(f"{MARK}-{uuid.uuid4().hex[:8]}-{_end(path.name)}")


def _end(name: str) -> str:
    """The end of a long name, so that the name aside takes no more bytes: file systems allow 255, or fewer."""
    room = max(len(os.fsencode(name)), 100) - len(MARK) - 10
    while len(os.fsencode(name)) > room:
        name = name[1:]
    return name


def _sync(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
