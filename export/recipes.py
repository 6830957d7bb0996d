"""What may be done to the weights on the way to `.tflite`, and how much of the picture each way must keep.

A recipe is a function from a traced network, and inputs to calibrate on, to the bytes of a file. Its name says what
becomes of weights (w) and activations (a), integers (i) or floats (fp), and of how many bits: `dynamic_wi8_afp32`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kgan.errors import UserError
from kgan.export.runtimes import Inputs

if TYPE_CHECKING:
    from kgan.export.tflite import Convertible

Quantize = Callable[["Convertible", Sequence[Inputs]], bytes]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way to a `.tflite`, and what it is held to.

    Attributes:
      name: part of the exported file's name.
      floor: the PSNR in dB, at peak 2 (pixels in [-1, 1]), below which an exported file is refused.
      quantize: makes the bytes. The second argument holds inputs to calibrate on, none of those that the file is
        verified on; recipes whose activations stay in float need none.
    """

    name: str
    floor: float
    quantize: Quantize


def float32(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Weights and arithmetic as trained."""
    return model.convert()


def float16(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Weights stored in 16 bits: half the download. CPUs still compute in float32, GPUs in float16."""
    return model.convert(optimize=True, weight_types=["float16"])


def dynamic_wi8_afp32(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Weights of convolutions and dense layers in 8 bits, activations quantized on the fly: a quarter of the download,
    the fastest on CPUs; normalization stays in float32."""
    return model.convert(optimize=True)


RECIPES = {
    quantize.__name__: Recipe(quantize.__name__, floor, quantize)
    for quantize, floor in ((float32, 100.0), (float16, 60.0), (dynamic_wi8_afp32, 40.0))
}
FORMER = {"dynamic": "dynamic_wi8_afp32"}  # names of version 0.1.0


def get(name: str) -> Recipe:
    """The recipe of that name, or a `UserError` that lists those there are."""
    name = FORMER.get(name, name)
    if name not in RECIPES:
        raise UserError(f"There is no export recipe '{name}': choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
