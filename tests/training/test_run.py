"""The loop as its user meets it: stop it anyhow, start it again, and nothing is lost, repeated or confused."""

import dataclasses
import errno
import hashlib
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import tiny
from helpers.steps import Stub, train_eagerly
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kgan import engine, files, precision
from kgan.configs import onesided, onesided_finetune
from kgan.engine import cost
from kgan.errors import UserError
from kgan.filters import card, included
from kgan.pictures import emoji
from kgan.pretrained import weights
from kgan.training import checkpoint
from kgan.training.forecast import duration, summary
from kgan.training.resume import init_from
from kgan.training.run import Stopwatch, show, train


@pytest.mark.parametrize(("policy", "times", "said"), [("mixed_bfloat16", 9.0, True), ("mixed_bfloat16", 0.7, False)])
def test_a_slow_precision_is_named(policy: str, times: float, said: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Step:
        def cost(self, *_: object) -> engine.Cost:
            return engine.Cost(1e9, 2**30, 0)

    monkeypatch.setattr(engine, "slowdown", lambda dtype: times if dtype == "bfloat16" else 1.0)
    with precision.policy(policy):
        text = summary(Step(), [], 10)  # type: ignore[arg-type]
    assert text.startswith("  a step: 1 GFLOP, about 1.0 GiB; 10 steps: ")
    assert ("bfloat16 takes 9 times as long as float32" in text) == said


CONFIG = Path(tiny.__file__)
NEEDS_JAX = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install kgan[jax]"
)


def command(workdir: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "kgan", "train", f"--config={CONFIG}", f"--workdir={workdir}", *flags]


