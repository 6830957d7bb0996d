"""How fast `kgan serve` answers: requests a second and the time of one, beside the bare model in the same run.

  python -m benchmarks.serve --seconds=5 --figures=build/serve.json

The included One-sided filter, pictures of 128 px. bare: the model alone, one picture after the other, without a
server. gRPC: floats in and out. upload: PNG in, PNG out. rows: JSON in and out. For each, clients that ask again as
soon as they are answered, from a process of their own on the same machine.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import requests
from absl import flags
from PIL import Image

from kgan import commands, files
from kgan.commands import DEFINE_path
from kgan.filters import included
from kgan.litert import Model

FILTER = "onesided_selfie2anime"
CLIENTS = (1, 8, 32)
SIDE = 128

SECONDS = flags.DEFINE_float("seconds", 5, "For which each is measured.")
FIGURES = DEFINE_path("figures", "build/serve.json", "Where to write all figures.")


def bare(seconds: float) -> float:
    """Pictures a second of the model alone."""
    path = included.tflite(FILTER)
    assert path is not None
    model = Model(path)
    inputs = {model.inputs[0]["index"]: np.zeros((1, SIDE, SIDE, 3), np.float32)}
    model(inputs)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model(inputs)
        count += 1
    return count / (time.perf_counter() - start)


def grpc_client(address: str) -> Callable[[], None]:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))
    request = predict_pb2.PredictRequest()
    request.model_spec.name = FILTER
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(np.zeros((1, SIDE, SIDE, 3), np.float32)))
    return lambda: stub.Predict(request, timeout=60)


def upload_client(address: str) -> Callable[[], None]:
    session, buffer = requests.Session(), io.BytesIO()
    Image.radial_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(buffer, "PNG")
    url = f"http://{address}/v1/filters/{FILTER}?crop=none"
    return lambda: session.post(url, buffer.getvalue(), timeout=60).raise_for_status()


def rows_client(address: str) -> Callable[[], None]:
    session, body = requests.Session(), json.dumps({"instances": np.zeros((1, SIDE, SIDE, 3)).tolist()})
    return lambda: session.post(f"http://{address}/v1/models/{FILTER}:predict", body, timeout=60).raise_for_status()


MAKERS = {"gRPC": grpc_client, "upload": upload_client, "rows": rows_client}


def load(kind: str, address: str, clients: int, seconds: float, results: Any) -> None:
    """Ask for `seconds`, in a process of its own; puts the seconds that each request took into a queue."""
    asks = [MAKERS[kind](address) for _ in range(clients)]
    for ask in asks:
        ask()
    times: list[float] = []
    end = time.perf_counter() + seconds

    def work(ask: Callable[[], None]) -> None:
        while (start := time.perf_counter()) < end:
            ask()
            times.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(times)


def measure(kind: str, address: str, clients: int, seconds: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=load, args=(kind, address, clients, seconds, results))
    process.start()
    times = np.array(results.get())
    process.join()
    p50, p95, p99 = np.percentile(times, (50, 95, 99)) * 1e3
    return {"kind": kind, "clients": clients, "a_second": len(times) / seconds, "p50": p50, "p95": p95, "p99": p99}


def main() -> None:
    seconds = SECONDS.value
    command = [sys.executable, "-m", "kgan", "serve", "--port=0", "--grpc_port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            addresses = [server.stdout.readline().removeprefix("http://").split(" ")[0] for _ in range(2)]
            rows = []
            print(
                f"{'':8}{'clients':>8}{'a second':>10}{'of bare':>9}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}", flush=True
            )
            for kind in MAKERS:
                for clients in CLIENTS:
                    alone = bare(seconds / 2)  # before each, since other programs come and go
                    row = measure(kind, addresses[kind == "gRPC"], clients, seconds)
                    row["bare"], row["share"] = alone, row["a_second"] / alone
                    rows.append(row)
                    print(
                        f"{kind:8}{clients:8}{row['a_second']:10.1f}{row['share']:9.2f}"
                        f"{row['p50']:9.1f}{row['p95']:9.1f}{row['p99']:9.1f}",
                        flush=True,
                    )
            files.write_json(Path(FIGURES.value), rows)
        finally:
            server.terminate()


if __name__ == "__main__":
    commands.run(main)
