"""The loop: one for every system, on either engine, that can be stopped anywhere and goes on bit for bit."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kgan import __version__, engine, files
from kgan.data import Reader
from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters.card import Card
from kgan.pictures import images
from kgan.precision import float32_copy, policy, timeless
from kgan.pretrained import inception, weights
from kgan.quiet import quiet
from kgan.systems.system import System
from kgan.training import checkpoint
from kgan.training.config import Config, Training, open_data, resolved, stages
from kgan.training.config import check as check_config
from kgan.training.forecast import parameters, summary
from kgan.training.logs import Log
from kgan.training.resume import as_begun, describe, init_from, last_rate, restore
from kgan.training.validation import LEGEND, Measures, Validation, best_of, better, measures_of, sentence
from kgan.training.window import Window, open_window
from kgan.types import Batch, Tensor


def train(config: Config, workdir: str | Path) -> Path:
    """Train, or go on where the run in `workdir` stopped; returns `workdir`, which then holds the generators.

    What the first step begins with:
      1. Where `workdir` holds checkpoints, the newest: weights, optimizers, averages, pool and step. It is refused
         where it is damaged, of other pictures, or of other settings, but for those that are `free`.
      2. Else, where training.init_from names generators, their weights; all else is new.
      3. Else weights drawn from training.seed.
    Every batch and every draw depends on the seed and the number of its step alone, so that a run that was killed and
    started again ends in the same bytes as one that was not. Of a killed run the steps after the checkpoint are lost,
    and their log lines are forgotten. What it owed after its checkpoint is written first.

    Raises:
      UserError: settings that do not fit each other, the machine or the run that lies there; a loss that is no number;
        pictures or `workdir` that are no longer there.
      SystemExit: 128 + the signal's number, after SIGINT, SIGTERM or SIGHUP and a last checkpoint.
    """
    check_config(config)
    config = resolved(config)
    workdir, training = Path(workdir), config.training
    validation = _validation(training)
    files.make_folder(workdir)
    with files.locked(workdir) as check, engine.scope(training.devices):
        config = as_begun(config, checkpoint.newest_about(workdir))
        if config.training.precision == "auto":
            config = config.replace("training", precision=engine.fast_precision())
        if training.precision == "auto":
            print(f"{config.name}: training.precision is {config.training.precision}.")
        with policy(config.training.precision):
            _go_on(config, workdir, validation, check)
    return workdir


def _go_on(config: Config, workdir: Path, validation: Validation | None, check: Callable[[], None]) -> None:
    """Train as `train` does, within its lock, devices and precision."""
    training = config.training
    reader = open_data(config, stages(config)[0])
    print(*reader.summary(), *reader.enlarged(stages(config)[-1].image_size), sep="\n", flush=True)
    system = config.system.create(training.steps, training.seed, reader.labels)
    about = describe(config, reader)
    start, news = restore(system, workdir, config, about)
    files.sweep(workdir)
    debts = owed(workdir, system, config, start, validation is not None) if start else []
    if start >= training.steps:
        print(f"{config.name}: {workdir} has finished {start} steps; --config.training.steps=... asks for more.")
        if other := [each for each in news if each.startswith("system.")]:
            print(f"Of no effect on what is finished: {'; '.join(other)}. Another --workdir begins anew.")
        if not debts:
            return
    else:
        if training.init_from and start == 0:
            init_from(system, training.init_from)
        files.write_json(workdir / "config.json", about["config"])
        print(f"{config.name}: {workdir}, {'from the beginning' if start == 0 else f'going on after step {start}'}")
        print(parameters(system), flush=True)
    run = _Run(config, workdir, system, about, validation, reader, start, check)
    run.settle(debts)
    if start < training.steps:
        if news:
            print(f"From step {start} on {'; '.join(news)}.")
            print(f"The learning rate goes on at {run.rate(start):.3g}{last_rate(workdir)}.")
        run.loop()


def _validation(training: Training) -> Validation | None:
    """What measures the generators; None where nothing should, or where that cannot be, which is said."""
    if not training.evaluate_every:
        return None
    if not weights.present(inception.NAME):
        print("KID, FID and match are not measured: Inception's weights are missing. Stop, get them with")
        print("`kgan weights`, and start again; the run goes on with them. training.evaluate_every=0 asks for none.")
        return None
    return Validation(training.evaluate_count)


def owed(workdir: Path, system: System, config: Config, done: int, measured: bool) -> list[Path]:
    """What the run should have written after `done` steps and has not: it was killed after its checkpoint.

    Args:
      measured: the generators are measured, so that the best is kept.
    """
    training = config.training
    debts = [path for name in system.generators() if not written(path := workdir / f"{name}.keras", done)]
    if done < training.steps:
        return debts
    sheet = sheet_of(workdir, done)
    best = [best_of(workdir, name) for name in system.judged()] if measured else []
    return [*debts, *(path for path in (sheet, *best) if not path.is_file())]


def written(path: Path, done: int) -> bool:
    """Whether a generator and its card are there, of step `done`, and the file is the one that the card describes."""
    try:
        about = cards.read(path)
        return about is not None and about.training.get("steps") == done and about.describes(path)
    except (UserError, OSError):  # whatever is wrong with either, they are written again
        return False


def sheet_of(workdir: Path, done: int) -> Path:
    """The path of the sample sheet after `done` steps."""
    return workdir / "samples" / f"step-{done:08d}.png"


class _Run:
    """One sitting of a run, from its step `start` until the training ends or is told to stop.

    Attributes:
      pending: the losses of each call since the last log line, still on the device.
      images: pictures of each stream since then.
      saved: the newest checkpoint.
      best: by generator, what the best so far reached.
      window: the stage at hand, its reader and its compiled step.
      examples: the test pictures of a sample sheet.
      check: raises a `UserError` where the folder of the run is no longer there.
    """

    def __init__(
        self,
        config: Config,
        workdir: Path,
        system: System,
        about: dict[str, Any],
        validation: Validation | None,
        reader: Reader,
        start: int,
        check: Callable[[], None],
    ) -> None:
        self.config, self.workdir, self.system, self.about = config, workdir, system, about
        self.validation, self.start, self.check = validation, start, check
        self.log = Log(workdir, start, config.training.tensorboard)
        self.stopwatch = Stopwatch()
        self.pending: list[dict[str, Tensor]] = []
        self.images = 0
        self.saved = checkpoint.newest(workdir)
        # A new run has none, whatever lies in its folder.
        self.best = {name: measures_of(workdir, name) if start else None for name in system.generators()}
        self.window, self.examples = self.enter(start, reader)

    def enter(self, done: int, first: Reader | None = None) -> tuple[Window, Batch]:
        """The window that begins after `done` steps, and pictures for its sheets; `first` reads those of stage 0.

        A sitting begins with the window of the last step before it, to which the generators belong that lie there.
        """
        with self.stopwatch.stopped():
            levels = stages(self.config)
            step = done - 1 if first and done else done
            stage = max((each for each in levels if each.first_step <= step), key=lambda each: each.first_step)
            reader = first if first and stage == levels[0] else open_data(self.config, stage)
            examples = reader.samples(self.config.training.samples)
            if self.validation:
                self.validation.read(reader, self.system)
            window = open_window(self.config, self.system, stage, reader, done)
            if done >= window.until:
                return window, examples
            if len(levels) > 1:
                tqdm.write(f"  {stage.image_size} px, batches of {stage.batch_size}, to step {window.until:,}:")
            tqdm.write(summary(window.step, self.batches(window, done), window.until - done))
        return window, examples

    def settle(self, debts: list[Path]) -> None:
        """Write what `owed` names."""
        for path in debts:
            name = path.stem
            if name in self.system.generators():
                self.write(path, name, self.start)
            elif path == sheet_of(self.workdir, self.start):
                self.sample(self.start)
        if self.validation and any(path.name.startswith("best_") for path in debts):
            self.validate(self.validation, self.start)
        if debts:
            print(f"Wrote what was missing after step {self.start}: {', '.join(path.name for path in debts)}.")

    def batches(self, window: Window, done: int) -> list[engine.Batches]:
        """What the next call takes: `steps_per_call` steps, or one where a call must end sooner.

        Which steps share a call depends on their numbers alone, so that a resumed run has the same calls.
        """
        training = self.config.training
        several = training.steps_per_call or engine.steps_per_call()
        pauses = (training.log_every, training.sample_every, training.save_every, training.evaluate_every)
        end = min(window.until, *(done - done % every + every for every in pauses if every))
        count = several if done % several == 0 and done + several <= end else 1
        return [window.reader.step(done + i) for i in range(count)]

    def loop(self) -> None:
        """Step after step, with what is due after each; ends with a checkpoint."""
        training, done = self.config.training, self.start
        deadline = time.monotonic() + 60 * (training.minutes or math.inf)
        if self.validation and any(source for source, _ in self.system.judged().values()):
            tqdm.write(LEGEND.format(self.validation.measured))
        if done == 0:
            self.sample(done)
        pace = 1.0 if sys.stderr.isatty() else 30.0  # seconds: a file has no need of a bar every second
        bar = tqdm(total=training.steps, initial=done, unit="step", dynamic_ncols=True, mininterval=pace)
        with closing(self.log), _signals() as stopped:
            with bar:
                while done < training.steps and not stopped() and (done == self.start or time.monotonic() < deadline):
                    if done == self.window.until:
                        self.window, self.examples = self.enter(done)
                    batches = self.read(done)
                    self.pending.append(self.call(batches, compiles=done == self.window.first))
                    self.images += len(batches) * self.window.stage.batch_size * self.config.system.batches_per_step
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
            if done % training.save_every or done == self.start:
                self.save(done)
            if done == training.steps and done % training.sample_every:
                self.sample(done)
        if done < training.steps:
            print(f"Stopped after step {done} and saved {self.saved}: the same command goes on from there.")
            if stopped():
                raise SystemExit(128 + stopped())
            return
        print(f"Finished {done} steps. In {self.workdir}: {', '.join(f'{n}.keras' for n in self.system.generators())}.")

    def read(self, done: int) -> list[engine.Batches]:
        """The batches of the next call; where no picture is left to read, a checkpoint is saved first.

        Raises:
          UserError: pictures that were there are there no longer.
        """
        try:
            return self.batches(self.window, done)
        except (UserError, OSError) as error:
            if done > self.start:
                self.save(done)
            raise UserError(
                f"{error} The run stops after step {done}; {self.saved} is its last checkpoint: once the pictures are "
                "back, the same command goes on from there."
            ) from error

    def call(self, batches: list[engine.Batches], compiles: bool) -> dict[str, Tensor]:
        """Take these steps; the first call of a window compiles, with remarks of TensorFlow's, and is not timed."""
        if not compiles:
            return self.window.step(*batches)
        with self.stopwatch.stopped(), quiet():
            return self.window.step(*batches)

    def flush(self, done: int) -> str:
        """Log the mean of each term since the last time; returns what the bar shows.

        Raises:
          UserError: a loss is not a number.
        """
        self.check()
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
                f"The loss term {list(terms)[term]} became {values[row, term]} at step {number}. {self._remedy()}"
            )
        seconds, count = self.stopwatch.restart(), self.images
        self.images = 0
        means = {name: float(np.mean(term)) for name, term in terms.items()}
        rate = self.rate(done)
        speed = count / max(seconds, 1e-9)
        self.log.scalars(done, {**means, "learning_rate": rate, "images_per_second": speed, "seconds": seconds})
        return self.system.progress(means)

    def rate(self, done: int) -> float:
        """The generators' learning rate after `done` steps."""
        return float(keras.ops.convert_to_numpy(self.system.rate(done)))

    def _remedy(self) -> str:
        """Sentences that say what to do where a loss or a weight is no longer a number."""
        lower = "a lower --config.system.learning_rate"
        if not self.saved:
            return f"No checkpoint was saved yet. Try --config.training.precision=float32 or {lower}."
        return (
            f"The last good checkpoint is {self.saved}: go on from it with {lower}, or begin anew from its generators "
            f"with --config.training.precision=float32 --config.training.init_from={self.workdir} --workdir=ANOTHER."
        )

    def sample(self, done: int) -> None:
        """A sheet of test pictures through the generators, as PNG and for TensorBoard."""
        self.check()
        with self.stopwatch.stopped():
            columns = engine.to_host(self.system.sample(self.examples))
            size = self.config.system.image_size
            pictures = {title: [show(x, size) for x in column] for title, column in columns.items()}
            sheet = images.grid(list(zip(*pictures.values(), strict=True)), list(pictures))
            images.write(sheet_of(self.workdir, done), sheet)
            self.log.picture(done, "samples", sheet)

    def validate(self, validation: Validation, done: int) -> None:
        """Flush (so that nothing is measured after a bad loss), measure the generators, keep the better ones."""
        self.flush(done)
        with self.stopwatch.stopped():
            try:
                results = validation.measure(self.system, self.window.stage.batch_size)
            except UserError as error:
                raise UserError(f"After step {done} {error} {self._remedy()}") from error
            keys = ("kid", "fid", "match")
            values = {f"{k}_{name}": measures[k] for name, measures in results.items() for k in keys if k in measures}
            self.log.scalars(done, values)
            for name, measures in results.items():
                tqdm.write(f"  step {done:,}, {name}: {sentence(measures, self.best[name])}")
                if better(measures, self.best[name]):
                    self.best[name] = measures
                    self.write(best_of(self.workdir, name), name, done, measures)

    def save(self, done: int) -> None:
        """Flush (so that no checkpoint follows a bad loss), then the checkpoint, then the generators alone."""
        self.flush(done)
        with self.stopwatch.stopped():
            variables = self.system.state()
            arrays = dict(zip(variables, engine.read(list(variables.values())), strict=True))
            for path, array in arrays.items():  # the last update came after the last loss
                if not np.isfinite(array).all():
                    raise UserError(f"{path} is no longer finite after step {done}. {self._remedy()}")
            self.saved = checkpoint.save(self.workdir, done, arrays, self.about, self.config.training.keep)
            for name in self.system.generators():
                self.write(self.workdir / f"{name}.keras", name, done)

    def write(self, path: Path, name: str, done: int, measures: Measures | None = None) -> None:
        """Write a generator and its card, with what it reached where that was measured."""

        def save(path: Path) -> None:
            float32_copy(self.system.generators()[name]).save(path)
            timeless(path)

        card = self.card(name, done)
        card.training |= {"validation": {"step": done, **measures}} if measures else {}
        cards.write_both(path, card, save)

    def card(self, name: str, done: int) -> Card:
        """The card of the generator `name` after `done` steps."""
        settings, data = self.config.system, self.config.data
        size = self.system.fixed_size
        return Card(
            name=f"{self.config.name} {name.removeprefix('generator_')}",
            system=type(settings).__module__.rsplit(".", 1)[-1],
            kind=self.system.kind,
            image_size=self.window.stage.image_size,
            size=(size, size) if size else None,
            multiple=self.system.multiple,
            smallest=self.system.smallest,
            batch_norm=self.system.batch_norm,
            dropout=self.system.dropout,
            crop=data.subject,
            labels=self.window.reader.labels,
            training={"steps": done, "kgan": __version__, **engine.versions(), "config": self.config.to_card()},
        )


class Stopwatch:
    """Seconds of training since the last log line, without what interrupts it."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within the block the stopwatch does not run."""
        start = time.monotonic()
        yield
        self._since += time.monotonic() - start

    def restart(self) -> float:
        """Begin anew; returns the seconds until now."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        return seconds


def show(x: np.ndarray, size: int) -> np.ndarray:
    """uint8 [size, size, 3] of a picture in [-1, 1], or of a one-channel map: its range as blue to yellow."""
    if x.shape[-1] == 1:
        level = (x - x.min()) / max(float(x.max() - x.min()), 1e-8)
        x = np.concatenate([level, level * level, 1 - level], axis=-1) * 2 - 1
    return images.resize(images.to_uint8(x), (size, size))


@contextmanager
def _signals() -> Iterator[Callable[[], int]]:
    """Within, SIGINT, SIGTERM and SIGHUP end no step: the function that is yielded returns the number of what came.

    A second one ends the process. What this process was told to ignore, as nohup does, stays ignored.
    """
    received = [0]

    def note(number: int, _: FrameType | None) -> None:
        if received[0]:
            raise SystemExit(128 + number)
        received[0] = number

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    heeded = [number for number in numbers if main and signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: received[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
