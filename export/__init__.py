"""From a trained generator to files that a phone, a browser or a server runs, each proven against Keras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kgan.errors import UserError
from kgan.export.recipes import CALIBRATION, USUAL, Recipe, get
from kgan.quiet import quiet

if TYPE_CHECKING:
    from kgan.export.verify import Measurement


def export(
    model: str | Path,
    output: str | Path,
    pictures: Sequence[np.ndarray],
    size: int | tuple[int, int] | None = None,
    recipes: Sequence[str] = USUAL,
    saved_model: bool = True,
    half_keras: bool = False,
    calibration: Sequence[np.ndarray] = (),
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
      calibration: pictures for recipes that quantize activations, like those that the filter will be given; those that
        are among `pictures` are left out.

    Returns:
      The measurements: one a file, and one for each signature of the SavedModel.

    Raises:
      UserError: the model or the size will not do, or the network cannot be converted.
      VerificationError: a file does not compute what Keras computes; those that do are kept.
    """
    _check_backend()
    from kgan.export import artefacts, filters

    ways = [get(name) for name in recipes]
    rest = calibration_pictures(calibration, pictures, ways)
    subject = filters.subject(Path(model), pictures, size, rest)
    return artefacts.make(subject, Path(output), ways, saved_model, half_keras)


def export_generator(
    model: str | Path,
    output: str | Path,
    recipes: Sequence[str] = USUAL,
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
    from kgan.export import artefacts, generators

    ways = [get(name) for name in recipes]
    subject = generators.subject(Path(model), noise)
    return artefacts.make(subject, Path(output), ways, saved_model, half_keras)


def calibration_pictures(
    calibration: Sequence[np.ndarray], pictures: Sequence[np.ndarray], recipes: Sequence[Recipe]
) -> list[np.ndarray]:
    """Those of `calibration` that are not among `pictures`; none where no recipe needs any.

    Raises:
      UserError: they are too few.
    """
    names = [recipe.name for recipe in recipes if recipe.calibrated]
    if not names:
        return []
    held_out = {(picture.shape, picture.tobytes()) for picture in pictures}
    rest = [picture for picture in calibration if (picture.shape, picture.tobytes()) not in held_out]
    if len(rest) < CALIBRATION:
        raise UserError(
            f"{', '.join(names)} quantizes activations by the ranges that they have on pictures: name a folder of "
            f"{CALIBRATION} at least, some hundred better, like those that the filter will be given, none of them "
            f"among those that files are verified on, in --calibration. {len(rest)} are there."
        )
    return rest


def _check_backend() -> None:
    """Raises a `UserError` where Keras does not run on TensorFlow."""
    with quiet():
        import keras  # here, and the rest where it is used: `--help` needs none of it

    if keras.backend.backend() != "tensorflow":
        raise UserError(f"Export needs TensorFlow, but Keras runs on {keras.backend.backend()}: unset KERAS_BACKEND.")
