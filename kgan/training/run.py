"""The loop: one for every system, on either engine, that can be stopped anywhere and goes on bit for bit."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kgan import __version__, engine, files
from kgan.errors import UserError
from kgan.filters.card import Card
from kgan.pictures import images
from kgan.precision import float32_copy, policy
from kgan.quiet import quiet
from kgan.training import checkpoint
from kgan.training.config import Config, open_data, stages
from kgan.training.forecast import parameters, summary
from kgan.training.logs import Log
from kgan.training.resume import describe, init_from, restore
from kgan.training.validation import Measures, Validation, best_of, better, measures_of


def train(config: Config, workdir: str | Path) -> Path:
    """Train, or go on where the run in `workdir` stopped; returns `workdir`, which then holds the generators.

    Raises:
      UserError: settings that do not fit each other, the machine or the run that lies there; a loss that is no number.
      SystemExit: 128 + the signal's number, after SIGINT or SIGTERM and a last checkpoint.
    """
    workdir = Path(workdir)
    settings, training = config.system, config.training
    config.check()
    validation = Validation(training.evaluate_count) if training.evaluate_every else None
    workdir.mkdir(parents=True, exist_ok=True)
    with files.locked(workdir), policy(training.precision), engine.scope(training.devices):
        reader = open_data(config, stages(config)[0])
        system = settings.create(training.steps, training.seed, reader.labels)
        about = describe(config, reader)
        start = restore(system, workdir, config, about)
        if start >= training.steps:
            print(f"{config.name}: {workdir} has finished {start} steps; --config.training.steps=... asks for more.")
            return workdir
        if training.init_from and start == 0:
            init_from(system, Path(training.init_from))
        files.sweep(workdir)
        files.write_json(workdir / "config.json", about["config"])

        print(f"{config.name}: {workdir}, {'from the beginning' if start == 0 else f'going on after step {start}'}")
        print(parameters(system), flush=True)
        _Run(config, workdir, system, reader, about, validation).loop(start)
    return workdir


class _Run:
    """A run from its first step in this sitting to its last."""

    def __init__(
        self,
        config: Config,
        workdir: Path,
        system: Any,
        reader: Any,
        about: dict[str, Any],
        validation: Validation | None = None,
    ) -> None:
        self.config, self.workdir, self.system, self.reader, self.about = config, workdir, system, reader, about
        self.validation = validation
        self.stages = stages(config)
        self.stage = self.stages[0]  # whose reader that is
        self.saved = next(reversed(checkpoint.paths(workdir)), None)
        self.several = config.training.steps_per_call or engine.steps_per_call()

    def enter(self, done: int) -> None:
        """Make ready what holds from step `done` to the end of its stage: level, pictures, compiled step."""
        start = time.monotonic()
        training, system = self.config.training, self.system
        stage = max((each for each in self.stages if each.first_step <= done), key=lambda each: each.first_step)
        if stage != self.stage:
            self.reader = open_data(self.config, stage)
        self.stage, self.entered, reader = stage, done, self.reader
        self.until = min([each.first_step for each in self.stages if each.first_step > done], default=training.steps)
        self.shown = reader.samples(training.samples)
        if self.validation:
            self.validation.read(reader)
        system.enter(stage, anew=done == stage.first_step)

        def train_step(batches: Any, held: Any) -> dict[str, Any]:
            return system.train_step(tuple(reader.prepare(batch, held) for batch in batches))

        self.step = engine.Compiled(system, train_step, training.devices, reader.hand_over())
        if len(self.stages) > 1:
            tqdm.write(f"  {stage.image_size} px, batches of {stage.batch_size}, to step {self.until:,}:")
        tqdm.write(summary(self.step, self.batches(done), min(self.until, training.steps) - done))
        self.since += time.monotonic() - start

    def batches(self, done: int) -> list[engine.Batches]:
        """Those of the next call: of `steps_per_call` steps, or of one where a call must end sooner.

        Which steps share a call depends on their numbers alone, so that a resumed run has the same calls.
        """
        training, several = self.config.training, self.several
        pauses = (training.log_every, training.sample_every, training.save_every, training.evaluate_every)
        end = min(self.until, training.steps, *(done - done % every + every for every in pauses if every))
        count = several if done % several == 0 and done + several <= end else 1
        return [self.reader.step(done + i) for i in range(count)]

    def loop(self, start: int) -> None:
        training = self.config.training
        self.log = Log(self.workdir, start, training.tensorboard)
        self.pending: list[dict[str, Any]] = []
        self.images = 0
        self.since = time.monotonic()
        deadline = self.since + 60 * (training.minutes or math.inf)
        # A new run has none, whatever lies in its folder.
        self.best = {name: measures_of(self.workdir, name) if start else None for name in self.system.filters()}
        self.enter(start)
        if start == 0:
            self.sample(0)
        done = start
        bar = tqdm(total=training.steps, initial=start, unit="step", dynamic_ncols=True, mininterval=1.0)
        with closing(self.log), _signals() as stopped:
            with bar:
                while done < training.steps and not stopped() and (done == start or time.monotonic() < deadline):
                    if done == self.until:
                        self.enter(done)
                    begun, batches = time.monotonic(), self.batches(done)
                    with quiet() if done == self.entered else nullcontext():  # TensorFlow's remarks on a first run
                        self.pending.append(self.step(*batches))
                    if done == self.entered:
                        self.since += time.monotonic() - begun  # it compiles
                    self.images += len(batches) * self.stage.batch_size
                    done += len(batches)
                    bar.update(len(batches))
                    if done % training.log_every == 0:
                        bar.set_postfix_str(self.flush(done))
                    if done % training.sample_every == 0:
                        self.sample(done)
                    if self.validation and (done % training.evaluate_every == 0 or done == training.steps):
                        self.validate(self.validation, done)
                    if done % training.save_every == 0:
                        self.save(done)
            if done % training.save_every or done == start:
                self.save(done)
            if done == training.steps and done % training.sample_every:
                self.sample(done)
        if done < training.steps:
            print(f"Stopped after step {done} and saved {self.saved}: the same command goes on from there.")
            if stopped():
                raise SystemExit(128 + stopped())
            return
        print(f"Finished {done} steps. In {self.workdir}: {', '.join(f'{n}.keras' for n in self.system.filters())}.")

    def flush(self, done: int) -> str:
        """Log the mean of each term since the last time; stop where one is not a number."""
        if not self.pending:
            return ""
        rows = engine.to_host(self.pending)
        self.pending = []
        terms = {name: np.concatenate([np.atleast_1d(row[name]) for row in rows]) for name in rows[0]}
        values = np.stack(list(terms.values()), axis=-1)  # [steps, terms]
        if len(broken := np.argwhere(~np.isfinite(values))):
            row, term = broken[0]
            number = done - len(values) + 1 + row
            raise UserError(
                f"The loss term {list(terms)[term]} became {values[row, term]} at step {number}. {self._kept()}"
            )
        seconds, images = time.monotonic() - self.since, self.images
        self.since, self.images = time.monotonic(), 0
        means = {name: float(np.mean(term)) for name, term in terms.items()}
        rate = float(keras.ops.convert_to_numpy(self.system.rate(done)))
        speed = images / max(seconds, 1e-9)
        self.log.scalars(done, {**means, "learning_rate": rate, "images_per_second": speed, "seconds": seconds})
        critic = sum(value for name, value in means.items() if name.startswith(self.system.critic_terms))
        return f"G {sum(means.values()) - critic:.3g}, D {critic:.3g}"

    def _kept(self) -> str:
        saved = f"The last good checkpoint is {self.saved}." if self.saved else "No checkpoint was saved yet."
        return f"{saved} Try training.precision=float32 or a lower system.learning_rate."

    def sample(self, done: int) -> None:
        """A sheet of test pictures through the filters, as PNG and for TensorBoard."""
        start = time.monotonic()
        columns = engine.to_host(self.system.sample(self.shown))
        size = self.config.system.image_size
        pictures = {title: [show(x, size) for x in column] for title, column in columns.items()}
        sheet = images.grid(list(zip(*pictures.values(), strict=True)), list(pictures))
        images.write(self.workdir / "samples" / f"step-{done:08d}.png", sheet)
        self.log.picture(done, "samples", sheet)
        self.since += time.monotonic() - start

    def validate(self, validation: Validation, done: int) -> None:
        """Flush (so that nothing is measured after a bad loss), measure the filters, keep those better than before."""
        self.flush(done)
        start = time.monotonic()
        try:
            found = validation.measure(self.system, self.stage.batch_size)
        except UserError as error:
            raise UserError(f"After step {done} {error} {self._kept()}") from error
        self.log.scalars(done, {f"{key}_{name}": found[name][key] for name in found for key in ("kid", "fid")})
        for name, measures in found.items():
            if better(measures, self.best[name]):
                self.best[name] = measures
                self.write(best_of(self.workdir, name), name, done, measures)
        self.since += time.monotonic() - start

    def save(self, done: int) -> None:
        """Flush (so that no checkpoint follows a bad loss), then the checkpoint, then the generators alone."""
        self.flush(done)
        start = time.monotonic()
        variables = self.system.state()
        arrays = dict(zip(variables, engine.read(list(variables.values())), strict=True))
        for path, array in arrays.items():  # the last update came after the last loss
            if not np.isfinite(array).all():
                raise UserError(f"{path} is no longer finite after step {done}. {self._kept()}")
        self.saved = checkpoint.save(self.workdir, done, arrays, self.about, self.config.training.keep)
        for name in self.system.filters():
            self.write(self.workdir / f"{name}.keras", name, done)
        self.log.flush()
        self.since += time.monotonic() - start

    def write(self, path: Path, name: str, done: int, measures: Measures | None = None) -> None:
        """A filter and its card, with what it reached where that was measured."""
        with files.replacing(path) as temporary:
            float32_copy(self.system.filters()[name]).save(temporary)
        card = self.card(name, done)
        card.training |= {"validation": {"step": done, **measures}} if measures else {}
        card.write(path)

    def card(self, name: str, done: int) -> Card:
        settings, data = self.config.system, self.config.data
        config = {**self.about["config"], "data": {**self.about["config"]["data"], "root": ""}}  # the user's own path
        size = self.system.fixed_size
        return Card(
            name=f"{self.config.name} {name.removeprefix('generator_')}",
            system=type(settings).__module__.rsplit(".", 1)[-1],
            kind=self.system.kind,
            image_size=self.stage.image_size,
            size=(size, size) if size else None,
            multiple=self.system.multiple,
            smallest=self.system.smallest,
            batch_norm=self.system.batch_norm,
            dropout=self.system.dropout,
            crop=data.subject,
            labels=self.reader.labels,
            training={"steps": done, "kgan": __version__, **engine.versions(), "config": config},
        )


def show(x: np.ndarray, size: int) -> np.ndarray:
    """uint8 [size, size, 3] of a picture in [-1, 1], or of a one-channel map: its range as blue to yellow."""
    if x.shape[-1] == 1:
        level = (x - x.min()) / max(float(x.max() - x.min()), 1e-8)
        x = np.concatenate([level, level * level, 1 - level], axis=-1) * 2 - 1
    return images.resize(images.to_uint8(x), (size, size))


@contextmanager
def _signals() -> Iterator[Callable[[], int]]:
    """Within, SIGINT and SIGTERM only set a mark (their number), so that a step always ends; a second one kills."""
    received = [0]

    def note(number: int, _: Any) -> None:
        if received[0]:
            raise SystemExit(128 + number)
        received[0] = number

    main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield lambda: received[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
