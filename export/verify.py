"""Proof that an exported file computes what the Keras model computes: both run on the same inputs, and are compared.

A file is refused where the PSNR (peak 2, pixels in [-1, 1]) lies under its floor, where it gives a value that is no
number, and, for `.tflite`, where phones could not run it: see `kgan.export.operations`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgan.errors import UserError
from kgan.export import figures, operations
from kgan.export.runtimes import Inputs, Runtime, litert
from kgan.filters.card import digest
from kgan.pictures import images
from kgan.types import Tensor

# Of two roundings to uint8 that agree but for rare ties: one level in 255 off at one value in fifteen still passes.
ROUNDED_FLOOR = 60.0
FLOAT_FLOOR = 100.0
CEILING = 200.0  # dB, stands for "equal": JSON has no infinity


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One file, or one signature of a SavedModel, against Keras.

    Attributes:
      file: its name; signature: "serving_default" for a `.tflite`, "" for a file that could not be written.
      bytes, sha256: of the file or folder, see `kgan.filters.card.digest`.
      pictures: how many were compared.
      max_difference, mean_difference: absolute, of pixels in [-1, 1]; None where it was not run or gave
        no numbers.
      psnr: in dB at peak 2 over all pictures, at most 200; None where there are no differences.
      floor: the least PSNR with which the file is kept.
      operations: of a `.tflite`, how many of each kind.
      rank: of a `.tflite`, the highest number of dimensions of any tensor.
      problems: why the file is refused, as clauses; empty where it holds.
      runtime: what ran it, a module of `kgan.export.runtimes`, "tensorflow" or "keras".
    """

    file: str
    signature: str
    bytes: int
    sha256: str
    pictures: int
    floor: float
    max_difference: float | None = None
    mean_difference: float | None = None
    psnr: float | None = None
    operations: dict[str, int] = dataclasses.field(default_factory=dict)
    rank: int | None = None
    problems: tuple[str, ...] = ()
    runtime: str = "litert"


class VerificationError(UserError):
    """An exported file does not compute what the Keras model computes, or a phone could not run it.

    Attributes:
      measurements: of all files, those that hold included.
    """

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self.measurements = measurements
        refused = [
            f"{m.file} ({m.signature or 'not written'}): {'; '.join(m.problems)}" for m in measurements if m.problems
        ]
        super().__init__(f"Verification failed, and what is refused is not kept. {'. '.join(refused)}.")


def compare(expected: Sequence[np.ndarray], pictures: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """(maximum, mean) absolute difference and PSNR in dB at peak 2, over all values of two lists of equal shapes.

    Any value that is no finite number gives three NaN.
    """
    difference = np.concatenate(
        [np.abs(np.float64(a) - np.float64(b)).ravel() for a, b in zip(expected, pictures, strict=True)]
    )
    if not np.isfinite(difference).all():
        return math.nan, math.nan, math.nan
    mse = float(np.mean(difference**2))
    psnr = min(10 * math.log10(4 / mse), CEILING) if mse else CEILING
    return float(difference.max()), float(difference.mean()), psnr


def judge(measurement: Measurement, expected: Sequence[np.ndarray], pictures: Sequence[np.ndarray]) -> Measurement:
    """`measurement` with the differences, and with a problem where they are too large."""
    maximum, mean, psnr = compare(expected, pictures)
    if math.isnan(psnr):
        return dataclasses.replace(measurement, problems=("it, or the Keras model, gives values that are no numbers",))
    low = f"its PSNR against Keras is {psnr:.1f} dB, under the floor of {measurement.floor:g} dB"
    problems = (low,) if psnr < measurement.floor else ()
    return dataclasses.replace(measurement, max_difference=maximum, mean_difference=mean, psnr=psnr, problems=problems)


def measure_tflite(
    path: Path,
    inputs: Sequence[Inputs],
    expected: Sequence[np.ndarray],
    floor: float,
    runtime: Runtime = litert,
    safer: str = "",
) -> Measurement:
    """Measure a `.tflite` in one runtime; a file that phones could not run is not run here either.

    Args:
      path: the file.
      inputs: of each picture.
      expected: what Keras draws of each, float32 [H, W, 3].
      floor: the least PSNR in dB.
      runtime: a module of `kgan.export.runtimes`.
      safer: the recipe to try where the file is refused.
    """
    counts, rank = operations.contents(path.read_bytes())
    measurement = Measurement(
        path.name,
        "serving_default",
        *digest(path),
        len(inputs),
        floor,
        operations=counts,
        rank=rank,
        problems=operations.obstacles(counts, rank),
        runtime=runtime.__name__.rpartition(".")[-1],
    )
    if not measurement.problems:
        measurement = judge(measurement, expected, runtime.run(path, inputs))
    if measurement.problems and safer:
        measurement = dataclasses.replace(measurement, problems=(*measurement.problems, f"try the recipe {safer}"))
    return measurement


@dataclasses.dataclass(frozen=True)
class Check:
    """What a signature of a SavedModel is asked, and what it should answer.

    Attributes:
      signature: its name.
      inputs: of each picture, of the dtypes that the signature takes.
      expected: what Keras draws of each, float32 [H, W, 3].
      floor: the least PSNR in dB.
    """

    signature: str
    inputs: Sequence[Inputs]
    expected: Sequence[np.ndarray]
    floor: float = FLOAT_FLOOR


def measure_saved_model(folder: Path, checks: Sequence[Check]) -> list[Measurement]:
    """Measure signatures of a SavedModel in TensorFlow."""
    import tensorflow as tf  # here: the rest needs none of it

    loaded = tf.saved_model.load(str(folder))  # kept: a signature alone would not keep its variables alive
    size = digest(folder)
    measurements = []
    for check in checks:
        function = loaded.signatures[check.signature]
        answers = [function(**{name: tf.constant(row) for name, row in each.items()}) for each in check.inputs]
        measurement = Measurement(
            folder.name, check.signature, *size, len(check.inputs), check.floor, runtime="tensorflow"
        )
        measurements.append(judge(measurement, check.expected, [_picture(*answer.values()) for answer in answers]))
    return measurements


def _picture(output: Tensor) -> np.ndarray:
    """The first picture of a signature's output, as floats where it is uint8 or the bytes of a file."""
    picture = output[0].numpy()
    pixels = images.decode(picture) if isinstance(picture, bytes) else picture
    return images.to_float(pixels) if pixels.dtype == np.uint8 else pixels


def table(measurements: Sequence[Measurement]) -> str:
    """A table for people, with a line for each measurement."""

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    rows = [("file", "signature", "MB", "PSNR dB", "floor", "max diff", "mean diff", "")]
    rows += [
        (
            m.file,
            m.signature,
            f"{m.bytes / 1e6:.2f}",
            number(m.psnr, ".1f"),
            f"{m.floor:g}",
            number(m.max_difference, ".1e"),
            number(m.mean_difference, ".1e"),
            "REFUSED" if m.problems else "ok",
        )
        for m in measurements
    ]
    return figures.table(rows, words=2)
