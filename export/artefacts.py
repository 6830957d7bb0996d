"""From a subject to its files: each is written, verified, and settled, which means kept or cleared away.

What is special to a filter and to a generator of noise lies in the subject: see `kgan.export.filters` and
`kgan.export.generators`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kgan
from kgan import files
from kgan.errors import UserError
from kgan.export import half, verify
from kgan.export.recipes import Recipe
from kgan.export.runtimes import Inputs
from kgan.export.tflite import Convertible
from kgan.export.verify import Check, Measurement
from kgan.filters import card as cards
from kgan.filters.card import Card

STALE = 3600.0  # seconds
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A trained network at rest: all that its files are made of and judged by.

    Attributes:
      model: the `.keras` file that it lies in; card: of that file.
      inputs: of each picture that its files are verified on; expected: what Keras draws of each, float32 [H, W, 3].
      redraw: the pictures that the network in another `.keras` file draws of `inputs`.
      convertible: the network traced for one picture; tflite_card: the card of its `.tflite` files, whose `export`
        holds the shapes of what they take.
      save: writes the SavedModel into a folder; checks: how that is verified; saved_model_card: its card.
      facts: what verification.json says of the network.
      calibration: inputs for recipes that quantize activations, none of those above.
    """

    model: Path
    card: Card
    inputs: Sequence[Inputs]
    expected: Sequence[np.ndarray]
    redraw: Callable[[Path], list[np.ndarray]]
    convertible: Convertible
    tflite_card: Card
    save: Callable[[Path], None]
    checks: Callable[[], list[Check]]
    saved_model_card: Card
    facts: dict[str, Any]
    calibration: Sequence[Inputs] = ()


@dataclasses.dataclass(frozen=True)
class Artefact:
    """A file or folder to make.

    Attributes:
      name: of the file or folder; recipe: what its card calls the way that it was made.
      card: what is known of it before it is verified.
      write: writes it to a path.
      verify: measures what lies there: one measurement for each runtime or signature.
    """

    name: str
    recipe: str
    card: Card
    write: Callable[[Path], None]
    verify: Callable[[Path], list[Measurement]]


def tflite_file(subject: Subject, recipe: Recipe) -> Artefact:
    """The file `<model>_<recipe>.tflite`: made by a recipe, measured in LiteRT."""

    def write(path: Path) -> None:
        path.write_bytes(recipe.quantize(subject.convertible, subject.calibration))

    def measure(path: Path) -> list[Measurement]:
        return [verify.measure_tflite(path, subject.inputs, subject.expected, recipe.floor, safer=recipe.safer)]

    name, card = f"{subject.model.stem}_{recipe.name}.tflite", subject.tflite_card
    if recipe.calibrated:
        card = dataclasses.replace(card, export={**card.export, "calibration": {"inputs": len(subject.calibration)}})
    return Artefact(name, recipe.name, card, write, measure)


def saved_model_folder(subject: Subject) -> Artefact:
    """The folder `<model>_saved_model`: each of its signatures is measured in TensorFlow."""

    def measure(folder: Path) -> list[Measurement]:
        return verify.measure_saved_model(folder, subject.checks())

    name = f"{subject.model.stem}_saved_model"
    return Artefact(name, "saved_model", subject.saved_model_card, subject.save, measure)


def half_file(subject: Subject) -> Artefact:
    """The file `<model>_half.keras`: loaded and drawn by Keras again, see `kgan.export.half`."""

    def write(path: Path) -> None:
        half.halve(subject.model, path)

    def measure(path: Path) -> list[Measurement]:
        size = cards.digest(path)
        measurement = Measurement(path.name, "keras", *size, len(subject.inputs), half.FLOOR, runtime="keras")
        return [verify.judge(measurement, subject.expected, subject.redraw(path))]

    name = f"{subject.model.stem}_half.keras"
    return Artefact(name, "half", dataclasses.replace(subject.card, export={}), write, measure)


def make(
    subject: Subject, output: Path, recipes: Sequence[Recipe], saved_model: bool, half_keras: bool
) -> list[Measurement]:
    """Write, verify and settle the subject's files in the folder `output`; then the report, verification.json.

    Raises:
      VerificationError: a file does not compute what Keras computes; those that do are kept.
    """
    artefacts = [tflite_file(subject, recipe) for recipe in recipes]
    if saved_model:
        artefacts.append(saved_model_folder(subject))
    if half_keras:
        artefacts.append(half_file(subject))

    measurements: list[Measurement] = []
    output.mkdir(parents=True, exist_ok=True)
    files.sweep(output, older=STALE)
    with tempfile.TemporaryDirectory(dir=output, prefix=f"{files.MARK}-") as temporary:
        for artefact in artefacts:
            path = Path(temporary) / artefact.name
            try:
                artefact.write(path)
                results = artefact.verify(path)
            except UserError as error:  # the others may still be written, and the report says why this one is not
                results = [Measurement(artefact.name, "", 0, "", 0, 0.0, problems=(str(error).rstrip("."),))]
            else:
                verified_card(artefact, results).write(path)
            settle(path, output, not any(each.problems for each in results))
            measurements += results
    write_report(subject, measurements, output)
    if any(each.problems for each in measurements):
        raise verify.VerificationError(measurements)
    return measurements


def verified_card(artefact: Artefact, measurements: Sequence[Measurement]) -> Card:
    """The artefact's card, with what was found of the file."""
    first = measurements[0]
    verification = {
        _where(measurement): {
            "pictures": measurement.pictures,
            "max_difference": measurement.max_difference,
            "mean_difference": measurement.mean_difference,
            "psnr": measurement.psnr,
            "floor": measurement.floor,
        }
        for measurement in measurements
    }
    export = {
        "file": artefact.name,
        "recipe": artefact.recipe,
        **artefact.card.export,
        "bytes": first.bytes,
        "sha256": first.sha256,
        "versions": versions(),
        "verification": verification,
    }
    return dataclasses.replace(artefact.card, export=export, sha256=(first.sha256,))


def _where(measurement: Measurement) -> str:
    """The signature, and where it did not run in the runtime that is usual for its kind of file, in which it did."""
    usual = measurement.runtime in ("litert", "tensorflow", "keras")
    return measurement.signature if usual else f"{measurement.signature} in {measurement.runtime}"


def settle(path: Path, output: Path, holds: bool) -> None:
    """Move a file or folder and its card to `output`; where it does not hold, clear away what has its name there.

    A file of before goes first, so that it never lies beside a card that is not its own.
    """
    target = output / path.name
    if holds and path.is_dir():
        files.place(path, target)  # its card lies inside
        return
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
        cards.path_of(target).unlink(missing_ok=True)
    if holds:
        for source in (cards.path_of(path), path):
            files.place(source, output / source.name)


def write_report(subject: Subject, measurements: Sequence[Measurement], output: Path) -> None:
    """verification.json: the model, the versions, and every measurement, of refused files too."""
    report = {
        "model": subject.model.name,
        "sha256": cards.digest(subject.model)[1],
        **subject.facts,
        "versions": versions(),
        "measurements": [dataclasses.asdict(measurement) for measurement in measurements],
    }
    files.write_json(output / "verification.json", report)


def versions() -> dict[str, str]:
    """kgan's, and those of the packages that made and ran the files."""
    return {"kgan": kgan.__version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}
