"""Weights in 16 bits: what lies on the disk is halved, and what is computed hardly changes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from kgan.export import export
from kgan.export.half import WEIGHTS, halve
from kgan.filters import card, loading


def test_a_light_generator_keeps_its_pictures(light_file: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    (measurement,) = export(light_file, tmp_path, pictures, 32, recipes=(), saved_model=False, half_keras=True)
    half = tmp_path / "generator_ab_half.keras"
    assert (measurement.file, measurement.signature, measurement.runtime) == (half.name, "keras", "keras")
    assert measurement.psnr is not None and 60 < measurement.psnr < 110  # rounded, and visibly so to a computer
    assert measurement.floor == 60
    assert half.stat().st_size < 0.6 * light_file.stat().st_size
    about = card.read(half)
    assert about and about.name == "tiny" and about.export["verification"]["keras"]["psnr"] == measurement.psnr
    before, after = (loading.load(path)(pictures[0]).astype(int) for path in (light_file, half))
    assert np.abs(before - after).max() <= 1


def test_what_float16_cannot_hold_stays(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(2, name="large"), keras.layers.Dense(1, name="small")]
    )
    model.get_layer("large").kernel.assign([[1e6, 1 / 3]])
    model.get_layer("small").kernel.assign([[1 / 3], [0.5]])
    model.save(tmp_path / "a.keras")
    halve(tmp_path / "a.keras", tmp_path / "b.keras")
    loaded = keras.saving.load_model(tmp_path / "b.keras")
    large, small = (np.asarray(loaded.get_layer(name).kernel) for name in ("large", "small"))
    assert large.dtype == small.dtype == np.float32
    np.testing.assert_array_equal(large, np.float32([[1e6, 1 / 3]]))
    np.testing.assert_array_equal(small.ravel(), np.float16([1 / 3, 0.5]).astype(np.float32))
    with zipfile.ZipFile(tmp_path / "b.keras") as archive, h5py.File(archive.open(WEIGHTS)) as file:
        kinds: list[str] = []
        file.visititems(lambda name, item: kinds.append(str(item.dtype)) if isinstance(item, h5py.Dataset) else None)
    assert sorted(kinds) == ["float16"] * 3 + ["float32"]
