"""One train_step, every way to run it: TensorFlow and JAX, one device and two, give the same losses and weights."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.errors import UserError

SCRIPT = Path(__file__).with_name("three_steps.py")
HAS_JAX = importlib.util.find_spec("jax") is not None
NEEDS_JAX = pytest.mark.skipif(not HAS_JAX, reason="JAX is not installed: pip install kgan[jax]")

Result = tuple[list[dict[str, float]], dict[str, np.ndarray], dict[str, np.ndarray]]


def three_steps(folder: Path, backend: str, devices: int, objective: str) -> Result:
    """Losses of each step, and the state before and after."""
    output = folder / f"{backend}-{devices}-{objective}.npz"
    if not output.exists():
        command = [sys.executable, str(SCRIPT), str(devices), objective, str(output)]
        done = subprocess.run(
            command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    with np.load(output) as archive:
        arrays = {name: archive[name] for name in archive.files}
    losses = json.loads(str(arrays.pop("losses")))
    before = {name.removeprefix("before "): value for name, value in arrays.items() if name.startswith("before ")}
    return losses, before, {name: value for name, value in arrays.items() if not name.startswith("before ")}


def hidden_by_a_norm(path: str) -> bool:
    """A bias before a normalization has no gradient but rounding noise, which Adam turns into steps of any size."""
    places = ("stem_conv", "down1_conv", "down2_conv", "encoder")
    return path.endswith("bias") and any(place in path for place in places)


def assert_equal(found: Result, expected: Result) -> None:
    # TensorFlow keeps LeakyReLU's slope as a float32, 1.5e-8 away from the 0.2 of JAX: hence not 1e-12.
    for step, (row, other) in enumerate(zip(found[0], expected[0], strict=True)):
        assert row == pytest.approx(other, rel=1e-6), f"step {step}"
    assert found[2].keys() == expected[2].keys()
    moved = 0
    for path, value in expected[2].items():
        np.testing.assert_array_equal(found[1][path], expected[1][path], err_msg=path)
        if hidden_by_a_norm(path) or "optimizer" in path:
            continue
        update = np.abs(value - expected[1][path]).max()
        moved += update > 0
        np.testing.assert_allclose(found[2][path], value, rtol=0, atol=1e-4 * update + 1e-12, err_msg=path)
    assert moved > 150  # the comparison means nothing where nothing was learned


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def test_two_replicas_equal_one_device(folder: Path) -> None:
    assert_equal(three_steps(folder, "tensorflow", 2, "lsgan"), three_steps(folder, "tensorflow", 1, "lsgan"))


@NEEDS_JAX
@pytest.mark.parametrize("devices", [1, 2])
def test_jax_equals_tensorflow(folder: Path, devices: int) -> None:
    assert_equal(three_steps(folder, "jax", devices, "lsgan"), three_steps(folder, "tensorflow", 1, "lsgan"))


@pytest.mark.slow
@NEEDS_JAX
@pytest.mark.parametrize("objective", ["wgan-gp", "dragan"])
@pytest.mark.parametrize("backend, devices", [("tensorflow", 2), ("jax", 1), ("jax", 2)])
def test_second_gradients_and_draws_agree_too(folder: Path, backend: str, devices: int, objective: str) -> None:
    assert_equal(three_steps(folder, backend, devices, objective), three_steps(folder, "tensorflow", 1, objective))


def test_draws_depend_on_seed_step_and_number_alone() -> None:
    def draw(seed: int, step: int, n: int) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(engine.uniform(seed, step, n, (2, 3))))

    first = draw(1, 2, 3)
    assert first.shape == (2, 3) and (first >= 0).all() and (first < 1).all()
    np.testing.assert_array_equal(first, draw(1, 2, 3))
    for other in (draw(0, 2, 3), draw(1, 3, 3), draw(1, 2, 4)):
        assert np.abs(first - other).max() > 1e-3


def test_injected_draws_replace_those_of_that_number_only() -> None:
    with engine.injected({1: np.full((2, 2), 0.25)}):
        np.testing.assert_array_equal(ops.convert_to_numpy(engine.uniform(0, 0, 1, (2, 2))), 0.25)
        assert not np.allclose(ops.convert_to_numpy(engine.uniform(0, 0, 2, (2, 2))), 0.25)
    assert not np.allclose(ops.convert_to_numpy(engine.uniform(0, 0, 1, (2, 2))), 0.25)


def test_gradients_return_terms_tensors_and_the_slope_of_the_sum() -> None:
    variable = keras.Variable([3.0, -2.0])
    terms, kept, slopes = engine.gradients(
        lambda: ({"square": ops.sum(variable**2), "line": 5 * variable[0]}, 7 * variable),
        [variable],
        keras.optimizers.SGD(),
    )
    assert {name: float(value) for name, value in terms.items()} == {"square": 13.0, "line": 15.0}
    np.testing.assert_allclose(ops.convert_to_numpy(slopes[0]), [11.0, -4.0])
    np.testing.assert_allclose(ops.convert_to_numpy(kept), [21.0, -14.0])


def test_input_gradients_are_of_the_sum() -> None:
    x = ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(ops.convert_to_numpy(engine.input_gradients(lambda x: x**3, x)), [[3, 12], [27, 48]])


def test_more_devices_than_there_are() -> None:
    with pytest.raises(UserError, match=r"64 devices were asked for and .* sees \d+"), engine.scope(64):
        pass
