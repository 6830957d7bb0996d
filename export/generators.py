"""A generator of noise as `.tflite` files and as a SavedModel: never with random operations, which every runtime draws
differently or not at all.

| signature         | inputs                                                                                      |
|-------------------|---------------------------------------------------------------------------------------------|
| `serving_default` | of a `.tflite`, for one picture: `z` [1, Z] from N(0, 1), `psi` [1, 1], 1 for no truncation |
| `generate`        | of the SavedModel: the same for B pictures                                                  |
| `mix`             | `z`, `other` [B, Z], `psi` [B, 1], `layers` [B, L], which is 1 where `other`'s style is used |

The output is `image` [B, r, r, 3]. All are float32, pictures about [-1, 1]: clip them. A generator with labels has the
input `label` [B, N] too. The noise of each layer is a constant, or with `noise="input"` an input `noise0` [B, h, w, 1]
and so on from N(0, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kgan.export import tflite, verify
from kgan.export.recipes import Recipe
from kgan.export.verify import Measurement
from kgan.filters.generators import part
from kgan.quiet import quiet

Case = dict[str, np.ndarray]  # the inputs of one picture, a row each

PSIS = (1.0, 0.7, 0.5, 0.0)  # of the pictures that files are verified on, in turn


def shapes(model: keras.Model, noise: str) -> dict[str, tuple[int, ...]]:
    """Of a row of each input of `generate`, by name."""
    found = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    return {name: shape for name, shape in found.items() if noise == "input" or not name.startswith("noise")}


def cases(model: keras.Model, noise: str, count: int, labels: Sequence[np.ndarray]) -> list[Case]:
    """Inputs to verify files on: the z of seeds 0, 1 ..., several psi, all labels in turn."""
    found = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        case = {name: random.standard_normal((1, *shape), np.float32) for name, shape in shapes(model, noise).items()}
        case["psi"] = np.full((1, 1), PSIS[seed % len(PSIS)], np.float32)
        if labels:
            case["label"] = labels[seed % len(labels)][None]
        found.append(case)
    return found


def draw(model: keras.Model, inputs: dict[str, Any]) -> Any:
    """Pictures [B, r, r, 3], with the fixed noise where none is given."""
    given = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    return model({tensor.name: given.get(tensor.name) for tensor in model.inputs}, training=False)["image"]


def mix(model: keras.Model, inputs: dict[str, Any]) -> Any:
    """Pictures [B, r, r, 3] of `z` with the styles of `other` in `layers`."""
    mapping, truncation, synthesis = (part(model, name) for name in ("mapping", "truncation", "synthesis"))
    given = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    label = {"label": given["label"]} if "label" in given else {}
    own, others = (truncation(mapping({"z": given[z], **label}), given["psi"]) for z in ("z", "other"))
    share = given["layers"][:, :, None]
    noise = {tensor.name: given.get(tensor.name) for tensor in synthesis.inputs if tensor.name != "ws"}
    return synthesis({"ws": own + share * (others - own), **noise}, training=False)


def _holder(model: keras.Model) -> tf.Module:
    holder = tf.Module(name="generator")
    holder.weights = [variable.value for variable in model.variables]
    return holder


def _specs(rows: dict[str, tuple[int, ...]], batch: int | None) -> list[tf.TensorSpec]:
    return [tf.TensorSpec((batch, *shape), tf.float32, name=name) for name, shape in rows.items()]


def convert(model: keras.Model, recipe: Recipe, noise: str) -> bytes:
    """The bytes of a `.tflite` for one picture; a `UserError` where it cannot be converted."""
    rows = shapes(model, noise)

    @tf.function(input_signature=_specs(rows, 1), autograph=False)
    def generate(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image": draw(model, dict(zip(rows, given, strict=True)))}

    return tflite.converted(generate, _holder(model), recipe, model.name)


def mixing_shapes(model: keras.Model, noise: str) -> dict[str, tuple[int, ...]]:
    """As `shapes`, of `mix`."""
    rows, layers = shapes(model, noise), part(model, "truncation").layers
    return {**rows, "other": rows["z"], "layers": (layers,)}


def write(model: keras.Model, folder: Path, noise: str) -> None:
    """Write the SavedModel of `model` into `folder`."""

    def signature(rows: dict[str, tuple[int, ...]], call: Any) -> Any:
        def function(*given: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"image": call(model, dict(zip(rows, given, strict=True)))}

        return tf.function(function, autograph=False).get_concrete_function(*_specs(rows, None))

    signatures = {
        "generate": signature(shapes(model, noise), draw),
        "mix": signature(mixing_shapes(model, noise), mix),
    }
    with quiet():
        tf.saved_model.save(_holder(model), str(folder), signatures=signatures)


def measure_tflite(path: Path, given: Sequence[Case], expected: Sequence[np.ndarray], floor: float) -> Measurement:
    """Measure a `.tflite` in LiteRT on cases whose pictures, by Keras, are `expected` [r, r, 3]."""
    known = verify.inspected(path, len(given), floor)
    if known.problems:
        return known
    with quiet():
        runner = Interpreter(str(path)).get_signature_runner()
    return verify.judge(known, expected, [runner(**case)["image"][0] for case in given])


def measure_saved_model(
    folder: Path,
    model: keras.Model,
    given: Sequence[Case],
    expected: Sequence[np.ndarray],
    floor: float = verify.FLOAT_FLOOR,
) -> list[Measurement]:
    """Measure both signatures of a SavedModel; each of `given` is mixed with the one before it."""
    signatures = tf.saved_model.load(str(folder)).signatures
    layers = part(model, "truncation").layers
    mixed, wanted = [], []
    for number, case in enumerate(given):
        share = (np.arange(layers) < 1 + number % layers).astype(np.float32)[None]
        mixed.append({**case, "other": given[number - 1]["z"], "layers": share})
        wanted.append(np.asarray(mix(model, mixed[-1]))[0])
    sized, measurements = verify.digest(folder), []
    for name, inputs, pictures in (("generate", given, expected), ("mix", mixed, wanted)):
        known = Measurement(folder.name, name, *sized, len(given), floor)
        made = [signatures[name](**{key: tf.constant(row) for key, row in case.items()})["image"][0] for case in inputs]
        measurements.append(verify.judge(known, pictures, [np.asarray(picture) for picture in made]))
    return measurements


def describe(rows: dict[str, tuple[int, ...]], batch: int | None) -> list[dict[str, Any]]:
    """Inputs for a card."""
    return [{"name": name, "shape": [batch, *shape], "dtype": "float32"} for name, shape in rows.items()]
