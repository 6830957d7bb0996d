"""kgan benchmark: what a network costs, by hand, and the processes that time files in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kgan.errors import UserError
from kgan.export import latency, operations, recipes, tflite
from kgan.export.latency import Latency
from kgan.pictures import images


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """On 8 x 12 pixels: 3x3 3 to 4, depthwise 5x5, 3x3 stride 2 to 6, transposed 4x4 to 5 and doubled again."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 12, 3), name="image"),
            layers.Conv2D(4, 3, padding="same"),
            layers.DepthwiseConv2D(5, padding="same"),
            layers.Conv2D(6, 3, 2, padding="same"),
            layers.Conv2DTranspose(5, 4, 2, padding="same"),
            layers.Conv2D(3, 1),
        ]
    )


@pytest.fixture(scope="module")
def file(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "small.tflite"
    path.write_bytes(tflite.convert(model, (8, 12), recipes.get("float32")))
    return path


def test_size_by_hand(file: Path) -> None:
    kernels = [9 * 3 * 4, 25 * 4, 9 * 4 * 6, 16 * 6 * 5, 5 * 3]
    pixels = [96, 96, 24, 24, 96]  # of the output, but of the input of the transposed one
    assert operations.size(file.read_bytes()) == (
        sum(kernels),
        sum(k * p for k, p in zip(kernels, pixels, strict=True)),
    )


def test_size_is_the_same_in_8_bits(model: keras.Model, file: Path) -> None:
    small = tflite.convert(model, (8, 12), recipes.get("dynamic_wi8_afp32"))
    assert operations.size(small) == operations.size(file.read_bytes())


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="damaged: its layers cannot be listed"):
        operations.size(b"TFL3" * 20)
    with pytest.raises(UserError, match=r"There is no file .*none\.tflite"):
        latency.measure([tmp_path / "none.tflite"])


def test_files_run_in_turns(file: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.tflite").write_bytes(file.read_bytes())
    rows = latency.measure([file, tmp_path / "copy.tflite"], (1, 2), seconds=0)
    assert [(row.file, row.threads) for row in rows] == [
        (n, t) for n in ("small.tflite", "copy.tflite") for t in (1, 2)
    ]
    for row in rows:
        assert row.runs == latency.LEAST and 0 < row.low <= row.median <= row.high
        assert row.partitions == 1 and row.bytes == file.stat().st_size
    assert [row.relative for row in rows[:2]] == [1, 1]
    assert "small.tflite" in latency.table(rows)


def test_the_chart_draws_medians_to_scale() -> None:
    row = Latency("a", 1, 1, 1, 1, 1, 5, median=10.0, low=9.0, high=20.0, relative=1.0, memory=1.0)
    sheet = latency.chart([row, Latency("b", 1, 1, 1, 1, 1, 5, 5.0, 4.0, 6.0, 0.5, 1.0)])
    blue = (sheet == [0x4C, 0x78, 0xA8]).all(-1)
    first, second = blue[:20].any(0).sum(), blue[32:].any(0).sum()
    assert first == pytest.approx(2 * second, abs=2)


def test_the_command(file: Path, tmp_path: Path) -> None:
    def run(*flags: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "kgan", "benchmark", *flags]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    done = run(f"--models={file}", "--threads=1", "--seconds=0", f"--output={tmp_path / 'b.json'}")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "b.json").read_text())
    assert row["file"] == "small.tflite" and row["threads"] == 1 and images.read(tmp_path / "b.png").ndim == 3
    done = run(f"--models={file}", "--threads=0")
    assert done.returncode == 2 and "--threads holds numbers from 1 on" in done.stderr
