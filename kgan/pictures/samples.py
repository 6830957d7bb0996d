"""A few pictures to try something on: of a folder, or of the embedded emoji."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from kgan.errors import UserError
from kgan.pictures import emoji, folders, images


def of_emoji(most: int) -> list[np.ndarray]:
    """Embedded emoji of the test split, evenly spaced, uint8 [H, W, 3]."""
    pictures = emoji.load("fluent3d", "test")
    return [pictures[i] for i in spread(len(pictures), most)]


def of_folder(folder: str | Path, most: int) -> list[np.ndarray]:
    """At most `most` pictures of a folder, evenly spaced; those that cannot be read are named and left out.

    Raises:
      UserError: there is no picture, or none can be read.
    """
    listing = folders.look(folder)
    print(listing)
    pictures = []
    for i in spread(len(listing.pictures), most):
        try:
            pictures.append(images.read(listing.pictures[i]))
        except UserError as error:
            print(f"Left out. {error}", file=sys.stderr)
    if not pictures:
        raise UserError(f"No picture in {folder} can be read.") if listing.pictures else listing.none()
    return pictures


def spread(count: int, most: int) -> list[int]:
    """The indices of `most` among `count` pictures, evenly spaced; of all where there are fewer."""
    return sorted({i * count // most for i in range(most)}) if count else []
