"""Lanes: what holds, what is skipped, what fails, and the runtimes that this machine has."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.export import export, lanes, operations
from kgan.export.runtimes import VARIABLE, Absent, Inputs, arm64, gpu, install, litert, openvino, processes
from kgan.filters import included
from kgan.filters.loading import load_keras
from kgan.pictures import images, samples

FILTER = included.find_tflite("stargan_animefaces_utkface")  # takes a label, and has its .keras beside it
PICTURES = samples.of_emoji(2)


class Runtime:
    """Draws what LiteRT draws, and adds something, or raises it."""

    __name__ = "kgan.export.runtimes.pretended"

    def __init__(self, what: float | Exception) -> None:
        self.what = what

    def run(self, file: Path, inputs: Sequence[Inputs]) -> list[np.ndarray]:
        if isinstance(self.what, Exception):
            raise self.what
        return [picture + np.float32(self.what) for picture in litert.run(file, inputs)]


def measured(monkeypatch: pytest.MonkeyPatch, **runtimes: float | Exception) -> lanes.Report:
    """The report of `FILTER` in the lanes litert and these."""
    pretended = {name: Runtime(what) for name, what in runtimes.items()}
    monkeypatch.setattr(lanes, "LANES", {"litert": litert, **pretended})
    return lanes.measure(FILTER, PICTURES, list(runtimes))


def test_lanes_hold_by_the_floor_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    report = measured(monkeypatch, same=0.0, near=0.01, far=0.03, none=Absent("it is not here"), odd=np.nan)
    by_keras, same, near, far, none, odd = report.lanes
    assert (by_keras.lane, by_keras.against, by_keras.problem) == ("litert", "keras", "") and by_keras.psnr
    assert 40 < by_keras.psnr < 60 and by_keras.floor == near.floor == 40
    assert (same.psnr, same.max_difference) == (200.0, 0.0)
    assert near.psnr == pytest.approx(46.02, abs=0.01) and not near.problem  # 20 lg(2 / 0.01)
    assert far.psnr == pytest.approx(36.48, abs=0.01) and "36.5 dB, under the floor of 40" in far.problem
    assert (none.psnr, none.skipped, none.problem) == (None, "it is not here", "")
    assert "no numbers" in odd.problem
    assert len(report.problems) == 2
    assert (report.bytes, report.recipe) == (FILTER.stat().st_size, "dynamic_wi8_afp32")
    assert report.partitions == 3 and report.operations["CONV_2D"] == 12 and not report.obstacles
    text = lanes.table([report])
    assert "none: it is not here." in text and text.count("FAILS") == 2 and "equal" in text
    chart = lanes.chart([report])
    assert chart.shape[0] == 16 + 6 * 24 and (chart == [0xE4, 0x57, 0x56]).all(-1).any()  # the one below is red
    assert lanes.chart([dataclasses.replace(report, lanes=(none,))]).shape[0] == 16 + 24


def test_what_a_runtime_cannot_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    report = measured(monkeypatch, gpu=UserError("ERROR: 3D_POOL is not supported."))
    assert report.problems == [
        f"{FILTER.name} in the lane gpu: it cannot be run there: ERROR: 3D_POOL is not supported"
    ]


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no lane 'npu': choose from litert, arm64, gpu, browser, openvino"):
        lanes.measure(FILTER, PICTURES, ["npu"])
    with pytest.raises(UserError, match="is no file"):
        lanes.measure(tmp_path / "none.tflite", PICTURES)
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(FILTER.read_bytes())
    with pytest.raises(UserError, match=r"takes labels.*keep .*bare\.json beside it"):
        lanes.measure(bare, PICTURES)
    with pytest.raises(UserError, match="has no signature from 'image'"):
        lanes.measure(Path(included.__file__).parents[1] / "assets" / "blazeface_short_range.tflite", PICTURES)


def test_the_command_fails_where_a_lane_does(tmp_path: Path) -> None:
    """A .keras of other weights beside the file: what it draws is far from what the file draws."""
    (tmp_path / FILTER.name).write_bytes(FILTER.read_bytes())
    (tmp_path / FILTER.name).with_suffix(".json").write_bytes(FILTER.with_suffix(".json").read_bytes())
    network = load_keras(included.find("stargan_animefaces_utkface"))
    for variable in network.trainable_variables:
        variable.assign(variable * 0.5)
    network.save(tmp_path / "stargan_animefaces_utkface.keras")
    report, plot = tmp_path / "out" / "report.json", tmp_path / "out" / "report.png"
    line = ["verify", f"--models={tmp_path / FILTER.name}", "--lanes=litert", "--pictures=1"]
    done = subprocess.run(
        [sys.executable, "-m", "kgan", *line, f"--json={report}", f"--plot={plot}"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "Not every file holds" in done.stderr and "under the floor of 40" in done.stderr
    (figures,) = json.loads(report.read_text())
    assert figures["lanes"][0]["problem"] and figures["pictures"] == 1 and images.read(plot).ndim == 3
    done = subprocess.run([sys.executable, "-m", "kgan", "verify", "--json=report.txt"], capture_output=True, text=True)
    assert done.returncode == 2 and "--json names a .json file, got report.txt" in done.stderr


def test_runtimes_that_are_not_there_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(gpu, "CHROMIUM", tmp_path)
    for name in gpu.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for runtime in (arm64, gpu, openvino):
        with pytest.raises(Absent, match=r"make verify|chromium|ARM64"):
            runtime.run(FILTER, [])


def test_a_process_that_fails_or_crashes_is_a_sentence(tmp_path: Path) -> None:
    inputs = [{"image": np.zeros((1, 4, 4, 3), np.float32)}]
    with pytest.raises(UserError, match="nowhere"):
        processes.run("litert", FILTER, inputs, [sys.executable, "-c", "raise SystemExit('nowhere')"])
    with pytest.raises(UserError, match="ended with exit code 5"):
        processes.run("litert", FILTER, inputs, [sys.executable, "-c", "raise SystemExit(5)"])
    with pytest.raises(UserError, match="ended by signal 6"):
        processes.run("litert", FILTER, inputs, [sys.executable, "-c", "import os; os.abort()"])


@pytest.mark.parametrize("runtime", [gpu, openvino])
def test_runtimes_that_are_there_draw_the_same(runtime: lanes.Runtime, tmp_path: Path) -> None:
    report = lanes.measure(FILTER, PICTURES[:1], [runtime.__name__.rpartition(".")[-1]])
    lane = report.lanes[-1]
    if lane.skipped:
        pytest.skip(lane.skipped)
    assert not lane.problem and lane.psnr is not None and lane.psnr > 40


@pytest.mark.slow
def test_integers_are_equal_on_arm64(tmp_path: Path) -> None:
    pictures = samples.of_emoji(20)
    model = included.find("onesided_selfie2anime")
    export(model, tmp_path, pictures[:2], 64, ["static_wi8_ai8"], saved_model=False, calibration=pictures[2:])
    file = tmp_path / "onesided_selfie2anime_static_wi8_ai8.tflite"
    lane = lanes.measure(file, pictures[:1], ["arm64"]).lanes[-1]
    if lane.skipped:
        pytest.skip(lane.skipped)
    assert lane.max_difference == 0


def test_installing_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where apt, pip and all else fail, a sentence a lane says so, and no folder appears."""

    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "apt-get", stderr="E: no network\n")

    monkeypatch.setenv(VARIABLE, str(tmp_path / "runtimes"))
    monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(install, "KEYRING", Path(__file__))
    install.main()
    lines = capsys.readouterr().out.splitlines()
    assert "openvino: left out. E: no network" in lines
    assert not list((tmp_path / "runtimes").glob("*"))


def test_operations_that_phones_lack_are_named() -> None:
    (clause,) = operations.obstacles({"CONV_2D": 3, "MIRROR_PAD": 2}, 4)
    assert "MIRROR_PAD" in clause and "ReflectionPadding2D pads without it" in clause
