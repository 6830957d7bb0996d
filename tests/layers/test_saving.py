"""One model that holds every layer, none with its default settings, goes through a `.keras` file unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kgan.layers
from kgan.layers import (
    CAM,
    LIN,
    AdaIN,
    AdaLIN,
    AppendLabel,
    BatchNormalization,
    Bias,
    Blur2D,
    DepthToSpace2D,
    Dropout,
    EqualizedConv2D,
    EqualizedDense,
    Fade,
    Heatmap,
    InstanceNormalization,
    LearnedConstant,
    MinibatchDeviation,
    NearestUpsampling2D,
    Noise,
    PixelNormalization,
    ReflectionPadding2D,
    SpectralNormalization,
    Style,
    Truncation,
)


def _model(size: int | None) -> keras.Model:
    inputs = keras.Input((size, size, 3), name="image")
    x = ReflectionPadding2D(((1, 2), (3, 0)), name="pad")(inputs)
    x = SpectralNormalization(keras.layers.Conv2D(4, 3, name="conv"), 2, name="conv_sn")(x)
    x = InstanceNormalization(center=False, epsilon=1e-3, unbiased=True, name="instance")(x)
    x, logits = CAM("separate", spectral=True, raw_map=True, kernel_initializer="he_normal", name="cam")(x)
    style = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    gamma, beta = keras.layers.Dense(8, name="gamma")(style), keras.layers.Dense(8, name="beta")(style)
    x = AdaIN(epsilon=1e-4, unbiased=True, name="adain")(x, gamma, beta)
    x = AdaLIN(0.9, 0.2, epsilon=1e-4, unbiased=True, name="adalin")(x, gamma, beta)
    x = DepthToSpace2D(name="pixels")(NearestUpsampling2D(name="up")(x))
    x = AppendLabel(name="labelled")([x, style])
    x = BatchNormalization("batch", 0.8, 1e-4, "zeros", name="batch")(x)
    x = Dropout(0.3, 2, name="drop")(x)
    x = LIN(0.4, epsilon=1e-4, unbiased=True, name="lin")(x)
    return keras.Model(inputs, {"map": x, "heatmap": Heatmap(name="heatmap")(x), "cam_logits": logits})


def _styled() -> keras.Model:
    z, psi = keras.Input((4,), name="z"), keras.Input((1,), name="psi")
    w = EqualizedDense(6, gain=1.0, rate=0.1, name="dense")(PixelNormalization(epsilon=1e-4, name="pixel")(z))
    ws = Truncation(2, cutoff=1, name="truncation")(w, psi)
    x = LearnedConstant((4, 4, 8), name="constant")(z)
    x = EqualizedConv2D(8, 3, "up", gain=1.0, rate=0.5, use_bias=False, seed=3, name="conv")(x)
    x = Bias(name="bias")(Noise(seed=5, name="noise")(Blur2D(name="blur")(x)))
    styled = Style(1, seed=7, name="style")(x, ws)
    x = MinibatchDeviation(2, strided=True, name="deviation")(Fade(name="fade")(x, styled))
    return keras.Model({"z": z, "psi": psi}, {"map": x})


MODELS: dict[str, Callable[[], keras.Model]] = {
    "any size": lambda: _model(None),
    "8 px": lambda: _model(8),
    "styled": _styled,
}


def test_every_layer_is_in_one_of_them() -> None:
    held = {type(layer).__name__ for build in MODELS.values() for layer in build().layers}
    assert {name for name in kgan.layers.__all__ if name != "addons"} <= held


def _config(node: Any) -> str:
    """As text: files turn tuples into lists."""
    return json.dumps(node.get_config(), sort_keys=True)


def _outputs(model: keras.Model, x: Any, **kwargs: Any) -> dict[str, np.ndarray]:
    outputs = {key: keras.ops.cast(value, "float32") for key, value in model(x, **kwargs).items()}
    return {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_round_trip(tmp_path: Path, name: str, policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = MODELS[name]()
    finally:
        keras.config.set_dtype_policy(before)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        low, high = (0, 1) if weight.name == "rho" else (-1, 1)
        weight.assign(generator.uniform(low, high, weight.shape))
    shapes = {tensor.name: (2, *(side or 8 for side in tensor.shape[1:])) for tensor in model.inputs}
    given = {key: generator.uniform(-1, 1, shape).astype("float32") for key, shape in shapes.items()}
    x = given if len(given) > 1 else given["image"]
    _outputs(model, x, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")  # the float32 policy is current: the file states its own

    assert _config(again) == _config(model)
    assert [(v.name, v.shape, v.dtype) for v in again.weights] == [(v.name, v.shape, v.dtype) for v in model.weights]
    for layer, same in zip(model.layers, again.layers, strict=True):
        assert type(same) is type(layer) and _config(same) == _config(layer)
    expected = _outputs(model, x)
    for key, value in _outputs(again, x).items():
        np.testing.assert_array_equal(value, expected[key])
