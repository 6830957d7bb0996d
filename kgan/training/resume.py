"""What a run begins with: its newest checkpoint, or the generators of another run."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kgan import __version__, files
from kgan.data import Data, Reader
from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included
from kgan.layers import legacy
from kgan.settings import at_home, fields, free_paths
from kgan.systems.system import System
from kgan.training import checkpoint
from kgan.training.config import Config, Training

# What is free in every run: a checkpoint of version 0.1.0 does not say which of its settings are.
FREE = {"name"} | free_paths(Data(), "data.") | free_paths(Training(), "training.")

# What power iterations keep since after 0.1.0. Where a checkpoint lacks it, it stays empty, and follows from the rest.
LATER = re.compile(r".*(_sn/v|/cam/(\w+_)?[uv])")


def describe(config: Config, reader: Reader) -> dict[str, Any]:
    """What a checkpoint says of its run: all settings, which of them are free to change, and the pictures' hashes."""
    return {
        "kgan": __version__,
        "config": config.to_json(),
        "free": sorted(free_paths(config)),
        "data": reader.fingerprint(),
    }


def restore(system: System, workdir: Path, config: Config, about: dict[str, Any]) -> tuple[int, list[str]]:
    """Put the newest checkpoint that is whole into the system; damaged ones that are newer are named and set aside.

    Returns:
      The steps it has done, 0 where there is none; and what is computed otherwise from here on, see `changes`.
    """
    newest = checkpoint.newest_whole(workdir)
    if newest is None:
        return 0, []
    path, arrays, before = newest
    if "imported" in before:
        return adopt(system, path, arrays, before, config), []
    anew = f"or begin anew from its generators: --config.training.init_from={workdir} --workdir=ANOTHER"
    refuse_another_run(
        workdir,
        complete(before, config),
        about,
        settings=f"Give the old settings to go on, {anew}.",
        pictures=f"Restore the folder to go on, {anew}.",
    )
    variables = system.state()
    wanted = [name for name in variables if name in arrays or not LATER.fullmatch(name)]
    try:
        checkpoint.check_fit(arrays, {name: tuple(variables[name].shape) for name in wanted}, str(path))
    except UserError as error:
        was, is_ = complete(before, config)["config"], flat(config.to_json())
        on_or_off = {path for path in was if path.startswith("system.") and bool(was[path]) != bool(is_.get(path))}
        if not (switched := differences(was, is_, was.keys() - on_or_off)):
            raise
        raise UserError(f"{error} {'; '.join(switched)}: give the old settings to go on, {anew}.") from None
    for name in wanted:
        variables[name].assign(arrays[name])
    checkpoint.set_aside(workdir, path)
    return int(before["step"]), changes(before, config)


def as_begun(config: Config, before: dict[str, Any]) -> Config:
    """The settings of a run that goes on: those that are newer than it stay what it computed by before, which is said.

    So does the precision, where the settings leave it to kgan.

    Args:
      before: what its checkpoint says; {} where there is none.
    """
    if not before or "imported" in before:
        return config
    was, is_ = flat(before["config"]), flat(config.to_json())
    if config.training.precision == "auto":
        config = config.replace("training", precision=was.get("training.precision", "mixed_bfloat16"))
    for path, field in fields(config):
        older = field.metadata.get("was")
        if older is not None and was.get(path, older) == older and is_[path] == field.default:
            part, _, name = path.rpartition(".")
            config = config.replace(part, **{name: older})
            print(f"{path} stays {older!r}, as this run computed so far. (New runs: {field.default!r}.)")
    return config


def changes(before: dict[str, Any], config: Config) -> list[str]:
    """'training.steps was 8 and is 9', for what is free to change and changes what is learned from now on."""
    was = complete(before, config)["config"]
    free = {path for path in flat(was) if path != "training.steps" and not path.startswith("system.")}
    return differences(was, config.to_json(), free)


