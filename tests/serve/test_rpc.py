"""gRPC and REST asked by clients that others wrote: the official stubs, and OpenVINO's `ovmsclient`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from helpers.served import FILTER, Client, Long
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from kgan.filters.loading import load_for_photos
from kgan.pictures import images
from kgan.serve import rpc
from kgan.serve.app import Server
from kgan.serve.limits import Limits
from kgan.serve.models import Models, in_folder, of_kgan


@pytest.fixture(scope="module")
def address(served_folder: Path) -> Iterator[str]:
    models = Models(lambda: in_folder(served_folder) | of_kgan(), lazy=True)
    models.refresh()
    calls, port = rpc.start(Server(models, Limits(megabytes=5)), "127.0.0.1", 0)
    yield f"127.0.0.1:{port}"
    calls.stop(5).wait()
    models.close()


@pytest.fixture(scope="module")
def stubs(address: str) -> Iterator[tuple[Any, Any]]:
    with grpc.insecure_channel(address) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def asked(name: str, signature: str = "", version: int | None = None, **arrays: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    for key, array in arrays.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    return request


def test_what_a_client_has_cancelled_is_left(served_folder: Path) -> None:
    models = Models(lambda: in_folder(served_folder))
    models.refresh()
    calls, port = rpc.start(Server(models), "127.0.0.1", 0)
    long = Long()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, models.lease("half_plus_two") as version:
        signature = version.signatures["serving_default"]
        version.signatures["serving_default"] = dataclasses.replace(signature, call=long)
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        call = predict.future(asked("half_plus_two", x=np.float32([[1, 2]])), timeout=20)
        assert long.begun.wait(5) and not long.left.wait(0.5)
        call.cancel()
        assert long.left.wait(3)
    calls.stop(5).wait()
    models.close()


def test_predict_answers_with_the_names_and_the_version(stubs: Any) -> None:
    response = stubs[0].Predict(asked("half_plus_two", x=np.float32([[1, 2]])), timeout=20)
    assert response.model_spec.name == "half_plus_two" and response.model_spec.version.value == 123
    assert response.model_spec.signature_name == "serving_default"
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [[2.5, 3]])
    request = asked("half_plus_two", "both", 123, a=np.float32([[1, 2]]), b=np.int32([3]))
    assert set(stubs[0].Predict(request).outputs) == {"sum", "twice"}
    request.output_filter.append("twice")
    assert set(stubs[0].Predict(request).outputs) == {"twice"}


def test_the_included_filter_draws_what_it_draws_in_python(stubs: Any, portrait: np.ndarray) -> None:
    square = images.resize(portrait[:200, 80:280], (128, 128))
    picture_filter = load_for_photos(FILTER)
    pixels = images.to_float(square)[None]
    response = stubs[0].Predict(asked(FILTER, image=pixels))
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["image"]), picture_filter.run(pixels))
    response = stubs[0].Predict(asked(FILTER, "serving_bytes", image_bytes=np.array([images.encode(square)], object)))
    (data,) = tf.make_ndarray(response.outputs["image_bytes"])
    np.testing.assert_array_equal(images.decode(data), picture_filter(square))


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (asked("nope", x=1.0), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (asked("half_plus_two", version=7, x=1.0), "NOT_FOUND", "Specific(half_plus_two, 7)"),
        (asked("half_plus_two", "nope", x=1.0), "INVALID_ARGUMENT", 'Serving signature name: "nope" not found'),
        (asked("half_plus_two", y=1.0), "INVALID_ARGUMENT", "Sent extra: {y}. Missing but required: {x}."),
        (asked("half_plus_two", x=1), "INVALID_ARGUMENT", "Input x is expected to be float, but int32 is provided"),
        (asked("", x=1.0), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (asked("half_plus_two", "both", a=np.float32([[1]]), b=[1]), "INVALID_ARGUMENT", "[1,1], and [?,2]"),
        (asked("half_plus_two", x=np.zeros(10**6 * 2, np.float32)), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
def test_wrong_requests_are_refused_with_a_code(stubs: Any, request_: Any, code: str, text: str) -> None:
    with pytest.raises(grpc.RpcError) as info:
        stubs[0].Predict(request_)
    assert info.value.code().name == code and text in info.value.details()  # type: ignore[attr-defined]


def test_a_tensor_that_claims_more_than_it_brings_takes_no_memory(stubs: Any) -> None:
    request = asked("half_plus_two", x=1.0)
    for side in (100_000, 100_000, 3):
        request.inputs["x"].tensor_shape.dim.add().size = side
    with pytest.raises(grpc.RpcError) as info:
        stubs[0].Predict(request)
    assert info.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_unknown_labels_and_calls_are_refused(stubs: Any) -> None:
    request = asked("half_plus_two", x=1.0)
    request.model_spec.version_label = "stable"
    for call, argument, code in (
        (stubs[0].Predict, request, grpc.StatusCode.INVALID_ARGUMENT),
        (stubs[0].MultiInference, None, grpc.StatusCode.UNIMPLEMENTED),
    ):
        from tensorflow_serving.apis import inference_pb2

        with pytest.raises(grpc.RpcError) as info:
            call(argument or inference_pb2.MultiInferenceRequest())
        assert info.value.code() == code  # type: ignore[attr-defined]


def test_status_and_metadata(stubs: Any) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half_plus_two"
    (status,) = stubs[1].GetModelStatus(request).model_version_status
    assert (status.version, status.state, status.status.error_code) == (123, status.AVAILABLE, 0)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "half_plus_two"
    response = stubs[0].GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["both"].inputs["a"].tensor_shape.dim[1].size == 2
    assert signatures.signature_def["both"].method_name == "tensorflow/serving/predict"


def test_ovmsclient_over_grpc(address: str) -> None:
    """It asks for version 0 unless it is told one, which is not found here either."""
    ovmsclient = pytest.importorskip("ovmsclient", reason="needs: pip install --no-deps ovmsclient")
    client = ovmsclient.make_grpc_client(address)
    status = client.get_model_status("half_plus_two", 123)
    assert status == {123: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    metadata = client.get_model_metadata("half_plus_two", 123)
    assert metadata["model_version"] == 123 and metadata["outputs"]["y"]["dtype"] == "DT_FLOAT"
    np.testing.assert_array_equal(client.predict({"x": np.float32([4])}, "half_plus_two", 123), [4])
    with pytest.raises(Exception, match="Servable not found for request: Specific"):
        client.predict({"x": np.float32([4])}, "half_plus_two")


def test_ovmsclient_over_rest(client: Client) -> None:
    ovmsclient = pytest.importorskip("ovmsclient", reason="needs: pip install --no-deps ovmsclient")
    rest = ovmsclient.make_http_client(client.address.removeprefix("http://"))
    assert rest.get_model_status("half_plus_two", 123)[123]["state"] == "AVAILABLE"
    assert rest.get_model_metadata("half_plus_two", 123)["model_spec"]["version"] == "123"
    np.testing.assert_array_equal(rest.predict({"x": np.float32([4])}, "half_plus_two", 123), [4])
    with pytest.raises(Exception, match="Servable not found for request: Specific"):
        rest.predict({"x": np.float32([4])}, "half_plus_two", 5)
