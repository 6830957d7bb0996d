"""TensorFlow Serving's REST contract as functions: a path to what it asks, JSON to arrays, and arrays to JSON.

* `POST /v1/models/NAME[/versions/N or /labels/L]:predict`. In row form `{"instances": [...]}` each instance is a row of
  the only input, or an object with a row of each; the answer is `{"predictions": [...]}`. In column form
  `{"inputs": ...}` the only input, or an object of whole inputs; the answer is `{"outputs": ...}`. "signature_name"
  chooses the signature.
* `GET /v1/models/NAME[...]`: the states of its versions; with `/metadata` behind: its signatures.

Strings may be `{"b64": "..."}`, and those of outputs are whose names end in `_bytes`. NaN, Infinity and -Infinity are
numbers. Paths ignore case, but for names. Errors are `{"error": text}`, texts and statuses those of TensorFlow Serving.

The code that defines the contract is tensorflow/serving's http_rest_api_handler.cc and json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kgan.serve.errors import Status
from kgan.serve.models import State, Version
from kgan.serve.signatures import Arrays, Signature, Spec

PREDICT = re.compile(r"(?ai)/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(classify|regress|predict)")
STATUS = re.compile(r"(?ai)/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata)?")
LARGEST_VERSION = 2**63 - 1
MOST = 1000  # characters of a value in an error

TYPES = {  # NumPy's names of types, and TensorFlow's in sentences and in metadata
    "float16": ("half", "DT_HALF"),
    "bfloat16": ("bfloat16", "DT_BFLOAT16"),
    "float32": ("float", "DT_FLOAT"),
    "float64": ("double", "DT_DOUBLE"),
    "bool": ("bool", "DT_BOOL"),
    "object": ("string", "DT_STRING"),
    **{
        f"{sign}int{bits}": (f"{sign}int{bits}", f"DT_{sign.upper()}INT{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}
PLAIN: dict[str, set[type]] = {"f": {int, float}, "b": {bool}, "i": {int}, "u": {int}}  # JSON's values of a kind
DECIMALS = {"float32": 2**24 - 1, "float64": 2**53 - 1}  # the largest integers that they hold exactly
PARSING = {  # Python's words for what is wrong with a JSON text, and RapidJSON's
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Extra data": "The document root must not be followed by other values.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}


class Route(NamedTuple):
    """What a request asks: "predict", "classify", "regress", "status" or "metadata" of a model."""

    method: str
    name: str
    version: int | None
    label: str | None


def route(method: str, path: str) -> Route:
    """What a path asks; a `Status` where it is none of the contract's."""
    malformed = Status("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
    if method == "POST" and (match := PREDICT.fullmatch(path)):
        name, version, label, what = match.groups()
        return Route(what.lower(), name, _version(version), label)
    if method in ("GET", "HEAD") and (match := STATUS.fullmatch(path)):
        name, version, label, metadata = match.groups()
        if not name:
            raise Status("INVALID_ARGUMENT", "Missing model name in request.")
        return Route("metadata" if metadata else "status", name, _version(version), label)
    raise malformed


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if len(text) > 20 or int(text) > LARGEST_VERSION:
        raise Status("INVALID_ARGUMENT", f"Failed to convert version: {text} to numeric.")
    return int(text)


class Request(NamedTuple):
    """A prediction that is asked: the signature's name, the inputs in JSON, and whether they stand in rows."""

    signature: str
    values: Any
    rows: bool


def parse(body: bytes) -> Request:
    """Read the body of a prediction.

    Raises:
      Status: it is no JSON, or lacks what it should have.
    """
    document = _json(body)
    if not isinstance(document, dict):
        raise _format(document, "Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise Status(
            "INVALID_ARGUMENT",
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a string value.",
        )
    if "instances" in document and "inputs" in document:
        text = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise _format(document, text)
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise _format(document, "Excepting 'instances' to be an list/array")
        if not instances:
            raise _format(document, "No values in 'instances' array")
        return Request(signature, instances, True)
    if "inputs" in document:
        return Request(signature, document["inputs"], False)
    raise Status("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")


def _json(body: bytes) -> Any:
    if not body.strip(b" \t\r\n"):
        at = f" at offset: {len(body)}" if body else ""
        raise Status("INVALID_ARGUMENT", f"JSON Parse error: The document is empty{'.' if body else ''}{at}")
    text = ""
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text)
    except UnicodeDecodeError as error:
        reason, offset = "Invalid encoding in string.", error.start
    except json.JSONDecodeError as error:
        reason, offset = PARSING.get(error.msg, ""), len(text[: error.pos].encode())
        if error.msg == "Expecting ',' delimiter":
            inside = _innermost(text[: error.pos])
            reason = f"Missing a comma or {inside} after an {'array element' if inside == ']' else 'object member'}."
        reason = reason or "Unspecific syntax error."
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        reason, offset = "Terminate parsing due to Handler error.", 0
    raise Status("INVALID_ARGUMENT", f"JSON Parse error: {reason} at offset: {offset}")


