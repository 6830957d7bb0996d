"""What a run begins with: its newest checkpoint, or the generators of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kgan.errors import UserError
from kgan.layers import legacy
from kgan.training import checkpoint
from kgan.training.config import FREE


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


def init_from(system: Any, folder: Path) -> None:
    for name in system.generators():
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
