"""Models that tf.keras 2 saved: their configuration, put right where Keras 3 no longer reads it."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import keras

from kgan.errors import UserError

CODE = ("Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda")
UNGROUPED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv1D", "DepthwiseConv2D")
SEPARABLE = ("SeparableConv1D", "SeparableConv2D")


def load_model(path: str | Path) -> keras.Model:
    """The uncompiled model in a `.keras` or `.h5` file of tf.keras 2 or of Keras 3.

    Differs from keras.models.load_model in that it also reads functional models and transposed, depthwise and separable
    convolutions of tf.keras 2.

    Raises:
      UserError: the file is missing, holds no model, or holds a layer made of Python code.
    """
    path = Path(path)
    try:
        if path.suffix in (".h5", ".hdf5"):
            with h5py.File(path) as file:
                text = file.attrs["model_config"]
        else:
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json")
                if damaged := archive.testzip():  # HDF5 inside reads by parts, and never meets the sums of the whole
                    raise zipfile.BadZipFile(f"{damaged} in it is damaged")
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"{path} is not a model of Keras ({error}): give a `.keras` or `.h5` file that model.save has written."
        ) from error
    config = modernize(json.loads(text))
    if "module" in config:
        model = keras.saving.deserialize_keras_object(config | {"compile_config": None})
    else:  # `.h5`
        model_class = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
        model = model_class.from_config(config["config"])
    model.load_weights(path)
    return model


def modernize(node: Any) -> Any:
    """A serialized object (or a list of them, or a plain value) as Keras 3 reads it; what is new already is kept.

    Raises:
      UserError: a layer consists of Python code or of a bare TensorFlow operation.
    """
    if isinstance(node, list):
        return [modernize(child) for child in node]
    if not isinstance(node, dict):
        return node
    name, config = node.get("class_name"), node.get("config")
    if name in CODE:
        raise UserError(
            f"The model's layer {node.get('name', name)!r} is a {name}: Python code or a TensorFlow operation that "
            "Keras 3 does not load from a file. Rebuild the network with layers of Keras or kgan.layers, then load its "
            "weights."
        )
    node = {key: modernize(child) for key, child in node.items()}
    if name is None or not isinstance(config, dict):
        return node
    config = node["config"]
    if name == "Policy":
        return config["name"]
    if name == "Functional" and "module" in node:
        node |= {"module": "keras", "class_name": "Model", "registered_name": None}
    if name in UNGROUPED + SEPARABLE:
        config.pop("groups", None)
    if name in SEPARABLE:  # their two kernels have settings of their own
        for setting in ("initializer", "regularizer", "constraint"):
            config.pop(f"kernel_{setting}", None)
    if name != "InputLayer":
        config.pop("batch_input_shape", None)
    if name == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    if "output_layers" in config:
        _rewire(config)
    return node


def _rewire(config: dict[str, Any]) -> None:
    """How a functional model is connected: calls of models inside it count from 0, one tensor stands for itself."""
    # A call is a list of [layer, call, output, arguments] in tf.keras 2, a dict in Keras 3.
    calls = [call for layer in config["layers"] for call in layer["inbound_nodes"] if isinstance(call, list)]
    if not calls:
        return
    nested = {layer["name"]: layer["class_name"] for layer in config["layers"] if "layers" in layer["config"]}
    for source in (source for call in calls for source in call):
        source[1] -= source[0] in nested  # tf.keras 2 takes the building of a model for its call 0
    outputs = config["output_layers"]
    for source in outputs.values() if isinstance(outputs, dict) else outputs:
        source[1] -= nested.get(source[0]) == "Sequential"  # Keras 3 itself subtracts for functional models
    for end in ("input_layers", "output_layers"):
        if isinstance(config[end], list) and len(config[end]) == 1:
            (config[end],) = config[end]
