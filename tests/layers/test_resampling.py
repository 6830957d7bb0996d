"""Reflection padding and nearest upsampling: equal to numpy, twice differentiable, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.layers import DepthToSpace2D, NearestUpsampling2D, ReflectionPadding2D

PADDINGS = [0, 1, 3, ((1, 2), (1, 2)), ((0, 3), (2, 0)), ((0, 0), (1, 0))]


def _map(height: int, width: int, channels: int = 2, batch: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(batch, height, width, channels)).astype("float32")


def _repeated(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, 1).repeat(2, 2)


def _slopes(layer: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of f = sum(layer(x)^4), and of sum((df/dx)^2), which needs the second derivative."""

    def first(x: Any) -> Any:
        return engine.input_gradients(lambda x: ops.sum(layer(x) ** 4), x)

    x = ops.convert_to_tensor(x)
    second = engine.input_gradients(lambda x: ops.sum(first(x) ** 2), x)
    return ops.convert_to_numpy(first(x)), ops.convert_to_numpy(second)


def _expected_slopes(x: np.ndarray, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of pixels that appear `copies` times: f = sum(copies x^4), df = 4 copies x^3, d(df^2) = 96 copies^2 x^5."""
    return 4 * copies * x**3, 96 * copies**2 * x**5


def _copies(height: int, width: int, padding: Any) -> np.ndarray:
    """How often each pixel appears after padding, [1, H, W, 1]."""
    index = np.pad(np.arange(height * width).reshape(height, width), padding, mode="reflect")
    return np.bincount(index.ravel(), minlength=height * width).reshape(1, height, width, 1)


# --- reflection padding ------------------------------------------------------------------------------------------


def test_padding_by_hand() -> None:
    """The edge pixel is not repeated."""
    x = np.arange(1.0, 7.0, dtype="float32").reshape(1, 2, 3, 1)  # 1 2 3 over 4 5 6
    y = ops.convert_to_numpy(ReflectionPadding2D(((1, 0), (1, 2)))(x))
    assert y[0, :, :, 0].tolist() == [[5, 4, 5, 6, 5, 4], [2, 1, 2, 3, 2, 1], [5, 4, 5, 6, 5, 4]]


@pytest.mark.parametrize("padding", PADDINGS)
def test_padding_equals_numpy(padding: Any) -> None:
    layer = ReflectionPadding2D(padding)
    sides = ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding
    for x in (_map(4, 5), _map(9, 4, channels=1, batch=1)):
        expected = np.pad(x, ((0, 0), *sides, (0, 0)), mode="reflect")
        np.testing.assert_array_equal(layer(x), expected)
        assert layer.compute_output_shape(x.shape) == expected.shape


def test_padding_of_any_size() -> None:
    inputs = keras.Input((None, 6, 2))
    model = keras.Model(inputs, ReflectionPadding2D(((1, 2), (3, 0)))(inputs))
    assert model.output_shape == (None, None, 9, 2)
    for height in (3, 8):
        x = _map(height, 6)
        expected = np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="reflect")
        np.testing.assert_array_equal(model(x), expected)


@pytest.mark.parametrize("padding", PADDINGS)
def test_padding_has_two_gradients(padding: Any) -> None:
    x = _map(4, 5)
    expected = _expected_slopes(x, _copies(4, 5, padding))
    for actual, wanted in zip(_slopes(ReflectionPadding2D(padding), x), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4)


def test_negative_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="pad: padding must not be negative"):
        ReflectionPadding2D(((1, -1), (0, 0)), name="pad")


@pytest.mark.parametrize(
    ("size", "padding", "message"),
    [
        ((1, 8), 1, "map 1 pixels high cannot be reflected by 1"),
        ((8, 3), 3, "map 3 pixels wide cannot be reflected by 3"),
        ((2, 8), ((1, 2), (1, 2)), "map 2 pixels high cannot be reflected by 2: the picture is too small"),
    ],
)
def test_a_map_too_small_to_mirror_is_named(size: tuple[int, int], padding: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReflectionPadding2D(padding)(_map(*size))
    with pytest.raises(ValueError, match=message):
        ReflectionPadding2D(padding)(keras.Input((*size, 2)))


def test_a_picture_too_small_for_a_model_of_any_size_is_named() -> None:
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, ReflectionPadding2D(3)(inputs))
    with pytest.raises(ValueError, match="map 2 pixels high cannot be reflected by 3"):
        model(_map(2, 8))


# --- nearest upsampling ------------------------------------------------------------------------------------------


def test_upsampling_by_hand() -> None:
    x = np.array([[[[1.0], [2.0]]]], "float32")
    y = ops.convert_to_numpy(NearestUpsampling2D()(x))
    assert y[0, :, :, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 4)])
def test_upsampling_equals_repeat(size: tuple[int, int]) -> None:
    x = _map(*size)
    np.testing.assert_array_equal(NearestUpsampling2D()(x), _repeated(x))


def test_upsampling_of_any_size() -> None:
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, NearestUpsampling2D()(inputs))
    assert model.output_shape == (None, None, None, 2)
    assert NearestUpsampling2D()(keras.Input((3, 5, 2))).shape == (None, 6, 10, 2)
    for size in ((3, 5), (4, 2)):
        x = _map(*size)
        np.testing.assert_array_equal(model(x), _repeated(x))


def test_upsampling_has_two_gradients() -> None:
    x = _map(3, 5)
    for actual, wanted in zip(_slopes(NearestUpsampling2D(), x), _expected_slopes(x, np.array(4)), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4)


def test_four_channels_become_a_block_by_row_then_column_then_channel() -> None:
    x = np.arange(2 * 8, dtype=np.float32).reshape(1, 1, 2, 8)  # two pixels of 4 x 2 channels
    y = ops.convert_to_numpy(DepthToSpace2D()(x))
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 2, 8, 10], [4, 6, 12, 14]])
    np.testing.assert_array_equal(y[..., 1], y[..., 0] + 1)
    assert DepthToSpace2D()(keras.Input((None, 5, 8))).shape == (None, None, 10, 2)


@pytest.mark.parametrize("make", [NearestUpsampling2D, lambda: ReflectionPadding2D(((1, 2), (1, 2)))])
def test_two_gradients_under_xla(make: Callable[[], Any]) -> None:
    layer, x = make(), _map(3, 5)
    copies = np.array(4) if isinstance(layer, NearestUpsampling2D) else _copies(3, 5, ((1, 2), (1, 2)))

    def second(x: Any) -> Any:
        def first(x: Any) -> Any:
            return engine.input_gradients(lambda x: ops.sum(layer(x) ** 4), x)

        return first(x), engine.input_gradients(lambda x: ops.sum(first(x) ** 2), x)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(second, jit_compile=True)
    else:
        import jax

        compiled = jax.jit(second)
    for actual, wanted in zip(compiled(ops.convert_to_tensor(x)), _expected_slopes(x, copies), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="sizes unknown while tracing are TensorFlow's")
def test_two_gradients_of_any_size() -> None:
    import tensorflow as tf

    layer = NearestUpsampling2D()

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2))])
    def second(x: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(layer(x) ** 4)
            slope = inner.gradient(total, x)
            squares = tf.reduce_sum(slope**2)
        return slope, outer.gradient(squares, x)

    for size in ((3, 5), (4, 2)):
        x = _map(*size)
        for actual, wanted in zip(second(tf.constant(x)), _expected_slopes(x, np.array(4)), strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_pixels_keep_their_dtype(policy: str) -> None:
    for layer in (NearestUpsampling2D(dtype=policy), ReflectionPadding2D(1, dtype=policy)):
        x = ops.cast(_map(3, 5), layer.compute_dtype)
        assert keras.backend.standardize_dtype(layer(x).dtype) == layer.compute_dtype
