"""Ctrl-C, from the first second on: while modules are imported there is nothing to lose, and nothing to trace."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = "kgan: interrupted."


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT during an import ends the process, in a line and with 130; else it is a `KeyboardInterrupt`.

    An import runs code of many packages, parts of which pass over an interrupt or make another error of it.
    """
    main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # it is handled already, or ignored as in the background of a script
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    below = frame
    while below is not None:
        if below.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2 if sys.stderr is None else sys.stderr.fileno(), f"\n{INTERRUPTED}\n".encode())
            os._exit(130)
        below = below.f_back
    signal.default_int_handler(number, frame)
