"""Exported files laid out as TensorFlow Serving wants them: `kgan export --serving`.

  OUTPUT/NAME/1/                  the SavedModel, and card.json
  OUTPUT/NAME/1/assets.extra/tf_serving_warmup_requests
                                  requests that TensorFlow Serving answers before it says that the version is there
  OUTPUT/NAME/1/model.tflite      what `--prefer_tflite_model` serves and browsers run, and its card model.json
  OUTPUT/model.config             all models in OUTPUT
  OUTPUT/batching.config, monitoring.config, compose.yaml

Each export is the next version, which appears when it is whole: a server sees all of it or nothing.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kgan import files
from kgan.errors import Remark, UserError
from kgan.filters import card as cards
from kgan.filters.card import Card
from kgan.pictures import images
from kgan.quiet import quiet

WARM_UP = "assets.extra/tf_serving_warmup_requests"
BATCH = 32
SIZES = [2**power for power in range(BATCH.bit_length())]
BATCHING = f"""# More wait than are computed: who comes then is answered UNAVAILABLE.
max_batch_size {{ value: {BATCH} }}
batch_timeout_micros {{ value: 1000 }}
max_enqueued_batches {{ value: 16 }}
{"".join(f"allowed_batch_sizes: {size}{chr(10)}" for size in SIZES)}"""
MONITORING = """prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""
COMPOSE = """# docker compose up: REST at http://127.0.0.1:8501, gRPC at 127.0.0.1:8500.
services:
  serving:
    image: tensorflow/serving:${TF_SERVING_TAG:-latest}
    command:
      - --model_config_file=/models/model.config
      - --model_config_file_poll_wait_seconds=10
      - --enable_batching=true
      - --batching_parameters_file=/models/batching.config
      - --monitoring_config_file=/models/monitoring.config
    ports:
      - 127.0.0.1:8501:8501
      - 127.0.0.1:8500:8500
    volumes:
      - .:/models:ro
    restart: unless-stopped
"""


def check_name(name: str) -> None:
    """A `UserError` where a model cannot be called so: names stand in URLs and in text files."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UserError(f"--name={name} will not do: a name has letters, digits, _, - and . alone.")


def publish(exported: Path, model: str, recipe: str, output: Path, name: str) -> Path:
    """Lay out what was exported as the next version of a model; returns its folder.

    Args:
      exported: the folder that `kgan.export.export` wrote to.
      model: what the files in it are called after; recipe: of the `.tflite` to be laid beside.
      output: the folder of all models; name: of this one.
    """
    check_name(name)
    files.make_folder(output / name)
    with files.locked(output / name):
        files.sweep(output / name)
        numbers = [int(path.name) for path in (output / name).iterdir() if path.name.isdecimal()]
        target = output / name / str(max(numbers, default=0) + 1)
        with files.replacing(target) as folder:
            shutil.copytree(exported / f"{model}_saved_model", folder)
            tflite = exported / f"{model}_{recipe}.tflite"
            shutil.copy(tflite, folder / "model.tflite")
            shutil.copy(cards.path_of(tflite), folder / "model.json")
            card = cards.read(folder)
            assert card is not None
            warm_up(folder / WARM_UP, name, card)
            size, digest = cards.digest(folder)
            export = {**card.export, "bytes": size, "sha256": digest}
            dataclasses.replace(card, name=name, export=export, sha256=(digest,)).write(folder)
    configure(output)
    return target


def warm_up(path: Path, name: str, card: Card) -> None:
    """Write a request for each signature; a `Remark` where the package that knows their form is missing."""
    try:
        with quiet():
            import tensorflow as tf
            from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        sentence = "No warm-up requests were written, so the first ones are slow: pip install 'kgan[serve-grpc]'."
        warnings.warn(Remark(sentence), stacklevel=2)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, inputs in requests(card):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = name, signature
            for tensor, array in inputs.items():
                request.inputs[tensor].CopyFrom(tf.make_tensor_proto(array))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            records.write(log.SerializeToString())


def requests(card: Card) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """For each signature of a SavedModel its name, and inputs for one picture of the size that it was trained at."""
    labels = {"label": card.labels.examples()[0][None]} if card.labels else {}
    height, width = card.size or (card.image_size, card.image_size)
    grey = np.full((1, height, width, 3), 128, np.uint8)
    pictures = {
        "serving_default": {"image": images.to_float(grey)},
        "serving_uint8": {"image": grey},
        "serving_bytes": {"image_bytes": np.array([images.encode(grey[0])], object)},
    }
    for signature, described in card.export["signatures"].items():
        if card.kind == "filter":
            yield signature, pictures[signature] | labels
            continue
        zeros = {each["name"]: np.zeros([side or 1 for side in each["shape"]], np.float32) for each in described}
        yield signature, zeros | labels


def configure(output: Path) -> None:
    """Write what TensorFlow Serving is told of the models in `output`; a compose file that is there stays."""
    names = sorted(
        path.name
        for path in output.iterdir()
        if path.is_dir() and not path.name.startswith(".") and any(each.name.isdecimal() for each in path.iterdir())
    )
    configs = [
        f'  config {{\n    name: "{name}"\n    base_path: "/models/{name}"\n    model_platform: "tensorflow"\n  }}\n'
        for name in names
    ]
    texts: dict[str, Any] = {"model.config": f"model_config_list {{\n{''.join(configs)}}}\n"}
    for name, text in (("batching.config", BATCHING), ("monitoring.config", MONITORING), ("compose.yaml", COMPOSE)):
        if not (output / name).exists():
            texts[name] = text
    for name, text in texts.items():
        files.write_bytes(output / name, text.encode())
