"""A generator of noise as `.tflite` files and as a SavedModel: never with random operations, which every runtime draws
differently or not at all.

| signature         | inputs                                                                                      |
|-------------------|---------------------------------------------------------------------------------------------|
| `serving_default` | of a `.tflite`, for one picture: `z` [1, Z] from N(0, 1), `psi` [1, 1], 1 for no truncation |
| `generate`        | of the SavedModel: the same for B pictures                                                  |
| `generate_bytes`  | of the SavedModel: the same, and the output is `image_bytes` string [B], PNG files          |
| `mix`             | `z`, `other` [B, Z], `psi` [B, 1], `layers` [B, L], which is 1 where `other`'s style is used |

The output is `image` [B, r, r, 3] but of `generate_bytes`; a SavedModel's `generate` is `serving_default` too. All are
float32, pictures about [-1, 1]: clip them. A generator with labels has the input `label` [B, N] too. The noise of each
layer is a constant, or with `noise="input"` an input `noise0` [B, h, w, 1] and so on from N(0, 1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from kgan.export import tracing
from kgan.export.artefacts import Subject
from kgan.export.runtimes import Inputs
from kgan.export.tflite import Convertible
from kgan.export.tracing import Shapes
from kgan.export.verify import ROUNDED_FLOOR, Check
from kgan.filters.generators import PARTS, load_network, part
from kgan.pictures import images
from kgan.quiet import quiet
from kgan.types import Tensor

Rows: TypeAlias = dict[str, tuple[int, ...]]  # the shape of a row of each input, by name

PICTURES = 8  # that files are verified on
CALIBRATION = 64  # others, for recipes that quantize activations
PSIS = (1.0, 0.7, 0.5, 0.0)  # of these pictures, in turn


def subject(model: Path, noise: str) -> Subject:
    """What is exported of the generator in a `.keras` file; `noise` as of `kgan.export.export_generator`."""
    network, card = load_network(model)
    rows = input_rows(network, noise)
    inputs = examples(rows, PICTURES, card.labels.examples() if card.labels else [])
    expected = draw_each(network, inputs)
    calibration = examples(rows, CALIBRATION, card.labels.examples() if card.labels else [], PICTURES)
    signatures = dict.fromkeys(("serving_default", "generate", "generate_bytes"), describe(rows, None))
    signatures["mix"] = describe(mixing_rows(network, rows), None)
    return Subject(
        model=model,
        card=card,
        inputs=inputs,
        expected=expected,
        redraw=lambda path: draw_each(load_network(path)[0], inputs),
        convertible=convertible(network, rows),
        tflite_card=dataclasses.replace(card, export={"inputs": describe(rows, 1), "noise": noise}),
        save=partial(write, network, rows),
        checks=lambda: checks(network, inputs, expected),
        saved_model_card=dataclasses.replace(card, export={"signatures": signatures, "noise": noise}),
        facts={"size": list(card.size or ()), "noise": noise},
        calibration=calibration,
    )


def input_rows(model: keras.Model, noise: str) -> Rows:
    """The inputs of `generate`."""
    rows = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    return {name: shape for name, shape in rows.items() if noise == "input" or not name.startswith("noise")}


def mixing_rows(model: keras.Model, rows: Rows) -> Rows:
    """What `mix` takes, where `generate` takes `rows`."""
    return {**rows, "other": rows["z"], "layers": (part(model, "truncation").layers,)}


def batched(rows: Rows, batch: int | None) -> Shapes:
    """The shapes of so many rows, None for any number."""
    return {name: (batch, *shape) for name, shape in rows.items()}


def describe(rows: Rows, batch: int | None) -> list[dict[str, Any]]:
    """The inputs as a card describes them."""
    return [{"name": name, "shape": [batch, *shape], "dtype": "float32"} for name, shape in rows.items()]


def examples(rows: Rows, count: int, labels: Sequence[np.ndarray], first: int = 0) -> list[Inputs]:
    """Inputs to verify files on: the z of the seeds `first`, first + 1 ..., several psi, all labels in turn."""
    inputs = []
    for seed in range(first, first + count):
        random = np.random.default_rng(seed)
        one = {name: random.standard_normal((1, *shape), np.float32) for name, shape in rows.items()}
        one["psi"] = np.full((1, 1), PSIS[seed % len(PSIS)], np.float32)
        if labels:
            one["label"] = labels[seed % len(labels)][None]
        inputs.append(one)
    return inputs


def draw(model: keras.Model, inputs: dict[str, Tensor]) -> Tensor:
    """Pictures [B, r, r, 3], with the fixed noise where none is given."""
    tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    return model({tensor.name: tensors.get(tensor.name) for tensor in model.inputs}, training=False)["image"]


def draw_files(model: keras.Model, inputs: dict[str, Tensor]) -> Tensor:
    """PNG files [B] of the pictures."""
    return tf.map_fn(tf.io.encode_png, tracing.to_uint8(draw(model, inputs)), fn_output_signature=tf.string)


def draw_each(model: keras.Model, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """The picture, float32 [r, r, 3], that Keras draws of each of `inputs`, one at a time."""
    return [np.asarray(draw(model, each))[0] for each in inputs]


def mix(model: keras.Model, inputs: dict[str, Tensor]) -> Tensor:
    """Pictures [B, r, r, 3] of `z` with the styles of `other` in `layers`."""
    mapping, truncation, synthesis = (part(model, name) for name in PARTS)
    tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    label = {"label": tensors["label"]} if "label" in tensors else {}
    own, others = (truncation(mapping({"z": tensors[z], **label}), tensors["psi"]) for z in ("z", "other"))
    share = tensors["layers"][:, :, None]
    noise = {tensor.name: tensors.get(tensor.name) for tensor in synthesis.inputs if tensor.name != "ws"}
    return synthesis({"ws": own + share * (others - own), **noise}, training=False)


def convertible(model: keras.Model, rows: Rows) -> Convertible:
    """The generator traced for one picture."""
    with quiet():
        function = tracing.trace(partial(draw, model), batched(rows, 1))
    return Convertible(model.name, function, tracing.weights(model))


def write(model: keras.Model, rows: Rows, folder: Path) -> None:
    """Write the SavedModel of a generator, whose `generate` takes `rows`, into `folder`."""
    with quiet():
        generate = tracing.trace(partial(draw, model), batched(rows, None))
        signatures = {
            "serving_default": generate,
            "generate": generate,
            "generate_bytes": tracing.trace(partial(draw_files, model), batched(rows, None), "image_bytes"),
            "mix": tracing.trace(partial(mix, model), batched(mixing_rows(model, rows), None)),
        }
        tf.saved_model.save(tracing.weights(model), str(folder), signatures=signatures)


def checks(model: keras.Model, inputs: Sequence[Inputs], expected: Sequence[np.ndarray]) -> list[Check]:
    """The signatures of a SavedModel; each of `inputs` is mixed with the one before it, in 1, 2 ... layers."""
    layers = part(model, "truncation").layers
    shares = [(np.arange(layers) < 1 + number % layers).astype(np.float32)[None] for number in range(len(inputs))]
    mixed = [{**one, "other": inputs[number - 1]["z"], "layers": shares[number]} for number, one in enumerate(inputs)]
    rounded = [images.to_float(images.to_uint8(picture)) for picture in expected]
    return [
        Check("generate", inputs, expected),
        Check("generate_bytes", inputs, rounded, ROUNDED_FLOOR),
        Check("mix", mixed, [np.asarray(mix(model, each))[0] for each in mixed]),
    ]
