"""The loop: one for every system, on either engine, that can be stopped anywhere and goes on bit for bit."""

import dataclasses
import json
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

from kgan import __version__, checkpoint, engine, files, images
from kgan.card import Card
from kgan.data import Data
from kgan.errors import UserError
from kgan.layers import legacy
from kgan.logs import Log
from kgan.precision import float32_copy, policy
from kgan.quiet import quiet
from kgan.settings import check_choices, choice
from kgan.systems.adversarial import Settings, Stage
from kgan.validation import Measures, Validation, best_of, better, measures_of


@dataclasses.dataclass
class Training:
    """How long, how fast, and what is kept.

    Attributes:
      steps: train_steps in all; a resumed run may be given more or fewer.
      batch_size: pictures of each domain in a batch, over all devices.
      seed: of starting weights, order, augmentation and draws.
      precision: compute dtype; weights, statistics and losses stay in float32.
      devices: how many of the machine's devices share each batch.
      minutes: of a sitting, from its first step on, after which it stops as if told to, its checkpoint saved; 0 for no
        limit.
      steps_per_call: steps that the device takes before the host looks again; 0 for 10 on accelerators, 1 on CPUs.
        Under JAX another number adds up in another order.
      log_every, sample_every, save_every: steps between log lines, sample sheets and checkpoints.
      samples: rows of a sample sheet.
      evaluate_every: steps between measurements of the filters by KID and FID, which keep the best; 0 for never.
      evaluate_count: test pictures at most that are measured.
      keep: checkpoints that stay.
      tensorboard: also write event files.
      init_from: a folder whose generators (.keras) start a new run.
    """

    steps: int = 1_000_000
    batch_size: int = 1
    seed: int = 0
    precision: str = choice("mixed_bfloat16", "float32", "mixed_float16")
    devices: int = 1
    minutes: float = 0.0
    steps_per_call: int = 0
    log_every: int = 100
    sample_every: int = 1000
    save_every: int = 1000
    samples: int = 4
    evaluate_every: int = 0
    evaluate_count: int = 100
    keep: int = 3
    tensorboard: bool = True
    init_from: str = ""


@dataclasses.dataclass
class Config:
    """One experiment: what is learned, from what, and how."""

    name: str
    system: Settings
    data: Data
    training: Training = dataclasses.field(default_factory=Training)


# What may change between two sittings of one run. Only `steps` (through the learning rate's schedule), `devices` and
# `steps_per_call` (through the order of sums) touch what is computed; and where a call takes several steps under JAX,
# the intervals at which it must end (likewise).
FREE = {
    "name",
    "data.root",  # the data's fingerprint is compared instead
    "data.memory",
    "data.subject",
    "system.test_dropout",  # how a filter is used, not what is trained
    "system.test_statistics",
    "training.steps",
    "training.devices",
    "training.minutes",
    "training.steps_per_call",
    "training.log_every",
    "training.sample_every",
    "training.save_every",
    "training.samples",
    "training.evaluate_every",
    "training.evaluate_count",
    "training.keep",
    "training.tensorboard",
    "training.init_from",
}


def train(config: Config, workdir: str | Path) -> Path:
    """Train, or go on where the run in `workdir` stopped; returns `workdir`, which then holds the generators.

    Raises:
      UserError: settings that do not fit each other, the machine or the run that lies there; a loss that is no number.
      SystemExit: 128 + the signal's number, after SIGINT or SIGTERM and a last checkpoint.
    """
    workdir = Path(workdir)
    settings, training = config.system, config.training
    _check(training)
    settings.check()
    validation = Validation(training.evaluate_count) if training.evaluate_every else None
    workdir.mkdir(parents=True, exist_ok=True)
    with files.locked(workdir), policy(training.precision), engine.scope(training.devices):
        reader = open_data(config, stages(config)[0])
        system = settings.create(training.steps, training.seed, reader.labels)
        # Through JSON, as a checkpoint keeps it: tuples become lists.
        settled = json.loads(json.dumps(dataclasses.asdict(config)))
        about = {"kgan": __version__, "config": settled, "data": reader.fingerprint()}
        start = restore(system, workdir, about)
        if start >= training.steps:
            print(f"{config.name}: {workdir} has finished {start} steps; --config.training.steps=... asks for more.")
            return workdir
        if training.init_from and start == 0:
            _init_from(system, Path(training.init_from))
        files.sweep(workdir)
        images.write_bytes(workdir / "config.json", (json.dumps(about["config"], indent=2) + "\n").encode())

        print(f"{config.name}: {workdir}, {'from the beginning' if start == 0 else f'going on after step {start}'}")
        print(parameters(system), flush=True)
        _Run(config, workdir, system, reader, about, validation).loop(start)
    return workdir


def stages(config: Config) -> tuple[Stage, ...]:
    """What a training goes through: a growing system's levels, or one stage for all."""
    own = getattr(config.system, "stages", None)
    batch_size = config.training.batch_size
    return own(batch_size) if own else (Stage(0, 0, config.system.image_size, batch_size),)


