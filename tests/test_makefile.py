"""What `make` says where it cannot work: one clear line each. Programs that only pretend stand in for Python and df."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A Python that answers the Makefile's questions by the files beside it, and "makes" a .venv whose pip does likewise.
PYTHON = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
  *version_info*) test ! -e "$here/old" ;;
  *ensurepip*) test ! -e "$here/no-venv" ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" "$here"/pip-* .venv/bin/ && mv .venv/bin/python3.11 .venv/bin/python ;;
  "-m pip "*) echo "$@" >> pip.log; test ! -e "$here/pip-fails" || { echo "ERROR: no network" >&2; exit 1; } ;;
  "-m kgan.commands.demo --output=demo") echo "demo ran" ;;
esac
"""
FULL_DISK = """#!/bin/sh
echo "Filesystem 1024-blocks Used Available Capacity Mounted"
echo "/dev/x 9 9 4194304 99% /"
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile, and pretended programs in bin/."""
    for name in ("Makefile", "setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    program(tmp_path, "python3.12", "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    program(tmp_path, "python3.11", PYTHON)
    for other in ("python3", "python"):
        program(tmp_path, other, "#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/pip-works").touch()
    return tmp_path


def program(project: Path, name: str, text: str) -> None:
    path = project / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make(project: Path, *arguments: str) -> tuple[int, str, list[str]]:
    """Exit code, standard output and the lines that kgan itself puts on standard error."""
    # Not what a `make PYTHON=... test` around this test hands down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    environment["PATH"] = f"{project / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(["make", *arguments], cwd=project, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if line.startswith("kgan: ")]


def test_the_first_python_that_runs_is_taken_and_nothing_is_installed_twice(project: Path) -> None:
    for _ in range(2):
        assert make(project, "demo")[0] == 0
    (line,) = (project / "pip.log").read_text().splitlines()
    assert "--only-binary=:all: --editable ." in line
    os.utime(project / "setup.py")  # changed: the packages may have
    code, output, errors = make(project, "demo")
    assert (code, errors) == (0, []) and output.endswith("demo ran\n")
    assert len((project / "pip.log").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("old", "kgan: Python 3.11 or 3.12 is needed, and none was found"),
        ("no-venv", "kgan: This Python lacks the modules venv and ensurepip"),
        ("pip-fails", "kgan: pip could not install the packages, for the reason above."),
    ],
)
def test_what_is_missing_is_said_in_one_line(project: Path, mark: str, expected: str) -> None:
    (project / "bin" / mark).touch()
    code, _, errors = make(project, "demo")
    assert code == 2
    (line,) = errors
    assert line.startswith(expected)
    assert not (project / ".venv/installed").exists()


def test_a_python_that_is_named_must_suit_too(project: Path) -> None:
    code, _, errors = make(project, "demo", "PYTHON=/nowhere/python3.9")
    assert code == 2 and errors[0].startswith("kgan: Python 3.11 or 3.12 is needed")


def test_a_full_disk_is_said_before_anything_is_installed(project: Path) -> None:
    program(project, "df", FULL_DISK)  # 4 GB are left
    assert make(project, "demo")[2] == ["kgan: About 5 GB of disk space are needed here, and less is free."]
    assert not (project / ".venv").exists()


def test_after_a_failure_the_next_run_goes_on(project: Path) -> None:
    (project / "bin/pip-fails").touch()
    assert make(project, "demo")[0] == 2
    shutil.rmtree(project / ".venv")
    (project / "bin/pip-fails").unlink()
    assert make(project, "demo")[0] == 0


def test_continuous_integration_installs_what_tests_need_and_runs_make_test() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert commands[:2] == ["set -euo pipefail", 'cd "$(dirname "$0")/.."']
    assert commands[-1] == "exec make test"
    assert all(line.endswith("|| true") for line in commands if line.lstrip().startswith("apt-get"))
