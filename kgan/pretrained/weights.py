"""Where the weights of trained networks lie, and whether they are the right ones.

Nothing is downloaded here: `kgan weights` (kgan.pretrained.originals) does that when it is asked to.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from kgan import files
from kgan.errors import UserError

VARIABLE = "KGAN_WEIGHTS"
CACHE = Path("~/.cache/kgan")

# Names of files, and the digest of what they hold: `kgan.files.digest`.
INCEPTION = ("fid_inception_2015.npz", "6d81159a2b2299434dc42ec1b0b2ea475639c68ab8959fb083a6ca1036dcb6cb")
VGG16 = ("lpips_vgg16.npz", "529e43293d4af334dab4121336fd09009f4f88a894c860d432b263b125135df3")


def folder() -> Path:
    """The folder $KGAN_WEIGHTS, else ~/.cache/kgan."""
    return Path(os.environ.get(VARIABLE) or CACHE).expanduser()


def present(name: str) -> bool:
    """Whether there is a file of the weights `name` in `folder`, right or wrong."""
    return _path_in(folder(), name).is_file()


def find(name: str, sha256: str, place: str | Path | None = None) -> Path:
    """The path of the weights `name`, once their arrays are read and checked.

    Args:
      sha256: their digest.
      place: a file, or a folder with it; default: `folder`.

    Raises:
      UserError: they are missing, damaged, or others.
    """
    path = _path(name, place)
    _read(path, sha256)
    return path


def load(name: str, sha256: str, place: str | Path | None = None) -> dict[str, np.ndarray]:
    """The arrays of the weights `name` by their names; arguments and errors are those of `find`."""
    return _read(_path(name, place), sha256)


def _path_in(place: Path, name: str) -> Path:
    """The file `name` in a folder, or the file that `place` is."""
    return place / name if place.is_dir() or place.suffix != Path(name).suffix else place


def _path(name: str, place: str | Path | None) -> Path:
    path = Path(place).expanduser() if place else folder()
    path = _path_in(path, name)
    if not path.is_file():
        raise UserError(
            f"The weights {name} are missing: there is no file {path}. Get them with: kgan weights. Where they lie in "
            f"a folder already, name it in ${VARIABLE}, or to kgan evaluate in --weights=PATH."
        )
    return path


def _read(path: Path, sha256: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zip, deflate and NumPy have a dozen for a damaged file
        raise UserError(f"{path} is damaged: {error}. Get it again with: kgan weights.") from error
    if files.digest(arrays) != sha256:
        raise UserError(
            f"{path} holds other weights than {path.name} should (the digest of its arrays does not begin with "
            f"{sha256[:12]}), and others give numbers that compare with nothing. Get them with: kgan weights."
        )
    return arrays
