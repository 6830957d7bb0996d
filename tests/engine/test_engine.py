"""One train_step, every way to run it: TensorFlow and JAX, one device and two, give the same losses and weights."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


FAST = ("pix2pix", "stylegan")  # statistics and dropout; second gradients and groups
SLOW = (
    *("cyclegan", "ugatit", "ugatit_wgan-gp", "ugatit_dragan", "cyclegan_wgan-gp", "cyclegan_augment", "onesided"),
    *("onesided_batch", "distillation", "distillation_instance", "pix2pix_colorize", "stargan", "stylegan_wgan-gp"),
    "stargan_features",
    "stylegan_features",
)
# Biases before a normalization have no gradient but rounding noise, which Adam turns into steps of any size.
HIDDEN = {
    "ugatit": r"stem_conv|down\d_conv|encoder",
    "cyclegan": r"generator.*(stem|down\d|block\d|up\d)_conv|discriminator.*/conv[2-9]",
    "onesided": r"(?!)",  # no convolution before a normalization has a bias
    "distillation": r"(?!)",
    "pix2pix": r"discriminator/conv[2-9]",
    "stargan": r"(?!)",  # its normalized convolutions have none
    "stylegan": r"(?!)",  # a ReLU stands between
}


def three_steps(folder: Path, backend: str, devices: int, case: str) -> Result:
    """Losses of each step, and the state before and after. Fast cases share a process, where there is no strategy: a
    second MirroredStrategy in a process confuses TensorFlow's collective operations."""
    output = folder / f"{backend}-{devices}" / f"{case}.npz"
    if not output.exists():
        output.parent.mkdir(exist_ok=True)
        cases = (case,) if case not in FAST or (backend, devices) == ("tensorflow", 2) else FAST
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(devices), str(output.parent), *cases],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    with np.load(output) as archive:
        arrays = {name: archive[name] for name in archive.files}
    losses = json.loads(str(arrays.pop("losses")))
    before = {name.removeprefix("before "): value for name, value in arrays.items() if name.startswith("before ")}
    return losses, before, {name: value for name, value in arrays.items() if not name.startswith("before ")}


def assert_equal(folder: Path, case: str, one: tuple[str, int], other: tuple[str, int], as_: str = "") -> None:
    result, expected = three_steps(folder, *one, case), three_steps(folder, *other, as_ or case)
    hidden = re.compile(HIDDEN[case.split("_")[0]])
    # TensorFlow keeps LeakyReLU's slope as a float32, 1.5e-8 away from the 0.2 of JAX: hence not 1e-12.
    for step, (row, wanted) in enumerate(zip(result[0], expected[0], strict=True)):
        assert row == pytest.approx(wanted, rel=1e-6), f"step {step}"
    assert result[2].keys() == expected[2].keys()
    moved = compared = 0
    for path, value in expected[2].items():
        np.testing.assert_array_equal(result[1][path], expected[1][path], err_msg=path)
        if "optimizer" in path or path.endswith("noise/fixed") or (path.endswith("bias") and hidden.search(path)):
            continue
        update = np.abs(value - expected[1][path]).max()
        compared += 1
        moved += update > 0
        np.testing.assert_allclose(result[2][path], value, rtol=0, atol=1e-4 * update + 1e-12, err_msg=path)
    assert moved > 0.9 * compared > 20  # the comparison means nothing where nothing was learned


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.mark.parametrize("case", ["pix2pix", pytest.param("stylegan", marks=pytest.mark.slow)])
def test_two_replicas_equal_one_device(folder: Path, case: str) -> None:
    """Quickly of pix2pix alone. StyleGAN's groups are shared alike on two devices of JAX, below."""
    assert_equal(folder, case, ("tensorflow", 2), ("tensorflow", 1))


@NEEDS_JAX
@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("case", FAST)
def test_jax_equals_tensorflow(folder: Path, case: str, devices: int) -> None:
    """On one device test_run.py compares a step of both engines too."""
    assert_equal(folder, case, ("jax", devices), ("tensorflow", 1))


@pytest.mark.slow
@NEEDS_JAX
@pytest.mark.parametrize("case", SLOW)
@pytest.mark.parametrize("backend, devices", [("tensorflow", 2), ("jax", 1), ("jax", 2)])
def test_second_gradients_and_draws_agree_too(folder: Path, backend: str, devices: int, case: str) -> None:
    assert_equal(folder, case, (backend, devices), ("tensorflow", 1))


@pytest.mark.slow
@NEEDS_JAX
@pytest.mark.parametrize("devices", [1, 2])
def test_three_steps_in_one_call_are_the_same_under_jax(folder: Path, devices: int) -> None:
    assert_equal(folder, "cyclegan_at-once", ("jax", devices), ("tensorflow", 1), as_="cyclegan")


def test_several_steps_in_one_call_and_what_a_step_reads_of_the_device() -> None:
    """Under TensorFlow bit for bit; both steps add the 10 that is held, the second twice as much of its batch."""

    class Counting:
        def __init__(self) -> None:
            self.total = keras.Variable(1.0)

        def state(self) -> dict[str, keras.Variable]:
            return {"total": self.total}

    def compiled(system: Any) -> engine.Compiled:
        def step(batches: Any, held: Any) -> dict[str, Any]:
            system.total.assign(2 * system.total + ops.sum(batches[0]["x"]) + held["ten"][0])
            return {"total": system.total + 0}

        return engine.Compiled(system, step, 1, {"ten": np.full(3, 10.0, np.float32)})

    batches = [({"x": np.full((2, 1), value, np.float32)},) for value in (1.0, 3.0)]
    system = Counting()
    step = compiled(system)
    assert engine.to_host(step(*batches))["total"].tolist() == [2 + 2 + 10, 28 + 6 + 10]
    assert float(engine.to_host(step(batches[0]))["total"]) == 88 + 2 + 10
    assert float(system.total) == 100


