"""What a `.tflite` holds, and whether phones can run it: an allow-list of operations, and the rank of its tensors."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

from ai_edge_litert import schema_py_generated as schema

from kgan.errors import UserError

# What XNNPACK's delegate takes (xnnpack_delegate.cc), and RESIZE_NEAREST_NEIGHBOR and SQUEEZE, which cost little and
# GPUs have. TensorFlow's own check of GPU compatibility passes everything, so this list is the gate.
# fmt: off
ALLOWED = frozenset((
    "ABS", "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CEIL", "CONCATENATION", "CONV_2D", "COS", "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "ELU", "EXP", "EXPAND_DIMS", "FLOOR", "FULLY_CONNECTED", "GELU",
    "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "NEG", "PAD",
    "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "ROUND", "RSQRT", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQRT",
    "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    "GREATER", "POW", "SELECT", "SELECT_V2",  # colorizers need a few; each has a plain kernel
))
# fmt: on
MAXIMUM_RANK = 4  # GPUs take no more


class Size(NamedTuple):
    """What a network costs to keep and to run once.

    Attributes:
      parameters: constant numbers that its convolutions and dense layers multiply with.
      multiplications: multiply-adds of those layers, for the shapes that the file has.
    """

    parameters: int
    multiplications: int


def size(data: bytes) -> Size:
    """The size of the network in a `.tflite`; a `UserError` where the file is damaged."""
    operators = schema.BuiltinOperator
    layers = (operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.TRANSPOSE_CONV, operators.FULLY_CONNECTED)
    parameters: dict[int, int] = {}  # by tensor: layers may share one
    multiplications = 0
    try:
        model = schema.Model.GetRootAs(data)
        graph = model.Subgraphs(0)

        def shape(tensor: int) -> list[int]:
            return [int(side) for side in graph.Tensors(tensor).ShapeAsNumpy()]

        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            code = model.OperatorCodes(operator.OpcodeIndex())
            kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            if kind not in layers:
                continue
            kernel = shape(operator.Inputs(1))  # [out, height, width, in], of a depthwise one [1, height, width, out]
            # A transposed convolution uses its whole kernel at each pixel of its input, the others for each number of
            # their output, as many times as the kernel has numbers for that.
            transposed = kind == operators.TRANSPOSE_CONV
            pixels = math.prod(shape(operator.Inputs(2) if transposed else operator.Outputs(0))[:-1])
            multiplications += pixels * math.prod(kernel)
            parameters[operator.Inputs(1)] = math.prod(kernel)
    except Exception as error:  # a damaged file sends the reader anywhere
        raise UserError("The .tflite file is damaged: its layers cannot be listed.") from error
    return Size(sum(parameters.values()), multiplications)


def contents(data: bytes) -> tuple[dict[str, int], int]:
    """How many operations of each name a `.tflite` holds, custom and Flex ones by their own; and its highest rank."""
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


def obstacles(counts: dict[str, int], rank: int) -> tuple[str, ...]:
    """Why phones could not run a file of such `contents`, as clauses; empty where they can."""
    clauses = []
    if foreign := sorted(set(counts) - ALLOWED):
        hint = ": kgan.layers.ReflectionPadding2D pads without it" if "MIRROR_PAD" in foreign else ""
        clauses.append(f"it holds {', '.join(foreign)}, for which phones have no fast kernel or none at all{hint}")
    if rank > MAXIMUM_RANK:
        clauses.append(f"it holds a tensor of {rank} dimensions, and GPUs take {MAXIMUM_RANK}")
    return tuple(clauses)
