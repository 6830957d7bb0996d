"""TensorFlow Serving's gRPC: Predict, GetModelMetadata and GetModelStatus.

The messages come from the package `tensorflow-serving-api`, which brings TensorFlow: `pip install kgan[serve-grpc]`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from kgan.errors import UserError
from kgan.interrupts import Abandoned, awaited
from kgan.quiet import quiet
from kgan.serve.app import Server
from kgan.serve.errors import Refusal, Status
from kgan.serve.protocol import TYPES
from kgan.serve.signatures import Arrays, Signature, Spec

T = TypeVar("T")


def start(server: Server, host: str, port: int) -> tuple[Any, int]:
    """Answer gRPC with the models of a server; returns grpc's server, whose `stop` ends it, and the port.

    Raises:
      UserError: a package is missing, or the port is taken.
    """
    try:
        with quiet():
            import grpc
            from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
    except ImportError:
        raise UserError("gRPC needs packages that are not installed: pip install 'kgan[serve-grpc]'.") from None
    limits = server.limits
    options = [
        ("grpc.max_receive_message_length", int(limits.megabytes * 1e6)),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    pool = ThreadPoolExecutor(limits.inside, "kgan-grpc")
    rpc = grpc.server(pool, options=options, maximum_concurrent_rpcs=limits.inside)
    service = Service(server)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, rpc)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, rpc)
    name = f"[{host}]" if ":" in host else host
    try:
        bound = rpc.add_insecure_port(f"{name}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise UserError(f"{name}:{port} cannot be listened at for gRPC. --grpc_port=0 takes a free one.")
    rpc.start()
    return rpc, bound


class Service:
    """The calls of TensorFlow Serving's PredictionService and ModelService that are answered."""

    def __init__(self, server: Server) -> None:
        with quiet():
            import grpc
            import tensorflow as tf
            from google.protobuf import any_pb2
            from tensorflow.core.framework import tensor_shape_pb2, types_pb2
            from tensorflow.core.protobuf import meta_graph_pb2
            from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2
        self.server = server
        self.codes, self.tf, self.types = grpc.StatusCode, tf, types_pb2
        self.any, self.shapes, self.graphs = any_pb2, tensor_shape_pb2, meta_graph_pb2
        self.metadata, self.status, self.predicting = get_model_metadata_pb2, get_model_status_pb2, predict_pb2

    def Predict(self, request: Any, context: Any) -> Any:
        """The outputs of a signature, all or those in `output_filter`."""
        began, code = time.perf_counter(), "OK"
        try:
            return self._answered(context, lambda: self._predict(request, context))
        except Exception:
            code = context.code().name if context.code() else "INTERNAL"
            raise
        finally:
            name = request.model_spec.name
            known = name if self.server.models.has(name) else ""
            self.server.metrics.add(known, code, "Predict", "GRPC", time.perf_counter() - began)

    def _predict(self, request: Any, context: Any) -> Any:
        with self.server.models.lease(*asked(request.model_spec)) as version:
            signature = version.signature(request.model_spec.signature_name)
            inputs = self._inputs(request.inputs, signature)
            names = list(request.output_filter) or list(signature.outputs)
            if unknown := [name for name in names if name not in signature.outputs]:
                raise Status(
                    "INVALID_ARGUMENT",
                    f"output tensor alias not found in signature: {unknown[0]} Outputs expected to be in the set "
                    f"{{{','.join(sorted(signature.outputs))}}}.",
                )
            limits = self.server.limits
            remaining = context.time_remaining()  # None without a deadline, 0 after it
            if remaining is not None:
                limits = dataclasses.replace(limits, seconds=min(limits.seconds, remaining))
            with awaited(context.is_active):
                outputs = version.predict(signature, inputs, limits).outputs
            response = self.predicting.PredictResponse()
            response.model_spec.name = version.name
            response.model_spec.version.value = version.number
            response.model_spec.signature_name = request.model_spec.signature_name or "serving_default"
            for name in names:
                response.outputs[name].CopyFrom(self.tf.make_tensor_proto(outputs[name]))
            return response

    def _inputs(self, tensors: Mapping[str, Any], signature: Signature) -> Arrays:
        names, wanted = sorted(tensors), sorted(signature.inputs)
        if names != wanted:
            raise Status(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(names)}!={len(wanted)} len({{{','.join(names)}}}) != "
                f"len({{{','.join(wanted)}}}). Sent extra: {{{','.join(sorted({*names} - {*wanted}))}}}. "
                f"Missing but required: {{{','.join(sorted({*wanted} - {*names}))}}}.",
            )
        return {name: self._array(name, tensors[name], signature.inputs[name]) for name in names}

    def _array(self, name: str, tensor: Any, spec: Spec) -> np.ndarray:
        """A tensor as an array; a `Status` where it is of another type, or claims more values than may be sent."""
        kind, number = TYPES[spec.dtype]
        if tensor.dtype != self.types.DataType.Value(number):
            sent = self.types.DataType.Name(tensor.dtype).removeprefix("DT_").lower()
            raise Status("INVALID_ARGUMENT", f"Input {name} is expected to be {kind}, but {sent} is provided")
        sides = [dim.size for dim in tensor.tensor_shape.dim]
        claimed = math.prod(sides) * (1 if spec.dtype == "object" else np.dtype(spec.dtype).itemsize)
        if (
            tensor.tensor_shape.unknown_rank
            or min(sides, default=0) < 0
            or claimed > self.server.limits.megabytes * 1e6
        ):
            raise Status("INVALID_ARGUMENT", f"Input {name} has a shape that is not taken: {sides}")
        try:
            return self.tf.make_ndarray(tensor)
        except (ValueError, TypeError) as error:
            raise Status("INVALID_ARGUMENT", f"Input {name} is no tensor: {error}") from None

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """The states of the versions of a model."""
        return self._answered(context, lambda: self._status(request))

    def _status(self, request: Any) -> Any:
        response = self.status.GetModelStatusResponse()
        for state in self.server.models.states(*asked(request.model_spec)):
            each = response.model_version_status.add()
            each.version = state.version
            each.state = self.status.ModelVersionStatus.State.Value(state.state)
            each.status.error_code = getattr(self.codes, state.code).value[0]
            each.status.error_message = state.message
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """The signatures of a version: the one kind of metadata that there is, "signature_def"."""
        return self._answered(context, lambda: self._metadata(request))

    def _metadata(self, request: Any) -> Any:
        if not request.metadata_field:
            raise Status("INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise Status("INVALID_ARGUMENT", f"Metadata field {field} is not supported")
        with self.server.models.lease(*asked(request.model_spec)) as version:
            signatures = self.metadata.SignatureDefMap()
            for name, signature in version.signatures.items():
                described = signatures.signature_def[name]
                described.method_name = signature.method
                for specs, infos in ((signature.inputs, described.inputs), (signature.outputs, described.outputs)):
                    for tensor, spec in specs.items():
                        infos[tensor].CopyFrom(self._info(tensor, spec))
            packed = self.any.Any()
            packed.Pack(signatures)
            response = self.metadata.GetModelMetadataResponse()
            response.model_spec.name = version.name
            response.model_spec.version.value = version.number
            response.metadata["signature_def"].CopyFrom(packed)
            return response

    def _info(self, name: str, spec: Spec) -> Any:
        dims = [self.shapes.TensorShapeProto.Dim(size=-1 if side is None else side) for side in spec.shape or ()]
        return self.graphs.TensorInfo(
            name=spec.tensor or f"{name}:0",
            dtype=self.types.DataType.Value(TYPES[spec.dtype][1]),
            tensor_shape=self.shapes.TensorShapeProto(dim=dims, unknown_rank=spec.shape is None),
        )

    def _answered(self, context: Any, function: Callable[[], T]) -> T:
        """What a function returns; where it refuses, the call ends with the code and the text."""
        try:
            return function()
        except Refusal as error:
            context.abort(getattr(self.codes, error.code), str(error))
        except Abandoned as error:
            context.abort(self.codes.CANCELLED, str(error))
        raise AssertionError("abort raises")

    def _unimplemented(self, request: Any, context: Any) -> Any:
        context.abort(self.codes.UNIMPLEMENTED, "kgan serve answers Predict, GetModelMetadata and GetModelStatus")

    Classify = Regress = MultiInference = HandleReloadConfigRequest = _unimplemented


def asked(spec: Any) -> tuple[str, int | None, str | None]:
    """The model, version and label that a ModelSpec names."""
    choice = spec.WhichOneof("version_choice")
    if not spec.name:
        raise Status("INVALID_ARGUMENT", "Missing ModelSpec")
    return (
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )
