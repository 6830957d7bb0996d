"""A filter, from picture to picture, as a subject of export."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np

from kgan.errors import UserError
from kgan.export import saved_model, tflite
from kgan.export.artefacts import Subject
from kgan.export.runtimes import Inputs
from kgan.export.verify import ROUNDED_FLOOR, Check
from kgan.filters import card as cards
from kgan.filters import streaming
from kgan.filters.card import Card
from kgan.filters.loading import apply, inputs_of, load_keras
from kgan.layers.batch import statistics
from kgan.pictures import images
from kgan.precision import float32_copy

LABELS = 3  # with which each picture is drawn


def subject(
    model: Path,
    pictures: Sequence[np.ndarray],
    size: int | tuple[int, int] | None,
    calibration: Sequence[np.ndarray] = (),
) -> Subject:
    """What is exported of the filter in a `.keras` file; arguments and errors as of `kgan.export.export`."""
    if not pictures:
        raise UserError("Export needs at least one picture to verify the files on.")
    card = cards.checked(model) or Card(name=model.stem)
    network = float32_copy(load_keras(model))
    check_statistics(network, card, cards.path_of(model))

    # The network itself says which sizes it takes, whatever stands in the card; and no exported file drops out.
    own_size, batch_norm = saved_model.fixed_size(network), statistics(network)
    exported = dataclasses.replace(card, size=own_size, batch_norm=batch_norm, dropout=False)
    height, width = static_size(size, exported)
    shapes = tflite.input_shapes(network, (height, width))

    labels = label_inputs(network, card)
    originals = [images.resize(picture, (height, width)) for picture in pictures]
    originals = [picture for picture in originals for _ in range(LABELS if "label" in shapes else 1)]
    inputs = inputs_from(originals, labels)
    expected = draw_each(network, inputs)
    return Subject(
        model=model,
        card=card,
        inputs=inputs,
        expected=expected,
        redraw=lambda path: draw_each(float32_copy(load_keras(path)), inputs),
        convertible=tflite.convertible(network, (height, width)),
        tflite_card=dataclasses.replace(
            exported, size=(height, width), export=tflite.describe(shapes) | tiles(network)
        ),
        save=partial(saved_model.write, network, multiple=exported.multiple, smallest=exported.smallest),
        checks=lambda: checks(originals, inputs, expected),
        saved_model_card=dataclasses.replace(exported, export=saved_model.describe(network)),
        facts={"size": [height, width], "batch_norm": batch_norm},
        calibration=inputs_from([images.resize(picture, (height, width)) for picture in calibration], labels),
    )


def tiles(network: keras.Model) -> dict[str, tuple[int, int]]:
    """What a card says of tiles, see `Card.export`."""
    margin = streaming.margin(network)
    return {"tiles": margin} if margin else {}


def inputs_from(pictures: Sequence[np.ndarray], labels: Sequence[Inputs]) -> list[Inputs]:
    """What the network takes for each picture, uint8 [H, W, 3]: the labels in turn."""
    return [
        {"image": images.to_float(picture)[None], **label}
        for picture, label in zip(pictures, itertools.cycle(labels), strict=False)
    ]


def draw_each(network: keras.Model, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """The picture, float32 [H, W, 3], that Keras makes of each of `inputs`, one at a time."""
    return [keras.ops.convert_to_numpy(apply(network, each["image"], each.get("label")))[0] for each in inputs]


def checks(originals: Sequence[np.ndarray], inputs: Sequence[Inputs], expected: Sequence[np.ndarray]) -> list[Check]:
    """The three signatures of a SavedModel on the same pictures: as floats, as uint8, and as PNG files.

    Args:
      originals: uint8 [H, W, 3], the pictures of `inputs`.
      inputs: of `serving_default`.
      expected: what Keras draws of them.
    """
    rounded = [images.to_float(images.to_uint8(picture)) for picture in expected]
    labels = [{name: row for name, row in each.items() if name == "label"} for each in inputs]
    pixels = [{"image": picture[None], **label} for picture, label in zip(originals, labels, strict=True)]
    encoded = [
        {"image_bytes": np.array([images.encode(picture)], object), **label}
        for picture, label in zip(originals, labels, strict=True)
    ]
    return [
        Check("serving_default", inputs, expected),
        Check("serving_uint8", pixels, rounded, ROUNDED_FLOOR),
        Check("serving_bytes", encoded, rounded, ROUNDED_FLOOR),
    ]


def check_statistics(network: keras.Model, card: Card, path: Path) -> None:
    """Raises a `UserError` where the card at `path` was written for a network with other batch statistics."""
    own = statistics(network)
    if card.batch_norm and card.batch_norm != own:
        raise UserError(
            f"The card {path} says batch_norm {card.batch_norm!r}, but the network uses {own!r}: it is the card of "
            "another filter."
        )


def static_size(size: int | tuple[int, int] | None, card: Card) -> tuple[int, int]:
    """(height, width) of the `.tflite` files: the network's only size, else `size`, else as it was trained."""
    sides = (size, size) if isinstance(size, int) else size
    if card.size and sides not in (None, card.size):
        raise UserError(f"The model takes {card.size[0]}x{card.size[1]} pictures only: leave out --size={size}.")
    if card.size:
        return card.size
    height, width = sides or (card.image_size, card.image_size)
    if min(height, width) < card.smallest or height % card.multiple or width % card.multiple:
        raise UserError(
            f"The model cannot be converted for {height}x{width} pictures: set --size to a multiple of "
            f"{card.multiple}, {card.smallest} at least."
        )
    return height, width


def label_inputs(network: keras.Model, card: Card) -> list[Inputs]:
    """{"label": float32 [1, C]} for examples in which every value occurs; one {} where the network takes no label."""
    shape = inputs_of(network).get("label")
    if shape is None:
        return [{}]
    if card.labels is None or card.labels.width != shape[1]:
        raise UserError(
            f"The model takes a label of {shape[1]} numbers, and its card does not name as many: keep the .json file "
            "that its training wrote beside it."
        )
    return [{"label": example[None]} for example in card.labels.examples()]