def _innermost(text: str) -> str:
    """What closes the array or object that is open at the end of a text."""
    opened = []
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if token in "[{":
            opened.append("]" if token == "[" else "}")
        elif token in "]}" and opened:
            opened.pop()
    return opened[-1] if opened else "}"


def arrays(request: Request, inputs: Mapping[str, Spec]) -> Arrays:
    """The inputs of a signature.

    Raises:
      Status: values are missing, too many, of other types, or lists of other lengths.
    """
    if not inputs:
        name = request.signature or "DEFAULT"
        raise Status("INVALID_ARGUMENT", f"Failed to get input map for signature: {name}")
    return _rows(request.values, inputs) if request.rows else _columns(request.values, inputs)


def _rows(instances: list[Any], inputs: Mapping[str, Spec]) -> Arrays:
    """Row form: a row of the only input, or an object of one of each."""
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise Status(
            "INVALID_ARGUMENT",
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        )
    if not _is_named(instances[0]):
        for number, instance in enumerate(instances):
            if _is_named(instance):
                raise Status("INVALID_ARGUMENT", f"Expecting value/list but got object at item {number} of input list")
        name, spec = next(iter(inputs.items()))
        return {name: _stacked(instances, spec, "")}
    names = sorted(inputs)
    for number, instance in enumerate(instances):
        if not _is_named(instance):
            text = f"Expecting object but got list at item {number} of input list"
            raise Status("INVALID_ARGUMENT", text)
        for name in instance:
            if name not in inputs:
                error = f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
                raise Status(
                    "INVALID_ARGUMENT",
                    f"Failed to process element: {number} key: {name} of 'instances' list. Error: {error}",
                )
        if sorted(instance) != names:
            raise Status(
                "INVALID_ARGUMENT",
                f"Failed to process element: {number} of 'instances' list. JSON object: {shown(instance)} keys must be "
                f"equal to: {','.join(names)}",
            )
    return {name: _stacked([each[name] for each in instances], spec, f" key: {name}") for name, spec in inputs.items()}


def _columns(values: Any, inputs: Mapping[str, Spec]) -> Arrays:
    """Column form: the only input, or an object of all."""
    if not _is_named(values):
        if len(inputs) > 1:
            raise Status(
                "INVALID_ARGUMENT",
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map",
            )
        name, spec = next(iter(inputs.items()))
        return {name: array(values, spec.dtype)}
    for name in inputs:
        if name not in values:
            raise Status("INVALID_ARGUMENT", f"Missing named input: {name} in 'inputs' object.")
    return {name: array(values[name], spec.dtype) for name, spec in inputs.items()}


def _stacked(rows: list[Any], spec: Spec, key: str) -> np.ndarray:
    """Rows of one input as an array; where one does not fit, the error of the first that does not."""
    try:
        return array(rows, spec.dtype)
    except Status:
        expected = None
        for number, row in enumerate(rows):
            try:
                one = array(row, spec.dtype)
                if expected is not None and one.size != expected.size:
                    raise Status("INVALID_ARGUMENT", f"Expecting tensor size: {expected.size} but got: {one.size}")
                if expected is not None and one.shape != expected.shape:
                    text = f"Expecting shape {_shape(expected.shape)} but got: {_shape(one.shape)}"
                    raise Status("INVALID_ARGUMENT", text)
                expected = one
            except Status as error:
                text = f"Failed to process element: {number}{key} of 'instances' list. Error: {error.code}: {error}"
                raise Status(error.code, text) from None
        raise


