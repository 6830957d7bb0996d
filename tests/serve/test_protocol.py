"""TensorFlow Serving's contract: requests and exact answers, by the names of its own test cases."""

# ruff: noqa: E501  # of the tables
from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from helpers.served import Client

from kgan.serve import protocol
from kgan.serve.errors import Status
from kgan.serve.signatures import Spec

PREDICT = "/v1/models/half_plus_two:predict"
AT_123 = "/v1/models/half_plus_two/versions/123"
MALFORMED = "Malformed request: {} {}"
STATE = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


def failed(error: str, element: int = 0, key: str = "") -> str:
    return f"Failed to process element: {element}{key} of 'instances' list. Error: INVALID_ARGUMENT: {error}"


# http_rest_api_handler_test.cc: the case, the request, the status, and the JSON or the text of the error.
REQUESTS: list[tuple[str, str, str, str, int, Any]] = [
    ("UnsupportedApiCalls", "GET", "/v1/foo", "", 400, MALFORMED.format("GET", "/v1/foo")),
    ("UnsupportedApiCalls", "POST", "/v1/foo", "", 400, MALFORMED.format("POST", "/v1/foo")),
    ("UnsupportedApiCalls", "GET", "/v1/models", "", 400, "Missing model name in request."),
    ("UnsupportedApiCalls", "POST", "/v1/models", "", 400, MALFORMED.format("POST", "/v1/models")),
    ("UnsupportedApiCalls", "GET", PREDICT, "", 400, MALFORMED.format("GET", PREDICT)),
    (
        "UnsupportedApiCalls",
        "POST",
        "/v1/models/foo/version/50:predict",
        "",
        400,
        MALFORMED.format("POST", "/v1/models/foo/version/50:predict"),
    ),
    (
        "UnsupportedApiCalls",
        "POST",
        "/v1/models/foo/versions/HELLO:regress",
        "",
        400,
        MALFORMED.format("POST", "/v1/models/foo/versions/HELLO:regress"),
    ),
    (
        "UnsupportedApiCalls",
        "POST",
        "/v1/models/foo/versions/18446744073709551615:regress",
        "",
        400,
        "Failed to convert version: 18446744073709551615 to numeric.",
    ),
    (
        "PredictModelNameVersionErrors",
        "POST",
        "/v1/models/foo:predict",
        '{"instances": [1]}',
        404,
        "Servable not found for request: Latest(foo)",
    ),
    (
        "PredictModelNameVersionErrors",
        "POST",
        "/v1/models/foo/versions/50:predict",
        '{"instances": [1]}',
        404,
        "Servable not found for request: Specific(foo, 50)",
    ),
    (
        "PredictModelNameVersionErrors",
        "POST",
        "/v1/models/half_plus_two/versions/122:predict",
        '{"instances": [1]}',
        404,
        "Servable not found for request: Specific(half_plus_two, 122)",
    ),
    (
        "PredictModelNameVersionErrors",
        "POST",
        "/v1/models/half_plus_two/labels/stable:predict",
        '{"instances": [1]}',
        400,
        "Unrecognized servable version label: stable",
    ),
    ("PredictRequestErrors", "POST", PREDICT, "", 400, "JSON Parse error: The document is empty"),
    (
        "PredictRequestErrors",
        "POST",
        PREDICT,
        "instances = [1, 2]",
        400,
        "JSON Parse error: Invalid value. at offset: 0",
    ),
    (
        "PredictRequestErrors",
        "POST",
        PREDICT,
        '{"signature_name": 5, "instances": [1]}',
        400,
        'JSON Value: {\n    "signature_name": 5,\n    "instances": [\n        1\n    ]\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    (
        "PredictRequestErrors",
        "POST",
        PREDICT,
        '{"signature_name": "nope", "instances": [1]}',
        400,
        'Serving signature name: "nope" not found in signature def',
    ),
    (
        "PredictRequestErrors",
        "POST",
        PREDICT,
        '{"instances": ["x", "y"]}',
        400,
        failed('JSON Value: "x" Type: String is not of expected type: float'),
    ),
    ("PredictRequestErrors", "POST", PREDICT, "{}", 400, "Missing 'inputs' or 'instances' key"),
    (
        "PredictRequestErrors",
        "POST",
        PREDICT,
        '{"signature_name": "checked", "instances": [0]}',
        400,
        None,  # TensorFlow's own words
    ),
    ("Predict", "POST", PREDICT, '{"instances": [[1.0, 2.0], [3.0, 4.0]]}', 200, {"predictions": [[2.5, 3], [3.5, 4]]}),
    ("Predict", "POST", f"{AT_123}:predict", '{"instances": [1.0, 2.0]}', 200, {"predictions": [2.5, 3.0]}),
    (
        "Predict",
        "POST",
        f"{AT_123}:predict",
        '{"signature_name": "serving_default", "instances": [3.0, 4.0]}',
        200,
        {"predictions": [3.5, 4.0]},
    ),
    ("Predict", "POST", PREDICT, '{"inputs": [3.0, 4.0]}', 200, {"outputs": [3.5, 4.0]}),
    ("Predict", "POST", PREDICT, '{"inputs": {"x": 3}}', 200, {"outputs": 3.5}),
    (
        "Predict",
        "POST",
        PREDICT,
        '{"instances": [3]}',
        200,
        {"predictions": [3.5]},
    ),
    (
        "Predict",
        "POST",
        PREDICT,
        '{"signature_name": "both", "instances": [{"a": [1, 2], "b": 3}, {"a": [0, 0], "b": 1}]}',
        200,
        {"predictions": [{"sum": [4, 5], "twice": 6}, {"sum": [1, 1], "twice": 2}]},
    ),
    (
        "Predict",
        "POST",
        PREDICT,
        '{"signature_name": "both", "inputs": {"a": [[1, 2]], "b": [3]}}',
        200,
        {"outputs": {"sum": [[4, 5]], "twice": [6]}},
    ),
    (
        "Predict",
        "POST",
        PREDICT,
        '{"signature_name": "words", "instances": [{"b64": "SEk="}, "YOU"]}',
        200,
        {"predictions": [{"text": "hi", "text_bytes": {"b64": "SEk="}}, {"text": "you", "text_bytes": {"b64": "WU9V"}}]},
    ),
    (
        "Regress",
        "POST",
        "/v1/models/half_plus_two:regress",
        '{"examples": [{"x": 80.0}], "instances": [1]}',
        400,
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict",
    ),
    ("GetStatus", "GET", "/v1/models/half_plus_two", "", 200, {"model_version_status": [STATE]}),
    ("GetStatus", "GET", AT_123, "", 200, {"model_version_status": [STATE]}),
    ("GetStatus", "GET", "/V1/Models/half_plus_two/Versions/123", "", 200, {"model_version_status": [STATE]}),
    ("GetStatus", "GET", "/v1/models/foo", "", 404, "Could not find any versions of model foo"),
    ("GetStatus", "GET", "/v1/models/foo/versions/1", "", 404, "Could not find version 1 of model foo"),
    ("GetStatus", "GET", "/v1/models/half_plus_two/versions/1", "", 404, "Could not find version 1 of model half_plus_two"),
    ("GetStatus", "GET", "/v1/models/Half_plus_two", "", 404, "Could not find any versions of model Half_plus_two"),
    ("GetModelMetadata", "GET", "/v1/models/foo/metadata", "", 404, "Servable not found for request: Latest(foo)"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "method", "path", "body", "status", "wanted"), REQUESTS)
