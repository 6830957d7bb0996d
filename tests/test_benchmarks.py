"""The benchmarks at sizes that say nothing, so that they still run and every figure is one."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks import __main__ as main
from benchmarks import alone, compression, data, export, metrics, straightforward, training
from kgan.errors import UserError
from kgan.export import recipes
from kgan.filters import card as cards
from kgan.filters.card import Card
from kgan.pictures import emoji
from kgan.pretrained import inception, weights
from kgan.students import build
from kgan.systems import cyclegan, distillation, ugatit

TINY = {
    "light": True,
    "image_size": 32,
    "filters": 2,
    "residual_blocks": 1,
    "discriminator_layers": 4,
    "spectral": False,
}
TINY_CYCLEGAN = {
    "image_size": 32,
    "filters": 2,
    "discriminator_filters": 2,
    "discriminator_layers": 2,
    "residual_blocks": 1,
}


def check(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    """Every column with a number form has a positive, finite number; every other has words."""
    for row in rows:
        for name, form in columns.items():
            if form:
                assert math.isfinite(row[name]) and row[name] > 0, (name, row)
            else:
                assert row[name] and isinstance(row[name], str), (name, row)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start of TensorFlow for all."""

    def run(module: str, engine: str = "tensorflow", **arguments: Any) -> Any:
        modules = {"data": data, "export": export, "metrics": metrics, "straightforward": straightforward}
        measure = modules[module].measure
        return json.loads(json.dumps(measure(**json.loads(json.dumps(arguments)))))

    monkeypatch.setattr(alone, "run", run)


def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else found(name))
    folder = data.make(tmp_path, side=40, count=4)
    cases = [("cyclegan_selfie2anime", training.JPEGS, "float32", 2)]
    measured, skipped = training.rows(folder, cases, changes=TINY_CYCLEGAN, seconds=0.1)
    check([measured], training.COLUMNS)
    assert (measured["engine"], measured["precision"], measured["batch"]) == ("tensorflow", "float32", 2)
    assert measured["images/s"] == pytest.approx(2 / (measured["ms a step"] / 1000))
    assert 0.1 < measured["base GiB"] <= measured["peak GiB"]  # both are the most so far
    assert measured["preparing batches"] < 1
    assert skipped == {"engine": "jax", "skipped": 'jax is not installed: pip install "kgan[jax]" brings it'}


@pytest.mark.usefixtures("in_this_process")
def test_input(tmp_path: Path) -> None:
    trained = [
        {"engine": "jax", "skipped": ""},
        *({"config": data.TRAINED, "batch": 1, "ms a step": ms} for ms in (500.0, 250.0)),
    ]
    rows = list(data.rows(tmp_path, trained, sizes=((40, 32), (64, 48)), seconds=0.05))
    check(rows[:2], data.COLUMNS)
    assert [(row["pictures"], row["resized to"], row["from"]) for row in rows] == [
        ("JPEG, 40 px", "32 px", "files"),
        ("JPEG, 40 px", "32 px", "memory"),
        ("JPEG, 64 px", "48 px", "files"),
        ("JPEG, 64 px", "48 px", "memory"),
    ]
    assert rows[0]["times training"] == pytest.approx(rows[0]["steps/s"] * 0.25)
    assert rows[0]["pictures/s"] == pytest.approx(rows[0]["steps/s"] * 2)  # two domains
    assert "times training" not in rows[2]  # nothing was trained at that size


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_straightforward(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else found(name))
    *measured, _ = straightforward.rows([("ugatit_light_selfie2anime_64", 2)], TINY, seconds=0.1)
    check(measured, straightforward.COLUMNS)
    assert [(row["step"], row["precision"]) for row in measured] == list(straightforward.STEPS)
    assert measured[0]["times"] == measured[0]["of straightforward"] == 1


@pytest.mark.parametrize(
    "settings",
    [
        ugatit.Settings(**TINY, separate_batches=False),
        cyclegan.Settings(**TINY_CYCLEGAN),
    ],
    ids=["ugatit", "cyclegan"],
)
def test_the_straightforward_step_learns_the_same(settings: Any) -> None:
    """CycleGAN's D is left out: a straightforward one sees what the generators draw after their update. U-GAT-IT's are
    not normalized: two calls are two power iterations where kgan makes one."""
    batch = {name: np.random.default_rng(ord(name)).uniform(-1, 1, (2, 32, 32, 3)).astype("f4") for name in "ab"}
    ours, plain = settings.create(10, 0), settings.create(10, 0)
    expected, found = ours.train_step((batch,)), straightforward.plain(plain)((batch,))
    assert expected.keys() == found.keys()
    for name in expected:
        if not (name.startswith("discriminator") and isinstance(settings, cyclegan.Settings)):
            assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-4), name
    # Adam's first moments are half of the gradients: its steps are hardly more than their signs. A bias before a norm
    # has none but rounding.
    state = plain.state()
    kernels = [path for path in state if "generator_optimizer" in path and path.endswith("kernel_momentum")]
    assert len(kernels) == sum(variable.path.endswith("kernel") for variable in ours.generator_variables())
    for path in kernels:
        moment = np.asarray(ours.state()[path].value)
        atol = 1e-3 * float(np.abs(moment).max())
        np.testing.assert_allclose(state[path].value, moment, rtol=0, atol=atol, err_msg=path)


