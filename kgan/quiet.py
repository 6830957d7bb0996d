"""Keeps the notes of engines, converter and interpreter, written by C++ past Python, off the user's screen."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

_lock = threading.Lock()
_blocks = 0  # in which threads are now
_redirection = contextlib.ExitStack()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that this process writes to standard output or standard error inside the block is seen.

    Exceptions pass. Several threads may be inside: the last one out switches the light on again.
    """
    global _blocks
    with _lock:
        if not _blocks:
            _redirection.enter_context(_silence())
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks:
                _redirection.close()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        for stream, descriptor in ((sys.__stdout__, 1), (sys.__stderr__, 2)):
            if stream is not None and not stream.closed:
                with contextlib.suppress(OSError):  # nobody reads it any longer
                    stream.flush()
            try:
                copy = os.dup(descriptor)
            except OSError:  # closed, and stays so
                continue
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        yield


def open_streams() -> None:
    """Standard streams that were closed when the process began (`2>&-`) lead nowhere, as if to /dev/null.

    Else the next file that is opened would get their number, and with it what others print.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: SIM115, PTH123  # for as long as the process lives
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


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
    open_streams()
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream, first = getattr(sys, name), getattr(sys, f"__{name}__")
            if stream is not first or not isinstance(stream, io.TextIOWrapper):
                continue  # a test has put its own in its place
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
