"""How fast `.tflite` files run on this machine's processor, side by side.

Each file runs in a process of its own, so that its memory is its own, and all of them in turns, one run each, so that
whatever else the machine does slows all of them alike: compare the figures of one table, and only those.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from kgan import litert, memory
from kgan.errors import UserError
from kgan.export import figures, operations
from kgan.export.figures import Bar

WARM_UP = 3  # runs before those that count
LEAST = 5  # runs that count


@dataclasses.dataclass(frozen=True)
class Latency:
    """One file with one number of threads.

    Attributes:
      file: its name; threads: that it may use; bytes: of the file.
      parameters, multiplications: see `operations.Size`.
      partitions: how many pieces of the network XNNPACK runs; one, where it takes all of it. Between them the
        interpreter's own kernels run, which are slow.
      runs: that were timed; median, low, high: milliseconds of a run, the last two those of a tenth from either end.
      relative: the median of the ratios to the first file's runs beside it, with as many threads.
      memory: MiB that loading and running the file added to the process at most.
    """

    file: str
    threads: int
    bytes: int
    parameters: int
    multiplications: int
    partitions: int
    runs: int
    median: float
    low: float
    high: float
    relative: float
    memory: float


def measure(models: Sequence[Path], threads: Sequence[int] = (1, 2), seconds: float = 10.0) -> list[Latency]:
    """Run each file with each number of threads, in turns for `seconds` in all and five times at the least.

    Inputs are random in [-1, 1]. A side that a file leaves open is 256.

    Raises:
      UserError: a file is missing or damaged.
    """
    for model in models:
        if not model.is_file():
            raise UserError(f"There is no file {model}.")
    sizes = {model: operations.size(model.read_bytes()) for model in models}
    keys = [(model, count) for model in models for count in threads]
    context = multiprocessing.get_context("spawn")
    workers: dict[tuple[Path, int], tuple[Any, Connection]] = {}
    try:
        for key in keys:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, *key), daemon=True)
            process.start()
            theirs.close()
            workers[key] = process, ours
        facts = {key: _answer(pipe, key[0]) for key, (_, pipe) in workers.items()}

        times: dict[tuple[Path, int], list[float]] = {key: [] for key in keys}
        begun = time.monotonic()
        while len(times[keys[0]]) < LEAST or time.monotonic() - begun < seconds:
            for key, (_, pipe) in workers.items():
                pipe.send(True)
                times[key].append(_answer(pipe, key[0]))
    finally:
        for process, pipe in workers.values():
            pipe.close()  # which ends it
            process.join(10)

    def row(model: Path, count: int) -> Latency:
        own, first = np.array(times[model, count]), np.array(times[models[0], count])
        low, median, high = np.quantile(own, (0.1, 0.5, 0.9)) * 1000
        relative = float(np.median(own / first))
        partitions, memory = facts[model, count]
        return Latency(
            *(model.name, count, model.stat().st_size, *sizes[model], partitions),
            *(len(own), float(median), float(low), float(high), relative, memory),
        )

    return [row(*key) for key in keys]


def _answer(pipe: Connection, model: Path) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise UserError(f"{model} ended the process that ran it.") from None
    if isinstance(answer, str):
        raise UserError(f"{model} cannot be run by LiteRT: {answer}.")
    return answer


def _serve(pipe: Connection, model: Path, threads: int) -> None:
    """What a worker does: load, warm up, say partitions and memory; then, for each message, run and say the time."""
    from ai_edge_litert.interpreter import Interpreter

    from kgan.quiet import quiet

    before = memory.peak()
    try:
        with quiet():
            interpreter = Interpreter(str(model), num_threads=threads)
            for tensor in interpreter.get_input_details():
                shape = [1 if i == 0 else 256 for i in range(len(tensor["shape"]))]
                own = [int(side) for side in tensor["shape_signature"]]
                if min(own, default=1) < 0:
                    sides = [default if side < 0 else side for side, default in zip(own, shape, strict=True)]
                    interpreter.resize_tensor_input(tensor["index"], sides)
            interpreter.allocate_tensors()
        random = np.random.default_rng(0)
        for tensor in interpreter.get_input_details():
            values = random.uniform(-1, 1, tensor["shape"])
            scaled = values if tensor["dtype"] == np.float32 else 127 * np.abs(values)
            interpreter.set_tensor(tensor["index"], scaled.astype(tensor["dtype"]))
        for _ in range(WARM_UP):
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        pipe.send(" ".join(str(error).split()).rstrip("."))
        return
    pipe.send((litert.partitions(interpreter), (memory.peak() - before) / 2**20))
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        start = time.perf_counter()
        interpreter.invoke()
        pipe.send(time.perf_counter() - start)


def table(rows: Sequence[Latency]) -> str:
    """A table for people, with a line for each file and number of threads."""
    lines = [("file", "threads", "KB", "parameters", "million MACs", "parts", "ms", "10% .. 90%", "of first", "MiB")]
    lines += [
        (
            *(row.file, f"{row.threads}", f"{row.bytes / 1000:,.0f}", f"{row.parameters:,}"),
            *(f"{row.multiplications / 1e6:,.0f}", f"{row.partitions}", f"{row.median:.1f}"),
            *(f"{row.low:.1f} .. {row.high:.1f}", f"{row.relative:.2f}", f"{row.memory:.0f}"),
        )
        for row in rows
    ]
    return figures.table(lines)


def chart(rows: Sequence[Latency]) -> np.ndarray:
    """The same as bars, uint8 [H, W, 3]: the median of each, and a line from the 10 % to the 90 % quantile."""
    return figures.bars(
        [Bar(f"{row.file}, {row.threads}", f"{row.median:.1f} ms", row.median, (row.low, row.high)) for row in rows]
    )
