"""kgan.export.serving: versions that appear whole, answer from kgan serve, and tell TensorFlow Serving what it asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from google.protobuf import text_format
from helpers.served import Client, listening
from helpers.small_generator import written
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from kgan.errors import UserError
from kgan.export import export, export_generator, serving
from kgan.filters import card as cards
from kgan.filters.loading import load
from kgan.pictures import images
from kgan.serve import rpc
from kgan.serve.app import Server
from kgan.serve.models import Models, in_folder

FILTER = "generator_ab"
RECIPE = "float32"


@pytest.fixture(scope="module")
def square() -> np.ndarray:
    return np.asarray(Image.radial_gradient("L").resize((32, 32)).convert("RGB"))


@pytest.fixture(scope="module")
def output(light_file: Path, square: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filter in two versions, and a generator."""
    folder = tmp_path_factory.mktemp("serving")
    export(light_file, folder / "exported", [square], recipes=[RECIPE])
    for number in (1, 2):
        path = serving.publish(folder / "exported", FILTER, RECIPE, folder / "models", "anime")
        assert path == folder / f"models/anime/{number}"
    generator = written(folder)
    export_generator(generator, folder / "generated", ["float32"])
    serving.publish(folder / "generated", generator.stem, "float32", folder / "models", "faces")
    return folder / "models"


@pytest.fixture(scope="module")
def server(output: Path) -> Iterator[Server]:
    models = Models(lambda: in_folder(output))
    models.refresh()
    assert not models.failures()
    yield Server(models)
    models.close()


def test_the_layout_and_the_cards(output: Path) -> None:
    names = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    for name in ("saved_model.pb", "card.json", "model.tflite", "model.json", serving.WARM_UP):
        assert {f"anime/1/{name}", f"anime/2/{name}", f"faces/1/{name}"} <= names
    assert {name for name in names if "/" not in name} == {
        "model.config",
        "batching.config",
        "monitoring.config",
        "compose.yaml",
    }
    for path in (output / "anime/2", output / "anime/2/model.tflite"):
        assert cards.checked(path) is not None
    assert load(output / "anime/2").card.name == "anime"


def test_tensorflow_serving_reads_the_configs(output: Path) -> None:
    config = text_format.Parse((output / "model.config").read_text(), model_server_config_pb2.ModelServerConfig())
    models = config.model_config_list.config
    assert [(each.name, each.base_path, each.model_platform) for each in models] == [
        ("anime", "/models/anime", "tensorflow"),
        ("faces", "/models/faces", "tensorflow"),
    ]
    assert (output / "monitoring.config").read_text().split() == [
        *("prometheus_config", "{", "enable:", "true", "path:", '"/monitoring/prometheus/metrics"', "}")
    ]
    batching = (output / "batching.config").read_text()
    assert "max_batch_size { value: 32 }" in batching and batching.rstrip().endswith("allowed_batch_sizes: 32")


def test_warm_up_requests_are_answered(output: Path, server: Server) -> None:
    calls, port = rpc.start(server, "127.0.0.1", 0)
    asked = []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for name, number in (("anime", 2), ("faces", 1)):
            for record in tf.data.TFRecordDataset(str(output / name / str(number) / serving.WARM_UP)):
                request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
                asked.append((request.model_spec.name, request.model_spec.signature_name))
                assert stub.Predict(request, timeout=60).outputs
    calls.stop(5).wait()
    assert asked == [
        *(("anime", name) for name in ("serving_default", "serving_uint8", "serving_bytes")),
        *(("faces", name) for name in ("serving_default", "generate", "generate_bytes", "mix")),
    ]


def test_the_saved_model_and_the_tflite_answer_over_http(
    output: Path, server: Server, light_file: Path, square: np.ndarray, tmp_path: Path
) -> None:
    with listening(server) as address:
        client = Client(address)
        entries = client.get("/v1/filters").json()["filters"]
        assert [(each["name"], each["kind"]) for each in entries] == [("anime", "image"), ("faces", "latent")]
        answer = client.post("/v1/filters/anime?crop=none", images.encode(square))
        assert answer.headers["x-kgan-runtime"] == "TensorFlow"
        wanted = load(light_file)(square)
        assert np.abs(images.decode(answer.content).astype(int) - wanted).max() <= 1
        drawn = client.post("/v1/filters/faces?z_seed=3&psi=0.5")
        assert images.decode(drawn.content).shape == (16, 16, 3)
    for name in ("model.tflite", "model.json"):
        (tmp_path / name).write_bytes((output / "faces/1" / name).read_bytes())
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    with listening(Server(models)) as address:
        other = requests.post(f"{address}/v1/filters/model?z_seed=3&psi=0.5", timeout=60)
        assert "LiteRT" in other.headers["x-kgan-runtime"]
        difference = images.decode(other.content).astype(int) - images.decode(drawn.content)
        assert np.abs(difference).max() <= 1
    models.close()


def test_a_version_that_cannot_be_written_leaves_nothing(output: Path, tmp_path: Path) -> None:
    (tmp_path / f"{FILTER}_saved_model").mkdir()
    with pytest.raises(FileNotFoundError):
        serving.publish(tmp_path, FILTER, RECIPE, tmp_path / "models", "anime")
    assert [path.name for path in (tmp_path / "models/anime").iterdir()] == [".lock"]
    for name in ("", "a/b", "..", "a b", 'a"b'):
        with pytest.raises(UserError, match="will not do"):
            serving.publish(tmp_path, FILTER, RECIPE, tmp_path, name)