def test_requests_are_answered_as_tensorflow_serving_does(
    client: Client, case: str, method: str, path: str, body: str, status: int, wanted: Any
) -> None:
    response = client.request(method, path, body)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    if status == 200:
        assert response.json() == wanted
    elif wanted is not None:
        assert response.json() == {"error": wanted}


# json_tensor_test.cc: the case, the inputs of the signature, the request, and the arrays or the error.
INT = {"default": Spec("int32", None)}
FLOAT = {"default": Spec("float32", None)}
TEXT = {"default": Spec("object", None)}
THREE = {"int_tensor": Spec("int32", None), "str_tensor": Spec("object", None), "dbl_tensor": Spec("float64", None)}
TWO = {"int_tensor": Spec("int32", None), "str_tensor": Spec("object", None)}
LONG = "a" * 2000
FILLED: list[tuple[str, dict[str, Spec], str, Any]] = [
    ("SingleUnnamedTensor", INT, '{"instances": [[1,2],[3,4],[5,6]]}', {"default": [[1, 2], [3, 4], [5, 6]]}),
    ("MixedInputForFloatTensor", FLOAT, '{"instances": [1, 2.0, 0.5]}', {"default": [1.0, 2.0, 0.5]}),
    ("SingleUnnamedTensorBase64Scalars", TEXT, '{"instances": [{"b64": "aGk="}]}', {"default": [b"hi"]}),
    ("SingleUnnamedTensorBase64Lists", TEXT, '{"instances": [[{"b64": "aGk="}]]}', {"default": [[b"hi"]]}),
    ("SingleNamedTensorBase64", TEXT, '{"instances": [{"default": [{"b64": "aGk="}]}]}', {"default": [[b"hi"]]}),
    ("SingleUnnamedTensorColumnarFormat", INT, '{"inputs": {"default": [[[1,2]]]}}', {"default": [[[1, 2]]]}),
    ("SingleUnnamedTensorColumnarFormat", INT, '{"inputs": [[[1,2]]]}', {"default": [[[1, 2]]]}),
    ("SingleUnnamedTensorColumnarFormat", TEXT, '{"inputs": {"b64": "aGk"}}', {"default": b"hi"}),
    (
        "MultipleNamedTensor",
        THREE,
        '{"instances": [{"int_tensor": [1, 2], "str_tensor": "a", "dbl_tensor": NaN}, '
        '{"int_tensor": [3, 4], "str_tensor": "b", "dbl_tensor": -Infinity}]}',
        {"int_tensor": [[1, 2], [3, 4]], "str_tensor": [b"a", b"b"], "dbl_tensor": [np.nan, -np.inf]},
    ),
    (
        "MultipleNamedTensorColumnarFormat",
        TWO,
        '{"inputs": {"int_tensor": [[1, 2]], "str_tensor": {"b64": "aGk="}}}',
        {"int_tensor": [[1, 2]], "str_tensor": b"hi"},
    ),
    ("SingleUnnamedTensorErrors", INT, '{"instances": [[1,2],[5,6,7]]}', failed("Expecting tensor size: 2 but got: 3", 1)),
    ("SingleUnnamedTensorErrors", INT, '{"instances": [[1,2],[[5,6]]]}', failed("Expecting shape [2] but got: [1,2]", 1)),
    ("SingleUnnamedTensorErrors", INT, '{"instances": [1, [1]]}', failed("Expecting shape [] but got: [1]", 1)),
    (
        "SingleUnnamedTensorErrors",
        INT,
        '{"instances": [[1,2],["a","b"]]}',
        failed('JSON Value: "a" Type: String is not of expected type: int32', 1),
    ),
    (
        "SingleUnnamedTensorErrors",
        INT,
        '{"instances": [1, 2.5]}',
        failed("JSON Value: 2.5 Type: Number is not of expected type: int32", 1),
    ),
    (
        "SingleUnnamedTensorErrors",
        INT,
        '{"instances": [2147483648]}',
        failed("JSON Value: 2147483648 Type: Number is not of expected type: int32"),
    ),
    (
        "SingleUnnamedTensorErrors",
        FLOAT,
        '{"instances": [true]}',
        failed("JSON Value: true Type: True is not of expected type: float"),
    ),
    (
        "SingleUnnamedTensorErrors",
        FLOAT,
        '{"instances": [1.7e308]}',
        failed("Cannot convert JSON value: 1.7e+308 to float without loss of precision."),
    ),
    (
        "SingleUnnamedTensorErrors",
        FLOAT,
        '{"instances": [16777217]}',
        failed("Cannot convert JSON value: 16777217 to float without loss of precision."),
    ),
    (
        "SingleUnnamedTensorErrors",
        {"default": Spec("float64", None)},
        '{"instances": [9007199254740993]}',
        failed("Cannot convert JSON value: 9007199254740993 to double without loss of precision."),
    ),
    (
        "SingleUnnamedTensorErrors",
        INT,
        '{"instances": [1], "inputs": [1]}',
        'JSON Value: {\n    "instances": [\n        1\n    ],\n    "inputs": [\n        1\n    ]\n} Not formatted correctly '
        "expecting only one of 'inputs' or 'instances' keys to exist ",
    ),
    ("SingleUnnamedTensorErrors", INT, '{"instances": 1}', 'JSON Value: {\n    "instances": 1\n} Excepting \'instances\' to be an list/array'),
    ("SingleUnnamedTensorErrors", INT, '{"instances": []}', 'JSON Value: {\n    "instances": []\n} No values in \'instances\' array'),
    ("SingleUnnamedTensorErrors", INT, "[1]", "JSON Value: [\n    1\n] Is not object"),
    ("SingleUnnamedTensorErrors", INT, '{"inputs": [[1], 2]}', "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ("SingleUnnamedTensorErrors", INT, '{"inputs": [[1], [2, 3]]}', "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ("SingleUnnamedTensorErrors", INT, '{"inputs": [1, [2]]}', "Encountered list at unexpected level: 1 expected < 1"),
    ("SingleUnnamedTensorErrors", TEXT, '{"inputs": {"b64": "aGk*"}}', "Unable to base64 decode"),
    ("SingleUnnamedTensorErrors", TEXT, '{"inputs": [{"b64": 5}]}', 'JSON Value: {\n    "b64": 5\n} not formatted correctly for base64 data'),
    ("SingleUnnamedTensorErrors", INT, f'{{"inputs": "{LONG}"}}', f'JSON Value: "{LONG[:999]}... Type: String is not of expected type: int32'),
    ("MultipleNamedTensorErrors", TWO, '{"instances": [1]}', "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map"),
    ("MultipleNamedTensorErrors", TWO, '{"inputs": [1]}', "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"),
    ("MultipleNamedTensorErrors", TWO, '{"inputs": {"int_tensor": [1]}}', "Missing named input: str_tensor in 'inputs' object."),
    (
        "MultipleNamedTensorErrors",
        TWO,
        '{"instances": [{"int_tensor": 1, "str_tensor": "a"}, [1]]}',
        "Expecting object but got list at item 1 of input list",
    ),
    ("MultipleNamedTensorErrors", TEXT, '{"instances": ["a", {"default": "b"}]}', "Expecting value/list but got object at item 1 of input list"),
    (
        "MultipleNamedTensorErrors",
        TWO,
        '{"instances": [{"int_tensor": 1}]}',
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"int_tensor\": 1\n} keys must be equal to: "
        "int_tensor,str_tensor",
    ),
    (
        "MultipleNamedTensorErrors",
        INT,
        '{"instances": [{"other": 1}]}',
        failed("JSON object: does not have named input: other", key=" key: other"),
    ),
    (
        "MultipleNamedTensorErrors",
        TWO,
        '{"instances": [{"int_tensor": [1, 2], "str_tensor": "a"}, {"int_tensor": [[1, 2]], "str_tensor": "a"}]}',
        failed("Expecting shape [2] but got: [1,2]", 1, " key: int_tensor"),
    ),
    ("ParseJson", INT, '{"inputs" 1}', "JSON Parse error: Missing a colon after a name of object member. at offset: 10"),
    ("ParseJson", INT, '{"inputs": [1 2]}', "JSON Parse error: Missing a comma or ] after an array element. at offset: 14"),
    ("ParseJson", INT, '{"a": "]" "b": 1}', "JSON Parse error: Missing a comma or } after an object member. at offset: 10"),
    ("ParseJson", INT, "{} {}", "JSON Parse error: The document root must not be followed by other values. at offset: 3"),
    ("ParseJson", INT, "[" * 100_000, "JSON Parse error: Terminate parsing due to Handler error. at offset: 0"),
    ("ParseJson", INT, '{"inputs": ' + "[" * 60 + "]" * 60 + "}", "Encountered list at unexpected level: 32 expected < 60"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "inputs", "body", "wanted"), FILLED)
def test_values_become_arrays_or_the_error_of_the_first_that_does_not_fit(
    case: str, inputs: dict[str, Spec], body: str, wanted: Any
) -> None:
    if isinstance(wanted, str):
        with pytest.raises(Status) as info:
            protocol.arrays(protocol.parse(body.encode()), inputs)
        assert (info.value.code, str(info.value)) == ("INVALID_ARGUMENT", wanted)
        return
    arrays = protocol.arrays(protocol.parse(body.encode()), inputs)
    assert arrays.keys() == wanted.keys()
    for name, array in arrays.items():
        assert array.dtype == inputs[name].dtype
        np.testing.assert_array_equal(array, np.array(wanted[name], array.dtype))


# json_tensor_test.cc, the way back: the case, the arrays, in rows or not, and the JSON's text.
WRITTEN: list[tuple[str, dict[str, Any], bool, str]] = [
    ("FromJsonSingleTensor", {"t": np.int32([[1, 2], [3, 4]])}, True, '{"predictions": [[1, 2], [3, 4]]}'),
    ("FromJsonSingleTensor", {"t": np.int32([[1, 2], [3, 4]])}, False, '{"outputs": [[1, 2], [3, 4]]}'),
    ("FromJsonSingleBytesTensor", {"t_bytes": np.array([b"hello"], object)}, True, '{"predictions": [{"b64": "aGVsbG8="}]}'),
    (
        "FromJsonSingleFloatTensorSixDigitPrecision",
        {"t": np.float32([999999, 0.5, 0.0003, 0.00003, 555557.5, 0.2, 1 / 3])},
        True,
        '{"predictions": [999999.0, 0.5, 0.0003, 3e-05, 555557.5, 0.2, 0.333333343]}',
    ),
    (
        "FromJsonSingleFloatTensorNonFinite",
        {"t": np.float32([[np.nan, np.inf], [3, -np.inf]])},
        True,
        '{"predictions": [[NaN, Infinity], [3.0, -Infinity]]}',
    ),
    (
        "FromJsonMultipleNamedTensors",
        {"b": np.float64([8, 9]), "a": np.array([b"x", b"y"], object), "a_bytes": np.array([b"x", b"y"], object)},
        True,
        '{"predictions": [{"a": "x", "a_bytes": {"b64": "eA=="}, "b": 8.0}, {"a": "y", "a_bytes": {"b64": "eQ=="}, "b": 9.0}]}',
    ),
    ("FromJsonMultipleNamedTensors", {"b": np.bool_([True]), "a": np.uint8([1])}, False, '{"outputs": {"a": [1], "b": [true]}}'),
    ("FromJsonSingleZeroBatchTensor", {"t": np.zeros((0, 2), np.int32)}, True, '{"predictions": []}'),
]  # fmt: skip


@pytest.mark.parametrize(("case", "outputs", "rows", "text"), WRITTEN)
def test_arrays_become_json(case: str, outputs: dict[str, np.ndarray], rows: bool, text: str) -> None:
    assert protocol.answer(outputs, rows).decode() == text


@pytest.mark.parametrize(
    ("case", "outputs", "text"),
    [
        ("FromJsonSingleTensorErrors", {}, "Cannot convert empty tensor map to JSON"),
        (
            "FromJsonSingleTensorErrors",
            {"t": np.complex64([1])},
            "Failed to write JSON value for tensor type: complex64",
        ),
        ("FromJsonSingleTensorErrors", {"t": np.int32(1)}, "Tensor name: t has no shape information "),
        (
            "FromJsonMultipleNamedTensorsErrors",
            {"a": np.zeros(2), "b": np.zeros(1)},
            "Tensor name: b has inconsistent batch size: 1 expecting: 2",
        ),
    ],
)
def test_arrays_that_are_no_json(case: str, outputs: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(Status, match=f"^{text}$"):
        protocol.answer(outputs, True)


def test_written_floats_are_the_same_floats() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([bits[np.isfinite(bits)], np.float32(random.uniform(-1, 1, 100_000))])
    again = np.array(json.loads(protocol.answer({"t": values}, True))["predictions"], np.float32)
    np.testing.assert_array_equal(again, values)


def test_metadata_names_types_and_shapes(client: Client) -> None:
    answer = client.get("/v1/models/half_plus_two/metadata").json()
    assert answer["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "123"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures.keys() == {"serving_default", "both", "words", "inconsistent", "checked"}
    assert signatures["serving_default"]["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}
    both = signatures["both"]
    assert both["method_name"] == "tensorflow/serving/predict"
    assert {name: each["dtype"] for name, each in both["inputs"].items()} == {"a": "DT_FLOAT", "b": "DT_INT32"}
    assert both["inputs"]["a"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}, {"size": "2", "name": ""}]
    assert signatures["words"]["outputs"]["text_bytes"]["dtype"] == "DT_STRING"


def test_shapes_that_do_not_fit_and_batches_that_differ_are_refused(client: Client) -> None:
    def error(body: str) -> str:
        response = client.post(PREDICT, body)
        assert response.status_code == 400
        return response.json()["error"]

    assert error('{"signature_name": "both", "inputs": {"a": [[1]], "b": [1]}}') == (
        "Input a has shape [1,1], and [?,2] is expected"
    )
    assert error('{"signature_name": "both", "inputs": {"a": [[1, 2]], "b": [1, 2]}}') == (
        "Inputs differ in batch size: a has 1, b has 2"
    )
    assert error('{"signature_name": "inconsistent", "instances": [1, 2]}') == (
        "Tensor name: first has inconsistent batch size: 1 expecting: 2"
    )
    assert "not above zero" in error('{"signature_name": "checked", "instances": [0]}')


def test_bodies_may_be_gzip_and_bombs_are_not_unpacked(client: Client, included: Client) -> None:
    packed = gzip.compress(b'{"instances": [1]}')
    answer = client.post(PREDICT, packed, headers={"Content-Encoding": "gzip"})
    assert answer.json() == {"predictions": [2.5]}
    for body, status in ((packed[:-4], 400), (b"no gzip", 400), (gzip.compress(bytes(10**8)), 413)):
        answer = client.post(PREDICT, body, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == status and answer.json()["error"]


def test_prometheus_counts_under_tensorflow_servings_names(client: Client) -> None:
    for path, body in ((PREDICT, '{"instances": [1]}'), (PREDICT, "{"), ("/v1/models/a%22%0Ab:predict", "{}")):
        client.post(path, body)
    lines = dict(line.rsplit(" ", 1) for line in client.get("/monitoring/prometheus/metrics").text.splitlines())
    model = 'model_name="half_plus_two"'
    assert int(lines[f':tensorflow:serving:request_count{{{model},status="OK"}}']) >= 1
    assert int(lines[f':tensorflow:serving:request_count{{{model},status="INVALID_ARGUMENT"}}']) >= 1
    assert int(lines[':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"}']) >= 1
    which = f'{model},API="predict",entrypoint="REST"'
    count = int(lines[f":tensorflow:serving:request_latency_count{{{which}}}"])
    assert count == int(lines[f':tensorflow:serving:request_latency_bucket{{{which},le="+Inf"}}'])
    assert int(lines[f":tensorflow:serving:request_latency_sum{{{which}}}"]) > 10 * count
    assert lines["# TYPE :tensorflow:serving:request_latency"] == "histogram"
