"""Spectral normalization: sigma, what moves and what does not, Miyato's gradient, precision, files, errors."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.layers import SpectralNormalization


def _dense(kernel: np.ndarray, **kwargs: Any) -> SpectralNormalization:
    layer = SpectralNormalization(keras.layers.Dense(kernel.shape[-1], use_bias=False), **{"seed": 0} | kwargs)
    layer.build((None, kernel.shape[0]))
    layer.layer.kernel.assign(kernel)
    return layer


def _separated(inputs: int, outputs: int) -> np.ndarray:
    """A kernel with singular values 4, 2, 1, ...: 60 iterations leave 2^-60 of the others."""
    left, _, right = np.linalg.svd(_random(inputs, outputs), full_matrices=False)
    return (left * 4 * 0.5 ** np.arange(len(right))) @ right


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _normalized(layer: SpectralNormalization, training: bool = False) -> np.ndarray:
    """The kernel in use: the layer's answer to unit vectors."""
    unit = np.eye(layer.layer.kernel.shape[0], dtype="float32")
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(unit), training=training))


def _u(layer: SpectralNormalization) -> np.ndarray:
    return ops.convert_to_numpy(layer.u)


# --- sigma -------------------------------------------------------------------------------------------------------


def test_one_power_iteration_by_hand() -> None:
    """W = diag(3, 4), u = (1, 1) / sqrt 2: v = (3, 4) / 5, W v = (9, 16) / 5, sigma = sqrt(337) / 5."""
    layer = _dense(np.diag([3.0, 4.0]).astype("float32"))
    layer.u.assign([[0.5**0.5, 0.5**0.5]])
    sigma = 337**0.5 / 5
    np.testing.assert_allclose(_normalized(layer, training=True), np.diag([3.0, 4.0]) / sigma, rtol=1e-6)
    np.testing.assert_allclose(_u(layer), np.array([[9.0, 16.0]]) / 337**0.5, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 8), (9, 4), (6, 1)])
def test_sigma_converges_to_the_largest_singular_value(shape: tuple[int, int]) -> None:
    kernel = _separated(*shape)
    layer = _dense(kernel)
    for _ in range(60):
        _normalized(layer, training=True)
    expected = kernel / np.linalg.svd(kernel, compute_uv=False)[0]
    np.testing.assert_allclose(_normalized(layer), expected, rtol=1e-4, atol=1e-5)


def test_sigma_of_a_convolution_is_that_of_its_flattened_kernel() -> None:
    """[height, width, inputs, outputs] as [height width inputs, outputs], as all official codes."""
    layer = SpectralNormalization(keras.layers.Conv2D(6, 4, strides=2), power_iterations=60, seed=0)
    x = ops.convert_to_tensor(_random(2, 10, 12, 3))
    layer.build(x.shape)
    layer.layer.kernel.assign(_separated(48, 6).reshape(4, 4, 3, 6))
    outputs = ops.convert_to_numpy(layer(x, training=True))
    plain = ops.convert_to_numpy(ops.conv(x, layer.layer.kernel, strides=2))
    kernel = ops.convert_to_numpy(layer.layer.kernel).reshape(-1, 6)
    assert outputs.shape == layer.compute_output_shape(x.shape) == (2, 4, 5, 6)
    np.testing.assert_allclose(outputs, plain / np.linalg.svd(kernel, compute_uv=False)[0], rtol=1e-4, atol=1e-5)


def test_the_bias_is_not_divided() -> None:
    layer = SpectralNormalization(keras.layers.Dense(2), power_iterations=30, seed=0)
    layer.build((None, 2))
    layer.layer.kernel.assign(np.diag([2.0, 10.0]))
    layer.layer.bias.assign([1.0, -3.0])
    outputs = layer(ops.convert_to_tensor([[10.0, 10.0]]), training=True)
    np.testing.assert_allclose(outputs, [[3.0, 7.0]], rtol=1e-5)  # 10 0.2 + 1, 10 1 - 3


