"""README and docs say what is there: links, files, configs and flags exist, and the quick commands run."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from kgan import commands
from kgan.__main__ import MODULES
from kgan.pictures import images

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"(?:<!-- (run|run slowly) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FLAG = re.compile(r"--([a-z_]+(?:\.[a-z_]+)*)")
FILE = re.compile(r"(?:kgan|export|configs|docs|tests|benchmarks)/[\w./-]*")
# What a page's commands may call beside kgan itself.
OTHERS = {".", "cd", "curl", "docker", "git", "kubectl", "ls", "pip", "tar", "tensorboard"}


class Block(NamedTuple):
    """A fenced block of a page: "sh", "python" or "text", and when it is run: "run", "run slowly" or never, ""."""

    language: str
    text: str
    when: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def each_page(function: Any) -> Any:
    return pytest.mark.parametrize("page", PAGES, ids=name_of)(function)


def blocks(page: Path) -> list[Block]:
    return [Block(language, text, when) for when, language, text in FENCED.findall(page.read_text(encoding="utf-8"))]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def command_lines(page: Path) -> Iterator[list[str]]:
    """The commands of a page's shell blocks, split into words, without what sets variables."""
    shell = [block.text for block in blocks(page) if block.language == "sh"]
    indented = re.findall(r"^    ((?:kgan|make|git) .*)$", prose(page), re.MULTILINE)
    for line in "\n".join([*shell, *indented]).replace("\\\n", " ").splitlines():
        for command in re.split(r" && |; ", re.sub(r"\s+#.*", "", line)) if "python -c" not in line else [line]:
            words = shlex.split(command.replace("<", "").replace(">", ""))
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield words


def anchors(page: Path) -> set[str]:
    """Those of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@functools.cache
def flags_of(command: str) -> set[str]:
    """The flags that a command explains."""
    code = [sys.executable, "-m", "kgan", command, "--help"]
    text = subprocess.run(code, capture_output=True, text=True, check=True).stdout
    flags = re.findall(r"^\s*--(\[no\])?(\w+)", text, re.MULTILINE)
    return {name for _, name in flags} | {f"no{name}" for no, name in flags if no}


@functools.cache
def config(name: str) -> Any:
    return importlib.import_module(f"kgan.configs.{name}").get_config()


@functools.cache
def configs() -> list[Any]:
    """All that are installed."""
    return [config(path.stem) for path in sorted((ROOT / "configs").glob("*_*.py")) if path.stem != "__init__"]


def has_field(settings: Any, path: str) -> bool:
    """Whether `path`, such as "training.steps", is a field of a config."""
    for name in path.split("."):
        if not dataclasses.is_dataclass(settings) or name not in {f.name for f in dataclasses.fields(settings)}:
            return False
        settings = getattr(settings, name)
    return True


def mistakes(words: list[str]) -> list[str]:
    """What a command line names that does not exist."""
    if words[:3] == ["python", "-m", "kgan"]:
        words = words[2:]
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return [word for word in words[1:] if "=" not in word and word not in targets]
    if words[0] != "kgan":
        known = OTHERS | {"python"}
        return [] if words[0] in known else [words[0]]
    command, arguments = words[1], words[2:]
    if command not in MODULES:
        return [f"kgan {command}"]
    named = next((word.partition("=")[2] for word in arguments if word.startswith("--config=")), "")
    wrong = []
    for word in arguments:
        flag = FLAG.match(word)
        if not flag:
            wrong.append(word)
        elif flag[1].startswith("config."):
            possible = [config(named)] if named and not named.endswith(".py") else configs()
            if not any(has_field(each, flag[1].removeprefix("config.")) for each in possible):
                wrong.append(word)
        elif flag[1] not in flags_of(command):
            wrong.append(word)
    if named and not named.endswith(".py"):
        commands.config_path(named)  # raises where there is none
    return wrong


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_readme_reaches_every_page() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in LINK.findall(prose(ROOT / "README.md"))}
    assert {page for page in PAGES if page.parent == ROOT / "docs"} <= linked


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(path), f"{target}: {sorted(anchors(path))}"


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    for code in CODE.findall(prose(page)):
        if FILE.fullmatch(code) and not re.search(r"NAME", code):
            assert (ROOT / code).exists(), code


@each_page
def test_commands_and_their_flags_exist(page: Path) -> None:
    for words in command_lines(page):
        assert not mistakes(words), " ".join(words)


@each_page
def test_flags_in_sentences_exist(page: Path) -> None:
    for code in CODE.findall(prose(page)):
        if code.startswith("kgan ") and (words := code.split())[1] in MODULES:
            assert not mistakes([word for word in words if "=NAME" not in word]), code
        elif code.startswith("--"):
            for flag in FLAG.findall(code):
                path = flag.removeprefix("config.")
                known = (
                    any(has_field(each, path) for each in configs())
                    if "." in flag
                    else any(flag in flags_of(command) for command in MODULES)
                )
                assert known, code


def test_a_mistake_would_be_found() -> None:
    assert mistakes(["kgan", "train", "--config=cyclegan_emoji", "--config.system.filter=3"])
    assert mistakes(["kgan", "translate", "--modell=x"]) == ["--modell=x"]
    assert mistakes(["kgan", "draw"]) == ["kgan draw"]
    assert mistakes(["make", "coffee"]) == ["coffee"]
    assert not mistakes(["kgan", "train", "--config=cyclegan_emoji", "--config.training.steps=3"])


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with what the pages call photo.jpg and holiday: a face (docs/astronaut.png) on a plain background."""
    face = images.read(ROOT / "docs/astronaut.png")[:192, :192]
    photo = np.full((400, 400, 3), 128, np.uint8)
    photo[100:292, 100:292] = face
    images.write(tmp_path / "photo.jpg", photo)
    images.write(tmp_path / "holiday/beach.jpg", photo)
    return tmp_path


def run_blocks(page: Path, desk: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    # `kgan` and `python` are those of the Python that runs this test, activated or not.
    bin_ = desk / "bin"
    bin_.mkdir()
    for name, arguments in (("kgan", " -m kgan"), ("python", "")):
        program = bin_ / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        program.chmod(0o755)
    environment = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}"}
    for block in blocks(page):
        if block.when == when and block.language == "sh":
            done = subprocess.run(["sh", "-e", "-c", block.text], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        elif block.when == when:
            exec(block.text, {})


def marked(when: str) -> list[Path]:
    return [page for page in PAGES if any(block.when == when for block in blocks(page))]


@pytest.mark.parametrize("page", marked("run"), ids=name_of)
def test_quick_commands_run(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_blocks(page, desk, "run", monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", marked("run slowly"), ids=name_of)
def test_slower_commands_run(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_blocks(page, desk, "run slowly", monkeypatch)
