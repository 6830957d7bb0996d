"""The JSON card that travels beside every filter: what it expects, what it gives, how it was made.

`filter.keras` and `filter.tflite` have `filter.json` beside them; a SavedModel folder holds `card.json`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from kgan import files
from kgan.errors import UserError
from kgan.labels import Labels

CROPS = ("face", "center", "none")


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
      range: pixel values of input and output; RGB, channels last.
      training: steps, settings and data, for people.
      export: recipe, sha256, versions and verification of an exported file.
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
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    export: dict[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, model: str | Path) -> Path:
        """Write the card of the model file or folder `model`; returns where."""
        path = path_of(model)
        files.write_json(path, dataclasses.asdict(self))
        return path


def path_of(model: str | Path) -> Path:
    """Where the card of a model lies: beside a file, inside a folder."""
    model = Path(model)
    return model / "card.json" if model.is_dir() else model.with_suffix(".json")


def read(model: str | Path) -> Card | None:
    """The card of a model, None where it has none; a `UserError` where it is no card."""
    path = path_of(model)
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        fields = {field.name for field in dataclasses.fields(Card)}
        card = Card(**{key: value for key, value in values.items() if key in fields})
        card.labels = Labels.from_json(values["labels"]) if values.get("labels") else None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} is not a kgan card: {error}.") from error
    card.size = (int(card.size[0]), int(card.size[1])) if card.size else None
    card.range = (float(card.range[0]), float(card.range[1]))
    return card
