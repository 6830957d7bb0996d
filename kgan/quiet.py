"""Keeps the notes of engines, converter and interpreter, written by C++ past Python, off the user's screen."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that this process writes to standard output or standard error inside the block is seen.

    Exceptions pass. Not for use while other threads print.
    """
    with Path(os.devnull).open("w") as nowhere, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        for stream, descriptor in ((sys.__stdout__, 1), (sys.__stderr__, 2)):
            if stream is not None:
                with contextlib.suppress(OSError):  # nobody reads it any longer
                    stream.flush()
            copy = os.dup(descriptor)
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        yield


class _Lasting:
    """A stream that goes on, to nowhere, when its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._lasting(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._lasting(self._stream.flush)

    def _lasting(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError:
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside the block a terminal or a pipe that is closed loses what is printed, and ends nothing.

    Names of files that are no text in the terminal's encoding are printed with escapes.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # a file that is opened next must not be taken for it
            os.open(os.devnull, os.O_RDWR)
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream, first = getattr(sys, name), getattr(sys, f"__{name}__")
            if stream is None:
                stream = stack.enter_context(Path(os.devnull).open("w"))
            elif stream is not first:
                continue  # a test has put its own in its place
            else:
                stream.reconfigure(errors="backslashreplace")
            stack.callback(setattr, sys, name, getattr(sys, name))
            setattr(sys, name, _Lasting(stream))
        yield


@contextlib.contextmanager
def only_python() -> Iterator[None]:
    """Inside the block standard error shows what Python writes there, tracebacks included, and nothing of C++.

    TensorFlow logs whenever it likes: while it is imported, while it looks for GPUs, at the first operation; and part
    of it heeds no variable. So the descriptor 2, to which C++ writes, leads nowhere, and `sys.stderr` writes to another
    one, which leads where 2 led. A crash inside C++ shows where Python was. With TF_CPP_MIN_LOG_LEVEL=0 all is seen.
    """
    stream = sys.__stderr__
    ours = stream is not None and getattr(sys.stderr, "_stream", sys.stderr) is stream
    if stream is None or not ours or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield  # there is no standard error, or a test has put its own in its place, or all is wanted
        return
    stream.flush()
    python = os.fdopen(os.dup(2), "w", buffering=1, encoding=stream.encoding, errors="backslashreplace")
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(_Lasting(python)):
        os.dup2(nowhere.fileno(), 2)
        faulthandler.enable(python)
        try:
            yield
        finally:
            faulthandler.disable()
            python.flush()
            os.dup2(python.fileno(), 2)