def array(value: Any, dtype: str) -> np.ndarray:
    """A value, or lists of values to any depth, as an array of NumPy's type `dtype`.

    Raises:
      Status: lists differ in length, or a value is of another type, or would lose digits.
    """
    shape = dense_shape(value)
    flat = [value]
    for length in shape:
        if not all(isinstance(each, list) and len(each) == length for each in flat):
            _walk(value, shape, 0, dtype)  # raises
        flat = list(itertools.chain.from_iterable(flat))
    kinds = set(map(type, flat))
    if dtype == "object" and kinds <= {str, dict}:
        result = np.empty(len(flat), object)
        result[:] = [each.encode() if isinstance(each, str) else _from_base64(each) for each in flat]
        return result.reshape(shape)
    plain = PLAIN.get(np.dtype(dtype).kind, set())
    if kinds <= plain and dtype in TYPES:
        numbers = np.array(flat) if flat else np.empty(0)
        if np.dtype(dtype).kind in "iu":
            lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
            if not flat or (min(flat) >= lowest and max(flat) <= highest):
                return numbers.astype(dtype).reshape(shape)
        elif not any(_loses(each, dtype) for each in (flat if _may_lose(flat, kinds, dtype) else ())):
            return numbers.astype(dtype).reshape(shape)
    _walk(value, shape, 0, dtype)
    raise AssertionError(f"{kinds} fit {dtype}, and were refused")