@pytest.mark.usefixtures("in_this_process")
def test_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "RECIPES", {name: recipes.RECIPES[name] for name in ("float32", "static_convs")})
    rows = list(export.rows(TINY, seconds=0.1))
    check(rows, export.COLUMNS)
    assert [(row["file"], row["threads"]) for row in rows] == [
        (f"{recipe}.tflite", threads) for recipe in recipes.RECIPES for threads in (1, 2)
    ]
    assert [row["relative"] for row in rows[:2]] == [1, 1]


@pytest.mark.usefixtures("in_this_process")
def test_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another network than Inception, which is soon run."""
    network = keras.Sequential([keras.Input((*inception.SIZE, 3)), keras.layers.GlobalAveragePooling2D()])
    monkeypatch.setattr(weights, "find", lambda *_: tmp_path)
    monkeypatch.setattr(inception, "load", lambda: network)
    rows = list(metrics.rows(count=2, rounds=1))
    check(rows, metrics.COLUMNS)
    assert [row["features"] for row in rows] == ["resize clean", "resize legacy"]
    monkeypatch.undo()
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    (skipped,) = metrics.rows()
    assert "weights fid_inception_2015.npz are missing" in skipped["skipped"]


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"benchmarks\.nothing failed under tensorflow: [\s\S]*ModuleNotFoundError"):
        alone.run("nothing")


def test_bench_prints_tables_and_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"pictures": "JPEG, 40 px", "resized to": "32 px", "from": "files", "batch": 1, "pictures/s": 1234.5}
    monkeypatch.setattr(data, "rows", lambda folder, trained: iter([row | {"steps/s": 308.6}]))
    found = main.bench(["input"], tmp_path / "bench.json")
    assert json.loads((tmp_path / "bench.json").read_text()) == found
    assert found["input"] == [row | {"steps/s": 308.6}] and found["machine"]["cores"] > 0
    printed = capsys.readouterr().out.splitlines()
    at = printed.index("input")
    assert printed[at + 1 : at + 3] == [
        "pictures        resized to      from            batch  pictures/s  steps/s  times training",
        "JPEG, 40 px     32 px           files               1       1,234      309",
    ]


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no benchmark 'speed': --only takes some of training, straightforward, "):
        main.bench(["speed"], tmp_path / "bench.json")


# --- compression -------------------------------------------------------------------------------------------------


def a_student(norm: str = "batch") -> keras.Model:
    """Its weights, and the statistics of its norms, are drawn at random."""
    student = build(distillation.Settings(filters=4, residual_blocks=2, norm=norm))
    random = np.random.default_rng(0)
    least = {1: 0.2, 4: -1}  # variances are positive
    student.set_weights([random.uniform(least[w.ndim], 1, w.shape) / w.shape[-1] for w in student.get_weights()])
    return student


def test_the_same_function_builds_the_network_of_other_layers() -> None:
    """In tf_keras' place Keras 3, of which what the network is made of looks alike; the norms are folded."""
    student, picture = a_student(), np.random.default_rng(1).uniform(-1, 1, (1, 16, 24, 3)).astype(np.float32)
    weights = compression.folded(student)
    assert list(weights) == [
        *("stem_conv", "down_conv", "block1_1_conv", "block1_2_conv", "block2_1_conv", "block2_2_conv"),
        *("up_conv", "pixels_conv", "image_conv"),
    ]
    network = compression.twin(keras, weights, (16, 24))
    wanted = ops.convert_to_numpy(student(picture, training=False)["image"])
    assert np.ptp(wanted) > 0.05
    np.testing.assert_allclose(ops.convert_to_numpy(network(picture, training=False)), wanted, atol=1e-5)
    with pytest.raises(UserError, match=r"student is no student for phones with system\.norm=batch"):
        compression.folded(a_student("instance"))


def test_compression_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    with pytest.raises(UserError, match=r"tensorflow_model_optimization is missing: pip install 'kgan\[compress\]'"):
        compression.packages()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="tensorflow-model-optimization is not installed: pip install kgan[compress]",
)
def test_compression(tmp_path: Path) -> None:
    cards.write_both(tmp_path / "student.keras", Card(), lambda path: a_student().save(path))
    emoji.unpack(tmp_path / "pairs", "paired")
    folders = [f"--{name}={tmp_path}/pairs/{name}/A" for name in ("train", "test")]
    command = [sys.executable, "-m", "benchmarks.compression", f"--model={tmp_path}/student.keras", *folders]
    done = subprocess.run([*command, "--size=32", "--steps=2"], capture_output=True, text=True, check=True)
    rows = done.stdout.splitlines()[1:]
    assert [row[:32].strip() for row in rows] == [
        *("afterwards: float32", "afterwards: dynamic_wi8_afp32", "afterwards: static_convs"),
        *("afterwards: static_wi8_ai8", "trained: quantization-aware", "trained: pruned", "trained: clustered"),
    ]
    assert all(float(row.split()[-2]) > 10 for row in rows)