def last_rate(workdir: Path) -> str:
    """', where it was 0.1 at step 8', as the run's log says; nothing where it does not."""
    try:
        rows = map(files.parse_json, reversed((workdir / "log.jsonl").read_bytes().splitlines()))
        row = next(row for row in rows if "learning_rate" in row)
        return f", where it was {row['learning_rate']:.3g} at step {row['step']}"
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return ""


def refuse_another_run(
    workdir: Path, before: dict[str, Any], now: dict[str, Any], settings: str, pictures: str
) -> None:
    """A `UserError` unless the checkpoint in `workdir` is of the run that is to go on there.

    Args:
      before, now: what `describe` says of the two.
      settings, pictures: what the user can do where the one or the other differ.
    """
    free = FREE.union(before.get("free", ()), now.get("free", ()))
    if changes := differences(before["config"], now["config"], free):
        raise UserError(f"{workdir} holds a run with other settings: {'; '.join(changes)}. {settings}")
    for name in sorted(before["data"].keys() | now["data"].keys()):
        was, is_ = before["data"].get(name), now["data"].get(name)
        if was != is_:
            raise UserError(
                f"{workdir} began with other pictures: {name} had {was and was['pictures']} and now has "
                f"{is_ and is_['pictures']}, or their names or labels changed. {pictures}"
            )


def complete(before: dict[str, Any], config: Config) -> dict[str, Any]:
    """What a checkpoint says of its run; settings that are newer than it are what was computed by: `settings.since`."""
    values = {path: field.metadata.get("was", field.default) for path, field in fields(config)}
    older = {path: value for path, value in values.items() if value is not dataclasses.MISSING}
    return {**before, "config": json.loads(json.dumps(older)) | flat(before["config"])}


def differences(before: dict[str, Any], now: dict[str, Any], free: Collection[str]) -> list[str]:
    """'system.filters was 32 and is 64', for every setting of `before` that is not free to change."""
    was, is_ = flat(before), flat(now)
    return [
        f"{path} was {value!r} and is {is_[path]!r}" if path in is_ else f"{path} was {value!r} and is no setting now"
        for path, value in sorted(was.items())
        if path not in free and (path not in is_ or is_[path] != value)
    ]


def flat(settings: Any, path: str = "") -> dict[str, Any]:
    """Settings as a checkpoint keeps them, by path: {"system.filters": 32, "data.sets[0].layout": "csv"}."""
    if isinstance(settings, dict):
        children = [(f"{path}.{name}" if path else name, value) for name, value in settings.items()]
    elif isinstance(settings, list) and any(isinstance(each, dict) for each in settings):
        children = [(f"{path}[{i}]", each) for i, each in enumerate(settings)]
    else:
        return {path: settings}
    return {name: value for each in children for name, value in flat(each[1], each[0]).items()}


def generator_files(init_from: str, names: Sequence[str]) -> dict[str, Path]:
    """The .keras file of each generator of `names` that training.init_from names.

    Raises:
      UserError: there is no such folder, file or model that comes with kgan; a single file for several generators; a
        folder that lacks one.
    """
    path = included.find(at_home(init_from))
    if path.is_file():
        if len(names) > 1:
            raise UserError(
                f"training.init_from={init_from} is one generator, and {len(names)} are to begin: give a folder with "
                f"{' and '.join(f'{name}.keras' for name in names)}."
            )
        return dict.fromkeys(names, path)
    if not path.is_dir():
        raise UserError(
            f"training.init_from={init_from} is no folder of a run, no .keras file, and no model that comes with kgan "
            f"({', '.join(included.names())})."
        )
    found = {file.stem: file for file in path.glob("[!.]*.keras")}
    if all(name.startswith("best_") for name in found):
        raise UserError(
            f"training.init_from={init_from}: there is no generator in that folder, but for best_*.keras, which are "
            "taken where the file itself is named."
        )
    if missing := next((name for name in names if name not in found), None):
        raise UserError(f"training.init_from={init_from}: there is no {missing}.keras in that folder.")
    return {name: found[name] for name in names}