@pytest.mark.parametrize("seed", range(3))
def test_before_the_first_training_call_sigma_is_an_estimate_from_below(seed: int) -> None:
    """u starts with norm 1, else a fresh network would be scaled down by the norm of its u."""
    kernel = _random(20, 64, seed=seed)
    layer = _dense(kernel)
    assert np.linalg.norm(_u(layer)) == pytest.approx(1, abs=1e-5)
    sigma = np.linalg.norm(kernel) / np.linalg.norm(_normalized(layer))
    largest = np.linalg.svd(kernel, compute_uv=False)[0]
    assert 0.1 * largest < sigma <= largest * (1 + 1e-5)


def test_u_follows_from_its_seed() -> None:
    first, again, other = (_dense(_random(4, 16), seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(_u(first), _u(again))
    assert np.abs(_u(first) - _u(other)).max() > 1e-3


# --- what moves --------------------------------------------------------------------------------------------------


def test_the_kernel_is_never_written() -> None:
    kernel = _random(5, 8)
    layer = _dense(kernel)
    for training in (True, True, False):
        _normalized(layer, training)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.layer.kernel), kernel)


def test_u_moves_in_training_calls_alone() -> None:
    layer = _dense(_random(5, 8))
    start = _u(layer).copy()
    first = _normalized(layer)
    np.testing.assert_array_equal(_u(layer), start)
    np.testing.assert_array_equal(_normalized(layer), first)
    _normalized(layer, training=True)
    moved = _u(layer).copy()
    assert np.abs(moved - start).max() > 1e-3
    _normalized(layer, training=True)
    assert np.abs(_u(layer) - moved).max() > 1e-4


def test_u_and_v_are_not_trained() -> None:
    layer = _dense(_random(5, 8))
    assert [variable.name for variable in layer.trainable_variables] == ["kernel"]
    assert [variable.name for variable in layer.non_trainable_variables] == ["u", "v"]


def test_at_test_both_kept_vectors_are_used_as_pytorch_does() -> None:
    """W = diag(3, 4), u = (1, 0), v = (0.6, 0.8): sigma = v W u = 1.8, though neither is a singular vector."""
    layer = _dense(np.diag([3.0, 4.0]).astype("float32"))
    layer.u.assign([[1.0, 0.0]])
    layer.v.assign([[0.6, 0.8]])
    np.testing.assert_allclose(_normalized(layer), np.diag([3.0, 4.0]) / 1.8, rtol=1e-6)


def test_v_of_a_training_call_serves_at_test_after_the_kernel_moved() -> None:
    layer = _dense(_random(5, 8))
    _normalized(layer, training=True)
    u, v = _u(layer).astype("float64"), np.array(layer.v, "float64")
    moved = _random(5, 8, seed=3)
    layer.layer.kernel.assign(moved)
    np.testing.assert_allclose(_normalized(layer), moved / (v @ moved @ u.T).item(), rtol=1e-4)


def test_a_file_from_before_v_was_kept_loads(tmp_path: Path) -> None:
    """Its v follows from u."""
    inputs = keras.Input((6,))
    model = keras.Model(inputs, SpectralNormalization(keras.layers.Dense(3), name="dense_sn")(inputs))
    x = ops.convert_to_tensor(_random(2, 6))
    expected = np.array(model(x))  # v is still empty
    model.save(tmp_path / "now.keras")
    weights = tmp_path / "model.weights.h5"
    with zipfile.ZipFile(tmp_path / "now.keras") as now, zipfile.ZipFile(tmp_path / "then.keras", "w") as then:
        weights.write_bytes(now.read(weights.name))
        with h5py.File(weights, "r+") as file:
            del file["layers/spectral_normalization/vars/1"]
        for name in now.namelist():
            then.writestr(name, weights.read_bytes() if name == weights.name else now.read(name))
    again = keras.models.load_model(tmp_path / "then.keras")
    np.testing.assert_array_equal(again(x), expected)