def environment(backend: str, cache: Path) -> dict[str, str]:
    """JAX compiles the same step many times here: quickly, and once."""
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def run(workdir: Path, *flags: str, backend: str = "tensorflow", cache: Path | None = None) -> str:
    done = subprocess.run(
        command(workdir, *flags),
        env=environment(backend, cache or workdir.parent / "cache"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def final(workdir: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    return checkpoint.load(checkpoint.paths(workdir)[-1])


def assert_bit_equal(one: Path, other: Path) -> None:
    arrays, about = final(one)
    others, about_other = final(other)
    assert about["step"] == about_other["step"] and about["sha256"] == about_other["sha256"]
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        assert array.tobytes() == others[name].tobytes(), name


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def straight(home: Path) -> Path:
    """A run of eight steps that nothing disturbed."""
    return train_eagerly(tiny.get_config(), home / "straight")


EAGERLY = """
import runpy, sys
from helpers.steps import Eager
from kgan import engine
engine.Compiled = Eager
sys.argv = ["kgan", *sys.argv[1:]]
runpy.run_module("kgan", run_name="__main__")
"""


@pytest.mark.parametrize(
    "backend",
    [
        "eager",
        pytest.param("tensorflow", marks=pytest.mark.slow),
        pytest.param("jax", marks=[NEEDS_JAX, pytest.mark.slow]),
    ],
)
def test_resume_after_kill_9_is_bit_equal(home: Path, straight: Path, backend: str) -> None:
    """Killed at a moment of no one's choosing, with work since the last checkpoint lost, then started again."""
    workdir, arguments = home / f"killed_{backend}", command(home / f"killed_{backend}")
    variables = environment("tensorflow" if backend == "eager" else backend, home / "cache")
    if backend == "eager":
        arguments[1:3] = ["-c", EAGERLY]
        variables["PYTHONPATH"] = str(CONFIG.parents[1])
    else:
        straight = home / f"straight_{backend}"
        run(straight, backend=backend, cache=home / "cache")
    process = subprocess.Popen(arguments, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not checkpoint.paths(workdir):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(np.random.default_rng().uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (workdir / ".unfinished-0123abcd-checkpoint-00000004.npz").write_bytes(b"half of it")
    if backend == "eager":
        train_eagerly(tiny.get_config(), workdir)
    else:
        run(workdir, backend=backend, cache=home / "cache")
    assert_bit_equal(workdir, straight)
    assert not list(workdir.glob(".unfinished*"))
    steps = [json.loads(line)["step"] for line in (workdir / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 8]  # nothing twice, nothing missing


def assert_stopped(workdir: Path, output: str) -> None:
    (saved,) = checkpoint.paths(workdir)
    step = checkpoint.load(saved)[1]["step"]
    assert f"Stopped after step {step} and saved" in output and "goes on from there" in output


def test_a_signal_makes_the_command_save_and_leave(home: Path) -> None:
    workdir = home / "stopped"
    flags = ("--config.training.steps=100000", "--config.training.save_every=100000")
    process = subprocess.Popen(
        command(workdir, *flags),
        env=environment("tensorflow", home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 200
        while not (workdir / "log.jsonl").is_file():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM, errors[-2000:]
    assert_stopped(workdir, output)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_save_and_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    class Signalled(Noting):
        def __call__(self, *several: Any) -> dict[str, Any]:
            signal.raise_signal(number)
            return super().__call__(*several)

    before = signal.getsignal(number)
    monkeypatch.setattr(engine, "Compiled", Signalled)
    with pytest.raises(SystemExit) as stopped:
        train(tiny.changed(save_every=100_000), tmp_path)
    assert stopped.value.code == 128 + number
    assert_stopped(tmp_path, capsys.readouterr().out)
    assert signal.getsignal(number) == before


def test_what_a_run_leaves(straight: Path) -> None:
    assert {path.name for path in straight.iterdir()} == {
        ".lock",
        "checkpoint-00000004.npz",
        "checkpoint-00000006.npz",
        "checkpoint-00000008.npz",
        "config.json",
        "generator_ab.json",
        "generator_ab.keras",
        "generator_ba.json",
        "generator_ba.keras",
        "log.jsonl",
        "samples",
        "tensorboard",
    }
    settings = json.loads((straight / "config.json").read_text())
    assert settings == dataclasses.asdict(tiny.get_config())
    rows = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert {"cycle_a", "identity_b", "discriminator_b", "learning_rate", "images_per_second"} <= rows[0].keys()
    assert [path.name for path in sorted((straight / "samples").iterdir())] == [
        f"step-{step:08d}.png" for step in (0, 5, 8)
    ]
    with Image.open(straight / "samples" / "step-00000008.png") as sheet:
        assert sheet.width > 6 * 32 and sheet.height > 2 * 32
    events = EventAccumulator(str(straight / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("cycle_a")] == [2, 4, 6, 8]
    assert events.Scalars("cycle_a")[1].value == pytest.approx(rows[1]["cycle_a"])
    assert [event.step for event in events.Images("samples")] == [0, 5, 8]


def test_the_filter_holds_the_averaged_weights_in_float32(straight: Path) -> None:
    model = keras.saving.load_model(straight / "generator_ab.keras", compile=False)
    arrays, _ = final(straight)
    for variable in model.variables:
        saved = arrays[f"ema_generator_ab/{variable.path}"]
        np.testing.assert_array_equal(np.asarray(variable), saved)
        assert not np.array_equal(saved, arrays[f"generator_ab/{variable.path}"]) or saved.max() == saved.min()
    about = card.read(straight / "generator_ab.keras")
    assert about and about.system == "cyclegan" and about.image_size == 32 and about.size is None
    assert about.training["steps"] == 8
    assert about == card.checked(straight / "generator_ab.keras") and len(about.sha256) == 1


def test_a_finished_run_started_again_says_so_and_changes_nothing(
    straight: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(straight, home / "again")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    train(tiny.get_config(), copy)
    assert "has finished 8 steps" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_more_steps_and_other_intervals_are_no_other_run(
    straight: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(straight, home / "longer")
    train_eagerly(tiny.changed(steps=9, log_every=1, save_every=3), copy)
    assert "going on after step 8" in capsys.readouterr().out
    assert final(copy)[1]["step"] == 9


def losses(workdir: Path) -> dict[int, dict[str, float]]:
    """By step, as they were logged."""
    return {row["step"]: row for row in map(json.loads, (workdir / "log.jsonl").read_text().splitlines())}


def assert_losses_equal(one: dict[str, float], other: dict[str, float]) -> None:
    """Of a step from equal weights. Only D's pools are drawn from otherwise by each backend."""
    for name in ("cycle_a", "cycle_b", "identity_a", "identity_b", "adversarial_ab", "adversarial_ba"):
        assert one[name] == pytest.approx(other[name], rel=1e-3)


@NEEDS_JAX
def test_a_checkpoint_of_tensorflow_continues_on_jax_without_tensorflow(home: Path, straight: Path) -> None:
    on_jax, same = (shutil.copytree(straight, home / name) for name in ("on_jax", "same"))
    train_eagerly(tiny.changed(steps=9, log_every=1), same)
    arguments = command(on_jax, "--config.training.steps=9", "--config.training.log_every=1")[4:]
    code = (
        f"import runpy, sys; sys.modules['tensorflow'] = None; sys.argv = ['train', *{arguments}]; "
        "runpy.run_module('kgan.commands.train', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment("jax", home / "cache"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "going on after step 8" in done.stdout
    assert list(losses(on_jax)) == [2, 4, 6, 8, 9]
    assert_losses_equal(losses(on_jax)[9], losses(same)[9])
    events = EventAccumulator(str(on_jax / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("cycle_a")] == [2, 4, 6, 8, 9]
    assert card.read(on_jax / "generator_ab.keras").training["steps"] == 9  # type: ignore[union-attr]
    assert card.checked(on_jax / "generator_ab.keras")


@pytest.mark.slow
@NEEDS_JAX
def test_a_checkpoint_of_jax_continues_on_tensorflow(home: Path) -> None:
    if not (home / "straight_jax").exists():
        run(home / "straight_jax", backend="jax", cache=home / "cache")
    copy, same = (shutil.copytree(home / "straight_jax", home / f"jax_{name}") for name in ("copy", "same"))
    flags = ("--config.training.steps=9", "--config.training.log_every=1")
    assert "going on after step 8" in run(copy, *flags)
    run(same, *flags, backend="jax", cache=home / "cache")
    assert_losses_equal(losses(copy)[9], losses(same)[9])


# --- refusals: in this process, before any step is traced ---------------------------------------------------------


def test_another_configuration_is_refused_and_named(straight: Path) -> None:
    config = tiny.changed(batch_size=4, seed=1, log_every=7).replace("system", cycle_weight_a=5.0)
    with pytest.raises(UserError) as caught:
        train(config, straight)
    assert f"--config.training.init_from={straight} --workdir=ANOTHER" in str(caught.value)
    for part in (
        "system.cycle_weight_a was 10.0 and is 5.0",
        "training.batch_size was 2 and is 4",
        "training.seed was 0",
    ):
        assert part in str(caught.value)
    assert "log_every" not in str(caught.value)


def test_other_pictures_are_refused(straight: Path) -> None:
    config = tiny.get_config().replace("data", root="emoji:fluent3d:twitter")
    arrays, about = final(straight)
    about["data"]["b"]["pictures"] = 5
    other = straight.parent / "other_pictures"
    checkpoint.save(other, 8, arrays, about, keep=1)
    with pytest.raises(UserError, match=r"b had 5 and now has \d+.*begin anew from its generators: --config.tr"):
        train(config, other)


def test_the_checkpoint_before_a_damaged_one_goes_on_to_the_same_bytes(
    straight: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(straight, home / "damaged")
    newest = checkpoint.paths(copy)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    with (copy / "log.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n[[[\n")
    train_eagerly(tiny.get_config(), copy)
    said = capsys.readouterr().out
    assert "checkpoint-00000006.npz takes its place: steps after 6 are lost." in said
    assert "2 lines of" in said and "going on after step 6" in said
    assert (copy / "checkpoint-00000008.npz.damaged").is_file()
    assert_bit_equal(copy, straight)
    for name in ("generator_ab.keras", "generator_ba.keras"):  # not only the arrays: the files too
        assert (copy / name).read_bytes() == (straight / name).read_bytes()


def test_what_a_finished_run_owes_is_made(straight: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed after its last checkpoint: filters of an earlier step, cut short or missing; cards and sheet likewise."""

    def started_again() -> str:
        train(tiny.get_config(), copy)
        return capsys.readouterr().out

    copy = shutil.copytree(straight, home / "owing")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and "tfevents" not in path.name}
    (copy / "generator_ab.keras").unlink()
    (copy / "generator_ba.json").write_text('{"training": {"steps": 6}}')
    (copy / "samples/step-00000008.png").unlink()
    output = started_again()
    assert "has finished 8 steps" in output
    assert "Wrote what was missing after step 8: generator_ab.keras, generator_ba.keras, step-00000008.png." in output
    assert {path: path.read_bytes() for path in before} == before
    (copy / "generator_ba.keras").write_bytes(before[copy / "generator_ba.keras"][:-100])
    assert "after step 8: generator_ba.keras." in started_again()
    assert {path: path.read_bytes() for path in before} == before
    # Killed between the card and its file: the card is of step 8, and the file, a whole one, is of a step before.
    shutil.copy(copy / "generator_ab.keras", copy / "generator_ba.keras")
    card = json.loads((copy / "generator_ba.json").read_text())
    card["sha256"].append(hashlib.sha256(before[copy / "generator_ab.keras"]).hexdigest())
    (copy / "generator_ba.json").write_text(json.dumps(card))
    assert "after step 8: generator_ba.keras." in started_again()
    assert {path: path.read_bytes() for path in before} == before


def test_what_could_not_be_measured_is_not_owed(
    straight: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "present", lambda name: False)
    copy = shutil.copytree(straight, home / "unmeasured")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    train(tiny.changed(evaluate_every=4), copy)
    output = capsys.readouterr().out
    assert "Inception's weights are missing" in output and "has finished 8 steps" in output
    assert "Wrote what was missing" not in output
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_run_that_goes_on_first_writes_the_filters_of_its_checkpoint(
    straight: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(straight, home / "behind")
    (copy / "generator_ab.json").write_text('{"training": {"steps": 6}}')
    train_eagerly(tiny.changed(steps=9).replace("system", learning_rate=1e-5), copy)
    output = capsys.readouterr().out
    assert "Wrote what was missing after step 8: generator_ab.keras." in output
    assert "From step 8 on system.learning_rate was 0.0002 and is 1e-05; training.steps was 8 and is 9." in output
    assert "The learning rate goes on at " in output and ", where it was " in output and " at step 8." in output


def test_a_workdir_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    for name, kind in (("file", "a file, not a folder"), ("link", "a link to a place that is not there")):
        for workdir in (tmp_path / name, tmp_path / name / "run"):
            with pytest.raises(UserError, match=rf"{name} is {kind}\. Remove it"):
                train(tiny.get_config(), workdir)


def test_a_workdir_that_is_removed_meanwhile_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Removing(Noting):
        def __call__(self, *several: Any) -> dict[str, Any]:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            return super().__call__(*several)

    monkeypatch.setattr(engine, "Compiled", Removing)
    with pytest.raises(UserError, match="run was removed or replaced while a process was at work in it"):
        train(tiny.get_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tensorboard", [True, False])
def test_a_full_disk_is_an_os_error_whatever_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorboard: bool
) -> None:
    """As a limit on the size of files has it, which stands for a disk: what was written before stays whole."""
    monkeypatch.setattr(engine, "Compiled", Noting)
    train(tiny.changed(steps=2, tensorboard=tensorboard), tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint-0|sheet|step-0|File too large") as caught:
            train(tiny.changed(steps=4, tensorboard=tensorboard), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert checkpoint.newest_whole(tmp_path)[2]["step"] == 2  # type: ignore[index]
    assert not list(tmp_path.rglob(".unfinished*"))


def test_pictures_that_vanish_lose_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Compiled", Noting)
    folder = tmp_path / "pictures"
    emoji.unpack(folder, "unpaired")
    config = tiny.changed(steps=1000, log_every=500, save_every=500, sample_every=500, tensorboard=False)
    config = config.replace("data", root=str(folder), memory="stream")

    class Removing(Noting):
        def __call__(self, *several: Any) -> dict[str, Any]:
            if len(calls) == 3:
                shutil.rmtree(folder)
            return super().__call__(*several)

    calls.clear()
    monkeypatch.setattr(engine, "Compiled", Removing)
    with pytest.warns(UserWarning), pytest.raises(UserError, match=r"stops after step (\d+); .*checkpoint-0+\1\.npz"):
        train(config, tmp_path / "run")
    assert checkpoint.newest_whole(tmp_path / "run")[2]["step"] >= 3  # type: ignore[index]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_init_from_a_damaged_generator(straight: Path, tmp_path: Path, damage: str) -> None:
    system = tiny.get_config().system.create(steps=1, seed=3)
    for name in ("generator_ab", "generator_ba"):
        shutil.copy(straight / f"{name}.keras", tmp_path)
    path = tmp_path / "generator_ab.keras"
    data = bytearray(path.read_bytes())
    data[60_000] ^= 8  # in the weights
    path.write_bytes({"cut": data[:5000], "flip": data, "empty": b"", "text": b"x" * 100}[damage])
    with pytest.raises(UserError, match=r"generator_ab\.keras"):
        init_from(system, str(tmp_path))


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"steps": 0}, "training.steps must be at least 1, got 0"),
        ({"batch_size": 3, "devices": 2}, "training.batch_size (3) must be a multiple of training.devices (2)"),
        ({"precision": "float8"}, "training.precision is one of"),
        ({"init_from": "nowhere"}, "init_from=nowhere is no folder of a run, no .keras file, and no model that comes"),
        (
            {"init_from": "onesided_selfie2anime"},
            "is one generator, and 2 are to begin: give a folder with generator_ab",
        ),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        train(tiny.changed(**changes), tmp_path / "run")
    assert sentence in str(caught.value)
    assert not checkpoint.paths(tmp_path / "run")


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stubbed step whose third loss is bad, through the real loop."""

    class Bad(Stub):
        calls = 0

        def __call__(self, _: Any) -> dict[str, Any]:
            self.calls += 1
            return {"cycle_a": np.float32(1), "cycle_b": np.float32("nan" if self.calls == 3 else 2)}

    monkeypatch.setattr(engine, "Compiled", Bad)
    with pytest.raises(UserError, match=r"cycle_b became nan at step 3\. .*checkpoint-00000002\.npz.*float32"):
        train(tiny.get_config(), tmp_path)
    assert [path.name for path in checkpoint.paths(tmp_path)] == ["checkpoint-00000002.npz"]


def test_an_update_that_is_no_number_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loss came before it and was sound: the weights are looked at before they replace good ones."""

    class Bad(Stub):
        calls = 0

        def __call__(self, _: Any) -> dict[str, Any]:
            self.calls += 1
            if self.calls == 4:
                self.system.generator_ab.weights[0].assign(self.system.generator_ab.weights[0] * float("nan"))
            return {"cycle_a": np.float32(1)}

    monkeypatch.setattr(engine, "Compiled", Bad)
    with pytest.raises(UserError, match=r"generator_ab/\S+ is no longer finite after step 4.*checkpoint-00000002\.npz"):
        train(tiny.get_config(), tmp_path)
    assert [path.name for path in checkpoint.paths(tmp_path)] == ["checkpoint-00000002.npz"]


class Noting(Stub):
    """Notes how many steps each call takes."""

    def __call__(self, *several: Any) -> dict[str, Any]:
        calls.append(len(several))
        return super().__call__(*several)


calls: list[int] = []


def test_which_steps_share_a_call_depends_on_their_numbers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of three begin at multiples of three, and none goes past a log line (5), a checkpoint (6) or the end."""
    monkeypatch.setattr(engine, "Compiled", Noting)
    schedule = {"steps_per_call": 3, "log_every": 5, "save_every": 6, "sample_every": 100, "keep": 9}
    for steps, expected in ((6, [3, 1, 1, 1]), (13, [3, 1, 1, 1, 1])):  # the second goes on after 6
        calls.clear()
        train(tiny.changed(steps=steps, **schedule), tmp_path)
        assert calls == expected
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(row["step"], row["cycle_a"]) for row in rows] == [(5, 1.0), (6, 1.0), (10, 1.0), (12, 1.0), (13, 1.0)]


def test_a_sitting_of_some_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """However few they are it comes forward by a call, saves, and leaves as if all were well."""
    monkeypatch.setattr(engine, "Compiled", Noting)
    for step in (1, 2):
        train(tiny.changed(minutes=1e-6), tmp_path)
        assert f"Stopped after step {step} and saved" in capsys.readouterr().out
        assert checkpoint.paths(tmp_path)[-1].name == f"checkpoint-{step:08d}.npz"


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    with files.locked(tmp_path), pytest.raises(UserError, match="Another process is at work in"):
        train(tiny.get_config(), tmp_path)


def test_a_run_keeps_the_precision_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is left to kgan, what is fast on the device at hand decides once."""
    monkeypatch.setattr(engine, "fast_precision", lambda: "mixed_bfloat16")
    train_eagerly(tiny.changed(steps=1, precision="auto"), tmp_path)
    monkeypatch.setattr(engine, "fast_precision", lambda: "float32")
    train_eagerly(tiny.changed(steps=2, precision="auto"), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["training"]["precision"] == "mixed_bfloat16"
    train_eagerly(tiny.changed(steps=1, precision="auto"), tmp_path / "another")
    assert json.loads((tmp_path / "another/config.json").read_text())["training"]["precision"] == "float32"


@pytest.mark.parametrize(
    ("backend", "device", "times", "fast"),
    [
        ("tensorflow", "cpu", 9.0, False),
        ("tensorflow", "cpu", 0.5, True),
        ("tensorflow", "cpu", 0.95, True),  # as a busy one was seen
        ("jax", "cpu", 0.5, False),  # XLA's bfloat16 is float32 there
        ("jax", "NVIDIA H100", 1.1, True),
        ("tensorflow", "Tesla P100", 5.0, False),
    ],
)
def test_what_is_fast_decides(
    backend: str, device: str, times: float, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BACKEND", backend)
    monkeypatch.setattr(engine, "slowdown", lambda dtype: times)
    monkeypatch.setattr(engine, "device_name", lambda: device)
    assert engine.fast_precision() == ("mixed_bfloat16" if fast else "float32")


def test_the_fastest_turn_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else a device does now and then. The first turn, which compiles, does not count."""
    now = [0.0]

    def call(*seconds: float) -> Callable[[], None]:
        left = iter(seconds)
        return lambda: now.append(now[-1] + next(left))

    monkeypatch.setattr(time, "perf_counter", lambda: now[-1])
    assert cost.fastest([call(1, 2, 30), call(0.5, 4, 3)], 10) == [2, 3]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_slowdown_is_measured_outside_a_step(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip("JAX is not installed: pip install kgan[jax]")
    code = "from kgan import engine; assert 0.01 < engine.slowdown('bfloat16') < 1000"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "KERAS_BACKEND": backend}, check=True)


def test_the_dtype_policy_is_given_back(tmp_path: Path) -> None:
    before = keras.config.dtype_policy()
    with pytest.raises(UserError):
        train(tiny.changed(precision="mixed_bfloat16", init_from="nowhere"), tmp_path)
    assert keras.config.dtype_policy() == before


def test_init_from_starts_from_given_generators(straight: Path) -> None:
    system = tiny.get_config().system.create(steps=1, seed=3)
    arrays, _ = final(straight)
    init_from(system, str(straight))
    paths = [path for path in system.state() if path.startswith(("generator_ab/", "ema_generator_ab/"))]
    assert len(paths) == 2 * len(system.generator_ab.variables)
    for path in paths:
        averaged = arrays[f"ema_{path.removeprefix('ema_')}"]
        np.testing.assert_array_equal(np.asarray(system.state()[path]), averaged, err_msg=path)


def test_init_from_needs_every_generator(straight: Path, tmp_path: Path) -> None:
    shutil.copy(straight / "generator_ab.keras", tmp_path)
    system = tiny.get_config().system.create(steps=1, seed=3)
    with pytest.raises(UserError, match=r"there is no generator_ba\.keras in that folder"):
        init_from(system, str(tmp_path))


def test_init_from_an_included_filter() -> None:
    """Its weights lie in 16 bits; the generator and its average begin with what they decode to."""
    config = onesided_finetune.get_config()
    system = config.system.create(steps=1, seed=3)
    init_from(system, "onesided_selfie2anime")
    path = included.find("onesided_selfie2anime")
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype("float32")
    drawn = keras.saving.load_model(path, compile=False)(photo)["image"]
    for network in (system.generator_ab, system.ema_generator_ab):
        np.testing.assert_array_equal(network(photo, training=False)["image"], drawn)
    other = config.replace("system", filters=16).system.create(steps=1, seed=3)
    with pytest.raises(UserError, match=r"onesided_selfie2anime\.keras does not fit this system"):
        init_from(other, str(path))


def test_init_from_what_is_no_generator(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "x.keras")
    with pytest.raises(UserError, match=r"init_from=.*x\.keras does not fit this system: \d+ arrays differ"):
        init_from(onesided.get_config().system.create(steps=1, seed=0), str(tmp_path / "x.keras"))


def test_init_from_generators_of_another_width(straight: Path) -> None:
    system = tiny.get_config().replace("system", filters=4).system.create(steps=1, seed=0)
    with pytest.raises(UserError, match=r"generator_ab\.keras does not fit this system: \d+ arrays differ"):
        init_from(system, str(straight))


def test_fit_runs_the_same_step() -> None:
    """Keras' own loop, for those who want it: the losses of our step, under TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("system.fit is offered under TensorFlow")
    import tensorflow as tf

    random = np.random.default_rng(0)
    batch = {name: random.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32) for name in "ab"}
    fitted, stepped = (tiny.get_config().system.create(steps=10, seed=0) for _ in range(2))
    fitted.run_eagerly = True  # two steps take less time than their graph
    history = fitted.fit(tf.data.Dataset.from_tensors((batch,)).repeat(), steps_per_epoch=2, verbose=0).history
    for _ in range(2):
        terms = stepped.train_step((batch,))
    assert history["cycle_a"][0] == pytest.approx(float(terms["cycle_a"]), rel=1e-3)
    assert int(fitted.step.value) == 2


def test_the_stopwatch_leaves_out_what_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun at 0 and stopped from 10 to 15, it shows 25 at 30; then it begins anew."""
    times = iter([0.0, 10.0, 15.0, 30.0, 37.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    stopwatch = Stopwatch()
    with stopwatch.stopped():
        pass
    assert [stopwatch.restart(), stopwatch.restart()] == [25.0, 7.0]


def test_durations_read_well() -> None:
    assert [duration(s) for s in (5, 600, 7200, 400_000)] == ["1 min", "10 min", "2.0 h", "4.6 days"]


def test_a_map_is_shown_from_blue_to_yellow() -> None:
    shown = show(np.array([[[0.0], [1.0]], [[0.5], [0.25]]]), 2)
    assert shown[0, 0].tolist() == [0, 0, 255] and shown[0, 1].tolist() == [255, 255, 0]
