"""A generator of noise as files: verified, never random, and each input does what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from helpers.small_generator import LABELS, written

from kgan.export import export_generator, recipes, verify
from kgan.export import generators as exporting
from kgan.filters import card, generators
from kgan.filters.generators import Generator

RANDOM = {"RandomStandardNormal", "RandomUniform", "StatelessRandomNormalV2", "StatelessRandomUniformV2"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="module")
def generator(path: Path) -> Generator:
    return generators.load(path)


@pytest.fixture(scope="module")
def exported(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    measurements = export_generator(path, folder)
    assert [m.signature for m in measurements] == ["serving_default"] * 3 + ["generate", "generate_bytes", "mix"]
    assert all(m.psnr is not None and m.psnr >= m.floor and m.pictures == 8 for m in measurements)
    return folder


def test_what_lies_there(exported: Path) -> None:
    names = {f"generator_{recipe}.{kind}" for recipe in recipes.USUAL for kind in ("tflite", "json")}
    assert {file.name for file in exported.iterdir()} == {*names, "generator_saved_model", "verification.json"}
    about = card.read(exported / "generator_float16.tflite")
    assert about is not None and about.kind == "generator" and about.image_size == 16
    inputs = {each["name"]: each["shape"] for each in about.export["inputs"]}
    assert inputs == {"z": [1, 8], "psi": [1, 1]} and about.export["noise"] == "constant"
    report = json.loads((exported / "verification.json").read_text())
    assert report["noise"] == "constant" and len(report["measurements"]) == 6


def test_psi_and_z_are_inputs_and_the_noise_is_not(exported: Path, generator: Generator) -> None:
    run = Interpreter(str(exported / "generator_float32.tflite")).get_signature_runner()
    assert set(run.get_input_details()) == {"z", "psi"}
    z = generator.z([5])
    for psi in (1.0, 0.2):
        picture = run(z=z, psi=np.full((1, 1), psi, np.float32))["image"]
        np.testing.assert_allclose(picture, generator([5], psi), atol=1e-4)
        np.testing.assert_array_equal(picture, run(z=z, psi=np.full((1, 1), psi, np.float32))["image"])


def test_the_signatures_of_the_saved_model(exported: Path, generator: Generator) -> None:
    loaded = tf.saved_model.load(str(exported / "generator_saved_model"))
    assert set(loaded.signatures) == {"serving_default", "generate", "generate_bytes", "mix"}
    psi = tf.constant([[0.7], [1.0], [0.0]])
    pictures = loaded.signatures["generate"](z=tf.constant(generator.z([1, 2, 3])), psi=psi)["image"]
    assert pictures.shape == (3, 16, 16, 3)
    np.testing.assert_allclose(pictures[1], generator([2])[0], atol=1e-4)

    layers = np.array([[1, 1, 0, 0, 0, 0], [0] * 6, [1] * 6], np.float32)
    rows, columns = (generator.z(seeds) for seeds in ([1, 2, 3], [4, 5, 6]))
    mixed = loaded.signatures["mix"](
        z=tf.constant(rows), other=tf.constant(columns), psi=tf.ones((3, 1)), layers=tf.constant(layers)
    )["image"]
    ws, others = (generator.ws(generator.w(z)) for z in (rows, columns))
    expected = generator.draw(np.where(layers[:, :, None] > 0, others, ws))
    np.testing.assert_allclose(mixed, expected, atol=1e-4)
    for function in loaded.signatures.values():
        assert not RANDOM & {node.op for node in function.graph.as_graph_def().node}


def test_noise_and_labels_as_inputs(tmp_path: Path) -> None:
    path = written(tmp_path, LABELS)
    measurements = export_generator(path, tmp_path / "out", ["float32"], noise="input", half_keras=True)
    assert [m.signature for m in measurements] == ["serving_default", "generate", "generate_bytes", "mix", "keras"]
    assert generators.load(tmp_path / "out" / "generator_half.keras").card.labels == LABELS
    about = card.read(tmp_path / "out" / "generator_float32.tflite")
    assert about is not None and about.labels == LABELS
    assert {"name": "label", "shape": [1, 3], "dtype": "float32"} in about.export["inputs"]
    run = Interpreter(str(tmp_path / "out" / "generator_float32.tflite")).get_signature_runner()
    assert set(run.get_input_details()) == {"z", "psi", "label", *(f"noise{i}" for i in range(6))}

    generator = generators.load(path)
    noise = {name: np.ones((1, *shape), np.float32) for name, shape in generator.noise_shapes.items()}
    for hair in ("red", "blue"):
        label = LABELS.vector(f"hair={hair}")[None]
        picture = run(z=generator.z([1]), psi=np.ones((1, 1), np.float32), label=label, **noise)["image"]
        expected = generator.draw(generator.ws(generator.w(generator.z([1]), label)), noise)
        np.testing.assert_allclose(picture, expected, atol=1e-4)


def test_a_file_that_computes_something_else_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = exporting.subject(path, "constant")
    draw = exporting.draw
    monkeypatch.setattr(exporting, "draw", lambda model, inputs: draw(model, inputs) + 0.1)
    network, _ = generators.load_network(path)
    brighter = exporting.convertible(network, exporting.input_rows(network, "constant"))
    (tmp_path / "x.tflite").write_bytes(brighter.convert())
    (problem,) = verify.measure_tflite(tmp_path / "x.tflite", subject.inputs, subject.expected, 100.0).problems
    assert "its PSNR against Keras is 26.0 dB, under the floor of 100 dB" in problem
