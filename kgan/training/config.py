"""One experiment: its settings, what of them may change between sittings, and what they open."""

# No `from __future__ import annotations` here: flags of a config read the types of its fields, not their names.
import dataclasses
import json
from pathlib import Path
from typing import Any

from kgan.data import Data, Labelled, Paired, Reader, Unlabelled, Unpaired
from kgan.errors import UserError
from kgan.settings import Checks, check_kinds, choice, expanded, free
from kgan.systems import system
from kgan.systems.system import Settings, Stage


@dataclasses.dataclass
class Training:
    """How long and how fast a system is trained, and what is kept of it.

    Fields that are `free` may change between two sittings of a run. Only `steps` (through the learning rate's
    schedule), `devices` and `steps_per_call` (through the order of sums) touch what is computed; and where a call takes
    several steps under JAX, the intervals at which it must end (likewise).

    Attributes:
      steps: train_steps in all; a resumed run may be given more or fewer.
      batch_size: pictures of each domain in a batch, over all devices.
      seed: of starting weights, order, augmentation and draws.
      precision: compute dtype; weights, statistics and losses stay in float32. "auto" is mixed_bfloat16 on accelerators
        and on processors with instructions for it, else float32; a run stays with what it began with.
      devices: how many of the machine's devices share each batch.
      minutes: of a sitting, from its first step on, after which it stops as if told to, its checkpoint saved; 0 for no
        limit.
      steps_per_call: steps that the device takes before the host looks again; 0 for 10 on accelerators, 1 on CPUs.
        Under JAX another number adds up in another order.
      log_every, sample_every, save_every: steps between log lines, sample sheets and checkpoints.
      samples: rows of a sample sheet.
      evaluate_every: steps between measurements of the generators by KID and FID, which keep the best; 0 for never.
      evaluate_count: test pictures at most that are measured.
      keep: checkpoints that stay.
      tensorboard: also write event files.
      init_from: what a new run's generators begin as: another run's folder; or, where there is one generator, its
        .keras file or the name of a model that comes with kgan.
    """

    steps: int = free(1_000_000)
    batch_size: int = 1
    seed: int = 0
    precision: str = choice("auto", "mixed_bfloat16", "float32", "mixed_float16")
    devices: int = free(1)
    minutes: float = free(0.0)
    steps_per_call: int = free(0)
    log_every: int = free(100)
    sample_every: int = free(1000)
    save_every: int = free(1000)
    samples: int = free(4)
    evaluate_every: int = free(0)
    evaluate_count: int = free(100)
    keep: int = free(3)
    tensorboard: bool = free(True)
    init_from: str = free("")

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot be."""
        checks = Checks(self, "training")
        checks.at_least(1, "steps", "batch_size", "devices", "samples", "keep")
        checks.at_least(1, "log_every", "sample_every", "save_every")
        checks.not_negative("seed", "evaluate_every", "minutes", "steps_per_call")
        checks.at_least(2, "evaluate_count")
        if self.batch_size % self.devices:
            raise UserError(
                f"training.batch_size ({self.batch_size}) must be a multiple of training.devices ({self.devices})."
            )


@dataclasses.dataclass
class Config:
    """One experiment: what is learned, from what, and how."""

    name: str = dataclasses.field(metadata={"free": True})
    system: Settings
    data: Data
    training: Training = dataclasses.field(default_factory=Training)

    def check(self) -> None:
        """Raise a `UserError` where settings cannot be, whatever the machine and the pictures."""
        parts = {"training": (self.training, Training), "data": (self.data, Data)}
        wrong = [name for name, (part, kind) in parts.items() if not isinstance(part, kind)]
        if wrong or not (dataclasses.is_dataclass(self.system) and hasattr(self.system, "create")):
            name = wrong[0] if wrong else "system"
            raise UserError(f"The settings' {name} is no such part of an experiment: {getattr(self, name)!r}.")
        check_kinds(self)
        self.training.check()
        self.system.check()
        self.data.check()
        check_data(self.system, self.data)

    def replace(self, part: str, **fields: Any) -> "Config":
        """The same with other fields of a part: config.replace("data", root="pictures"), or "system.online"."""
        return _replaced(self, part.split("."), fields)

    def to_json(self) -> dict[str, Any]:
        """All settings as a checkpoint keeps them: tuples become lists."""
        settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return settings

    def to_card(self) -> dict[str, Any]:
        """As `to_json`, without the user's own folders: of the files and folders that are named their names alone."""
        settings = self.replace("data", root="").replace("training", init_from=Path(self.training.init_from).name)
        if teacher := getattr(self.system, "teacher", ""):
            settings = settings.replace("system", teacher=Path(teacher).name)
        card = settings.to_json()
        return card | {"data": _at_no_place(card["data"])}


def _at_no_place(value: Any) -> Any:
    """A value of JSON, in which of each absolute path its name is left."""
    if isinstance(value, dict):
        return {name: _at_no_place(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_at_no_place(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _replaced(settings: Any, path: list[str], fields: dict[str, Any]) -> Any:
    """A dataclass with other fields of the one at `path` in it."""
    if path:
        fields = {path[0]: _replaced(getattr(settings, path[0]), path[1:], fields)}
    return dataclasses.replace(settings, **fields)


def check_data(system: Settings, data: Data) -> None:
    """A `UserError` where a system cannot learn from data of this kind."""
    known = {kind.__name__: kind for kind in (Unpaired, Paired, Labelled, Unlabelled)}
    taken = getattr(system, "data_kinds", tuple(known))
    if isinstance(data, tuple(known.values())) and not isinstance(data, tuple(known[name] for name in taken)):
        raise UserError(
            f"The config's data should be kgan.data.{' or '.join(taken)} for this system, and is kgan.data."
            f"{type(data).__name__}."
        )


def check(config: Any) -> None:
    """Raise a `UserError` where `config` is no experiment, or one that cannot be."""
    if not isinstance(config, Config):
        raise UserError(f"An experiment is a kgan.training.Config, not a {type(config).__name__}: configs/ shows some.")
    config.check()


def resolved(config: Config) -> Config:
    """The same with what its settings must learn from files: a student's teacher, by its sha256."""
    own = getattr(config.system, "resolved", None)
    return dataclasses.replace(config, system=own()) if own else config


def stages(config: Config) -> tuple[Stage, ...]:
    """The parts of a training, in order: the levels of a system that grows, or one stage for all."""
    return system.stages(config.system, config.training.batch_size)


def open_data(config: Config, stage: Stage) -> Reader:
    """The reader of a stage's batches, which goes on in the order of the stages before."""
    batches, seed = config.system.batches_per_step, config.training.seed
    reader = expanded(config.data).open(stage.image_size, stage.batch_size, batches, seed)
    for each in stages(config):
        if each.first_step <= stage.first_step:
            reader.begin(each.first_step, each.first_image)
    return reader
