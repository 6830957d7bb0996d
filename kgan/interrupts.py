"""How work ends before its end: by a signal, from a process's first second on, or because nobody waits for it."""

from __future__ import annotations

import contextlib
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTED = "kgan: interrupted."
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopped(SystemExit):
    """SIGTERM or SIGHUP came: the process leaves, with 128 + the signal's number."""


class Abandoned(Exception):
    """Nobody waits any more for what is being computed."""


_awaited: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar("awaited", default=lambda: True)


@contextlib.contextmanager
def awaited(still: Callable[[], bool]) -> Iterator[None]:
    """Within, on this thread, `go_on` asks whether somebody is still waiting."""
    token = _awaited.set(still)
    try:
        yield
    finally:
        _awaited.reset(token)


def go_on() -> None:
    """Raise `Abandoned` where nobody waits any more: long work calls it between its parts."""
    if not _awaited.get()():
        raise Abandoned("Nobody waits for it any more.")


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """Within, SIGINT is a `KeyboardInterrupt`, and SIGTERM and SIGHUP are a `Stopped`.

    During an import each ends the process at once, since there is nothing to lose: an import runs code of many
    packages, parts of which pass over an exception or make another one of it. What is handled already stays so, and
    what is ignored, as under nohup.
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
