"""Layers of TensorFlow Addons: hand-checked numbers, files that it wrote, and equality with the real library."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import kgan.layers
from kgan.errors import UserError
from kgan.layers import addons
from kgan.layers.legacy import load_model, modernize

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FORMATS = ("h5", "keras")


def _run(model: Any, x: np.ndarray, training: bool = False) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x, training=training))


def _matches(folder: Path, case: str, file_format: str, load: Callable[[Path], Any] = load_model) -> float:
    """The largest difference in inference, after checking it, the training call and what that leaves behind."""
    golden = np.load(folder / f"addons_{case}.npz")
    model = load(folder / f"addons_{case}.{file_format}")
    if case == "half":
        limit, training_limit = 4e-3, 1e-2  # float16 has steps of 1e-3 near 1, and theirs iterates in it
    elif case == "instance_vector":
        limit = training_limit = 1e-5  # one value a channel: theirs rounds 30 x - 30 x, ours is 0
    else:
        limit = training_limit = 1e-6 * max(1.0, float(np.abs(golden["y"]).max()))
    y = _run(model, golden["x"])
    assert y.dtype == golden["y"].dtype and y.shape == golden["y"].shape
    np.testing.assert_allclose(y, golden["y"], rtol=0, atol=limit)
    before = {id(weight): keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}
    if case != "standard":  # its batch normalization trains in a way of its own
        np.testing.assert_allclose(_run(model, golden["x"], training=True), golden["y_training"], atol=training_limit)
    for weight in model.trainable_weights:
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), before[id(weight)])
    for layer in model.layers:
        if isinstance(layer, addons.SpectralNormalization):
            np.testing.assert_allclose(layer.u, golden[f"{layer.name}/sn_u:0"], rtol=0, atol=training_limit)
    return float(np.abs(y.astype(np.float32) - golden["y"]).max())


@pytest.mark.parametrize("file_format", FORMATS)
def test_files_of_tensorflow_addons_load(file_format: str) -> None:
    _matches(GOLDEN, "filter", file_format)
    assert load_model(GOLDEN / f"addons_filter.{file_format}").input_shape == (None, None, None, 3)  # no list of one


def test_h5_files_load_through_keras_itself() -> None:
    _matches(GOLDEN, "filter", "h5", lambda path: keras.models.load_model(path, compile=False))


def test_keras_itself_refuses_functional_keras_files_of_tf_keras() -> None:
    """Why load_model exists; once this fails, Keras reads them too."""
    with pytest.raises(TypeError, match="Functional"):
        keras.models.load_model(GOLDEN / "addons_filter.keras", compile=False)


def test_h5_files_of_tensorflow_before_2_13_load(tmp_path: Path) -> None:
    """These name classes alone, without their modules, also inside the wrapper."""

    def strip(node: Any) -> Any:
        if isinstance(node, list):
            return [strip(child) for child in node]
        if not isinstance(node, dict):
            return node
        return {key: strip(value) for key, value in node.items() if key not in ("module", "registered_name")}

    for case in ("h5", "npz"):
        shutil.copy(GOLDEN / f"addons_filter.{case}", tmp_path)
    with h5py.File(tmp_path / "addons_filter.h5", "r+") as file:
        text = json.dumps(strip(json.loads(file.attrs["model_config"])))
        assert "module" not in text
        file.attrs["model_config"] = text
    _matches(tmp_path, "filter", "h5")


@pytest.mark.parametrize("file_format", FORMATS)
def test_saved_again_they_load_through_keras(tmp_path: Path, file_format: str) -> None:
    golden = np.load(GOLDEN / "addons_filter.npz")
    model = load_model(GOLDEN / "addons_filter.keras")
    model.save(tmp_path / f"again.{file_format}")
    for load in (load_model, keras.models.load_model):
        again = load(tmp_path / f"again.{file_format}")
        np.testing.assert_array_equal(_run(again, golden["x"]), _run(model, golden["x"]))
        for weight, expected in zip(again.weights, model.weights, strict=True):
            np.testing.assert_array_equal(weight, expected)


def test_fixtures_are_small() -> None:
    for path in GOLDEN.glob("addons_*"):
        assert path.stat().st_size < 50_000, path


def test_equals_tensorflow_addons(tmp_path: Path) -> None:
    missing = [name for name in ("tensorflow_addons", "tf_keras") if importlib.util.find_spec(name) is None]
    if sys.version_info >= (3, 12) or missing:
        pytest.skip("needs the real TensorFlow Addons: Python 3.11 and `pip install -e .[addons]`")
    script = Path(__file__).with_name("addons_reference.py")
    result = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    cases = sorted(path.stem.removeprefix("addons_") for path in tmp_path.glob("*.npz"))
    assert len(cases) == 16
    for case in cases:
        for file_format in FORMATS:
            print(f"{case}.{file_format}: {_matches(tmp_path, case, file_format):.1e}")


def test_instance_normalization_by_hand() -> None:
    """1 and 3 have mean 2 and variance 1, -5 and 7 mean 1 and variance 36."""
    layer = addons.InstanceNormalization(epsilon=0.0, beta_initializer=keras.initializers.Constant(0.5))
    y = _run(layer, np.array([[[[1.0, -5.0], [3.0, 7.0]]]], "float32"))
    np.testing.assert_allclose(y, [[[[-0.5, -0.5], [1.5, 1.5]]]], atol=1e-6)
    default = addons.InstanceNormalization()
    assert (default.epsilon, default.axis, default.groups) == (1e-3, -1, -1)
    assert addons.InstanceNormalization(groups=7).groups == -1


def test_group_normalization_by_hand() -> None:
    """Groups (1, 3) and (10, 30): means 2 and 20, variances 1 and 100. One pixel, so each channel alone varies by 0."""
    layer = addons.GroupNormalization(2, epsilon=0.0, gamma_initializer=keras.initializers.Constant(2.0))
    y = _run(layer, np.array([[[[1.0, 3.0, 10.0, 30.0]]]], "float32"))
    np.testing.assert_allclose(y, [[[[-2.0, 2.0, -2.0, 2.0]]]], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "groups", "axis"),
    [((2, 5, 6, 4), 2, -1), ((2, 4, 5, 6), 2, 1), ((2, 5, 4, 6), 4, 2), ((3, 8), 2, 1), ((2, 5, 6, 8), 4, -1)],
)
def test_group_normalization_equals_keras(shape: tuple[int, ...], groups: int, axis: int) -> None:
    x = np.random.default_rng(0).normal(1.0, 3.0, shape).astype("float32")
    ours, theirs = addons.GroupNormalization(groups, axis), keras.layers.GroupNormalization(groups, axis)
    np.testing.assert_allclose(_run(ours, x), _run(theirs, x), atol=2e-6)


def test_statistics_are_float32_in_mixed_precision() -> None:
    """The square of 600 exceeds float16's 65504."""
    x = np.array([[[[400.0, 1.0]], [[-800.0, 3.0]]]], "float16")
    for layer_class in (addons.InstanceNormalization, addons.GroupNormalization):
        settings: dict[str, Any] = {} if layer_class is addons.InstanceNormalization else {"groups": 1}
        layer = layer_class(dtype="mixed_float16", **settings)
        y = _run(layer, x)
        assert y.dtype == np.float16 and layer.gamma.dtype == "float32"
        np.testing.assert_allclose(y, _run(layer_class(**settings), x.astype("float32")), atol=1e-3)