def dense_shape(value: Any) -> tuple[int, ...]:
    """The lengths of lists in lists, by the first of each."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) > 32:
        raise Status("INVALID_ARGUMENT", f"Encountered list at unexpected level: 32 expected < {len(shape)}")
    return tuple(shape)


def _may_lose(flat: Sequence[Any], kinds: set[type], dtype: str) -> bool:
    """Whether some number is too large for `dtype`: else no one need be looked at alone."""
    if not flat or bool in kinds:
        return False
    return max(map(abs, flat)) > DECIMALS.get(dtype, 2**10)


def _loses(value: Any, dtype: str) -> bool:
    if isinstance(value, int):
        return abs(value) > DECIMALS.get(dtype, 2**11 - 1)
    return bool(np.isfinite(value)) and abs(value) > float(np.finfo(dtype).max)


def _walk(value: Any, shape: Sequence[int], level: int, dtype: str) -> None:
    """Raises the `Status` of the first value, in the order of the text, that does not fit."""
    rank, name = len(shape), TYPES.get(dtype, (dtype,))[0]
    if isinstance(value, list):
        if level >= rank:
            text = f"Encountered list at unexpected level: {level} expected < {rank}"
            raise Status("INVALID_ARGUMENT", text)
        if len(value) != shape[level]:
            raise Status(
                "INVALID_ARGUMENT",
                f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}",
            )
        for each in value:
            _walk(each, shape, level + 1, dtype)
        return
    if level != rank:
        raise Status(
            "INVALID_ARGUMENT",
            f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
            f"Expected at level: {rank}",
        )
    kind = np.dtype(dtype).kind
    if kind == "O" and isinstance(value, dict):
        _from_base64(value)
        return
    fits = {
        "O": isinstance(value, str),
        "b": isinstance(value, bool),
        "f": isinstance(value, int | float) and not isinstance(value, bool),
    }.get(kind, isinstance(value, int) and not isinstance(value, bool))
    if kind in "iu" and fits:
        fits = np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    if not fits:
        raise Status(
            "INVALID_ARGUMENT",
            f"JSON Value: {shown(value)} Type: {_kind(value)} is not of expected type: {name}",
        )
    if kind == "f" and _loses(value, dtype):
        text = f"Cannot convert JSON value: {shown(value)} to {name} without loss of precision."
        raise Status("INVALID_ARGUMENT", text)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _is_named(value: Any) -> bool:
    """An object that names inputs, and not one that is a string."""
    return isinstance(value, dict) and not _is_base64(value)


def _from_base64(value: Any) -> bytes:
    """The bytes of {"b64": "..."}, with or without the padding."""
    if not _is_base64(value):
        raise Status("INVALID_ARGUMENT", f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = re.sub(r"\s+", "", value["b64"])
    try:
        if "=" in text and len(text) % 4:
            raise ValueError
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise Status("INVALID_ARGUMENT", "Unable to base64 decode") from None


def _kind(value: Any) -> str:
    """RapidJSON's name of a value's type."""
    names = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
    return str(value) if isinstance(value, bool) else names.get(type(value), "Number")


def shown(value: Any) -> str:
    """A value as an error shows it, cut where it is long."""
    text = json.dumps(value, indent=4, ensure_ascii=False)
    return text if len(text) <= MOST else f"{text[:MOST]}..."


def _format(document: Any, text: str) -> Status:
    return Status("INVALID_ARGUMENT", f"JSON Value: {shown(document)} {text}")


def _shape(shape: Iterable[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def answer(outputs: Arrays, rows: bool) -> bytes:
    """The JSON of a prediction, in the form that was asked.

    Raises:
      Status: outputs are of a type that JSON has no values for, or differ in the number of rows.
    """
    if not outputs:
        raise Status("INVALID_ARGUMENT", "Cannot convert empty tensor map to JSON")
    names = sorted(outputs)
    if rows:
        length = None
        for name in names:
            if not outputs[name].ndim:
                raise Status("INVALID_ARGUMENT", f"Tensor name: {name} has no shape information ")
            if length not in (None, len(outputs[name])):
                raise Status(
                    "INVALID_ARGUMENT",
                    f"Tensor name: {name} has inconsistent batch size: {len(outputs[name])} expecting: {length}",
                )
            length = len(outputs[name])
    values = {name: written(outputs[name], name) for name in names}
    if len(names) == 1:
        result: Any = values[names[0]]
    elif rows:
        result = [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        result = values
    return json.dumps({"predictions" if rows else "outputs": result}, ensure_ascii=False).encode()


def written(values: np.ndarray, name: str) -> Any:
    """An array as lists that JSON can write: floats with the fewest of 6 or 9 digits that say which they are."""
    kind = values.dtype.kind
    if values.dtype.name not in TYPES:
        text = f"Failed to write JSON value for tensor type: {values.dtype.name}"
        raise Status("INVALID_ARGUMENT", text)
    if kind in "OSU":
        write = _to_base64 if name.endswith("_bytes") else _to_text
        texts = np.empty(values.size, object)
        texts[:] = [write(each) for each in values.ravel().tolist()]
        return texts.reshape(values.shape).tolist()
    return (shortest(values) if kind in "fV" and values.dtype != np.float64 else values).tolist()


def _to_base64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def _to_text(data: bytes | str) -> str:
    return data if isinstance(data, str) else data.decode(errors="replace")


def shortest(values: np.ndarray) -> np.ndarray:
    """float64 whose shortest decimals are those of these float32: 0.2 and not 0.20000000298023224."""
    single = np.asarray(values, np.float32)
    double = single.astype(np.float64)
    with np.errstate(all="ignore"):
        size = np.where(double == 0, 0, np.floor(np.log10(np.abs(double))))
        for digits in (9, 6):
            scale = 10.0 ** (digits - 1 - size)
            rounded = np.round(double * scale) / scale
            fits = np.isfinite(rounded) & (rounded.astype(np.float32) == single)
            double = np.where(fits, rounded, double)
    return double


def status(states: Sequence[State]) -> dict[str, Any]:
    """The JSON of the states of a model's versions."""
    return {
        "model_version_status": [
            {
                "version": str(each.version),
                "state": each.state,
                "status": {"error_code": each.code, "error_message": each.message},
            }
            for each in states
        ]
    }


def metadata(version: Version) -> dict[str, Any]:
    """The JSON of a version's signatures."""
    signatures = {name: _signature(each) for name, each in sorted(version.signatures.items())}
    return {
        "model_spec": {"name": version.name, "signature_name": "", "version": str(version.number)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _signature(signature: Signature) -> dict[str, Any]:
    def tensors(specs: Mapping[str, Spec]) -> dict[str, Any]:
        return {
            name: {
                "dtype": TYPES.get(spec.dtype, ("", "DT_INVALID"))[1],
                "tensor_shape": {
                    "dim": [{"size": str(-1 if side is None else side), "name": ""} for side in spec.shape or ()],
                    "unknown_rank": spec.shape is None,
                },
                "name": spec.tensor or f"{name}:0",
            }
            for name, spec in specs.items()
        }

    return {
        "inputs": tensors(signature.inputs),
        "outputs": tensors(signature.outputs),
        "method_name": signature.method,
        "defaults": {},
    }
