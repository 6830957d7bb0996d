"""Checkpoints: arrays by attribute path in one .npz file, checksummed, tied to no engine, written whole or not at all.

The file also holds a JSON text `about`: step, sha256 over all arrays, the run's settings and its data's fingerprint.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from kgan import files
from kgan.errors import UserError

_NAME = re.compile(r"checkpoint-(\d+)\.npz")


def save(folder: str | Path, step: int, arrays: dict[str, np.ndarray], about: dict[str, Any], keep: int) -> Path:
    """Write `folder`/checkpoint-{step}.npz, and remove all but the newest `keep`; returns its path."""
    path = Path(folder) / f"checkpoint-{step:08d}.npz"
    about = {**about, "step": step, "sha256": files.digest(arrays)}
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    for old in paths(folder)[:-keep] if keep else []:
        old.unlink(missing_ok=True)
    return path


def paths(folder: str | Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    folder = Path(folder)
    names = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(names, key=lambda path: int(path.stem.split("-")[1]))


def newest(folder: str | Path) -> Path | None:
    """The checkpoint of the last step, damaged or not; None where there is none."""
    return next(reversed(paths(folder)), None)


class Damaged(UserError):
    """A checkpoint cannot be read, or its contents are not those that were written."""


def newest_whole(folder: str | Path) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]] | None:
    """The path and the contents of the newest checkpoint that is whole; None where there is none at all.

    Newer ones that are damaged are named on standard output.

    Raises:
      UserError: there are checkpoints, and all of them are damaged.
    """
    damaged: list[Damaged] = []
    for path in reversed(paths(folder)):
        try:
            arrays, about = load(path)
        except Damaged as error:
            damaged.append(error)
            continue
        for each in damaged:
            print(f"kgan: {each} {path.name} takes its place: steps after {about['step']} are lost.")
        return path, arrays, about
    if damaged:
        raise UserError(
            f"{' '.join(map(str, damaged))} No other is there: bring one back, or begin anew in another folder."
        )
    return None


def newest_about(folder: str | Path) -> dict[str, Any]:
    """What the newest checkpoint says that can be understood, though its arrays may be damaged; {} where none does."""
    for path in reversed(paths(folder)):
        with contextlib.suppress(Exception):  # `newest_whole` says what is damaged
            return _checked(files.parse_json(str(files.read_arrays(path, ["about"])["about"])))
    return {}


def set_aside(folder: str | Path, whole: Path) -> None:
    """Rename the damaged checkpoints that are newer than the `whole` one, so that they are not met again."""
    every = paths(folder)
    for path in every[every.index(whole) + 1 :]:
        path.rename(path.with_name(f"{path.name}.damaged"))


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a checkpoint by path, and what it says `about` them.

    Raises:
      Damaged: the file is unreadable, or its arrays are not those that were written.
      UserError: the file may not be read.
    """
    if not Path(path).is_file():
        raise Damaged(f"The checkpoint {path} is no file.")
    try:
        arrays = files.read_arrays(path)
        about = _checked(files.parse_json(str(arrays.pop("about"))))
    except PermissionError as error:
        raise UserError(f"The checkpoint {path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # zip, NumPy and JSON have a dozen for a damaged file
        raise Damaged(f"The checkpoint {path} is damaged ({error or type(error).__name__}).") from error
    if files.digest(arrays) != about["sha256"]:
        raise Damaged(f"The checkpoint {path} is damaged: its contents do not match their checksum.")
    return arrays, about


def _checked(about: Any) -> dict[str, Any]:
    """What a checkpoint says, with all that is read of it in its place; a `ValueError` where it cannot be."""
    about = {"config": {}, "data": {}, "free": []} | about
    kinds = {"step": int, "sha256": str, "config": dict, "data": dict, "free": list}
    sound = all(isinstance(about.get(name), kind) for name, kind in kinds.items())
    sound = sound and about["step"] >= 0 and all(isinstance(each, str) for each in about["free"])
    if not sound or not all(isinstance(each, dict) and "pictures" in each for each in about["data"].values()):
        raise ValueError("it does not say of which run it is")
    return about


def check_fit(arrays: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]], where: str) -> None:
    """A `UserError` that names what differs, unless there is an array of each of the `shapes`, and no other."""
    missing = sorted(shapes.keys() - arrays.keys())
    surplus = sorted(arrays.keys() - shapes.keys())
    other = sorted(name for name in shapes.keys() & arrays.keys() if arrays[name].shape != shapes[name])
    if not (missing or surplus or other):
        return
    parts = [f"{name} is {arrays[name].shape} and should be {shapes[name]}" for name in other[:3]]
    parts += [f"{name} is missing" for name in missing[:3]] + [f"{name} is not wanted" for name in surplus[:3]]
    count = len(missing) + len(surplus) + len(other)
    raise UserError(f"{where} does not fit this system: {count} arrays differ, such as: {'; '.join(parts)}.")
