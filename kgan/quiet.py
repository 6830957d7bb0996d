"""Keeps the notes of engines, converter and interpreter, written by C++ past Python, off the user's screen."""

from __future__ import annotations

import contextlib
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
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        yield