def test_draws_depend_on_seed_step_and_name_alone() -> None:
    def draw(seed: int, step: int, name: str) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(engine.uniform(seed, step, name, (2, 3))))

    first = draw(1, 2, "noise3")
    assert first.shape == (2, 3) and (first >= 0).all() and (first < 1).all()
    np.testing.assert_array_equal(first, draw(1, 2, "noise3"))
    for other in (draw(0, 2, "noise3"), draw(1, 3, "noise3"), draw(1, 2, "noise4"), draw(2**40, 2, "noise3")):
        assert np.abs(first - other).max() > 1e-3


def test_draws_have_the_mean_and_the_spread_that_they_should() -> None:
    """4 standard deviations of 40,000 draws."""
    uniform, normal = (ops.convert_to_numpy(draw(3, 5, "z", (200, 200))) for draw in (engine.uniform, engine.normal))
    assert abs(uniform.mean() - 0.5) < 4 * 12**-0.5 / 200 and uniform.max() < 1 <= 1.001 * uniform.max()
    assert abs(normal.mean()) < 4 / 200 and abs(normal.std() - 1) < 4 / 200 / 2**0.5


def test_injected_draws_replace_those_of_that_name_only() -> None:
    with engine.injected({"z": np.full((2, 2), 0.25)}):
        np.testing.assert_array_equal(ops.convert_to_numpy(engine.uniform(0, 0, "z", (2, 2))), 0.25)
        assert not np.allclose(ops.convert_to_numpy(engine.uniform(0, 0, "other_z", (2, 2))), 0.25)
    assert not np.allclose(ops.convert_to_numpy(engine.uniform(0, 0, "z", (2, 2))), 0.25)


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


def test_a_fake_is_made_once_and_learned_from_later() -> None:
    """fake = w x; G's loss fake^2 + 3 fake has the slope 2 fake + 3, and so w gets (2 w x + 3) x = 115."""
    w, x = keras.Variable(2.0), 5.0
    fake = engine.forward(lambda: {"image": w * x}, [w])
    assert float(fake.value["image"]) == 10.0 and fake.variables == [w]
    assert [float(each) for each in fake.pull_back({"image": ops.ones(())})] == [x]
    losses = {"square": lambda fake: fake["image"] ** 2, "line": lambda fake: 3 * fake["image"]}

    def learned(losses: dict[str, Any]) -> tuple[dict[str, float], list[float]]:
        terms, slopes = engine.gradients_through(
            lambda fake: {name: loss(fake) for name, loss in losses.items()},
            engine.forward(lambda: {"image": w * x}, [w]),
            keras.optimizers.SGD(),
        )
        return {name: float(value) for name, value in terms.items()}, [float(each) for each in slopes]

    assert learned(losses) == ({"square": 100.0, "line": 30.0}, [115.0])
    # What no loss reads has the slope 0.
    fake = engine.forward(lambda: {"image": w * x, "unread": 100 * w}, [w])
    _, slopes = engine.gradients_through(lambda fake: {"square": fake["image"] ** 2}, fake, keras.optimizers.SGD())
    assert [float(each) for each in slopes] == [100.0]
    # Where w makes the way back too: (w fake)^2 = w^4 x^2.
    assert learned({"back": lambda fake: (w * fake["image"]) ** 2}) == ({"back": 400.0}, [800.0])


def test_one_device_has_the_whole_batch() -> None:
    x = ops.ones((4, 2))
    assert engine.gather(x) is x and engine.own_share(x) is x


def test_input_gradients_are_of_the_sum() -> None:
    x = ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(ops.convert_to_numpy(engine.input_gradients(lambda x: x**3, x)), [[3, 12], [27, 48]])


def test_more_devices_than_there_are() -> None:
    with pytest.raises(UserError, match=r"64 devices were asked for and .* sees \d+"), engine.scope(64):
        pass


def test_both_backends_have_the_same_names_with_the_same_arguments() -> None:
    def public(backend: str) -> dict[str, str]:
        path = Path(engine.__file__).with_name(f"{backend}.py")
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        functions = {node.name: ast.unparse(node.args) for node in nodes if isinstance(node, ast.FunctionDef)}
        (step,) = (node for node in nodes if isinstance(node, ast.ClassDef))
        methods = {node.name: ast.unparse(node.args) for node in step.body if isinstance(node, ast.FunctionDef)}
        return {name: arguments for name, arguments in functions.items() if not name.startswith("_")} | {
            f"Step.{name}": methods[name] for name in ("__init__", "__call__", "cost")
        }

    assert public("tensorflow") == public("jax")


@pytest.mark.parametrize("backend, other", [("tensorflow", "jax"), pytest.param("jax", "tensorflow", marks=NEEDS_JAX)])
def test_one_backend_never_imports_the_other(backend: str, other: str) -> None:
    code = (
        f"import sys; sys.modules[{other!r}] = None\n"
        "from kgan import engine\n"
        "draws = [engine.uniform(seed, 3, name, (500,)) for seed in (0, 2**40) for name in ('z', 'other_z')]\n"
        "print(*(x.mean() for x in engine.to_host(draws)))"
    )
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    means = [float(word) for word in done.stdout.split()]
    assert len(set(means)) == 4 and means == pytest.approx([0.5] * 4, abs=4 * 12**-0.5 / 500**0.5)
