"""Imported networks as a run that `kgan train` goes on with: a checkpoint of what the files hold, and nothing else."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from kgan import __version__, files
from kgan.errors import UserError
from kgan.importing.files import step_of
from kgan.importing.sources import Source
from kgan.importing.tables import Network
from kgan.training import checkpoint


def write(source: Source, workdir: str | Path, origin: str) -> Path:
    """Write a run's first checkpoint; returns its path. `kgan.training.resume.adopt` reads it.

    It holds the networks by attribute path. Where the files have Adam's averages, it holds these too, and its step is
    the one that the files' name counts; else it is step 0, with a learning rate that begins anew.

    Raises:
      UserError: the files lack a network of the system, or `workdir` holds a run.
    """
    workdir = Path(workdir).expanduser()
    if checkpoint.newest(workdir):
        raise UserError(f"{workdir} holds a run already: name another --workdir.")
    present = {network.attribute for network in source.networks}
    if missing := sorted(set(source.whole) - present):
        raise UserError(
            f"A training needs all its networks, and {', '.join(missing)} is not in {origin}: give its file too, "
            "separated by a comma. To begin with the generators alone, write them with --output into a folder, and "
            "train with --config.training.init_from=FOLDER."
        )
    step = _steps(source)
    arrays: dict[str, np.ndarray] = {"step": np.array(step, np.int32)}
    for network in source.networks:
        arrays |= {f"{network.attribute}/{path}": array for path, array in network.weights().items()}
        arrays |= _averages(source, network)
    if source.moments:
        arrays |= {f"{side}_optimizer/iteration": np.array(step) for side in ("generator", "discriminator")}
    about: dict[str, Any] = {
        "kgan": __version__,
        "config": {"system": source.shown},
        "imported": {"from": origin, "code": source.title, "system": source.card["system"]},
    }
    files.make_folder(workdir)
    with files.locked(workdir):
        return checkpoint.save(workdir, step, arrays, about, keep=0)


def remark(source: Source, workdir: str) -> str:
    """How to go on, as sentences."""
    names = [name for name in (*source.shown, "image_size") if _differs(source, name)]
    changes = [f"--config.system.{name}={getattr(source.settings, name)}" for name in dict.fromkeys(names)]
    command = shlex.join(["kgan", "train", f"--config={source.config}", *changes, f"--workdir={workdir}"])
    step = _steps(source)
    begin = f"Adam's averages came along, at step {step}." if source.moments else "Adam begins anew, at step 0."
    return f"{begin} To go on, with --config.data.root=... for your pictures: {command}"


def _differs(source: Source, name: str) -> bool:
    return bool(getattr(source.preset, name) != getattr(source.settings, name))


def _steps(source: Source) -> int:
    return (step_of(source.networks[0].tensors.file.name) or 0) if source.moments else 0


def _averages(source: Source, network: Network) -> dict[str, np.ndarray]:
    """Adam's two averages of a network's trained variables, as the state of Keras' Adam is called."""
    if not source.moments:
        return {}
    side = "generator" if network in source.generators else "discriminator"
    arrays = {}
    for entry in network.table:
        for ending, name in zip(source.moments, ("momentum", "velocity"), strict=True):
            if f"{entry.tensor}{ending}" in network.tensors:
                path = f"{side}_optimizer/{network.attribute}_{entry.variable.replace('/', '_')}_{name}"
                arrays[path] = entry.convert(network.tensors.read(f"{entry.tensor}{ending}"))
    return arrays
