"""The wheel: what it holds, and that it works where nothing but itself is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("kgan", "export", "configs", "tests", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    """The standard output of a command that must succeed."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str | Path, cwd: Path) -> None:
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what lies in the project's own build/ must not slip in."""
    copy, target = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", target, ".", cwd=copy)
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel's files, away from the project."""
    folder = tmp_path_factory.mktemp("elsewhere") / "site"
    pip("install", "--no-deps", "--target", folder, wheel, cwd=folder.parent)
    return folder


def test_the_wheel_holds_the_three_folders_as_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names} == {"kgan", "kgan-0.1.0.dist-info"}
    for folder, package in (("kgan", "kgan"), ("export", "kgan/export"), ("configs", "kgan/configs")):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{package}/{path.relative_to(ROOT / folder).as_posix()}" in names
    others = [*(ROOT / "kgan/assets").iterdir()]
    others += [path for path in (ROOT / "kgan/serve/page").rglob("*") if path.is_file()]
    others += [path for path in (ROOT / "kgan/filters").iterdir() if path.suffix != ".py" and path.is_file()]
    assert {name for name in names if name.startswith("kgan/") and not name.endswith(".py")} == {
        path.relative_to(ROOT).as_posix() for path in others
    }


def test_the_wheel_carries_licence_credits_and_entry_point(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        information = {
            Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name
        }
        attribution = archive.read("kgan/assets/ATTRIBUTION.md").decode()
    assert "Apache License" in information["LICENSE"]
    assert "kgan = kgan.__main__:main" in information["entry_points.txt"]
    for asset in (ROOT / "kgan/assets").iterdir():
        assert asset.name == "ATTRIBUTION.md" or asset.name in attribution


def test_the_wheel_stays_small(wheel: Path) -> None:
    kinds = (".keras", ".tflite")  # test_included.py says how large they may be
    filters = sum(path.stat().st_size for path in (ROOT / "kgan/filters").iterdir() if path.suffix in kinds)
    lite0 = (ROOT / "kgan/assets/efficientnet_lite0.npz").stat().st_size  # 5.5 MB
    litert_js = sum(path.stat().st_size for path in (ROOT / "kgan/serve/page/vendor").rglob("*.br"))  # 6.1 MB
    assert wheel.stat().st_size < 4_500_000 + filters + lite0 + litert_js


def test_installed_elsewhere_it_imports_itself_and_not_the_project(installed: Path) -> None:
    code = (
        "import kgan, kgan.export, kgan.configs\nfrom kgan.pictures import emoji\n"
        "print(*(module.__file__ for module in (kgan, kgan.export, kgan.configs)), len(emoji.load('google')))"
    )
    *files, count = run([sys.executable, "-c", code], installed.parent, PYTHONPATH=str(installed)).split()
    expected = [installed / "kgan" / name / "__init__.py" for name in ("", "export", "configs")]
    assert list(map(Path, files)) == expected
    assert count == "811"


def test_installed_elsewhere_the_console_script_lists_its_commands(installed: Path) -> None:
    text = run([installed / "bin/kgan", "--help"], installed.parent, PYTHONPATH=str(installed))
    for command in ("train", "translate", "export"):
        assert f"\n  {command} " in text


def test_installed_elsewhere_it_trains_a_step(installed: Path) -> None:
    """With one of its own configs, found by its bare name, and the pictures it carries."""
    run(
        [
            installed / "bin/kgan",
            "train",
            "--config=cyclegan_emoji",
            "--config.system.image_size=32",
            "--config.system.filters=2",
            "--config.system.residual_blocks=1",
            "--config.system.discriminator_layers=2",
            "--config.training.precision=float32",
            "--config.training.steps=1",
            "--workdir=run",
        ],
        installed.parent,
        PYTHONPATH=str(installed),
    )
    assert (installed.parent / "run/generator_ab.keras").is_file()
    assert (installed.parent / "run/generator_ab.json").is_file()