def init_from(system: System, source: str) -> None:
    """Give the system's generators, and their averages, weights that were trained before.

    Args:
      source: a run's folder with the .keras file of each generator. For a system of one generator also such a file, or
        the name of a model that comes with kgan.

    Raises:
      UserError: a file is missing, damaged or of another shape.
    """
    for name, path in generator_files(source, list(system.generators())).items():
        try:
            cards.checked(path)
            trained = legacy.load_model(path)
        except UserError as error:
            raise UserError(f"training.init_from={source}: {error}") from error
        except Exception as error:  # Keras raises nearly anything on a damaged file
            remedy = "Take another"
            if Path(at_home(source)).is_dir():
                remedy += ", or have its run write it again: that run's own command does, once the file is removed"
            raise UserError(
                f"training.init_from={source}: {path.name} is damaged ({type(error).__name__}). {remedy}."
            ) from error
        weights = trained.get_weights()
        arrays = {f"{i} {v.name}": w for i, (v, w) in enumerate(zip(trained.weights, weights, strict=True))}
        for network in system.beginnings(name):
            drawn, wanted = _pixels(trained), _pixels(network)
            if drawn and wanted and drawn != wanted:
                size = "start_size" if hasattr(system.settings, "start_size") else "image_size"
                raise UserError(
                    f"training.init_from={source}: {path.name} draws pictures of {drawn} px, and the training would "
                    f"begin with {wanted}: set --config.system.{size}={drawn}."
                )
            shapes = {f"{i} {v.name}": tuple(v.shape) for i, v in enumerate(network.weights)}
            checkpoint.check_fit(arrays, shapes, f"training.init_from={source}: {path.name}")
            network.set_weights(weights)


def _pixels(model: keras.Model) -> int | None:
    """The height of the pictures that a generator draws; None where it is free, or where it draws none."""
    try:
        shape = model.output["image"].shape
    except (AttributeError, KeyError, TypeError, IndexError):  # no functional model, or one of another kind
        return None
    return shape[1] if len(shape) == 4 else None


def refuse_other_networks(path: Path, about: dict[str, Any], config: Config) -> None:
    """A `UserError` unless the settings are of the networks that `kgan import --workdir` wrote to `path`."""
    kind, trained = about["imported"]["system"], type(config.system).__module__.rpartition(".")[2]
    if kind != trained:
        raise UserError(
            f"{path} holds networks of {kind}, and {config.name} trains {trained}: give a config of {kind}."
        )
    if changes := differences(about["config"], config.to_json(), ()):
        raise UserError(f"{path} was imported from other networks: {'; '.join(changes)}. Give the imported settings.")


def adopt(system: System, path: Path, arrays: dict[str, np.ndarray], about: dict[str, Any], config: Config) -> int:
    """Give the system what `kgan import --workdir` wrote: networks, and Adam's averages where there were some.

    All else is new: optimizers, image pools, and averaged generators, which begin as the generators themselves.

    Returns:
      The number of steps done.

    Raises:
      UserError: the checkpoint is of another system, or its networks have other sizes.
    """
    refuse_other_networks(path, about, config)
    variables, networks = system.state(), system.networks()
    wanted = {name for name in variables if name.partition("/")[0] in networks and not LATER.fullmatch(name)}
    wanted |= arrays.keys() & variables.keys()
    checkpoint.check_fit(arrays, {name: tuple(variables[name].shape) for name in wanted}, str(path))
    for name, array in arrays.items():
        variables[name].assign(array)
    for name, network in networks.items():
        if average := getattr(system, f"ema_{name}", None):
            average.set_weights(network.get_weights())
    print(f"{config.name}: with the networks of {about['imported']['from']}, imported from {about['imported']['code']}")
    return int(about["step"])
