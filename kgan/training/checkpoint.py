"""Checkpoints: arrays by attribute path in one .npz file, checksummed, tied to no engine, written whole or not at all.

The file also holds a JSON text `about`: step, sha256 over all arrays, the run's settings and its data's fingerprint.
"""

from __future__ import annotations

import json
import re
import zipfile
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
        old.unlink()
    return path


def paths(folder: str | Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    folder = Path(folder)
    names = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(names, key=lambda path: int(path.stem.split("-")[1]))


def newest(folder: str | Path) -> Path | None:
    """The checkpoint of the last step; None where there is none."""
    return next(reversed(paths(folder)), None)


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a checkpoint by path, and what it says `about` them.

    Raises:
      UserError: the file is damaged: unreadable, or its arrays are not those that were written.
    """
    remedy = "Remove it to go on from the one before it."
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about: dict[str, Any] = json.loads(str(arrays.pop("about")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"The checkpoint {path} cannot be read ({error}). {remedy}") from error
    if files.digest(arrays) != about.get("sha256"):
        raise UserError(f"The checkpoint {path} is damaged: its contents do not match their checksum. {remedy}")
    return arrays, about


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