def test_impossible_axes_and_groups_are_refused() -> None:
    x = np.zeros((1, 4, 4, 6), "float32")
    for axis in (0, 4, -4):
        with pytest.raises(ValueError, match=f"axis must be 1 to 3 or -1 .* got {axis}"):
            addons.GroupNormalization(2, axis)(x)
    with pytest.raises(ValueError, match="axis=2 normalizes as meant"):
        addons.InstanceNormalization(axis=-2)(x)
    with pytest.raises(ValueError, match="groups"):
        addons.GroupNormalization(5)(x)


def _spectral(kernel: np.ndarray, u: np.ndarray, **settings: Any) -> addons.SpectralNormalization:
    layer = addons.SpectralNormalization(keras.layers.Dense(kernel.shape[1], use_bias=False), **settings)
    layer.build((None, kernel.shape[0]))
    layer.layer.kernel.assign(kernel)
    layer.u.assign(u)
    return layer


def test_spectral_normalization_divides_in_training_alone() -> None:
    """The singular values of diag(4, 2) are 4 and 2; u points at the first."""
    kernel, x = np.diag([4.0, 2.0]).astype("float32"), np.ones((1, 2), "float32")
    layer = _spectral(kernel, np.array([[1.0, 0.0]]))
    assert [weight.name for weight in layer.trainable_weights + layer.non_trainable_weights] == ["kernel", "sn_u"]
    np.testing.assert_allclose(_run(layer, x), [[4.0, 2.0]])
    np.testing.assert_allclose(_run(layer, x, training=True), [[1.0, 0.5]], atol=1e-6)
    np.testing.assert_array_equal(layer.layer.kernel, kernel)
    layer.normalize_weights()
    np.testing.assert_allclose(_run(layer, x), [[1.0, 0.5]], atol=1e-6)


