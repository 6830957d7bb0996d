"""What holds between two changes of a training: its stage, its pictures, and the compiled step that takes them."""

from __future__ import annotations

from typing import NamedTuple

from kgan import engine
from kgan.data import Reader
from kgan.systems.system import Stage, System
from kgan.training.config import Config, stages
from kgan.types import Batch, Tensor


class Window(NamedTuple):
    """A part of a training in which every step is alike: `window.step(window.reader.step(i))` is step i.

    Attributes:
      stage: sizes of pictures and batches.
      reader: of the stage's batches.
      step: the compiled step, from what `reader.step` gives to the named losses.
      first: the first step that this process takes in it.
      until: the step with which the next stage begins, or how many the training has.
    """

    stage: Stage
    reader: Reader
    step: engine.Compiled
    first: int
    until: int


def open_window(config: Config, system: System, stage: Stage, reader: Reader, first: int) -> Window:
    """Make `system` ready for `stage`, and compile its step for the pictures of `reader`.

    Where the device has room for all pictures the reader hands them over, and its batches hold their numbers alone.
    """
    system.enter(stage, anew=first == stage.first_step)

    def train_step(batches: tuple[Batch, ...], pictures: Batch) -> dict[str, Tensor]:
        return system.train_step(tuple(reader.prepare(batch, pictures) for batch in batches))

    step = engine.Compiled(system, train_step, config.training.devices, reader.hand_over())
    ends = [each.first_step for each in stages(config) if each.first_step > stage.first_step]
    return Window(stage, reader, step, first, min([config.training.steps, *ends]))
