"""Trained filters and generators that come with kgan, found by name: `kgan generate --model=stylegan_animefaces ...`.

Each is a .keras file whose weights lie in 16 bits (see `kgan.export.half`), and its card says in `training["reached"]`
what it learned from and under which terms, by which command, in how many minutes of work (docs/results.md says of
what), and what was measured of it by which command.

A filter has a .tflite too, NAME_dynamic_wi8_afp32.tflite with weights in 8 bits, which starts without Keras and takes
pictures of the size that it was trained at. Its card says how near it comes to the .keras: 45 dB at least. They were
made by `kgan export --model=NAME --recipes=dynamic_wi8_afp32 --nosaved_model --images=FOLDER`, with pictures such as it
is meant for.
pix2pix_facades has none: its .keras drops out at test, as published, and a .tflite never does.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of all included models, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def find(model: str | Path) -> Path:
    """The .keras file of an included model where `model` is its name, else `model` itself as a path."""
    return FOLDER / f"{model}.keras" if _is_name(model) else Path(model)


def tflite(model: str | Path) -> Path | None:
    """The .tflite file of an included filter where `model` is its name and it has one."""
    path = FOLDER / f"{model}_dynamic_wi8_afp32.tflite"
    return path if _is_name(model) and path.is_file() else None


def find_tflite(model: str | Path) -> Path:
    """The .tflite of an included filter where `model` is its name and it has one, else `model` itself as a path."""
    return tflite(model) or Path(model)


def _is_name(model: str | Path) -> bool:
    """A file or folder that is there goes before an included model of the same name."""
    return str(model) in names() and not Path(model).exists()
