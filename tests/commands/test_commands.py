"""The console script and what all commands share: help, and mistakes as one line with exit code 2."""

from __future__ import annotations

import errno
import os
import re
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
from kgan.settings import at_home

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

from kgan import commands, errors

CONFIG = commands.DEFINE_config("config", None, "The experiment.")
OUTPUT = commands.shared(commands.DEFINE_path, "output", "Where to.")

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
    options = "--model=onesided_selfie2anime --crop=center --input=photo.png --output=anime.png"
    line = f"{sys.executable} -m kgan translate {options} {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done
    assert images.read(tmp_path / "anime.png").shape == (128, 128, 3)
    assert done.stdout == (b"" if ">&-" in closed.replace("2>&-", "") else b"Wrote anime.png.\n")
    line = f"{sys.executable} -m kgan translate --model=nothing.keras --input=photo.png --output=anime.png {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")


# --- paths -----------------------------------------------------------------------------------------------------------


def test_the_home_folder_in_every_path(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    environment = {**os.environ, "HOME": str(tmp_path)}
    arguments = ["--config=~/experiment.py", "--output=~/here"]
    done = subprocess.run([sys.executable, toy / "toy.py", *arguments], env=environment, capture_output=True, text=True)
    assert done.stdout.endswith(f" {tmp_path}/here\n"), done.stderr


def test_every_flag_for_a_path_is_one() -> None:
    """By their descriptions: each that names a file or a folder."""
    for module in console.MODULES.values():
        source = Path(commands.__file__).with_name(f"{module.rpartition('.')[2]}.py").read_text()
        for definition in re.findall(r"flags\.DEFINE_(?:string|list)\(.*?\n?.*?\)\n", source, re.S):
            assert not re.search(r"(?i)\bfolder|\bfile ", definition), definition


def test_a_list_of_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comma parts two of them, unless a file has it in its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert commands.split_paths("") == []
    assert commands.split_paths("a.keras, ~/b.keras,c") == ["a.keras", "/home/me/b.keras", "c"]
    (tmp_path / "b,c.keras").write_text("")
    (tmp_path / "d,e,f").mkdir()
    assert commands.split_paths("a,b,c.keras,d,e,f") == ["a", "b,c.keras", "d,e,f"]
    assert commands.split_paths('a,"x,y.keras"') == ["a", "x,y.keras"]


def test_a_user_who_is_not_there_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert at_home("~no_such_user/a") == f"{tmp_path}/~no_such_user/a"
    assert at_home("a~/b") == "a~/b"


# --- configs ---------------------------------------------------------------------------------------------------------

RETURN = "\n    return config"
BODY = "import toy_neighbour\n\ndef get_config():\n    config = toy_neighbour.Config()\n    "


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{BODY}config.training.stepz = 3{RETURN}", "5: there is no setting training.stepz. Did you mean steps?"),
        (f"{BODY}config.sets[0].qqq = 3{RETURN}", ", line 5: there is no setting sets[0].qqq. There are steps, rate."),
        (f"{BODY}return toy_neighbour.nothing", "5: AttributeError: module 'toy_neighbour' has no attribute "),
        (f"{BODY}toy_neighbour.fails()", "toy_neighbour.py, line 19: ZeroDivisionError: division by zero"),
        ("def get_config(:", ", line 1: SyntaxError: invalid syntax"),
        ("x = 1", " has no function get_config(), which returns the experiment"),
        ("get_config = 1", " has no function get_config(), which returns the experiment"),
        ("def get_config():\n    pass", ": get_config() returned NoneType, and a kgan.training.Config is wanted."),
        ("def get_config():\n    return {'a': 1}", ": get_config() returned dict, and a kgan.training.Config is"),
        ("def get_config(x):\n    return x", ": TypeError: get_config() missing 1 required positional argument: 'x'"),
        ("import no_such_module", ", line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("from . import toy_neighbour", ", line 1: ImportError: attempted relative import with no known"),
        ("def get_config():\n    raise OSError('a disk')", ", line 2: OSError: a disk"),
        ("def get_config():\n    return get_config()", ", line 2: RecursionError: maximum recursion depth exceeded"),
        ("import sys\nsys.exit('end')", ", line 2: SystemExit: end"),
        ("\0", ": SyntaxError: source code string cannot contain null bytes"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_config_is_one_line(toy: Path, tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "toy_neighbour.py").write_text(EXPERIMENT + "\ndef fails():\n    return 1 / 0\n")
    config = tmp_path / "mine.py"
    config.write_text(text)
    assert sentence in mistake(run(toy / "toy.py", f"--config={config}", "--output=x"))


def test_a_config_may_import_its_neighbour(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "toy_neighbour.py").write_text(EXPERIMENT)
    (tmp_path / "mine.py").write_text(f"{BODY}config.training.steps = 4\n    return config")
    done = run(toy / "toy.py", f"--config={tmp_path / 'mine.py'}", "--config.training.rate=0.1", "--output=x")
    assert "Training(steps=4, rate=0.1)" in done.stdout, done.stderr


# --- the machine -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EFBIG, errno.ENOENT, errno.EDQUOT, errno.EIO])
def test_what_the_system_refuses_is_a_sentence(number: int) -> None:
    sentence = commands.of_the_system(OSError(number, os.strerror(number), "a.png"))
    assert sentence and "a.png" in sentence
    assert commands.of_the_system(OSError("a bug")) is None


SLOW_IMPORT = """
import os, signal, sys
from kgan import interrupts
with interrupts.orderly():
    {where}
"""


@pytest.mark.parametrize("name, said", [("SIGINT", "\nkgan: interrupted.\n"), ("SIGTERM", ""), ("SIGHUP", "")])
def test_a_signal_during_an_import_ends_the_process(name: str, said: str, tmp_path: Path) -> None:
    """Even where the module that is imported passes over it."""
    number = getattr(signal, name)
    (tmp_path / "slow.py").write_text(
        f"import os, signal\ntry:\n    os.kill(os.getpid(), signal.{name})\nexcept BaseException:\n    pass\n"
    )
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + SLOW_IMPORT
    outside = f"os.kill(os.getpid(), signal.{name})"
    for where, status in (("import slow", 128 + number), (outside, -number if name == "SIGINT" else 128 + number)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(where=where)], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        assert where == outside or done.stderr == said


def test_a_part_that_a_config_leaves_out_has_no_settings(toy: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.py"
    path.write_text(EXPERIMENT.replace("return Config()", "return Config(training=None)"))
    done = run(toy / "toy.py", "--output=x", f"--config={path}", "--config.training.steps=3")
    assert mistake(done) == "There is no setting --config.training.steps: 'steps' is unknown. There are none below it."


def test_a_signal_while_a_config_is_read_is_no_mistake_of_the_config(toy: Path) -> None:
    path = toy / "slow.py"
    path.write_text("import os, signal\n\ndef get_config():\n    os.kill(os.getpid(), signal.SIGTERM)\n")
    done = run(toy / "toy.py", "--output=x", f"--config={path}")
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_closed_streams_end_nothing(toy: Path) -> None:
    """Standard output and error closed from the start, or by their reader."""
    command = f"{sys.executable} {toy / 'toy.py'} --output=x --config={toy / 'experiment.py'}"
    for end in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        assert subprocess.run(f"{command} {end}", shell=True, capture_output=True).returncode == 0, end
    code = (
        "import sys\nfrom kgan.quiet import lasting_streams\nwith lasting_streams():\n"
        "    for _ in range(999):\n        print('x' * 999, flush=True)\nprint('end', file=sys.stderr)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == "end\n" and process.wait() == 0


def test_names_that_are_no_text_are_printed(toy: Path) -> None:
    done = subprocess.run(
        [sys.executable, toy / "toy.py", f"--config={toy / 'experiment.py'}", b"--output=\xff"], capture_output=True
    )
    assert done.stdout.endswith(b" \\udcff\n"), done.stderr
