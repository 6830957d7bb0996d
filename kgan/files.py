"""Nothing half-written stays behind: files and folders appear under their names when they are whole."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgan.errors import UserError

_MARK = ".unfinished"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` for a file or folder, renamed to `path` when the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers choose the format by it.
    temporary = path.with_name(f"{_MARK}-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        if temporary.is_dir():
            if path.exists():
                shutil.rmtree(path)
        else:
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    finally:
        _remove(temporary)


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


def sweep(folder: str | Path) -> None:
    """Remove what a killed process left unfinished in `folder`."""
    for path in Path(folder).glob(f"{_MARK}-*"):
        _remove(path)


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
