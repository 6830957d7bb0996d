"""What a run writes down: log.jsonl, and the same scalars and pictures for TensorBoard, TensorFlow or not."""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from kgan import files
from kgan.pictures import images

_number = itertools.count()


class Log:
    """Appends to `folder`/log.jsonl and `folder`/tensorboard, and first forgets what lies there after `step`.

    Args:
      tensorboard: whether to write event files at all.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        self._lines = folder / "log.jsonl"
        if self._lines.is_file():
            self._forget(step)
        self._writer = _event_file(folder / "tensorboard") if tensorboard else None
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        # TensorBoard drops what an earlier, killed process logged beyond this step.
        self._add(Event(wall_time=time.time(), step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def _forget(self, step: int) -> None:
        """Drop the lines of steps after `step`, and those that are no lines of a log, which are counted."""
        lines = [(_step_of(line), line) for line in self._lines.read_bytes().split(b"\n")]
        kept = [line + b"\n" for number, line in lines if number is not None and number <= step]
        files.write_bytes(self._lines, b"".join(kept))
        if damaged := sum(number is None for number, _ in lines[:-1]):  # the last is empty, or was cut short by a kill
            print(f"kgan: {damaged} lines of {self._lines} are damaged, and left out.")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Add a line of values by name."""
        with self._lines.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        self._write(step, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Add a picture, uint8 [H, W, 3], to the event files."""
        height, width = image.shape[:2]
        png = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=images.encode(image))
        self._write(step, [Summary.Value(tag=name, image=png)])

    def _write(self, step: int, values: list[Summary.Value]) -> None:
        self._add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _add(self, event: Event) -> None:
        if self._writer:
            self._writer.write(event.SerializeToString())
            self._writer.flush()

    def close(self) -> None:
        if self._writer:
            self._writer.close()


def _event_file(folder: Path) -> RecordWriter:
    """A new event file. (TensorBoard's own writer raises TensorFlow's errors in a thread where the disk is full.)"""
    files.make_folder(folder)
    name = f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}.{next(_number)}"
    return RecordWriter((folder / name).open("wb"))


def _step_of(line: bytes) -> float | None:
    """The step of a line of log.jsonl; None where it is damaged."""
    try:
        return float(files.parse_json(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None
