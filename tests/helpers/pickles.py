"""Checkpoints written instruction by instruction, as PyTorch and NumPy write them, and as nobody should."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "u1": "Byte", "b1": "Bool"}


@dataclass
class Name:
    """A global: GLOBAL "module name"."""

    module: str
    name: str


@dataclass
class Call:
    """A function's call (REDUCE), or an object's creation (NEWOBJ), and the state that it is given then (BUILD)."""

    function: Name
    arguments: tuple[Any, ...]
    state: Any = None
    new: bool = False


@dataclass
class Persistent:
    """What stands for a storage."""

    id: tuple[Any, ...]


@dataclass
class Raw:
    """Instructions as they are."""

    code: bytes


def pickled(value: Any) -> bytes:
    return b"\x80\x02" + instructions(value) + b"."


def instructions(value: Any) -> bytes:
    match value:
        case Raw(code):
            return code
        case Name(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, arguments, state, new):
            code = instructions(function) + instructions(arguments) + (b"\x81" if new else b"R")
            return code + (b"" if state is None else instructions(state) + b"b")
        case Persistent(id):
            return instructions(id) + b"Q"
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(data)]) + data
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case bytes():
            return b"B" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(instructions, value)) + b"t"
        case list():
            return b"](" + b"".join(map(instructions, value)) + b"e"
        case dict():
            return b"}(" + b"".join(instructions(each) for item in value.items() for each in item) + b"u"
    raise TypeError(type(value))


def storage(key: str, kind: str, count: int, *view: Any) -> Persistent:
    return Persistent(("storage", Name("torch", f"{kind}Storage"), key, "cpu", count, *view))


def tensor(source: Persistent, start: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Call:
    rebuild = Name("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, (source, start, shape, strides, False, Call(Name("collections", "OrderedDict"), ())))


def steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in numbers, of rows after each other."""
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def tensors(arrays: dict[str, np.ndarray], *view: Any) -> dict[str, Call]:
    """Each array in a storage of its own, whose key is its number."""
    return {
        name: tensor(storage(str(i), KINDS[a.dtype.str[1:]], a.size, *view), 0, a.shape, steps(a.shape))
        for i, (name, a) in enumerate(arrays.items())
    }


def ordered(value: dict[str, Any]) -> Call:
    """An OrderedDict as a state dict is one, with the metadata that modules leave."""
    call = Raw(instructions(Name("collections", "OrderedDict")) + b")R(")
    items = b"".join(instructions(each) for item in value.items() for each in item)
    state = instructions({"_metadata": Call(Name("collections", "OrderedDict"), ())})
    return Raw(call.code + items + b"u" + state + b"b")  # type: ignore[return-value]


def array(value: np.ndarray, text: bool = False) -> Call:
    """A pickled NumPy array; `text` as Python 2 wrote it."""
    data = value.tobytes(order="A")
    dtype = Call(Name("numpy", "dtype"), (value.dtype.str[1:], False, True), (3, "<", None, None, None, -1, -1, 0))
    source = Raw(b"T" + struct.pack("<i", len(data)) + data) if text else data
    state = (1, value.shape, dtype, not value.flags.c_contiguous, source)
    return Call(Name("numpy.core.multiarray", "_reconstruct"), (Name("numpy", "ndarray"), (0,), b"b"), state)


def write_zip(path: Path, content: Any, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(content))
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path: Path, content: Any, arrays: dict[str, np.ndarray], keys: list[str] | None = None) -> Path:
    keys = list(arrays) if keys is None else keys
    stream = io.BytesIO()
    about = {"protocol_version": 1001, "little_endian": True}
    for value in (0x1950A86A20F9469CFC6C, 1001, about, content, keys):
        stream.write(pickled(value))
    for key in keys:
        stream.write(struct.pack("<q", arrays[key].size) + arrays[key].tobytes())
    path.write_bytes(stream.getvalue())
    return path


def save(path: Path, networks: dict[str, Any], legacy: bool = False) -> Path:
    """A state dict, or a dict of some, as torch.save writes it."""
    flat: dict[str, np.ndarray] = {}

    def content(value: dict[str, Any]) -> Any:
        if any(isinstance(each, dict) for each in value.values()):
            return {name: content(each) for name, each in value.items()}
        first = len(flat)
        flat.update({str(first + i): array for i, array in enumerate(value.values())})
        kinds = {name: KINDS[array.dtype.str[1:]] for name, array in value.items()}
        view = (None,) if legacy else ()
        return ordered(
            {
                name: tensor(storage(str(first + i), kinds[name], a.size, *view), 0, a.shape, steps(a.shape))
                for i, (name, a) in enumerate(value.items())
            }
        )

    whole = content(networks)
    if legacy:
        return write_legacy(path, whole, flat)
    return write_zip(path, whole, {key: array.tobytes() for key, array in flat.items()})
