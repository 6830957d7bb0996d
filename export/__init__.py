"""From a trained generator to files that a phone, a browser or a server runs, each proven against Keras."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import kgan
from kgan import files
from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters.card import Card
from kgan.pictures import images
from kgan.quiet import quiet

if TYPE_CHECKING:
    from kgan.export.recipes import Recipe
    from kgan.export.verify import Measurement

GENERATED = 8  # pictures on which a generator's files are verified
LABELS = 3  # with which a picture is drawn
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")


def export(
    model: str | Path,
    output: str | Path,
    pictures: Sequence[np.ndarray],
    size: int | tuple[int, int] | None = None,
    recipes: Sequence[str] = ("float32", "float16", "dynamic"),
    saved_model: bool = True,
    half_keras: bool = False,
) -> list[Measurement]:
    """Write and verify `<name>_<recipe>.tflite` for each recipe, each with a card, and the folder `<name>_saved_model`.

    `<name>` is the model file's. `verification.json` in `output` holds every measurement. A file that fails is not
    kept, and one of the same name from before is removed.

    Args:
      model: a `.keras` file; its card, beside it, says how it was made.
      output: the folder to write to.
      pictures: real ones, uint8 [H, W, 3] of any sizes: every file is run on each, resized to `size`, and with several
        labels where the network takes one: all values that there are, if the pictures are enough.
      size: (height, width) or a square's side for the `.tflite`, whose size is fixed; None: as it was trained.
      recipes: names in `kgan.export.recipes.RECIPES`.
      saved_model: write that too.
      half_keras: write `<name>_half.keras` too, see `kgan.export.half`.

    Returns:
      The measurements: one a file, and one for each signature of the SavedModel.

    Raises:
      UserError: the model or the size will not do, or the network cannot be converted.
      VerificationError: a file does not compute what Keras computes; those that do are kept.
    """
    _check_backend()
    from kgan.export import recipes as known
    from kgan.export import saved_model as saving
    from kgan.export import tflite, verify
    from kgan.filters.loading import inputs_of, keras_runner, load_keras
    from kgan.layers.batch import statistics
    from kgan.precision import float32_copy

    model, output = Path(model), Path(output)
    chosen = [known.get(recipe) for recipe in recipes]
    if not pictures:
        raise UserError("Export needs at least one picture to verify the files on.")
    network = float32_copy(load_keras(model))
    card = cards.read(model) or Card(name=model.stem)
    _, height, width, _ = inputs_of(network)["image"]
    used = statistics(network)
    if card.batch_norm and card.batch_norm != used:
        raise UserError(
            f"The card {cards.path_of(model)} says batch_norm {card.batch_norm!r}, but the network uses {used!r}: it "
            "is the card of another filter."
        )
    trained, size_ = card, (height, width) if height and width else None
    card = dataclasses.replace(card, size=size_, batch_norm=used, dropout=False)
    height, width = _static_size(size, card)
    pictures = [images.resize(picture, (height, width)) for picture in pictures]

    def drawn(network: Any) -> list[np.ndarray]:
        run = keras_runner(network)
        return [run(images.to_float(p)[None], *label)[0] for p, label in zip(pictures, asked, strict=True)]

    labels = _labels(inputs_of(network), card, len(pictures))
    pictures = [picture for picture in pictures for _ in range(LABELS if labels else 1)]
    asked = [[label[None]] for label in labels] or [[]] * len(pictures)
    expected = drawn(network)

    tensor = {"name": "image", "shape": [1, height, width, 3], "dtype": "float32"}
    described = {"input": tensor, "output": tensor}
    if labels:
        described["label"] = {"name": "label", "shape": [1, labels[0].size], "dtype": "float32"}
    fixed = dataclasses.replace(card, size=(height, width))

    def by(recipe: Recipe) -> _File:
        return _File(
            f"{model.stem}_{recipe.name}.tflite",
            lambda made: made.write_bytes(tflite.convert(network, (height, width), recipe)),
            lambda made: [verify.measure_tflite(made, pictures, expected, recipe.floor, labels)],
            fixed,
            {"recipe": recipe.name, **described},
        )

    files = [by(recipe) for recipe in chosen]
    if saved_model:
        facts: dict[str, Any] = {"recipe": "saved_model", "signatures": saving.describe(card.size)}
        files.append(
            _File(
                f"{model.stem}_saved_model",
                lambda made: saving.write(network, made, card.multiple, card.smallest),
                lambda made: verify.measure_saved_model(made, pictures, expected, labels),
                card,
                facts | ({"label": saving.describe_label(labels[0].size)} if labels else {}),
            )
        )
    if half_keras:
        files.append(_half(model, trained, expected, lambda made: drawn(float32_copy(load_keras(made)))))
    measurements = _written(files, output)
    return _reported(measurements, model, output, {"size": [height, width], "batch_norm": card.batch_norm})


def export_generator(
    model: str | Path,
    output: str | Path,
    recipes: Sequence[str] = ("float32", "float16", "dynamic"),
    saved_model: bool = True,
    noise: str = "constant",
    half_keras: bool = False,
) -> list[Measurement]:
    """As `export`, for a generator of noise: `kgan.export.generators` says what its files take.

    Args:
      model, output, recipes, saved_model, half_keras: as of `export`.
      noise: "constant", or "input" to be given by whoever runs the file.
    """
    _check_backend()
    from kgan.export import generators
    from kgan.export import recipes as known
    from kgan.filters import generators as loading

    model, output = Path(model), Path(output)
    chosen = [known.get(recipe) for recipe in recipes]
    network, card = loading.load_network(model)
    labels = card.labels.examples() if card.labels else []
    given = generators.cases(network, noise, GENERATED, labels)

    def drawn(network: Any) -> list[np.ndarray]:
        return [np.asarray(generators.draw(network, case))[0] for case in given]

    expected = drawn(network)
    shapes = generators.shapes(network, noise)

    def by(recipe: Recipe) -> _File:
        return _File(
            f"{model.stem}_{recipe.name}.tflite",
            lambda made: made.write_bytes(generators.convert(network, recipe, noise)),
            lambda made: [generators.measure_tflite(made, given, expected, recipe.floor)],
            card,
            {"recipe": recipe.name, "inputs": generators.describe(shapes, 1), "noise": noise},
        )

    files = [by(recipe) for recipe in chosen]
    if saved_model:
        signatures = {
            "generate": generators.describe(shapes, None),
            "mix": generators.describe(generators.mixing_shapes(network, noise), None),
        }
        files.append(
            _File(
                f"{model.stem}_saved_model",
                lambda made: generators.write(network, made, noise),
                lambda made: generators.measure_saved_model(made, network, given, expected),
                card,
                {"recipe": "saved_model", "signatures": signatures, "noise": noise},
            )
        )
    if half_keras:
        files.append(_half(model, card, expected, lambda made: drawn(loading.load_network(made)[0])))
    measurements = _written(files, output)
    return _reported(measurements, model, output, {"size": list(card.size or ()), "noise": noise})


def _check_backend() -> None:
    with quiet():
        import keras  # here and below: `--help` needs none of it

    if keras.backend.backend() != "tensorflow":
        raise UserError(f"Export needs TensorFlow, but Keras runs on {keras.backend.backend()}: unset KERAS_BACKEND.")


class _File(NamedTuple):
    """A file or folder to make: how it is written, how it is measured, and what its card says."""

    name: str
    write: Callable[[Path], Any]
    measure: Callable[[Path], list[Measurement]]
    card: Card
    facts: dict[str, Any]


def _half(model: Path, card: Card, expected: list[np.ndarray], drawn: Callable[[Path], list[np.ndarray]]) -> _File:
    """The `.keras` file in 16 bits; `drawn` loads it and draws what `expected` shows."""
    from kgan.export import half, verify

    def measure(made: Path) -> list[Measurement]:
        known = verify.Measurement(made.name, "keras", *verify.digest(made), len(expected), half.FLOOR)
        return [verify.judge(known, expected, drawn(made))]

    return _File(f"{model.stem}_half.keras", lambda made: half.halve(model, made), measure, card, {"recipe": "half"})


def _written(files: Sequence[_File], output: Path) -> list[Measurement]:
    """Write, measure and settle each of them in `output`."""
    measurements: list[Measurement] = []
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".export.") as temporary:
        for name, write, measure, card, facts in files:
            made = Path(temporary) / name
            write(made)
            measured = measure(made)
            measurements += measured
            dataclasses.replace(card, export=_facts(facts, measured)).write(made)
            _settle(made, output, not any(each.problems for each in measured))
    return measurements


def _reported(measurements: list[Measurement], model: Path, output: Path, facts: dict[str, Any]) -> list[Measurement]:
    """Write verification.json; then a `VerificationError` where a file failed."""
    from kgan.export import verify

    report = {
        "model": model.name,
        "sha256": verify.digest(model)[1],
        **facts,
        "versions": _versions(),
        "measurements": [dataclasses.asdict(measured) for measured in measurements],
    }
    files.write_json(output / "verification.json", report)
    if any(measured.problems for measured in measurements):
        raise verify.VerificationError(measurements)
    return measurements


def _static_size(size: int | tuple[int, int] | None, card: Card) -> tuple[int, int]:
    """What to convert for: the network's only size, else the one asked for, else the one that it was trained at."""
    asked = (size, size) if isinstance(size, int) else size
    if card.size and asked not in (None, card.size):
        raise UserError(f"The model takes {card.size[0]}x{card.size[1]} pictures only: leave out --size={size}.")
    if card.size:
        return card.size
    height, width = asked or (card.image_size, card.image_size)
    if min(height, width) < card.smallest or height % card.multiple or width % card.multiple:
        raise UserError(
            f"The model cannot be converted for {height}x{width} pictures: set --size to a multiple of "
            f"{card.multiple}, {card.smallest} at least."
        )
    return height, width


