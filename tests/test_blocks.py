"""The shared blocks: starting values, convolutions against numpy's padding, the residual sum."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan.blocks import Initial, conv, dense, residual_block
from kgan.layers import InstanceNormalization, SpectralNormalization


def _names(model: keras.Model) -> list[str]:
    return [f"{variable.path} {tuple(variable.shape)}" for variable in model.variables]


def _values(initializer: Any, shape: tuple[int, ...]) -> np.ndarray:
    return ops.convert_to_numpy(initializer(shape))


# --- starting values ---------------------------------------------------------------------------------------------


def test_normal_starts_with_a_deviation_of_two_hundredths_and_no_bias() -> None:
    initial = Initial(0)
    kernel = _values(initial.kernel(), (4, 4, 64, 64))
    assert kernel.mean() == pytest.approx(0, abs=5e-4) and kernel.std() == pytest.approx(0.02, rel=0.02)
    assert np.abs(kernel).max() > 0.06  # not truncated at two deviations
    assert not _values(initial.bias(9), (64,)).any()


def test_pytorch_starts_uniform_within_the_root_of_fan_in() -> None:
    initial = Initial(0, "pytorch")
    bound = 1 / np.sqrt(4 * 4 * 64)
    for values in (_values(initial.kernel(), (4, 4, 64, 64)), _values(initial.bias(4 * 4 * 64), (4096,))):
        assert 0.99 * bound < np.abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.03)
        assert values.mean() == pytest.approx(0, abs=0.05 * bound)


@pytest.mark.parametrize("scheme", ["normal", "pytorch"])
def test_values_follow_from_the_seed_and_differ_by_request(scheme: str) -> None:
    first, again, other = Initial(3, scheme), Initial(3, scheme), Initial(4, scheme)
    values = [[_values(initial.kernel(), (3, 5)) for _ in range(3)] for initial in (first, again, other)]
    np.testing.assert_array_equal(values[0], values[1])
    different = [*values[0], *values[2]]
    assert len({array.tobytes() for array in different}) == len(different)


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="The initializer is 'normal' or 'pytorch', got 'he'"):
        Initial(0, "he")


# --- convolutions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "strides", "reflect", "sides"),
    [
        (7, 1, 3, (8, 10)),  # keeps the size
        (3, 2, 1, (4, 5)),  # halves it
        (4, 2, 1, (4, 5)),
        (4, 1, ((1, 2), (1, 2)), (8, 10)),  # keeps it, 1 before and 2 after
        (4, 1, 1, (7, 9)),  # one pixel less
        (1, 1, 0, (8, 10)),
    ],
)
def test_a_convolution_pads_by_reflection_and_then_takes_whole_windows(
    kernel: int, strides: int, reflect: Any, sides: tuple[int, int]
) -> None:
    inputs = keras.Input((8, 10, 2))
    outputs = conv(inputs, 3, kernel, name="c", initial=Initial(0), strides=strides, reflect=reflect)
    model = keras.Model(inputs, outputs)
    assert model.output_shape == (None, *sides, 3)
    x = np.random.default_rng(0).normal(size=(1, 8, 10, 2)).astype("float32")
    model.get_layer("c").bias.assign([1.0, 2.0, 3.0])
    pads = ((reflect, reflect), (reflect, reflect)) if isinstance(reflect, int) else reflect
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))[:, ::strides, ::strides]
    weights = ops.convert_to_numpy(model.get_layer("c").kernel)
    expected = np.einsum("bhwcij,ijco->bhwo", windows, weights) + np.array([1, 2, 3])
    np.testing.assert_allclose(model(x), expected, atol=1e-5)


def test_names_are_keys() -> None:
    inputs = keras.Input((8, 8, 2))
    plain = conv(inputs, 3, 3, name="plain", initial=Initial(0), reflect=1, use_bias=False)
    outputs = conv(plain, 4, 4, name="spectral", initial=Initial(0), spectral=True)
    model = keras.Model(inputs, outputs)
    assert [layer.name for layer in model.layers][1:] == ["plain_pad", "plain", "spectral_sn"]
    assert isinstance(model.get_layer("spectral_sn"), SpectralNormalization)
    assert _names(model) == [
        "plain/kernel (3, 3, 2, 3)",
        "spectral_sn/u (1, 4)",
        "spectral_sn/v (1, 48)",
        "spectral_sn/spectral/kernel (4, 4, 3, 4)",
        "spectral_sn/spectral/bias (4,)",
    ]


def test_the_vector_of_spectral_normalization_follows_from_the_seed_too() -> None:
    def u(seed: int) -> np.ndarray:
        inputs = keras.Input((8, 8, 2))
        outputs = conv(inputs, 16, 3, name="c", initial=Initial(seed), spectral=True)
        return ops.convert_to_numpy(keras.Model(inputs, outputs).get_layer("c_sn").u)

    np.testing.assert_array_equal(u(1), u(1))
    assert np.abs(u(1) - u(2)).max() > 1e-3


def test_dense() -> None:
    inputs = keras.Input((3,))
    outputs = dense(dense(inputs, 4, name="a", initial=Initial(0)), 2, name="b", initial=Initial(0), use_bias=False)
    assert _names(keras.Model(inputs, outputs)) == ["a/kernel (3, 4)", "a/bias (4,)", "b/kernel (4, 2)"]


def test_a_residual_block_adds_its_input() -> None:
    """With zero kernels the norms return their betas, so that the block returns x + beta of the second."""
    inputs = keras.Input((4, 6, 3))
    norm = lambda x, name: InstanceNormalization(name=name)(x)  # noqa: E731
    model = keras.Model(inputs, residual_block(inputs, name="r", norm=norm, initial=Initial(0)))
    assert [layer.name for layer in model.layers][1:] == [
        "r_conv1_pad",
        "r_conv1",
        "r_norm1",
        "r_relu",
        "r_conv2_pad",
        "r_conv2",
        "r_norm2",
        "r_add",
    ]
    model.get_layer("r_conv2").kernel.assign(np.zeros((3, 3, 3, 3)))
    model.get_layer("r_norm2").beta.assign([1.0, 2.0, 3.0])
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    np.testing.assert_allclose(model(x), x + np.array([1, 2, 3]), atol=1e-6)