def open_data(config: Config, stage: Stage) -> Any:
    """The reader of a stage's batches."""
    batches, seed = config.system.batches_per_step, config.training.seed
    reader = config.data.open(stage.image_size, stage.batch_size, batches, seed)
    reader.begin(stage.first_step, stage.first_image)
    return reader


def _check(training: Training) -> None:
    check_choices(training, "training")
    for name in ("steps", "batch_size", "devices", "log_every", "sample_every", "save_every", "samples", "keep"):
        if getattr(training, name) < 1:
            raise UserError(f"training.{name} must be at least 1, got {getattr(training, name)}.")
    for name in ("seed", "evaluate_every", "minutes", "steps_per_call"):
        if getattr(training, name) < 0:
            raise UserError(f"training.{name} must not be negative, got {getattr(training, name)}.")
    if training.evaluate_count < 2:
        raise UserError(f"training.evaluate_count must be at least 2, got {training.evaluate_count}.")
    if training.batch_size % training.devices:
        raise UserError(
            f"training.batch_size ({training.batch_size}) must be a multiple of training.devices ({training.devices})."
        )


# --- what a run restores -----------------------------------------------------------------------------------------


def restore(system: Any, workdir: Path, about: dict[str, Any]) -> int:
    """Put the newest checkpoint into the system; returns the number of steps it has done, 0 where there is none."""
    saved = checkpoint.found(workdir)
    if not saved:
        return 0
    arrays, before = checkpoint.load(saved[-1])
    differing = differences(before["config"], about["config"])
    if differing:
        raise UserError(
            f"{workdir} holds a run with other settings: {'; '.join(differing)}. "
            "Give the old settings to go on, or another --workdir to begin anew."
        )
    for name, now in about["data"].items():
        was = before["data"].get(name)
        if was != now:
            raise UserError(
                f"{workdir} began with other pictures: {name} had {was and was['pictures']} and now has "
                f"{now['pictures']}, or their names or labels changed. Restore the folder, or begin anew in another "
                "--workdir."
            )
    variables = system.state()
    checkpoint.check_fit(arrays, {path: tuple(v.shape) for path, v in variables.items()}, str(saved[-1]))
    for path, variable in variables.items():
        variable.assign(arrays[path])
    return int(before["step"])


def differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """'system.filters was 32 and is 64', for every field that must not change."""
    found = []
    for key in sorted(before.keys() | now.keys()):
        path, was, is_ = f"{prefix}{key}", before.get(key), now.get(key)
        if isinstance(was, dict) and isinstance(is_, dict):
            found += differences(was, is_, f"{path}.")
        elif was != is_ and path not in FREE:
            found.append(f"{path} was {was!r} and is {is_!r}")
    return found


def _init_from(system: Any, folder: Path) -> None:
    for name in system.filters():
        path = folder / f"{name}.keras"
        if not path.is_file():
            raise UserError(f"training.init_from={folder}: there is no {path.name} in that folder.")
        network = getattr(system, name, None)
        if network is None:
            raise UserError(f"training.init_from={folder}: {type(system).__name__} grows from nothing, leave it empty.")
        given = legacy.load_model(path)
        shapes = {f"{i} {v.name}": tuple(v.shape) for i, v in enumerate(network.weights)}
        arrays = {f"{i} {v.name}": w for i, (v, w) in enumerate(zip(given.weights, given.get_weights(), strict=True))}
        checkpoint.check_fit(arrays, shapes, str(path))
        network.set_weights(given.get_weights())
        averaged = getattr(system, f"ema_{name}", None)
        if averaged is not None:
            averaged.set_weights(given.get_weights())


# --- what a user is told first -----------------------------------------------------------------------------------


def parameters(system: Any) -> str:
    """Of each network."""
    lines = []
    for name, network in system.networks().items():
        count = sum(math.prod(variable.shape) for variable in network.trainable_variables)
        lines.append(f"  {name:<24} {count:>13,} parameters")
    return "\n".join(lines)


def summary(step: engine.Compiled, batches: list[engine.Batches], steps: int) -> str:
    """Memory, and time for the next `steps` steps, before the first call with such `batches`."""
    with quiet():  # TensorFlow's profiler announces that it is deprecated
        cost = step.cost(*batches)
    rate = engine.convolution_rate()
    seconds = steps * cost.operations / (rate * TYPICAL_SHARE)
    return (
        f"  a step: {cost.operations / 1e9:,.0f} GFLOP, about {(cost.tensors + cost.held) / 2**30:.1f} GiB; "
        f"{steps:,} steps: about {duration(seconds)} on this {engine.device_name()} "
        f"(convolutions at {rate / 1e9:,.0f} GFLOP/s, of which training reaches about {TYPICAL_SHARE:.0%})"
    )


TYPICAL_SHARE = 0.4  # of the measured convolution rate; `make bench` measures it


def duration(seconds: float) -> str:
    """'3 min', '2.5 h', '4.1 days'."""
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


# --- the loop ----------------------------------------------------------------------------------------------------


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
        self.saved = next(reversed(checkpoint.found(workdir)), None)
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