def _labels(inputs: dict[str, Any], card: Card, pictures: int) -> list[np.ndarray]:
    """For each picture `LABELS` of the card's labels in turn, float32 [C]; none where the network takes none."""
    if "label" not in inputs:
        return []
    if card.labels is None or card.labels.width != inputs["label"][1]:
        raise UserError(
            f"The model takes a label of {inputs['label'][1]} numbers, and its card does not name as many: keep the "
            ".json file that its training wrote beside it."
        )
    examples = card.labels.examples()
    return [examples[i % len(examples)] for i in range(LABELS * pictures)]


def _versions() -> dict[str, str]:
    return {"kgan": kgan.__version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}


def _facts(facts: dict[str, Any], measurements: Sequence[Measurement]) -> dict[str, Any]:
    """What a card says of an exported file."""
    first = measurements[0]
    verification = {
        measured.signature: {
            "pictures": measured.pictures,
            "max_difference": measured.max_difference,
            "mean_difference": measured.mean_difference,
            "psnr": measured.psnr,
            "floor": measured.floor,
        }
        for measured in measurements
    }
    sized = {"bytes": first.bytes, "sha256": first.sha256}
    return {"file": first.file, **facts, **sized, "versions": _versions(), "verification": verification}


def _settle(made: Path, output: Path, good: bool) -> None:
    """Move a file or folder and its card from the temporary folder to its final name, or clear that name."""
    card = cards.path_of(made)
    for path in [made] if made.is_dir() else [card, made]:
        target = output / path.name
        if target.is_dir():
            shutil.rmtree(target)
        elif not good:
            target.unlink(missing_ok=True)
        if good:
            path.replace(target)