# --- gradient ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_the_gradient_is_miyatos(training: bool) -> None:
    """Equation 12: of sum(G * W / sigma) it is (G - (sum(G * W) / sigma) v u^T) / sigma, v and u held constant.

    Checked against that formula and against finite differences of W / (v^T W u) with fixed v and u.
    """
    kernel, upstream = _random(4, 3), _random(4, 3, seed=1)
    layer = _dense(kernel)
    u = _u(layer).astype("float64")
    v = u @ kernel.T
    v /= np.linalg.norm(v)
    u = v @ kernel
    u /= np.linalg.norm(u)

    def value(matrix: np.ndarray) -> float:
        return float(np.sum(upstream * matrix) / (v @ matrix @ u.T).item())

    sigma = (v @ kernel @ u.T).item()
    formula = (upstream - np.sum(upstream * kernel) / sigma * (v.T @ u)) / sigma
    numeric = np.zeros((4, 3))
    for i in np.ndindex(4, 3):
        delta = np.zeros((4, 3))
        delta[i] = 1e-6
        numeric[i] = (value(kernel + delta) - value(kernel - delta)) / 2e-6

    def loss(weight: Any) -> Any:
        outputs, _ = layer.stateless_call([weight], [layer.u.value, layer.v.value], ops.eye(4), training=training)
        return ops.sum(outputs * upstream)

    slope = ops.convert_to_numpy(engine.input_gradients(loss, ops.convert_to_tensor(kernel)))
    np.testing.assert_allclose(numeric, formula, atol=1e-6)
    np.testing.assert_allclose(slope, formula, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a tape is TensorFlow's")
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
def test_under_a_tape(policy: str, compiled: bool) -> None:
    """Gradients reach kernel and bias, u moves, the kernel stays, also within a tf.function."""
    import tensorflow as tf

    layer = SpectralNormalization(keras.layers.Conv2D(4, 3, dtype=policy))
    x = tf.constant(_random(1, 5, 5, 2))
    layer.build(x.shape)
    kernel, start = ops.convert_to_numpy(layer.layer.kernel), _u(layer).copy()

    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(x, training=True), tf.float32) ** 2)
        return tape.gradient(loss, [variable.value for variable in layer.trainable_variables])

    slopes = (tf.function(step) if compiled else step)()
    assert len(slopes) == 2
    for slope in slopes:
        assert slope.dtype == tf.float32 and np.isfinite(slope).all() and np.abs(slope).max() > 0
    assert np.abs(_u(layer) - start).max() > 1e-4
    np.testing.assert_array_equal(layer.layer.kernel, kernel)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_iterations_are_float32_under_mixed_precision(policy: str) -> None:
    """bfloat16 iterations stop at 3 digits of sigma; the convolution itself computes in the policy's dtype."""
    inner = keras.layers.Dense(6, use_bias=False, dtype=policy)
    layer = SpectralNormalization(inner, power_iterations=60, seed=0)
    layer.build((8, 8))
    inner.kernel.assign(_separated(8, 6))
    outputs = layer(ops.eye(8), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == inner.compute_dtype
    assert {variable.dtype for variable in layer.variables} == {"float32"}
    kernel = ops.convert_to_numpy(inner.kernel)
    left, values, _ = np.linalg.svd(kernel.T)
    np.testing.assert_allclose(np.abs(_u(layer) @ left[:, 0]), [1.0], atol=1e-5)
    expected = kernel / values[0]
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(outputs, "float32")), expected, atol=5e-3)


# --- files and mistakes ------------------------------------------------------------------------------------------


def test_a_saved_model_keeps_u(tmp_path: Path) -> None:
    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, SpectralNormalization(keras.layers.Conv2D(3, 3), 2, name="conv_sn")(inputs))
    x = ops.convert_to_tensor(_random(2, 6, 6, 2))
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    before, after = model.get_layer("conv_sn"), again.get_layer("conv_sn")
    assert after.power_iterations == 2
    np.testing.assert_array_equal(_u(after), _u(before))
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again(x, training=True), model(x, training=True))  # and goes on from there
    np.testing.assert_array_equal(_u(after), _u(before))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="sn: power_iterations must be at least 1, got 0"):
        SpectralNormalization(keras.layers.Dense(3), 0, name="sn")
    with pytest.raises(ValueError, match="a ReLU has no kernel to normalize"):
        SpectralNormalization(keras.layers.ReLU())(np.zeros((1, 3), "float32"))
