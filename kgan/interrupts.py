"""Signals that end a process, from the first second on, so that nothing unfinished stays behind.

While modules are imported there is nothing to lose, and nothing to trace.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

INTERRUPTED = "kgan: interrupted."
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(SystemExit):
    """SIGTERM or SIGHUP came: the process leaves, with 128 + the signal's number."""


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """Within, SIGINT is a `KeyboardInterrupt`, and SIGTERM and SIGHUP are a `Stopped`.

    During an import each ends the process at once: an import runs code of many packages, parts of which pass over an
    exception or make another one of it. What is handled already stays so, and what is ignored, as under nohup.
    """
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    default = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: handler for number in numbers if main and (handler := signal.getsignal(number)) in default}
    for number in before:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    below = frame
    while below is not None:
        if below.f_code.co_filename.startswith("<frozen importlib"):
            if number == signal.SIGINT:
                os.write(2 if sys.stderr is None else sys.stderr.fileno(), f"\n{INTERRUPTED}\n".encode())
            os._exit(128 + number)
        below = below.f_back
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Stopped(128 + number)
