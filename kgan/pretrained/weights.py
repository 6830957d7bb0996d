"""Where the weights of the measuring networks lie, and whether they are the right ones. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kgan.errors import UserError

VARIABLE = "KGAN_WEIGHTS"
CACHE = Path("~/.cache/kgan")


def find(name: str, sha256: str, given: str | Path | None = None) -> Path:
    """The file `name`: `given` (a file, or a folder with it), else in the folder $KGAN_WEIGHTS, else in ~/.cache/kgan.

    Raises:
      UserError: it is in none of them, or is another file than the one with this sha256.
    """
    place = Path(given or os.environ.get(VARIABLE) or CACHE).expanduser()
    path = place / name if place.is_dir() or place.suffix != Path(name).suffix else place
    if not path.is_file():
        raise UserError(
            f"The weights {name} are missing: there is no file {path}. Put the file (sha256 {sha256[:12]}...) into "
            f"{CACHE}, or name the folder where it lies in ${VARIABLE}, or to kgan evaluate in --weights=PATH."
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise UserError(
            f"{path} is not the file that was looked for, or is damaged: its sha256 begins with {found[:12]}, not "
            f"{sha256[:12]}. Other weights give numbers that compare with nothing; fetch it again."
        )
    return path
