"""Tensors of a checkpoint as PyTorch writes it, or of pickled NumPy arrays, without PyTorch and executing nothing.

A pickle is a small program. Here its instructions are only read, by `pickletools`, and carried out on a stack that
knows dicts, lists, numbers, text, and the few names below: a file that calls anything else is refused. Four forms:

  zip          torch.save from 1.6 on: NAME/data.pkl, and the raw numbers of each storage in NAME/data/KEY
  TorchScript  the same, where modules are objects with their tensors as attributes
  legacy       torch.save before 1.6: five pickles, then each storage's count (int64) and raw numbers
  pickle       dicts of NumPy arrays
"""

from __future__ import annotations

import mmap
import pickletools
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from kgan.errors import UserError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the legacy form

STORAGES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "<?",
}
TENSORS = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
LISTS = tuple(f"torch.jit._pickle.build_{kind}list" for kind in ("int", "double", "bool", "tensor"))
NAMES = {
    *STORAGES,
    *TENSORS,
    *ARRAYS,
    *LISTS,
    "torch._utils._rebuild_parameter",
    "collections.OrderedDict",
    "numpy.ndarray",
    "numpy.dtype",
}
MODULE = "__torch__."  # how TorchScript's own classes are called, whose objects only hold attributes

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
LONGEST = 500  # characters of a name, numbers of a shape: none that means something is longer
Buffer: TypeAlias = bytes | memoryview


class Global(str):
    """A name such as "torch.FloatStorage", which is compared and never imported."""


@dataclass
class Module:
    """An object of TorchScript."""

    attributes: dict[str, Any] | None = None


@dataclass(frozen=True)
class Pairs:
    """A dict as Python 2 wrote it: a list of keys and values."""

    items: list[Any]


@dataclass(frozen=True)
class Storage:
    """`count` numbers of one type under a key, from the number `start` on."""

    key: str
    dtype: np.dtype
    count: int
    start: int = 0


@dataclass
class Tensor:
    """What a pickle says of a tensor (`source` is a storage) or of an array (its bytes). Strides are in numbers."""

    source: Storage | bytes | str | None = None
    dtype: np.dtype | None = None
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    start: int = 0


