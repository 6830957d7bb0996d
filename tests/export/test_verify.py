"""kgan.export.verify: numbers by hand, and every kind of bad file caught."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.filters import as_inputs, drawn_by_keras

from kgan.errors import UserError
from kgan.export import recipes, tflite, verify
from kgan.export.runtimes import litert
from kgan.export.verify import Measurement, VerificationError
from kgan.quiet import quiet


def net(*layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), *layers])


def measure(data: bytes, folder: Path, reference: keras.Model | None = None, floor: float = 100) -> Measurement:
    """The file `data` against `reference` on one picture of 8x8 that is no flat colour."""
    path = folder / "filter.tflite"
    path.write_bytes(data)
    picture = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    inputs = as_inputs([picture])
    expected = drawn_by_keras(reference, inputs) if reference else [np.zeros((8, 8, 3), np.float32)]
    return verify.measure_tflite(path, inputs, expected, floor)


def with_flex(model: keras.Model) -> bytes:
    """Converted as carelessly as model.export(format="litert") does."""
    function = tf.function(model).get_concrete_function(tf.TensorSpec((1, 8, 8, 3)))
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        return bytes(converter.convert())


def test_compare_by_hand() -> None:
    ones = np.ones((2, 2, 3), np.float32)
    maximum, mean, psnr = verify.compare([ones, ones], [ones, ones - 0.2])
    assert maximum == pytest.approx(0.2)
    assert mean == pytest.approx(0.1)
    assert psnr == pytest.approx(10 * np.log10(4 / 0.02))  # half of all values are off by 0.2: 23 dB
    assert verify.compare([ones], [ones]) == (0, 0, 200)
    assert np.isnan(verify.compare([ones], [ones * np.nan])).all()


def test_digest_of_a_file_and_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"12")
    (tmp_path / "a").write_bytes(b"345")
    one, two = (hashlib.sha256(data).hexdigest() for data in (b"345", b"12"))
    assert verify.digest(tmp_path / "a") == (3, one)
    assert verify.digest(tmp_path) == (5, hashlib.sha256(f"{one}  a\n{two}  b/c\n".encode()).hexdigest())


def test_flex_operation_is_named_and_the_file_not_run(tmp_path: Path) -> None:
    class Hue(keras.layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return tf.image.adjust_hue(inputs, 0.1)

    measurement = measure(with_flex(net(Hue())), tmp_path)
    assert "FlexAdjustHue" in measurement.operations
    assert measurement.psnr is None
    assert "FlexAdjustHue" in measurement.problems[0]


def test_mirror_padding_is_refused_with_its_cure(tmp_path: Path) -> None:
    class Mirror(keras.layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return tf.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)), "REFLECT")[:, 1:-1, 1:-1]

    data = tflite.convert(net(Mirror()), (8, 8), recipes.get("float32"))
    (problem,) = measure(data, tmp_path).problems
    assert "MIRROR_PAD" in problem
    assert "ReflectionPadding2D" in problem


def test_five_dimensions_are_refused(tmp_path: Path) -> None:
    layers = keras.layers
    model = net(layers.Reshape((2, 4, 8, 3)), layers.Permute((2, 1, 3, 4)), layers.Reshape((8, 8, 3)))
    measurement = measure(tflite.convert(model, (8, 8), recipes.get("float32")), tmp_path)
    assert measurement.rank == 5
    assert measurement.problems == ("it holds a tensor of 5 dimensions, and GPUs take 4",)


@pytest.mark.parametrize("damage", [0.01, np.nan])
def test_wrong_weights_are_caught(damage: float, tmp_path: Path) -> None:
    model = net(keras.layers.Conv2D(3, 3, padding="same", activation="tanh"))
    good = tflite.convert(model, (8, 8), recipes.get("float32"))
    assert measure(good, tmp_path, model).problems == ()
    kernel = model.variables[0].numpy().transpose(3, 0, 1, 2).copy()
    assert kernel.tobytes() in good
    broken = kernel.copy()
    broken[0, 1, 1, 0] += damage
    (problem,) = measure(good.replace(kernel.tobytes(), broken.tobytes()), tmp_path, model).problems
    assert ("no numbers" if np.isnan(damage) else "under the floor of 100 dB") in problem


def test_the_runtime_draws_and_is_named(tmp_path: Path) -> None:
    model = net(keras.layers.Conv2D(3, 3, padding="same"))
    path = tmp_path / "filter.tflite"
    path.write_bytes(tflite.convert(model, (8, 8), recipes.get("float32")))
    inputs = as_inputs([np.arange(192, dtype=np.uint8).reshape(8, 8, 3)])
    expected = drawn_by_keras(model, inputs)
    brighter = ModuleType("kgan.export.runtimes.brighter")
    brighter.run = lambda file, inputs: [picture + 0.02 for picture in litert.run(file, inputs)]  # type: ignore[attr-defined]
    measurement = verify.measure_tflite(path, inputs, expected, 40, brighter)
    assert measurement.runtime == "brighter"
    assert measurement.psnr == pytest.approx(10 * np.log10(4 / 0.02**2), abs=1e-3)  # 40 dB
    assert verify.measure_tflite(path, inputs, expected, 100).runtime == "litert"


def test_damaged_file_is_a_users_error(tmp_path: Path) -> None:
    good = tflite.convert(net(keras.layers.Conv2D(3, 3, padding="same")), (8, 8), recipes.get("float32"))
    for data in (b"", b"not a filter at all", good[: len(good) // 2]):
        with pytest.raises(UserError, match=r"damaged|cannot be loaded"):
            measure(data, tmp_path)


def test_table_and_error_name_what_is_refused() -> None:
    fine = Measurement("a.tflite", "serving_default", 1_500_000, "", 8, 100, 1e-6, 1e-7, 120.04)
    bad = Measurement("b.tflite", "serving_default", 400_000, "", 8, 40, 0.5, 0.25, 9.03, problems=("it is bad",))
    unrun = Measurement("c.tflite", "serving_default", 400_000, "", 8, 40, problems=("it holds FlexErf",))
    assert verify.table([fine, bad, unrun]).splitlines() == [
        "file      signature          MB  PSNR dB  floor  max diff  mean diff         ",
        "a.tflite  serving_default  1.50    120.0    100   1.0e-06    1.0e-07       ok",
        "b.tflite  serving_default  0.40      9.0     40   5.0e-01    2.5e-01  REFUSED",
        "c.tflite  serving_default  0.40        -     40         -          -  REFUSED",
    ]
    text = str(VerificationError([fine, bad, unrun]))
    assert "a.tflite" not in text
    assert "b.tflite (serving_default): it is bad. c.tflite (serving_default): it holds FlexErf." in text