def test_spectral_normalization_iterates_as_often_as_told() -> None:
    """diag(4, 2) from u = (1, 1): each iteration multiplies the ratio of u's parts by 4."""
    layer = _spectral(np.diag([4.0, 2.0]), np.array([[1.0, 1.0]]), power_iterations=3)
    _run(layer, np.ones((1, 2), "float32"), training=True)
    u = keras.ops.convert_to_numpy(layer.u)
    np.testing.assert_allclose(u[0, 0] / u[0, 1], 4.0**3, rtol=1e-5)


def test_spectral_normalization_needs_a_kernel() -> None:
    with pytest.raises(ValueError, match="a ReLU has no kernel or embeddings"):
        addons.SpectralNormalization(keras.layers.ReLU())(np.zeros((1, 2), "float32"))


def test_importing_the_layers_registers_them() -> None:
    for name in ("InstanceNormalization", "GroupNormalization", "SpectralNormalization"):
        assert keras.saving.get_registered_object(f"Addons>{name}") is getattr(kgan.layers.addons, name)


def test_files_that_hold_code_or_no_model_are_refused(tmp_path: Path) -> None:
    for name in ("Lambda", "TFOpLambda"):
        with pytest.raises(UserError, match=f"layer 'pad' is a {name}"):
            modernize({"layers": [{"class_name": name, "name": "pad", "config": {}}]})
    for name in ("missing.h5", "missing.keras", "text.h5", "text.keras", "weights.h5"):
        path = tmp_path / name
        if path.stem == "text":
            path.write_text("no model")
        elif path.stem == "weights":
            h5py.File(path, "w").close()
        with pytest.raises(UserError, match=rf"{name} is not a model of Keras"):
            load_model(path)


def test_calls_of_nested_models_are_counted_from_zero() -> None:
    inner = {"class_name": "Sequential", "name": "inner", "config": {"layers": []}}
    layers = [inner | {"inbound_nodes": [[["input", 0, 0, {}]], [["inner", 1, 0, {}]]]}]
    config: dict[str, Any] = {
        "layers": layers,
        "input_layers": [["input", 0, 0]],
        "output_layers": {"image": ["inner", 2, 0]},
    }
    new = modernize({"class_name": "Functional", "config": config})["config"]
    assert new["layers"][0]["inbound_nodes"] == [[["input", 0, 0, {}]], [["inner", 0, 0, {}]]]
    assert new["input_layers"] == ["input", 0, 0]
    assert new["output_layers"] == {"image": ["inner", 1, 0]}