def read(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors in a file, each under its keys joined by dots: {"state_dict": {"conv.weight": t}} is in the result
    "state_dict.conv.weight". They are views of what was read, and together no larger than the file.

    Raises:
      UserError: there is no such file, or it is in none of the four forms, is damaged, calls functions, or holds
        tensors larger than itself.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    try:
        if zipfile.is_zipfile(path):
            return _read_zip(path)
        if tarfile.is_tarfile(path):
            raise UserError("it is in the tar form of PyTorch before 0.2, which is not read: save it anew.")
        return _read_stream(path)
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # whatever bytes that mean nothing lead to
        raise UserError(
            f"{path} cannot be read: it is damaged, or no checkpoint of PyTorch ({type(error).__name__}: "
            f"{str(error)[:LONGEST]})."
        ) from error


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if len(names) < len(archive.namelist()):
            raise UserError("two of its parts have the same name.")
        pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise UserError("there is no data.pkl in it, as in every checkpoint of PyTorch.")
        folder = pickles[0].removesuffix("data.pkl")
        left = path.stat().st_size

        def part(name: str) -> bytes:
            nonlocal left
            information = archive.getinfo(name)
            left -= information.file_size
            if information.compress_type != zipfile.ZIP_STORED or left < 0:
                raise UserError(f"its part {name} is compressed, or larger than the file: PyTorch writes neither.")
            return archive.read(information)

        if f"{folder}byteorder" in names and part(f"{folder}byteorder") != b"little":
            raise UserError("its numbers are big-endian, which is not read.")
        program = Program(part(pickles[0]))
        content = program.run()
        buffers: dict[str, Buffer] = {}
        for key, storage in program.storages.items():
            if f"{folder}data/{key}" not in names:
                raise UserError(f"the numbers of its storage {key} are missing.")
            buffers[key] = part(f"{folder}data/{key}")
            size = storage.count * storage.dtype.itemsize
            if len(buffers[key]) != size:
                raise UserError(f"its storage {key} holds {len(buffers[key])} bytes and should hold {size}.")
    return _arrays(content, program.instructions, buffers, path.stat().st_size)


def _read_stream(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        stream = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    program = Program(stream)
    content = program.run()
    buffers: dict[str, Buffer] = {}
    if content == MAGIC:
        if program.run() != PROTOCOL:
            raise UserError("it is in an unknown version of PyTorch's legacy form.")
        if not program.run()["little_endian"]:
            raise UserError("its numbers are big-endian, which is not read.")
        content = program.run()
        keys = program.run()
        for key in keys:
            storage = program.storages.pop(_text(key))  # each once
            (count,) = struct.unpack("<q", stream.read(8))
            size = count * storage.dtype.itemsize
            if count != storage.count or size > len(stream) - stream.tell():
                raise UserError(f"its storage {key} has another size than it should, or the file ends too soon.")
            buffers[key] = memoryview(stream)[stream.tell() :][:size]
            stream.seek(size, 1)
        if program.storages:
            raise UserError(f"the numbers of its storage {min(program.storages)} are missing.")
    if stream.tell() != len(stream):
        raise UserError("it goes on behind its end.")
    return _arrays(content, program.instructions, buffers, len(stream))


class Program:
    """The instructions of one or more pickles in a row, and what they name.

    Attributes:
      storages: whole storages that tensors refer to, by key.
      instructions: how many were carried out.
    """

    def __init__(self, stream: bytes | BinaryIO | mmap.mmap) -> None:
        self._stream: Any = stream
        self.storages: dict[str, Storage] = {}
        self.instructions = 0

    def run(self) -> Any:
        """What the next pickle holds: dicts, lists, tuples, numbers, text and `Tensor`s.

        Raises:
          UserError: it names, or does, what no tensors need. Other exceptions where its instructions make no sense.
        """
        stack: list[Any] = []
        outer: list[list[Any]] = []  # the stacks below each mark
        memo: dict[int, Any] = {}

        def above_mark() -> list[Any]:
            """Take what was stacked since the last mark."""
            nonlocal stack
            values, stack = stack, outer.pop()
            return values

        argument: Any
        for instruction, argument, _ in pickletools.genops(self._stream):
            self.instructions += 1
            match instruction.name:
                case "PROTO" | "FRAME":
                    pass
                case "STOP":
                    break
                case name if name in CONSTANTS:
                    stack.append(CONSTANTS[name])
                case name if name in LITERALS:
                    stack.append(argument)
                case "MARK":
                    outer.append(stack)
                    stack = []
                case "POP":
                    stack.pop()
                case "POP_MARK":
                    above_mark()
                case "DUP":
                    stack.append(stack[-1])
                case "PUT" | "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "GET" | "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "EMPTY_DICT":
                    stack.append({})
                case "EMPTY_LIST":
                    stack.append([])
                case "EMPTY_TUPLE":
                    stack.append(())
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    size = int(instruction.name[-1])
                    stack[-size:] = [tuple(stack[-size:])]
                case "TUPLE":
                    values = above_mark()
                    stack.append(tuple(values))
                case "LIST":
                    values = above_mark()
                    stack.append(values)
                case "DICT":
                    values = above_mark()
                    stack.append(_filled({}, values))
                case "APPEND":
                    value = stack.pop()
                    stack[-1].append(value)
                case "APPENDS":
                    values = above_mark()
                    stack[-1].extend(values)
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    _filled(stack[-1], [key, value])
                case "SETITEMS":
                    values = above_mark()
                    _filled(stack[-1], values)
                case "GLOBAL":
                    stack.append(_known(argument.replace(" ", ".")))
                case "STACK_GLOBAL":
                    name, module = _text(stack.pop()), _text(stack.pop())
                    stack.append(_known(f"{module}.{name}"))
                case "REDUCE" | "NEWOBJ":
                    arguments, function = stack.pop(), stack.pop()
                    stack.append(_called(function, arguments))
                case "BUILD":
                    state = stack.pop()
                    stack[-1] = _built(stack[-1], state)
                case "BINPERSID":
                    stack.append(self._storage(*stack.pop()))
                case name:
                    raise UserError(f"its pickle holds {name}, which no tensors need.")
        (content,) = stack
        return content

    def _storage(self, kind: Any, storage: Any, key: Any, location: Any, count: Any, view: Any = None) -> Storage:
        """The numbers that a persistent id stands for, of which a view of the legacy form takes a part."""
        if kind != "storage" or not isinstance(count, int) or count < 0:
            raise UserError("its pickle refers to what is no storage.")
        whole = Storage(_text(key), np.dtype(STORAGES[_text(storage)]), count)
        if self.storages.setdefault(key, whole) != whole:
            raise UserError(f"its storage {key} has two sizes or types.")
        if view is None:
            return whole
        _, start, size = view
        if not 0 <= start <= start + size <= count:
            raise UserError(f"a view of its storage {key} reaches beyond it.")
        return Storage(key, whole.dtype, size, start)


def _text(value: Any) -> str:
    """`value`, if it is a name; else a `UserError`. Tuples within tuples would be hashed and printed to the bottom."""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise UserError("something in it has no name that one can read.")
    return value


def _known(name: str) -> Global:
    """The name of something that tensors are made of; a `UserError` for any other."""
    if name in NAMES or name.startswith(MODULE):
        return Global(_text(name))
    raise UserError(f"its pickle calls {name[:LONGEST]}, and what a file calls is not executed here.")


def _filled(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """`target` with keys and values in turns, each key once."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        key = key if isinstance(key, int) else _text(key)
        if key in target:
            raise UserError(f"it has {key} twice.")
        target[key] = value
    return target


def _called(function: Any, arguments: tuple[Any, ...]) -> Any:
    """What takes the place of the call of a known name."""
    if not isinstance(function, Global):
        raise UserError("its pickle calls what is no name.")
    if function in TENSORS:
        storage, start, shape, strides, *_ = arguments
        return Tensor(storage, storage.dtype, _counts(shape), _counts(strides), storage.start + start)
    if function in ARRAYS:
        return Tensor()  # BUILD says what it holds
    if function in LISTS or function == "torch._utils._rebuild_parameter":
        return arguments[0]
    if function == "collections.OrderedDict":
        return Pairs(*arguments) if arguments else {}
    if function == "numpy.dtype":
        return np.dtype(_numeric(arguments[0]))
    if function.startswith(MODULE):
        return Module()
    raise UserError(f"its pickle calls {function}, and what a file calls is not executed here.")


def _counts(numbers: Any) -> tuple[int, ...]:
    """A shape or strides; a `UserError` for what counts nothing."""
    if len(numbers) > LONGEST or not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise UserError("the shape of a tensor in it is none.")
    return tuple(numbers)


def _numeric(code: Any) -> str:
    """A dtype's short code, such as f4; a `UserError` for text, objects and the like."""
    if not (isinstance(code, str) and len(code) == 2 and code[0] in "fiub" and code[1].isdigit()):
        raise UserError("an array in it holds no plain numbers.")
    return code


def _built(target: Any, state: Any) -> Any:
    """`target` in the state that BUILD gives it."""
    if isinstance(target, Module):
        target.attributes = state
    elif isinstance(target, Tensor):
        _, shape, target.dtype, in_columns, target.source = state
        target.shape = _counts(shape)
        sides = target.shape if in_columns else target.shape[::-1]
        steps = [prod(sides[:axis]) for axis in range(len(sides))]
        target.strides = tuple(steps if in_columns else steps[::-1])
    elif isinstance(target, np.dtype):
        return target.newbyteorder("big" if state[1] == ">" else "little")
    return target  # an OrderedDict's state is _metadata, of no use here


def _arrays(content: Any, instructions: int, buffers: dict[str, Buffer], size: int) -> dict[str, np.ndarray]:
    """The tensors in `content` by name, in all at most `size` bytes."""
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in _walk(content, instructions):
        if name in arrays:
            raise UserError(f"it has the tensor {name} twice.")
        arrays[name] = _array(name, tensor, buffers)
        size -= arrays[name].nbytes
        if size < 0:
            raise UserError(f"its tensors up to {name} are larger than the file, as several share their numbers.")
    if not arrays:
        raise UserError("there are no tensors in it.")
    return arrays


def _walk(content: Any, most: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors below dicts, lists and modules, with their names.

    Args:
      most: places to look at: as many as there were instructions, for what is not entangled in itself.
    """
    places = [("", content)]
    while places:
        name, value = places.pop()
        if isinstance(value, Tensor):
            yield _text(name), value
            continue
        below = _below(value)
        most -= len(below)
        if most < 0:
            raise UserError("its pickle holds the same things within each other.")
        _text(name)  # else names of names would grow without end
        places += [(f"{name}.{key}" if name else str(key), each) for key, each in reversed(below)]


def _below(value: Any) -> list[tuple[str | int, Any]]:
    """Keys and values that may hold tensors."""
    match value:
        case Module(attributes=dict(items)) | dict(items):
            pairs = list(items.items())
        case Pairs(items):
            pairs = [(key, each) for key, each in items]
        case list(items):
            pairs = list(enumerate(items))
        case _:
            return []
    kinds = dict | list | Module | Pairs | Tensor
    return [(key, each) for key, each in pairs if isinstance(key, str | int) and isinstance(each, kinds)]


def _array(name: str, tensor: Tensor, buffers: dict[str, Buffer]) -> np.ndarray:
    """The numbers of one tensor, as a view of those that were read."""
    shape, dtype = " x ".join(map(str, tensor.shape)), tensor.dtype
    if not isinstance(dtype, np.dtype) or not isinstance(tensor.start, int):
        raise UserError(f"its tensor {name} has no type.")
    count = prod(tensor.shape)
    match tensor.source:
        case Storage(key=key) as storage:
            buffer, first, end = buffers[key], storage.start, storage.start + storage.count
        case str(text):  # bytes of Python 2
            buffer, first, end = text.encode("latin1"), 0, len(text) // dtype.itemsize
        case bytes(data):
            buffer, first, end = data, 0, len(data) // dtype.itemsize
        case _:
            raise UserError(f"its tensor {name} has no numbers.")
    last = tensor.start + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if count and not (first <= tensor.start <= last < end and count <= end - first):
        raise UserError(f"its tensor {name} of {shape or 'one'} numbers is larger than what holds them.")
    if not count:
        return np.zeros(tensor.shape, dtype)
    strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
    return np.ndarray(tensor.shape, dtype, buffer, tensor.start * dtype.itemsize, strides)
