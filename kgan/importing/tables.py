"""Which tensor of a file becomes which variable of a network of kgan's, as tables that read like the official code.

A row of `conv("stem_conv", "model.1", 3, 64, 7)` is PyTorch's Conv2d(3, 64, 7) called model.1, and kgan's layer
stem_conv. Before a network is built, each tensor must be there, in the shape that its row says, and no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from kgan.errors import UserError
from kgan.importing.files import Tensors


class Entry(NamedTuple):
    """A variable by its path in the network, its tensor, that one's shape, and what turns the one into the other.

    Where an `optional` tensor is missing, the variable stays as it starts.
    """

    variable: str
    tensor: str
    shape: tuple[int, ...]
    convert: Callable[[np.ndarray], np.ndarray]
    optional: bool = False


Table = list[Entry]


def flattened_side(tensors: Tensors, name: str, axis: int, channels: int) -> int:
    """The side of the square map of `channels` whose numbers a dense layer takes, counted along `axis` of its kernel.

    Raises:
      UserError: there is no such map.
    """
    numbers = tensors.shape(name, 2)[axis]
    side = math.isqrt(numbers // channels)
    if side * side * channels != numbers:
        raise UserError(
            f"{tensors.file}: the tensor {tensors.prefix}{name} takes {numbers} numbers, which are no square map of "
            f"{channels} channels."
        )
    return side


# --- rows of PyTorch's ---------------------------------------------------------------------------------------------


def _swapped(array: np.ndarray) -> np.ndarray:
    """OIHW to HWIO of a convolution, IOHW to HWOI of a transposed one, OI to IO of a linear layer."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1)


def bias(layer: str, name: str, width: int) -> Table:
    """One number a channel, added."""
    return [Entry(f"{layer}/bias", f"{name}.bias", (width,), _flat)]


def conv(layer: str, name: str, inputs: int, outputs: int, size: int, use_bias: bool = True) -> Table:
    """Conv2d(inputs, outputs, size)."""
    kernel = Entry(f"{layer}/kernel", f"{name}.weight", (outputs, inputs, size, size), _swapped)
    return [kernel, *(bias(layer, name, outputs) if use_bias else [])]


def transposed(layer: str, name: str, inputs: int, outputs: int, size: int, use_bias: bool = True) -> Table:
    """ConvTranspose2d(inputs, outputs, size)."""
    kernel = Entry(f"{layer}/kernel", f"{name}.weight", (inputs, outputs, size, size), _swapped)
    return [kernel, *(bias(layer, name, outputs) if use_bias else [])]


def linear(layer: str, name: str, inputs: int, outputs: int) -> Table:
    """Linear(inputs, outputs, bias=False)."""
    return [Entry(f"{layer}/kernel", f"{name}.weight", (outputs, inputs), _swapped)]


def linear_of_map(layer: str, name: str, side: int, inputs: int, outputs: int) -> Table:
    """Linear of a map [inputs, side, side], flattened channel by channel there and pixel by pixel here; no bias."""

    def convert(array: np.ndarray) -> np.ndarray:
        return array.reshape(outputs, inputs, side * side).transpose(2, 1, 0).reshape(-1, outputs)

    return [Entry(f"{layer}/kernel", f"{name}.weight", (outputs, inputs * side * side), convert)]


def affine(layer: str, name: str, width: int) -> Table:
    """The weight and the bias of a norm."""
    return [
        Entry(f"{layer}/gamma", f"{name}.weight", (width,), _flat),
        Entry(f"{layer}/beta", f"{name}.bias", (width,), _flat),
    ]


def batch_norm(layer: str, name: str, width: int) -> Table:
    """BatchNorm2d(width), or an instance norm with running statistics, for use in eval mode."""
    return [
        *affine(layer, name, width),
        Entry(f"{layer}/moving_mean", f"{name}.running_mean", (width,), _flat),
        Entry(f"{layer}/moving_variance", f"{name}.running_var", (width,), _flat),
    ]


