"""The JSON card that travels beside every filter: what it expects, what it gives, how it was made.

`filter.keras` and `filter.tflite` have `filter.json` beside them; a SavedModel folder holds `card.json`.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kgan import files
from kgan.errors import UserError
from kgan.labels import Labels

CROPS = ("face", "center", "none")
KINDS = ("filter", "generator")
LARGEST_SIDE = 8192  # pixels; a larger number in a card is a mistake
LARGEST_CARD = 2**22  # bytes


@dataclasses.dataclass
class Card:
    """What a program must know to run a filter; the Android app and the web page read nothing else.

    Attributes:
      name: what people call the filter.
      system: the module in kgan.systems that trained it.
      kind: "filter" from picture to picture, or "generator" from noise to picture.
      image_size: the square size in pixels that it was trained at.
      size: (height, width) where the file accepts only that, None where any multiple of `multiple` will do.
      multiple: sides that the network divides exactly; smallest: what they must at least measure.
      crop: how its training pictures were cut: "face", "center" or "none".
      labels: what may be asked of it, where it takes a label: all values of all groups of all sets in the order of the
        label's numbers, 1 for what is asked and 0 for the rest; with several sets, a number each follows that says
        which set is meant.
      batch_norm: what its batch normalization uses: "batch", the picture's own statistics where it comes alone, as
        pix2pix's official test has it, or "moving" averages from the training; "" where it has none.
      dropout: the .keras file drops out at test too, by the same draws for every picture. Exported files never do.
      range: pixel values of input and output, always -1 to 1; RGB, channels last.
      sha256: of the file that the card was written with, see `digest`; while that replaces another, of the other too,
        behind it. Without any, as in cards of version 0.1.0, `export` may have one.
      training: steps, settings and data, for people.
      export: recipe, sha256, versions and verification of an exported file. Where it looks at each pixel's
        neighbourhood alone, "tiles": how many pixels far, and what sides are to be a multiple of, so that pictures
        larger than its fixed size can be done in tiles: `kgan.pictures.tiling.exact`.
    """

    name: str = "filter"
    system: str = ""
    kind: str = "filter"
    image_size: int = 256
    size: tuple[int, int] | None = None
    multiple: int = 4
    smallest: int = 8
    crop: str = "none"
    labels: Labels | None = None
    batch_norm: str = ""
    dropout: bool = False
    range: tuple[float, float] = (-1.0, 1.0)
    sha256: tuple[str, ...] = ()
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    export: dict[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, model: str | Path) -> Path:
        """Write the card of the model file or folder `model`; returns where."""
        path = path_of(model)
        files.write_json(path, dataclasses.asdict(self))
        return path

    @property
    def tiles(self) -> tuple[int, int] | None:
        """(margin, unit) of its tiles, None where they would not give what the whole gives."""
        margin, unit = self.export.get("tiles") or (0, 0)
        return (margin, unit) if unit and self.size and 2 * margin < min(self.size) else None

    @property
    def digests(self) -> tuple[str, ...]:
        """The sha256 of each file that it is the card of; empty where it names none."""
        return self.sha256 or tuple(filter(None, (self.export.get("sha256"),)))

    def describes(self, model: Path) -> bool:
        """Whether this is the card of the file as it is, and not of one that a killed process did not put there."""
        return self.sha256[:1] == (digest(model)[1],)


def path_of(model: str | Path) -> Path:
    """Where the card of a model lies: beside a file, inside a folder."""
    model = Path(model)
    return model / "card.json" if model.is_dir() else model.with_suffix(".json")


def read(model: str | Path) -> Card | None:
    """The card of a model, None where it has none; a `UserError` that names the field where it is no card."""
    path = path_of(model)
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise ValueError("it is too large")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition(": line")[0]
        raise UserError(f"{path} is not a kgan card: {reason}. {_REMEDY}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is not a kgan card: it should be an object of fields. {_REMEDY}")
    for key, value in values.items():
        if key not in _FIELDS:
            near = difflib.get_close_matches(key, _FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_FIELDS)}."
            raise UserError(f"{path} is not a kgan card: it has the field {_short(key)}; {hint} {_REMEDY}")
        what, holds = _FIELDS[key]
        if not holds(value):
            raise UserError(f"{path} is not a kgan card: {key} should be {what}, not {_short(value)}. {_REMEDY}")
    try:
        labels = Labels.from_json(values["labels"]) if values.get("labels") else None
    except UserError as error:
        raise UserError(f"{path} is not a kgan card: {error} {_REMEDY}") from None
    tuples = {key: tuple(values[key]) for key in ("size", "range", "sha256") if values.get(key) is not None}
    return Card(**(values | tuples | {"labels": labels}))


def checked(model: str | Path) -> Card | None:
    """As `read`; a `UserError` too where the card was written with another file than the model is now."""
    card, path = read(model), Path(model)
    if card and card.digests and path.exists() and digest(path)[1] not in card.digests:
        raise UserError(
            f"{path} is not the file that its card {path_of(path)} was written with: one of them was damaged, or is of "
            "another model. Copy both from where they were made. Or remove the card: the model then runs without what "
            "it says of crops, labels and sizes."
        )
    return card


def digest(path: Path) -> tuple[int, str]:
    """Bytes and sha256 of a file.

    Of a folder: the sum of its files' bytes, and the sha256 of the lines that `sha256sum` prints for them, by path. Its
    card does not count.
    """
    if path.is_file():
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    parts = sorted(part for part in path.rglob("*") if part.is_file() and part != path_of(path))
    lines = "".join(f"{digest(part)[1]}  {part.relative_to(path).as_posix()}\n" for part in parts)
    return sum(part.stat().st_size for part in parts), hashlib.sha256(lines.encode()).hexdigest()


def write_both(model: Path, card: Card, write: Callable[[Path], object]) -> None:
    """Write a model's file by `write`, and its card, which names its sha256.

    At no moment lies a file there that the card beside it does not name: the card comes first, and names the file of
    before too until that is gone.
    """
    with files.replacing(model) as temporary:
        write(temporary)
        card = dataclasses.replace(card, sha256=(digest(temporary)[1],))
        former = (digest(model)[1],) if model.is_file() else ()
        dataclasses.replace(card, sha256=card.sha256 + former).write(model)
    if former:
        card.write(model)


_REMEDY = "Mend it, or remove it: the model then runs without."


def _short(value: object) -> str:
    """A value as JSON writes it, at most 60 characters."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIDE


