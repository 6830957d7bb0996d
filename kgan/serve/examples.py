"""A small picture of what each filter draws."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from kgan.errors import UserError
from kgan.filters import photos
from kgan.filters.card import Card
from kgan.pictures import images
from kgan.serve.models import Models, Source, Version

SIZE = 160  # pixels a side
PHOTO = Path(__file__).parent / "page" / "astronaut.webp"  # NASA's portrait of Eileen Collins, in the public domain
SUFFIXES = (".webp", ".png", ".jpg")


class Pictures:
    """The pictures of all filters, drawn when they are first asked for, and kept."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self._lock = threading.Lock()
        self._drawn: dict[str, tuple[object, bytes | None]] = {}  # by name: of what it is, and the file

    def of(self, name: str, source: Source, card: Card) -> bytes | None:
        """The picture of a filter as a WebP file; None where there is none."""
        with self._lock:
            try:
                file = beside(source)
                stamp = source.stamp(), file and (file, file.stat().st_mtime_ns)
            except OSError:  # it has gone since the folder was looked at
                return None
            if (known := self._drawn.get(name)) and known[0] == stamp:
                return known[1]
            try:
                picture = images.read(file, most=16) if file else None
                if not file and has_one(source, card):
                    with self.models.lease(name) as version:
                        picture, stamp = draw(version, card), (version.stamp, None)  # which may be a former one
            except UserError:  # it cannot be loaded, or takes no photo
                picture = None
            data = None if picture is None else images.encode(small(picture), ".webp")
            self._drawn[name] = stamp, data
            return data


def draw(version: Version, card: Card) -> np.ndarray | None:
    """What a filter makes of its example; None of what is none."""
    if version.picture_filter is None:
        return None
    if card.labels:
        label, size = card.labels.example(), card.image_size
        return photos.translate(version.picture_filter, photo(), "face", size=size, label=label)[0]
    return photos.translate(version.picture_filter, example(card))[0]


def has_one(source: Source, card: Card) -> bool:
    """Whether a filter has a picture: one beside it, or one that is soon drawn."""
    runs_at_once = source.tflite is not None
    return beside(source) is not None or (card.kind == "filter" and (runs_at_once or not source.included))


def beside(source: Source) -> Path | None:
    """The picture that lies beside a model: NAME.webp beside a file, model.webp in a folder."""
    path = source.path / "model" if source.path.is_dir() else source.path
    return next((file for suffix in SUFFIXES if (file := path.with_suffix(suffix)).is_file()), None)


@cache
def photo() -> np.ndarray:
    """uint8 [512, 512, 3]."""
    return images.read(PHOTO)


def example(card: Card) -> np.ndarray:
    """The picture that a filter is shown with: a portrait."""
    return photo() if card.crop == "face" else images.resize(photo()[:256, 96:352], (card.image_size, card.image_size))


def small(picture: np.ndarray) -> np.ndarray:
    """The middle square, `SIZE` pixels a side; small pictures are enlarged without blurring."""
    square = images.center_square(picture)
    if len(square) >= SIZE:
        return images.resize(square, (SIZE, SIZE))
    return np.asarray(Image.fromarray(square).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
