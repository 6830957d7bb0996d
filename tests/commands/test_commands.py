"""The console script and what all commands share: help, and mistakes as one line with exit code 2."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kgan
from kgan import __main__ as console
from kgan import commands
from kgan.errors import UserError
from kgan.pictures import images

EXPERIMENT = """
import dataclasses

@dataclasses.dataclass
class Training:
    steps: int = 10
    rate: float = 0.5

@dataclasses.dataclass
class Config:
    name: str = "toy"
    training: Training = dataclasses.field(default_factory=Training)
    sets: tuple[Training, ...] = dataclasses.field(default_factory=lambda: (Training(),))

def get_config():
    return Config()
"""

COMMAND = '''
"""A toy command.

It prints its settings.
"""

from absl import flags
from ml_collections import config_flags
from kgan import commands, errors

CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment.")
OUTPUT = commands.shared(flags.DEFINE_string, "output", "Where to.")

def main():
    commands.require(OUTPUT)
    if OUTPUT.value == "nowhere":
        raise errors.UserError("There is no nowhere.")
    if OUTPUT.value == "full":
        raise OSError(28, "No space left on device", "sample.png")
    if OUTPUT.value == "bug":
        raise KeyError("bug")
    print(CONFIG.value, OUTPUT.value)

if __name__ == "__main__":
    commands.run(main)
'''


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A command of its own, with an experiment beside it."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "experiment.py").write_text(EXPERIMENT)
    (folder / "toy.py").write_text(COMMAND)
    return folder


def mistake(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a user's mistake gives."""
    assert done.returncode == 2, done
    assert done.stderr.startswith("kgan: ") and done.stderr.count("\n") == 1
    return done.stderr.removeprefix("kgan: ").strip()


def test_a_command_runs_with_its_settings(toy: Path) -> None:
    done = run(toy / "toy.py", f"--config={toy / 'experiment.py'}", "--config.training.steps=3", "--output=here")
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout
        == "Config(name='toy', training=Training(steps=3, rate=0.5), sets=(Training(steps=10, rate=0.5),)) here\n"
    )


def test_help_prints_docstring_and_own_flags(toy: Path) -> None:
    done = run(toy / "toy.py", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A toy command.\n\nIt prints its settings.\n\nOptions:\n")
    assert "--output: Where to." in done.stdout
    assert "--logtostderr" not in done.stdout  # absl's own


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output=nowhere"], "There is no nowhere."),
        (["--output=full"], "The disk is full: sample.png could not be written. Free space and start again."),
        ([], "--output=... is missing. --help explains it."),
        (["--output="], "--output=... is missing. --help explains it."),
        (["--otput=x"], "Unknown command line flag 'otput'. Did you mean: output ?"),
        (["--output=x", "y"], "'y' was not understood: options are written --name=value. --help lists them."),
        (
            ["--output=x", "--config=EXPERIMENT", "--config.training.stepz=3"],
            "There is no setting --config.training.stepz: 'stepz' is unknown. Did you mean steps?",
        ),
        (
            ["--output=x", "--config", "EXPERIMENT", "--config.zzz=3"],
            "There is no setting --config.zzz: 'zzz' is unknown. There are name, training, sets.",
        ),
        (
            ["--output=x", "--config", "EXPERIMENT", "--config.sets[0].stepz=3"],
            "There is no setting --config.sets[0].stepz: 'stepz' is unknown. Did you mean steps?",
        ),
        (
            ["--output=x", "--config", "EXPERIMENT", "--config.sets[1].steps=3"],
            "There is no setting --config.sets[1].steps: sets has 1 entries, and the first is sets[0].",
        ),
        (
            ["--output=x", "--config=EXPERIMENT", "--config.training.steps.more=3"],
            "There is no setting --config.training.steps.more: 'more' is unknown. There are none below it.",
        ),
        (
            ["--output=x", "--config=EXPERIMENT", "--config.training.steps=many"],
            "flag --config.training.steps=many: invalid literal for int() with base 10: 'many'",
        ),
    ],
)
def test_a_mistake_is_one_line(toy: Path, arguments: list[str], expected: str) -> None:
    experiment = str(toy / "experiment.py")
    done = run(toy / "toy.py", *[argument.replace("EXPERIMENT", experiment) for argument in arguments])
    assert mistake(done) == expected