def _is_size(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_side, value)))


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_labels(value: object) -> bool:
    """What `Labels.from_json` reads."""

    def group(each: object) -> bool:
        return (
            isinstance(each, dict)
            and each.keys() == {"name", "values", "flags"}
            and isinstance(each["name"], str)
            and isinstance(each["values"], list)
            and bool(each["values"])
            and all(map(_is_text, each["values"]))
            and isinstance(each["flags"], bool)
        )

    def label_set(each: object) -> bool:
        return (
            isinstance(each, dict)
            and each.keys() == {"name", "groups"}
            and isinstance(each["name"], str)
            and isinstance(each["groups"], list)
            and bool(each["groups"])
            and all(map(group, each["groups"]))
        )

    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"sets", "optional"}
        and isinstance(value["sets"], list)
        and bool(value["sets"])
        and all(map(label_set, value["sets"]))
        and isinstance(value["optional"], bool)
    )


def _is_training(value: object) -> bool:
    """Free, but for the measures by which the best of a run is chosen."""

    def is_number(each: object) -> bool:
        return isinstance(each, int | float) and not isinstance(each, bool)

    measures = value.get("validation", {"kid": 0}) if isinstance(value, dict) else None
    return isinstance(measures, dict) and "kid" in measures and all(map(is_number, measures.values()))


def _is_export(value: object) -> bool:
    if not isinstance(value, dict) or not _is_digest(value.get("sha256", "0" * 64)):
        return False
    tiles = value.get("tiles", [1, 1])
    return isinstance(tiles, list) and len(tiles) == 2 and all(map(_is_side, tiles))


# Of each field, what it should be, and whether a value of JSON is that.
_SIDE = f"a whole number from 1 to {LARGEST_SIDE}"
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a text", _is_text),
    "system": ("a text", _is_text),
    "kind": (" or ".join(f'"{kind}"' for kind in KINDS), KINDS.__contains__),
    "image_size": (_SIDE, _is_side),
    "size": (f"null or [height, width], each {_SIDE}", _is_size),
    "multiple": (_SIDE, _is_side),
    "smallest": (_SIDE, _is_side),
    "crop": (" or ".join(f'"{crop}"' for crop in CROPS), CROPS.__contains__),
    "labels": ('null or {"sets": [...], "optional": ...} as a training writes it', _is_labels),
    "batch_norm": ('"", "batch" or "moving"', ("", "batch", "moving").__contains__),
    "dropout": ("true or false", lambda value: isinstance(value, bool)),
    "range": ("[-1.0, 1.0]", lambda value: value == [-1, 1] and not any(isinstance(x, bool) for x in value)),
    "sha256": ("a list of digests of 64 digits", lambda value: isinstance(value, list) and all(map(_is_digest, value))),
    "training": ("an object, its validation an object of numbers, kid among them", _is_training),
    "export": ("an object, its sha256 a digest of 64 digits, its tiles two whole numbers", _is_export),
}
