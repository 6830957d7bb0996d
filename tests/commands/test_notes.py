"""Every command run for real: engines' log lines reach no terminal, also where a mistake or a bug follows.

Fast are a training, a filter and an export, in whose processes an engine does all that it does; what the other commands
do, their own tests show.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import tiny

from kgan.filters import included
from kgan.pictures import emoji, images

# What absl and TensorFlow write before each line, and lines that continue one.
NOTE = re.compile(
    r"(?m)^([IWEF]\d{4} \d\d:|[IWEF]0000 |\d{4}-\d\d-\d\d [\d:.]+: [IWEF] |WARNING:|INFO:|To enable the following|"
    r".*(cudart_stub|cuInit|port\.cc|cpu_feature_guard|InitializeLog))"
)
BUG = """
import tensorflow as tf

def get_config():
    tf.config.list_physical_devices("GPU")
    tf.ones([2]) + 1
    raise RuntimeError("a bug after the import")
"""


def run(command: str, *options: str | Path, folder: Path, code: int = 0) -> str:
    """What `kgan command` writes to standard error, which holds no note."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-m", "kgan", command, *map(str, options)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    stderr = done.stderr.replace("\r", "\n")
    assert done.returncode == code, done.stdout + stderr
    assert not NOTE.search(stderr) and not NOTE.search(done.stdout), stderr + done.stdout
    return stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, run/, two pictures in pictures/, and a damaged model, damaged.keras."""
    folder = tmp_path_factory.mktemp("notes")
    stderr = run("train", f"--config={tiny.__file__}", "--config.training.steps=1", "--workdir=run", folder=folder)
    assert "1/1" in stderr  # the progress bar is Python's, and is seen
    for name, picture in zip(("a.png", "b.png"), emoji.load("google", "test")[:2], strict=True):
        images.write(folder / "pictures" / name, picture)
    (folder / "damaged.keras").write_bytes((folder / "run/generator_ab.keras").read_bytes()[:1000])
    return folder


def test_translate(folder: Path) -> None:
    run("translate", "--model=run/generator_ab.keras", "--input=pictures", "--output=results", folder=folder)


@pytest.mark.slow
def test_evaluate(folder: Path) -> None:
    run(
        *("evaluate", "--model=run/generator_ab.keras", "--input=pictures", "--reference=pictures", "--metrics=l1"),
        folder=folder,
    )


def test_export(folder: Path) -> None:
    run("export", "--model=run/generator_ab.keras", "--recipes=dynamic", "--output=exported", folder=folder)


@pytest.mark.slow
def test_generate(folder: Path) -> None:
    run("generate", "--model=stylegan_animefaces", "--seeds=0-1", "--output=drawn.png", folder=folder)


@pytest.mark.slow
def test_pack_and_bring(folder: Path) -> None:
    run("pack", f"--config={tiny.__file__}", "--output=packed.tar", folder=folder)
    run("bring", "--workdir=run", "--output=pieces", folder=folder)
    run("bring", "--workdir=home", "--input=pieces", folder=folder)


@pytest.mark.slow
def test_demo(folder: Path) -> None:
    run("demo", "--steps=2", "--output=demo", folder=folder)


def test_a_mistake_after_the_import_is_one_line(folder: Path) -> None:
    options = "--model=damaged.keras", "--input=pictures", "--output=results"
    stderr = run("translate", *options, folder=folder, code=2)
    assert stderr.startswith("kgan: damaged.keras is not a model of Keras ") and stderr.count("\n") == 1


@pytest.mark.slow
def test_a_mistake_that_a_training_finds_is_one_line(folder: Path) -> None:
    other = f"--config={tiny.__file__}", "--config.training.steps=4", "--config.system.filters=3", "--workdir=run"
    stderr = run("train", *other, folder=folder, code=2)
    assert stderr.startswith("kgan: run ") and stderr.count("\n") == 1


def test_a_bug_in_a_config_after_the_import_is_one_line(folder: Path) -> None:
    (folder / "bug.py").write_text(BUG)
    stderr = run("train", "--config=bug.py", "--workdir=other", folder=folder, code=2)
    assert stderr == "kgan: bug.py, line 7: RuntimeError: a bug after the import\n"


def test_an_included_filter_translates_without_any_engine(folder: Path) -> None:
    """By its name and cropped at the size that it was trained at: its .tflite alone runs."""
    code = (
        "import sys; sys.argv[0] = 'kgan translate'\n"
        "from kgan import commands\n"
        "from kgan.commands import translate\n"
        "try:\n    commands.run(translate.main)\n"
        "finally:\n    print(sorted({'tensorflow', 'keras', 'jax', 'h5py'} & sys.modules.keys()))"
    )
    options = "--model=onesided_selfie2anime", "--input=pictures/a.png", "--output=anime.png", "--crop=center"
    done = subprocess.run(
        [sys.executable, "-c", code, *options], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["Wrote anime.png.", "[]"]
    assert images.read(folder / "anime.png").shape == (128, 128, 3)
    assert included.tflite("onesided_selfie2anime") is not None


def test_engines_speak_where_they_are_asked_to(folder: Path) -> None:
    code = "import os\nfrom kgan.quiet import only_python\nwith only_python():\n    os.write(2, b'I0000 note')"
    for level, expected in (("0", "I0000 note"), ("1", "")):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": level}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == expected
