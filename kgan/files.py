"""Nothing half-written stays behind: files and folders appear under their names when they are whole."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import shutil
import tarfile
import time
import uuid
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
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
    except OSError as error:
        if error.filename in (None, str(temporary)):  # what a user is told is the name that was to be written
            error.filename = str(path)
        raise
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


def make_folder(folder: str | Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
      UserError: a file or a link to nowhere has its name, or it may not be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        taken = next(each for each in (folder, *folder.parents) if os.path.lexists(each) and not each.is_dir())
        kind = "a link to a place that is not there" if not taken.exists() else "a file, not a folder"
        raise UserError(f"{folder} cannot be written to: {taken} is {kind}. Remove it, or name another.") from None


@contextmanager
def locked(folder: str | Path) -> Iterator[Callable[[], None]]:
    """Keeps other processes out of `folder` for as long as this block, or this process, lasts.

    Yields:
      A function that raises a `UserError` where the folder was removed, or another one put in its place.

    Raises:
      UserError: another process is in.
    """
    folder = Path(folder)
    with (folder / ".lock").open("a") as file:

        def check() -> None:
            try:
                same = os.path.samestat(os.fstat(file.fileno()), (folder / ".lock").stat())
            except OSError:
                same = False
            if not same:
                raise UserError(f"{folder} was removed or replaced while a process was at work in it.")

        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows: a convenience is missing there
            pass
        except BlockingIOError:
            raise UserError(f"Another process is at work in {folder}: stop it, or choose another folder.") from None
        yield check


def read_arrays(path: str | Path, names: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed .npz file, or some of them, in no more memory than some times the file's size.

    Nothing is unpacked or unpickled, and every byte is checked against the zip's sums.

    Raises:
      OSError, ValueError and others, as zip and NumPy have a dozen: the file is damaged. Catch `Exception`.
    """
    arrays, room = {}, Path(path).stat().st_size
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            room -= member.file_size
            if member.compress_type != zipfile.ZIP_STORED or room < 0:
                raise ValueError(f"{member.filename} claims more than the file holds")
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"{member.filename} is there twice")
            if not names or name in names:
                arrays[name] = _array(archive.read(member))
    return arrays


def _array(data: bytes) -> np.ndarray:
    """The array that the content of an .npy file is."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    rest = len(data) - stream.tell()
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"an array of {dtype} {shape} does not lie in {rest} bytes")
    flat = np.frombuffer(data, dtype, offset=stream.tell()) if rest else np.empty(0, dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def parse_json(text: str | bytes, levels: int = 50) -> Any:
    """The value of a JSON text that may come from anywhere; a `ValueError` where it is none, or too deep to walk."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    below = [value]
    for _ in range(levels):
        lists = [each.values() if isinstance(each, dict) else each for each in below if isinstance(each, dict | list)]
        below = [child for children in lists for child in children]
    if below:
        raise ValueError("it is nested too deeply")
    return value


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of names, types, shapes and numbers, however a file orders, dates or compresses them."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.data if array.size else b"")
    return total.hexdigest()


def sweep(folder: str | Path, name: str | None = None, older: float = 0) -> None:
    """Remove what a killed process left unfinished in `folder`.

    Args:
      folder: need not be there.
      name: what it was to be called; by default all is removed.
      older: seconds for which it has not been touched, where another process may be at work in the folder.
    """
    for path in Path(folder).glob(f"{MARK}-*"):
        if name is None or re.fullmatch(rf"{re.escape(MARK)}-\w{{8}}-{re.escape(_end(name))}", path.name):
            with suppress(FileNotFoundError):  # it was just finished
                if time.time() - path.stat().st_mtime >= older:
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
