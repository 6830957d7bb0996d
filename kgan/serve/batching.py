"""Dynamic batching: requests that wait for the same function are answered by one call of it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Hashable
from concurrent.futures import CancelledError, Future, wait
from typing import NamedTuple

import numpy as np

from kgan.interrupts import Abandoned, awaited, go_on
from kgan.serve.errors import Status
from kgan.serve.limits import USUAL, Limits
from kgan.serve.signatures import Arrays, Signature

ROWS = 32  # in one call, unless one request alone has more

FULL = "The batch scheduling queue to which this task was submitted is full; {} wait already"
CLOSED = "The model is being unloaded"
LATE = "Timed out after {:g} seconds"
LOOK = 0.2  # seconds between two looks whether a client still waits


class Answer(NamedTuple):
    """The outputs by name, and the seconds that the call took that computed them."""

    outputs: Arrays
    seconds: float


@dataclasses.dataclass(eq=False)
class Task:
    """A request that waits: what it asks, where its answer goes, and whether nobody takes it any more."""

    signature: Signature
    inputs: Arrays
    rows: int
    answer: Future[Answer]
    given_up: bool = False

    @property
    def key(self) -> Hashable:
        """Equal for tasks that can be joined along the first axis."""
        return id(self.signature), *((name, each.dtype, each.shape[1:]) for name, each in sorted(self.inputs.items()))


class Batcher:
    """A thread that answers the requests to one model, as many at a time as wait and fit.

    Nothing waits for company: while a call runs, the next ones gather.

    Args:
      rows: in one call at most.
    """

    def __init__(self, rows: int = ROWS) -> None:
        self.rows = rows
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="kgan-batches", daemon=True)
        self._thread.start()

    def __call__(self, signature: Signature, inputs: Arrays, limits: Limits = USUAL) -> Answer:
        """The answer to one request, waited for.

        Raises:
          Status: UNAVAILABLE where too many wait or the model is going, DEADLINE_EXCEEDED after the limits' seconds, or
            what the signature raises.
          Abandoned: nobody waits for it any more.
        """
        rows = len(next(iter(inputs.values()))) if signature.batched else 0
        task = Task(signature, inputs, rows, Future())
        with self._changed:
            if not self._open:
                raise Status("UNAVAILABLE", CLOSED)
            if len(self._tasks) >= limits.inside:
                raise Status("UNAVAILABLE", FULL.format(len(self._tasks)))
            self._tasks.append(task)
            self._changed.notify()
        end = time.monotonic() + limits.seconds
        try:
            while not wait([task.answer], max(0.0, min(LOOK, end - time.monotonic()))).done:
                if time.monotonic() >= end:
                    raise Status("DEADLINE_EXCEEDED", LATE.format(limits.seconds))
                go_on()
        except BaseException:
            task.answer.cancel()
            task.given_up = True
            with self._changed, contextlib.suppress(ValueError):  # it may be at work already
                self._tasks.remove(task)
            raise
        try:
            return task.answer.result()
        except CancelledError:
            raise Status("UNAVAILABLE", CLOSED) from None

    def close(self) -> None:
        """Accept nothing more; what waits is still answered."""
        with self._changed:
            self._open = False
            self._changed.notify()

    def _work(self) -> None:
        while tasks := self._next():
            running = [task for task in tasks if task.answer.set_running_or_notify_cancel()]
            with awaited(lambda: not all(task.given_up for task in running)):  # noqa: B023  # it ends with this turn
                _answer(running)

    def _next(self) -> list[Task]:
        """The task that has waited longest, and those behind it that can be joined to it; none when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or not self._open)
            if not self._tasks:
                return []
            first = self._tasks.popleft()
            if not first.rows:
                return [first]
            batch, others, rows = [first], deque[Task](), first.rows
            for task in self._tasks:
                if task.rows and rows + task.rows <= self.rows and task.key == first.key:
                    batch.append(task)
                    rows += task.rows
                else:
                    others.append(task)
            self._tasks = others
            return batch


def _answer(tasks: list[Task]) -> None:
    """Call the signature once for all tasks, and share out what it returns."""
    if not tasks:
        return
    start = time.perf_counter()
    try:
        signature = tasks[0].signature
        names = tasks[0].inputs
        joined = (
            {name: np.concatenate([task.inputs[name] for task in tasks]) for name in names}
            if len(tasks) > 1
            else tasks[0].inputs
        )
        outputs = signature.call(joined)
        if len(tasks) > 1 and {len(array) for array in outputs.values()} != {sum(task.rows for task in tasks)}:
            raise ValueError("the rows of several requests did not stay rows")
    except BaseException as error:
        if len(tasks) > 1 and not isinstance(error, Abandoned):  # one row may be at fault: the others are answered
            for task in tasks:
                _answer([task])
        else:
            for task in tasks:
                task.answer.set_exception(error)
        return
    seconds = time.perf_counter() - start
    first = 0
    for task in tasks:
        rows = slice(first, first + task.rows) if len(tasks) > 1 else slice(None)
        first += task.rows
        part = outputs if len(tasks) == 1 else {name: array[rows] for name, array in outputs.items()}
        task.answer.set_result(Answer(part, seconds))
