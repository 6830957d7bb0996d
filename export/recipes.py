"""What may be done to the weights on the way to `.tflite`, and how much of the picture each way must keep.

A recipe is a function from a traced network, and inputs to calibrate on, to the bytes of a file. Its name says what
becomes of weights (w) and activations (a), integers (i) or floats (fp), and of how many bits: `dynamic_wi8_afp32`.
"static" ones quantize activations by the ranges that they had on pictures to calibrate on; input and output stay in
float32, so that programs need not know. Those are made by Google's ai-edge-quantizer of the float32 file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kgan.errors import UserError
from kgan.export.runtimes import Inputs
from kgan.quiet import quiet

if TYPE_CHECKING:
    from ai_edge_quantizer.quantizer import Quantizer

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
      safer: what to try where a file is refused.
      calibrated: whether `quantize` reads its second argument.
    """

    name: str
    floor: float
    quantize: Quantize
    safer: str = ""

    @property
    def calibrated(self) -> bool:
        return self.name.startswith("static")


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


def weight_only_wi8(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Weights stored in 8 bits, arithmetic in float32: a quarter of the download, as exact as 8 bits can be."""
    return _quantized(
        model, (), lambda quantizer, every: quantizer.add_weight_only_config(".*", every.ALL_SUPPORTED, 8)
    )


def static_wi8_ai8(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Everything in 8 bits but input and output: for processors whose integers are fast."""
    return _quantized(model, calibration, _everything)


def static_wi8_ai8_norm_float(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Everything in 8 bits but normalization, whose variances do not fit into them where channels differ much."""

    def configure(quantizer: Quantizer, operation: Any) -> None:
        _everything(quantizer, operation)
        quantizer.update_quantization_recipe(NORMS, operation.ALL_SUPPORTED, algorithm_key="no_quantize")
        _convolutions(quantizer, operation, NORMS)  # those into which batch normalization was folded have its name

    return _quantized(model, calibration, configure)


def static_convs(model: Convertible, calibration: Sequence[Inputs]) -> bytes:
    """Convolutions in 8 bits, all between them in float32."""
    return _quantized(model, calibration, _convolutions)


def _convolutions(quantizer: Quantizer, operation: Any, scope: str = ".*") -> None:
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE"):
        quantizer.add_static_config(scope, operation[name], activation_num_bits=8, weight_num_bits=8)


def _everything(quantizer: Quantizer, operation: Any) -> None:
    quantizer.add_static_config(".*", operation.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for name in ("INPUT", "OUTPUT"):
        quantizer.update_quantization_recipe(".*", operation[name], algorithm_key="no_quantize")


def _quantized(model: Convertible, calibration: Sequence[Inputs], configure: Callable[[Quantizer, Any], None]) -> bytes:
    """The float32 file after the quantizer's work, which `configure` is given with the names of operations.

    Raises:
      UserError: the quantizer cannot do it.
    """
    from ai_edge_quantizer import qtyping, quantizer  # here: seconds that the other recipes need not wait

    bars = contextlib.redirect_stderr(io.StringIO())  # a progress bar a call, which cannot be told to be silent
    with quiet(), bars, warnings.catch_warnings(action="ignore"):
        work = quantizer.Quantizer(bytearray(model.convert()))
        configure(work, qtyping.TFLOperationName)
        try:
            ranges = work.calibrate({"serving_default": calibration}) if work.need_calibration else None
            result = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{model.name} cannot be quantized: {error}.") from error
    return bytes(result.quantized_model)


NORMS = r".*(norm|adain|adalin|/lin|_lin|style).*"  # what normalizing layers are called
CALIBRATION = 16  # inputs to calibrate on at the very least; some hundred are better
RECIPES = {
    quantize.__name__: Recipe(quantize.__name__, floor, quantize, safer)
    for quantize, floor, safer in (
        (float32, 100.0, ""),
        (float16, 60.0, "float32"),
        (weight_only_wi8, 40.0, "float16"),
        (dynamic_wi8_afp32, 40.0, "weight_only_wi8"),
        (static_convs, 30.0, "dynamic_wi8_afp32"),
        (static_wi8_ai8_norm_float, 30.0, "static_convs"),
        (static_wi8_ai8, 30.0, "static_wi8_ai8_norm_float"),
    )
}
USUAL = ("float32", "float16", "dynamic_wi8_afp32")  # which need nothing but the network
FORMER = {"dynamic": "dynamic_wi8_afp32"}  # names of version 0.1.0


def get(name: str) -> Recipe:
    """The recipe of that name, or a `UserError` that lists those there are."""
    name = FORMER.get(name, name)
    if name not in RECIPES:
        raise UserError(f"There is no export recipe '{name}': choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
