"""kgan.serve.batching: what is joined, what is refused, and that nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kgan.interrupts import Abandoned, awaited, go_on
from kgan.serve.batching import Batcher
from kgan.serve.errors import Status
from kgan.serve.limits import Limits
from kgan.serve.signatures import Arrays, Signature, Spec


class Doubling:
    """A signature whose calls are noted, and held while `gate` is closed."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []
        self.gate = threading.Event()
        specs = {"x": Spec("float32", (None,))}
        self.signature = Signature(specs, specs, self.call)

    def call(self, inputs: Arrays) -> Arrays:
        self.gate.wait(10)
        self.calls.append(inputs["x"].tolist())
        if (inputs["x"] < 0).any():
            raise ValueError("below zero")
        return {"x": inputs["x"] * 2}


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    batcher = Batcher(rows=4)
    yield batcher
    batcher.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def ask(batcher: Batcher, doubling: Doubling, *values: float, seconds: float = 10) -> list[float]:
    limits = Limits(inside=6, seconds=seconds)
    return batcher(doubling.signature, {"x": np.float32(values)}, limits).outputs["x"].tolist()


def settle(batcher: Batcher, waiting: int) -> None:
    end = time.monotonic() + 5
    while len(batcher._tasks) != waiting:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_what_waits_is_joined_up_to_the_rows(batcher: Batcher, doubling: Doubling, pool: ThreadPoolExecutor) -> None:
    first = pool.submit(ask, batcher, doubling, 1.0)
    settle(batcher, 0)  # it is being computed: the others gather
    others = []
    for count, values in enumerate(((2.0, 3.0), (4.0,), (5.0, 6.0), (7.0,)), 1):
        others.append(pool.submit(ask, batcher, doubling, *values))
        settle(batcher, count)
    doubling.gate.set()
    assert first.result() == [2]
    assert [each.result() for each in others] == [[4, 6], [8], [10, 12], [14]]
    assert doubling.calls == [[1], [2, 3, 4, 7], [5, 6]]


def test_a_request_with_more_rows_than_a_batch_is_answered_alone(batcher: Batcher, doubling: Doubling) -> None:
    doubling.gate.set()
    assert ask(batcher, doubling, *range(9)) == [2 * value for value in range(9)]


def test_a_row_that_fails_fails_its_own_request_alone(
    batcher: Batcher, doubling: Doubling, pool: ThreadPoolExecutor
) -> None:
    first = pool.submit(ask, batcher, doubling, 0.0)
    settle(batcher, 0)
    good, bad = pool.submit(ask, batcher, doubling, 1.0), pool.submit(ask, batcher, doubling, -1.0)
    settle(batcher, 2)
    doubling.gate.set()
    assert (first.result(), good.result()) == ([0], [2])
    with pytest.raises(ValueError, match="below zero"):
        bad.result()


def test_nobody_waits_for_one_who_has_gone(batcher: Batcher, doubling: Doubling, pool: ThreadPoolExecutor) -> None:
    gone = threading.Event()

    def ask_and_go(value: float) -> list[float]:
        with awaited(lambda: not gone.is_set()):
            return ask(batcher, doubling, value)

    first = pool.submit(ask_and_go, 1.0)
    settle(batcher, 0)
    second = pool.submit(ask_and_go, 2.0)
    settle(batcher, 1)
    gone.set()
    for each in (first, second):
        with pytest.raises(Abandoned):
            each.result(5)
    assert not batcher._tasks  # and takes no place
    doubling.gate.set()
    assert ask(batcher, doubling, 3.0) == [6]
    assert [2.0] not in doubling.calls  # it was not begun


def test_shapes_that_differ_are_not_joined(batcher: Batcher, pool: ThreadPoolExecutor) -> None:
    shapes: list[tuple[int, ...]] = []
    gate = threading.Event()

    def call(inputs: Arrays) -> Arrays:
        gate.wait(10)
        shapes.append(inputs["x"].shape)
        return inputs

    specs = {"x": Spec("float32", (None, None))}
    signature = Signature(specs, specs, call)
    asked = []
    for number, side in enumerate((1, 2, 3, 2)):
        asked.append(pool.submit(batcher, signature, {"x": np.zeros((1, side), np.float32)}))
        settle(batcher, number)
    gate.set()
    assert [each.result().outputs["x"].shape for each in asked] == [(1, 1), (1, 2), (1, 3), (1, 2)]
    assert shapes == [(1, 1), (2, 2), (1, 3)]


def test_too_many_are_refused_and_the_others_answered(
    batcher: Batcher, doubling: Doubling, pool: ThreadPoolExecutor
) -> None:
    first = pool.submit(ask, batcher, doubling, 0.0)
    settle(batcher, 0)
    others = [pool.submit(ask, batcher, doubling, float(value)) for value in range(6)]
    settle(batcher, 6)
    with pytest.raises(Status, match="full; 6 wait already") as info:
        ask(batcher, doubling, 7.0)
    assert (info.value.code, info.value.status) == ("UNAVAILABLE", 503)
    doubling.gate.set()
    assert sorted(value for each in (first, *others) for value in each.result()) == [0, 0, 2, 4, 6, 8, 10]


def test_what_takes_too_long_is_given_up_and_not_computed(batcher: Batcher, doubling: Doubling) -> None:
    for value in (1.0, 2.0):
        with pytest.raises(Status, match=r"Timed out after 0\.05 seconds") as info:
            ask(batcher, doubling, value, seconds=0.05)
        assert info.value.status == 504
    doubling.gate.set()
    assert ask(batcher, doubling, 3.0) == [6]
    assert doubling.calls == [[1], [3]]


def test_what_nobody_waits_for_any_more_ends_between_its_parts(batcher: Batcher) -> None:
    parts, ended = [], threading.Event()

    def call(inputs: Arrays) -> Arrays:
        try:
            for part in range(1000):
                go_on()
                parts.append(part)
                time.sleep(0.01)
        finally:
            ended.set()
        return inputs

    specs = {"x": Spec("float32", (None,))}
    with pytest.raises(Status, match="Timed out"):
        batcher(Signature(specs, specs, call), {"x": np.zeros(1, np.float32)}, Limits(seconds=0.1))
    assert ended.wait(5) and 1 <= len(parts) < 500
    go_on()  # elsewhere nothing has changed


def test_what_waits_when_it_closes_is_still_answered(doubling: Doubling, pool: ThreadPoolExecutor) -> None:
    batcher = Batcher()
    first = pool.submit(ask, batcher, doubling, 1.0)
    settle(batcher, 0)
    second = pool.submit(ask, batcher, doubling, 2.0)
    settle(batcher, 1)
    batcher.close()
    with pytest.raises(Status, match="being unloaded"):
        ask(batcher, doubling, 3.0)
    doubling.gate.set()
    assert (first.result(), second.result()) == ([2], [4])
    batcher._thread.join(5)
    assert not batcher._thread.is_alive()


def test_rows_that_do_not_stay_rows_are_computed_alone(batcher: Batcher, pool: ThreadPoolExecutor) -> None:
    gate = threading.Event()

    def first(inputs: Arrays) -> Arrays:
        gate.wait(10)
        return {"x": inputs["x"][:1]}

    specs = {"x": Spec("float32", (None,))}
    signature = Signature(specs, specs, first)
    asked = []
    for number in range(3):
        asked.append(pool.submit(batcher, signature, {"x": np.float32([number, 9])}))
        settle(batcher, number)
    gate.set()
    assert [each.result().outputs["x"].tolist() for each in asked] == [[0], [1], [2]]
