"""CAM and the heatmap: hand-checked numbers for every setting, precision, errors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan.layers import CAM, Heatmap

# A 2x2 map of two channels: averages 2 and -1, maxima 5 and 4.
X = np.array([[[[0.0, -3.0], [1.0, -3.0]], [[2.0, -2.0], [5.0, 4.0]]]], "float32")
KERNEL = np.array([[3.0], [4.0]], "float32")  # its norm, and so its only singular value, is 5


def _cam(*args: Any, bias: float = 0.5, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
    """The map and logits of a layer whose first head has KERNEL and `bias`, and its second twice these."""
    layer = CAM(*args, **kwargs)
    layer.build(X.shape)
    for factor, kernel in enumerate(layer.kernels, 1):
        kernel.assign(factor * KERNEL)
    for factor, variable in enumerate(layer.biases, 1):
        variable.assign([factor * bias])
    maps, logits = layer(ops.convert_to_tensor(X))
    return ops.convert_to_numpy(maps), ops.convert_to_numpy(logits)


def _weights(*weights: float) -> np.ndarray:
    """The map [average's channels, maximum's channels], each channel scaled."""
    return np.concatenate([X, X], -1) * np.array(weights, "float32")


def _check(result: tuple[np.ndarray, np.ndarray], maps: np.ndarray, logits: list[float]) -> None:
    assert result[0].shape == (1, 2, 2, 4) and result[1].shape == (1, 2)
    np.testing.assert_allclose(result[0], maps, rtol=1e-6)
    np.testing.assert_allclose(result[1], [logits], rtol=1e-6)


def test_shared_head_with_bias() -> None:
    """Logits 3 2 - 4 1 + 0.5 and 3 5 + 4 4 + 0.5; the bias is added to the weights on the map too."""
    _check(_cam(), _weights(3.5, 4.5, 3.5, 4.5), [2.5, 31.5])


def test_separate_heads_without_bias() -> None:
    _check(_cam("separate", use_bias=False), _weights(3, 4, 6, 8), [2, 62])


def test_separate_heads_with_bias() -> None:
    _check(_cam("separate"), _weights(3.5, 4.5, 7, 9), [2.5, 63])


def test_spectral_divides_by_the_norm_and_leaves_the_bias() -> None:
    _check(_cam(spectral=True), _weights(1.1, 1.3, 1.1, 1.3), [0.9, 6.7])


def test_raw_map_scales_by_the_undivided_weight() -> None:
    """What the PyTorch port's discriminators do: only the logits see the division."""
    result = _cam("separate", use_bias=False, spectral=True, raw_map=True)
    _check(result, _weights(3, 4, 6, 8), [0.4, 6.2])


@pytest.mark.parametrize("heads", ["shared", "separate"])
def test_the_spectral_norm_is_that_of_svd(heads: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype("float32")
    layer = CAM(heads, spectral=True, use_bias=False)
    maps, logits = layer(ops.convert_to_tensor(x))
    normalized = [kernel / np.linalg.svd(kernel)[1][0] for kernel in map(ops.convert_to_numpy, layer.kernels)]
    first, second = normalized[0], normalized[-1]
    expected = np.concatenate([x.mean((1, 2)) @ first, x.max((1, 2)) @ second], -1)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(maps, np.concatenate([x * first[:, 0], x * second[:, 0]], -1), atol=1e-5)


def test_variables_by_setting() -> None:
    def names(**kwargs: Any) -> list[str]:
        layer = CAM(**kwargs)
        layer.build((None, None, None, 8))
        return [f"{v.name} {tuple(v.shape)}" for v in layer.trainable_variables]

    assert names() == ["kernel (8, 1)", "bias (1,)"]
    assert names(heads="separate", use_bias=False) == ["average_kernel (8, 1)", "maximum_kernel (8, 1)"]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_poolings_and_logits_are_float32_under_mixed_precision(policy: str) -> None:
    """The sum of 384 values of 300 overflows float16."""
    x = np.full((1, 16, 24, 2), 300.0, "float32")
    layer = CAM(spectral=True, dtype=policy)
    layer.build(x.shape)
    layer.kernels[0].assign(KERNEL)
    maps, logits = layer(ops.cast(x, layer.compute_dtype))
    assert keras.backend.standardize_dtype(maps.dtype) == layer.compute_dtype
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    np.testing.assert_allclose(logits, [[420.0, 420.0]], rtol=1e-5)  # 300 (0.6 + 0.8)
    symbolic = layer(keras.Input((16, 24, 2), dtype=layer.compute_dtype))
    assert [tensor.dtype for tensor in symbolic] == [layer.compute_dtype, "float32"]


def test_a_wrong_word_is_named() -> None:
    with pytest.raises(ValueError, match="attention: heads is 'shared' or 'separate', got 'both'"):
        CAM("both", name="attention")


def test_heatmap_sums_channels() -> None:
    np.testing.assert_array_equal(Heatmap()(ops.convert_to_tensor(X)), [[[[-3.0], [-2.0]], [[0.0], [9.0]]]])
    assert Heatmap()(keras.Input((None, None, 8))).shape == (None, None, None, 1)