def test_a_missing_config_names_the_installed_ones(toy: Path) -> None:
    text = mistake(run(toy / "toy.py", "--output=x", "--config=no_such_config"))
    assert text.startswith("--config=no_such_config is neither a file nor one of kgan's own: ")
    assert "ugatit_light_selfie2anime_64" in text


def test_a_bug_keeps_its_traceback(toy: Path) -> None:
    done = run(toy / "toy.py", "--output=bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "KeyError: 'bug'" in done.stderr


def test_a_bare_name_finds_an_installed_config() -> None:
    path = commands.config_path("ugatit_light_selfie2anime_64")
    assert path.is_file()
    assert commands.with_config_path(["x", "--config", path.stem, "--a=b"]) == ["x", f"--config={path}", "--a=b"]
    assert commands.with_config_path(["x", f"--config={path}"]) == ["x", f"--config={path}"]
    with pytest.raises(UserError, match="neither a file"):
        commands.config_path("__init__")


def test_the_overview_lists_every_command_in_a_line() -> None:
    for argument in ("--help", None):
        done = run("-m", "kgan", *([argument] if argument else []))
        assert (done.returncode, done.stderr) == (0, "")
        for command, module in console.MODULES.items():
            (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"  {command} ")]
            assert line.endswith(console.summary(module)) and len(line) <= 120
            assert len(console.summary(module)) > 20


def test_the_version() -> None:
    assert run("-m", "kgan", "--version").stdout == f"kgan {kgan.__version__}\n"


def test_an_unknown_command_suggests_the_nearest() -> None:
    assert mistake(run("-m", "kgan", "trian")) == "There is no command 'trian'. Did you mean train?"
    assert mistake(run("-m", "kgan", "qqq")).endswith(f"The commands are {', '.join(console.MODULES)}.")


@pytest.mark.parametrize("command", console.MODULES)
def test_both_forms_of_a_command_explain_themselves_alike(command: str) -> None:
    script = run("-m", "kgan", command, "--help")
    module = run("-m", console.MODULES[command], "--help")
    assert (script.returncode, script.stderr) == (0, "")
    assert script.stdout == module.stdout
    assert f"kgan {command} --" in script.stdout and "\nOptions:\n  --" in script.stdout


def test_a_command_started_by_the_script_sees_its_own_arguments() -> None:
    assert "otput" in mistake(run("-m", "kgan", "export", "--otput=x"))


def test_another_python_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    monkeypatch.setattr(sys, "version", "3.10.4 (main)")
    with pytest.raises(SystemExit) as stopped:
        console.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "kgan: kgan needs Python 3.11 or 3.12; this is Python 3.10.4.\n"


WAITING = """
import time
from pathlib import Path
from kgan import commands, files

def main():
    with files.replacing("result.png") as temporary:
        temporary.write_bytes(b"half")
        print("ready", flush=True)
        time.sleep(60)

commands.run(main, ["kgan"])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_unfinished(number: signal.Signals, tmp_path: Path) -> None:
    line = [sys.executable, "-c", WAITING]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert "Traceback" not in process.stderr.read()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "2>&- >&-", "<&- 2>&- >&-"])
def test_closed_streams_are_as_if_they_led_nowhere(closed: str, tmp_path: Path) -> None:
    images.write(tmp_path / "photo.png", np.zeros((20, 20, 3), np.uint8))
    options = "--model=cyclegan_selfie2anime --crop=center --input=photo.png --output=anime.png"
    line = f"{sys.executable} -m kgan translate {options} {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done
    assert images.read(tmp_path / "anime.png").shape == (64, 64, 3)
    assert done.stdout == (b"" if ">&-" in closed.replace("2>&-", "") else b"Wrote anime.png.\n")
    line = f"{sys.executable} -m kgan translate --model=nothing.keras --input=photo.png --output=anime.png {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
