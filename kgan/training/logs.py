"""What a run writes down: log.jsonl, and the same scalars and pictures for TensorBoard, TensorFlow or not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from kgan import files
from kgan.pictures import images


class Log:
    """Appends to `folder`/log.jsonl and `folder`/tensorboard, and first forgets what lies there after `step`.

    Args:
      tensorboard: whether to write event files at all.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        self._lines = folder / "log.jsonl"
        if self._lines.is_file():
            lines = [line for line in self._lines.read_text().splitlines() if _step_of(line) <= step]
            files.write_bytes(self._lines, "".join(f"{line}\n" for line in lines).encode())
        self._writer = EventFileWriter(str(folder / "tensorboard")) if tensorboard else None
        if self._writer:
            # TensorBoard drops what an earlier, killed process logged beyond this step.
            start = Event(wall_time=time.time(), step=step + 1, session_log=SessionLog(status=SessionLog.START))
            self._writer.add_event(start)

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
        if self._writer:
            self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def flush(self) -> None:
        """Write to the disk what has been logged."""
        if self._writer:
            self._writer.flush()

    def close(self) -> None:
        if self._writer:
            self._writer.close()


def _step_of(line: str) -> float:
    """The step of a line of log.jsonl; one that was cut short by a kill counts as beyond every step."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
