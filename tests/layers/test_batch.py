"""Batch normalization and dropout against numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from kgan.layers import BatchNormalization, Dropout

X = np.array([1.0, 3.0, 5.0, 7.0], np.float32).reshape(2, 2, 1, 1)  # mean 4, biased variance 5, unbiased 20 / 3


def test_training_normalizes_by_the_batch_and_remembers_the_unbiased_variance() -> None:
    layer = BatchNormalization(epsilon=4.0)
    out = ops.convert_to_numpy(layer(X, training=True)).ravel()
    np.testing.assert_allclose(out, np.array([-1.0, -1 / 3, 1 / 3, 1.0]), rtol=1e-6)  # (x - 4) / 3
    np.testing.assert_allclose(layer.moving_mean, [0.4], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [0.9 + 0.1 * 20 / 3], rtol=1e-6)


@pytest.mark.parametrize("at_test, expected", [("batch", -1.0), ("moving", 1 / np.sqrt(5))])
def test_at_test(at_test: str, expected: float) -> None:
    layer = BatchNormalization(at_test, epsilon=4.0)
    out = ops.convert_to_numpy(layer(X, training=False)).ravel()
    np.testing.assert_allclose(out[0], expected, rtol=1e-6)  # moving: mean 0, variance 1
    np.testing.assert_array_equal(layer.moving_mean, [0.0])


def test_half_precision_does_not_reach_the_statistics() -> None:
    layer = BatchNormalization("batch", dtype="mixed_float16")
    large = np.array([60000.0, 60100.0], np.float16).reshape(1, 2, 1, 1)  # their squares overflow float16
    out = ops.convert_to_numpy(layer(large, training=False)).astype(np.float32).ravel()
    np.testing.assert_allclose(out, [-1, 1], rtol=1e-3)


def test_gamma_and_beta() -> None:
    layer = BatchNormalization(epsilon=4.0)
    layer.build(X.shape)
    layer.gamma.assign([2.0])
    layer.beta.assign([0.5])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(X, training=True)).ravel()[0], -1.5, rtol=1e-6)


def test_dropout_by_hand() -> None:
    draws = np.array([0.1, 0.25, 0.3, 0.9], np.float32).reshape(X.shape)
    layer = Dropout(0.25)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(X, draws)).ravel(), [0, 4, 20 / 3, 28 / 3], rtol=1e-6)
    np.testing.assert_array_equal(layer(X), X)


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="at_test is 'moving' or 'batch', got 'test'"):
        BatchNormalization("test")
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\), got 1"):
        Dropout(1)
