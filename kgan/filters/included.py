"""Trained filters and generators that come with kgan, found by name: `kgan generate --model=stylegan_animefaces ...`.

Each is a .keras file whose weights lie in 16 bits (see `kgan.export.half`), and its card says in `training["reached"]`
what it learned from and under which terms, by which command, in how many minutes, and what was measured of it by which
command.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Of all that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def find(model: str | Path) -> Path:
    """The path of an included model where its name is given, and nothing of that name exists; else what is given."""
    given = Path(model)
    return FOLDER / f"{given}.keras" if not given.exists() and str(given) in names() else given
