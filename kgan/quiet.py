"""Keeps the notes of engines, converter and interpreter, written by C++ past Python, off the user's screen."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Iterator
from pathlib import Path


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
                stream.flush()
            copy = os.dup(descriptor)
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        yield


@contextlib.contextmanager
def only_python() -> Iterator[None]:
    """Inside the block standard error shows what Python writes there, tracebacks included, and nothing of C++.

    TensorFlow logs whenever it likes: while it is imported, while it looks for GPUs, at the first operation; and part
    of it heeds no variable. So the descriptor 2, to which C++ writes, leads nowhere, and `sys.stderr` writes to another
    one, which leads where 2 led. A crash inside C++ shows where Python was. With TF_CPP_MIN_LOG_LEVEL=0 all is seen.
    """
    stream = sys.__stderr__
    if stream is None or stream is not sys.stderr or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield  # there is no standard error, or a test has put its own in its place, or all is wanted
        return
    stream.flush()
    python = os.fdopen(os.dup(2), "w", buffering=1, encoding=stream.encoding, errors="backslashreplace")
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(python):
        os.dup2(nowhere.fileno(), 2)
        faulthandler.enable(python)
        try:
            yield
        finally:
            faulthandler.disable()
            python.flush()
            os.dup2(python.fileno(), 2)
