"""Proof that an exported file computes what the Keras model computes: both run on real pictures, and are compared.

A file is refused where the PSNR (peak 2, pixels in [-1, 1]) lies under its floor, where it gives a value that is no
number, and, for `.tflite`, where it holds an operation outside `OPERATIONS` or a tensor of more than four dimensions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kgan.errors import UserError
from kgan.filters.loading import load
from kgan.pictures import images
from kgan.quiet import quiet

# What XNNPACK's delegate takes (xnnpack_delegate.cc), and RESIZE_NEAREST_NEIGHBOR and SQUEEZE, which cost little and
# GPUs have. TensorFlow's own check of GPU compatibility passes everything, so this list is the gate.
# fmt: off
OPERATIONS = frozenset((
    "ABS", "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CEIL", "CONCATENATION", "CONV_2D", "COS", "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "ELU", "EXP", "EXPAND_DIMS", "FLOOR", "FULLY_CONNECTED", "GELU",
    "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "NEG", "PAD",
    "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "ROUND", "RSQRT", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQRT",
    "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    "GREATER", "POW", "SELECT", "SELECT_V2",  # colorizers need a few; each has a plain kernel
))
# fmt: on
MAXIMUM_RANK = 4
# Of two roundings to uint8 that agree but for rare ties: one level in 255 off at one value in fifteen still passes.
ROUNDED_FLOOR = 60.0
FLOAT_FLOOR = 100.0
CEILING = 200.0  # dB, stands for "equal": JSON has no infinity


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One file, or one signature of a SavedModel, against Keras.

    Attributes:
      file: its name; signature: "serving_default" for a `.tflite`.
      bytes, sha256: of the file; of a folder, see `digest`.
      pictures: how many were compared.
      max_difference, mean_difference: absolute, of pixels in [-1, 1]; None where it was not run or gave
        no numbers.
      psnr: in dB at peak 2 over all pictures; likewise. At most 200.
      floor: the PSNR asked for.
      operations: of a `.tflite`, how many of each kind.
      rank: of a `.tflite`, the highest number of dimensions of any tensor.
      problems: why the file is refused, as clauses; empty where it holds.
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


class VerificationError(UserError):
    """An exported file does not compute what the Keras model computes, or a phone could not run it.

    Attributes:
      measurements: of all files, those that hold included.
    """

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self.measurements = measurements
        refused = [f"{m.file} ({m.signature}): {'; '.join(m.problems)}" for m in measurements if m.problems]
        super().__init__(f"Verification failed, and what is refused is not kept. {'. '.join(refused)}.")


def digest(path: Path) -> tuple[int, str]:
    """Bytes and sha256 of a file.

    Of a folder: the sum of its files' bytes, and the sha256 of the lines that `sha256sum` prints for them, by path.
    """
    if path.is_file():
        return path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{digest(file)[1]}  {file.relative_to(path).as_posix()}\n" for file in files)
    return sum(file.stat().st_size for file in files), hashlib.sha256(lines.encode()).hexdigest()


def operations(data: bytes) -> tuple[dict[str, int], int]:
    """Count the operations of a `.tflite` by name, custom and Flex ones by their own; and find the highest rank."""
    builtin = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    try:
        model = schema.Model.GetRootAs(data)
        names = []
        for i in range(model.OperatorCodesLength()):
            code = model.OperatorCodes(i)
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the old field ends at 127
            custom = number == schema.BuiltinOperator.CUSTOM
            names.append(code.CustomCode().decode() if custom else builtin.get(number, str(number)))
        graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
        counts = Counter(names[g.Operators(i).OpcodeIndex()] for g in graphs for i in range(g.OperatorsLength()))
        rank = max((g.Tensors(i).ShapeLength() for g in graphs for i in range(g.TensorsLength())), default=0)
    except Exception as error:  # a damaged file sends the reader anywhere
        raise UserError("The .tflite file is damaged: its operations cannot be listed.") from error
    return dict(counts.most_common()), rank


def compare(expected: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """(maximum, mean) absolute difference and PSNR in dB at peak 2, over all values of two lists of equal shapes.

    Any value that is no finite number gives three NaN.
    """
    difference = np.concatenate(
        [np.abs(np.float64(a) - np.float64(b)).ravel() for a, b in zip(expected, got, strict=True)]
    )
    if not np.isfinite(difference).all():
        return math.nan, math.nan, math.nan
    mse = float(np.mean(difference**2))
    psnr = min(10 * math.log10(4 / mse), CEILING) if mse else CEILING
    return float(difference.max()), float(difference.mean()), psnr


def measure_tflite(
    path: Path,
    pictures: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    floor: float,
    labels: Sequence[np.ndarray] = (),
) -> Measurement:
    """Measure a `.tflite` in LiteRT.

    Args:
      path: the file.
      pictures: uint8 [H, W, 3] of the size that the file takes.
      expected: what Keras makes of each, float32 [H, W, 3].
      floor: the least PSNR in dB.
      labels: of each picture, float32 [C], where the file takes one.
    """
    known = inspected(path, len(pictures), floor)
    if known.problems:
        return known
    with quiet():
        loaded = load(path)
    asked = [loaded.asked(label) for label in labels] or [loaded] * len(pictures)
    made = [drawn(images.to_float(picture)) for drawn, picture in zip(asked, pictures, strict=True)]
    return judge(known, expected, made)


def inspected(path: Path, pictures: int, floor: float) -> Measurement:
    """What a `.tflite` holds, before it is run on so many pictures: with problems where phones could not run it."""
    counts, rank = operations(path.read_bytes())
    problems = []
    if unknown := sorted(set(counts) - OPERATIONS):
        hint = ": kgan.layers.ReflectionPadding2D pads without it" if "MIRROR_PAD" in unknown else ""
        problems.append(f"it holds {', '.join(unknown)}, for which phones have no fast kernel or none at all{hint}")
    if rank > MAXIMUM_RANK:
        problems.append(f"it holds a tensor of {rank} dimensions, and GPUs take {MAXIMUM_RANK}")
    return Measurement(
        path.name,
        "serving_default",
        *digest(path),
        pictures,
        floor,
        operations=counts,
        rank=rank,
        problems=tuple(problems),
    )


def measure_saved_model(
    folder: Path,
    pictures: Sequence[np.ndarray],
    expected: Sequence[np.ndarray],
    labels: Sequence[np.ndarray] = (),
    floor: float = FLOAT_FLOOR,
) -> list[Measurement]:
    """Measure each signature of a SavedModel in TensorFlow; arguments as `measure_tflite`."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    signatures = loaded.signatures
    rounded = [images.to_float(images.to_uint8(image)) for image in expected]

    def floats(picture: np.ndarray, **label: np.ndarray) -> np.ndarray:
        return signatures["serving_default"](image=images.to_float(picture)[None], **label)["image"][0].numpy()

    def pixels(picture: np.ndarray, **label: np.ndarray) -> np.ndarray:
        return images.to_float(signatures["serving_uint8"](image=picture[None], **label)["image"][0].numpy())

    def encoded(picture: np.ndarray, **label: np.ndarray) -> np.ndarray:
        data = tf.constant([images.encode(picture)])
        answer = signatures["serving_bytes"](image_bytes=data, **label)["image_bytes"]
        return images.to_float(images.decode(answer[0].numpy()))

    asked = [{"label": label[None]} for label in labels] or [{}] * len(pictures)
    ways: dict[str, tuple[Callable[..., np.ndarray], Sequence[np.ndarray], float]] = {
        "serving_default": (floats, expected, floor),
        "serving_uint8": (pixels, rounded, min(floor, ROUNDED_FLOOR)),
        "serving_bytes": (encoded, rounded, min(floor, ROUNDED_FLOOR)),
    }
    sized = digest(folder)
    measurements = []
    for name, (call, wanted, least) in ways.items():
        known = Measurement(folder.name, name, *sized, len(pictures), least)
        made = [call(picture, **label) for picture, label in zip(pictures, asked, strict=True)]
        measurements.append(judge(known, wanted, made))
    return measurements


def judge(known: Measurement, expected: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> Measurement:
    """`known` with the differences, and with a problem where they are too large."""
    maximum, mean, psnr = compare(expected, got)
    if math.isnan(psnr):
        return dataclasses.replace(known, problems=("it, or the Keras model, gives values that are no numbers",))
    low = f"its PSNR against Keras is {psnr:.1f} dB, under the floor of {known.floor:g} dB"
    problems = (low,) if psnr < known.floor else ()
    return dataclasses.replace(known, max_difference=maximum, mean_difference=mean, psnr=psnr, problems=problems)


def table(measurements: Sequence[Measurement]) -> str:
    """For people: a line a measurement."""

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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [["<", "<", *">" * 6], widths]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, *aligned, strict=True)) for row in rows
    )