def channels(layer: str, variable: str, name: str, width: int) -> Table:
    """A parameter of [1, width, 1, 1]."""
    return [Entry(f"{layer}/{variable}", f"{name}.{variable}", (1, width, 1, 1), _flat)]


def spectral_conv(layer: str, name: str, inputs: int, outputs: int, size: int, use_bias: bool = True) -> Table:
    """spectral_norm(Conv2d(inputs, outputs, size)) with the two vectors of its power iteration; v since torch 0.4.1."""

    def of_pixels(array: np.ndarray) -> np.ndarray:
        return array.reshape(inputs, size, size).transpose(1, 2, 0).reshape(1, -1)

    inner = f"{layer}_sn/{layer}"
    return [
        Entry(f"{layer}_sn/u", f"{name}.weight_u", (outputs,), lambda array: array.reshape(1, -1)),
        Entry(f"{layer}_sn/v", f"{name}.weight_v", (inputs * size * size,), of_pixels, optional=True),
        Entry(f"{inner}/kernel", f"{name}.weight_orig", (outputs, inputs, size, size), _swapped),
        *(bias(inner, name, outputs) if use_bias else []),
    ]


def same(variable: str, name: str, *shape: int) -> Table:
    """A variable of TensorFlow's, which lies as Keras has it."""
    return [Entry(variable, name, shape, lambda array: array)]


# --- a network -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """One network of a file.

    Attributes:
      attribute: how a system calls it: "generator_ab".
      title: what it is, for people: "ResNet of 9 blocks, instance norm".
      tensors: those of the file.
      table: where they belong.
      build: the network itself, with weights that nothing keeps.
      ignored: endings of names of tensors that the official code writes and never reads.
    """

    attribute: str
    title: str
    tensors: Tensors
    table: Table
    build: Callable[[], keras.Model]
    ignored: Sequence[str] = ()

    def check(self) -> None:
        """A `UserError` about the first tensor that is missing, of another shape, or unknown."""
        tensors, name = self.tensors, self.tensors.prefix
        for entry in self.table:
            if entry.tensor not in tensors:
                if entry.optional:
                    continue
                raise UserError(f"{tensors.file}: the tensor {name}{entry.tensor} of {self._whole()} is missing.")
            shape = tensors.stored[entry.tensor].shape
            if shape != entry.shape:
                raise UserError(
                    f"{tensors.file}: the tensor {name}{entry.tensor} of {self._whole()} is {list(shape)}, and should "
                    f"be {list(entry.shape)}."
                )
        wanted = {entry.tensor for entry in self.table}
        for each in tensors:
            if each not in wanted and not each.endswith(tuple(self.ignored)):
                raise UserError(f"{tensors.file} has the tensor {name}{each}, which {self._whole()} does not have.")

    def weights(self) -> dict[str, np.ndarray]:
        """The network's variables by path, with the numbers of the file; those of missing optional ones are left out.

        Raises:
          UserError: as `check`; a number is not finite.
        """
        self.check()
        entries = [entry for entry in self.table if entry.tensor in self.tensors]
        return {entry.variable: entry.convert(self.tensors.read(entry.tensor)) for entry in entries}

    def model(self) -> keras.Model:
        """The network with the weights of the file."""
        weights = self.weights()
        model = self.build()
        variables = {path_in(model, variable): variable for variable in model.variables}
        optional = {entry.variable for entry in self.table if entry.optional}
        assert weights.keys() <= variables.keys() <= weights.keys() | optional, weights.keys() ^ variables.keys()
        for path, array in weights.items():
            variables[path].assign(array)
        return model

    def _whole(self) -> str:
        return f"a {self.title}"


def path_in(model: keras.Model, variable: keras.Variable) -> str:
    """A variable's path below its network."""
    return str(variable.path).removeprefix(f"{model.name}/")
