"""`kgan bring`: a run in pieces, all of it checked before any is placed, and never over a newer one."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import status

from kgan import files
from kgan.carry.pieces import cut, join
from kgan.commands import bring as command
from kgan.errors import UserError
from kgan.training import checkpoint

SETTINGS = {
    "name": "run",
    "system": {"match_weight": 3.0},
    "data": {"root": "data"},
    "training": {"steps": 8, "batch_size": 2},
}
PICTURES = {"a": {"pictures": 2, "sha256": "0123456789abcdef"}}


def run(folder: Path, step: int, settings: dict[str, Any] = SETTINGS, pictures: dict[str, Any] = PICTURES) -> Path:
    """A folder as a training of `step` steps leaves it, without TensorBoard's files."""
    arrays = {"weights": np.random.default_rng(step).normal(size=1000)}
    about = {"config": settings, "data": pictures, "free": ["system.match_weight"]}
    checkpoint.save(folder, step, arrays, about, keep=3)
    for name in ("generator_ab", "best_generator_ab"):
        (folder / f"{name}.keras").write_bytes(b"%d" % step * 100)
        (folder / f"{name}.json").write_text(json.dumps({"training": {"steps": step}}))
    (folder / ".unfinished-01234567-generator_ab.keras").write_bytes(b"half of it")
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "log.jsonl").write_text("".join(f'{{"step": {i + 1}}}\n' for i in range(step)))
    (folder / "samples").mkdir(exist_ok=True)
    (folder / f"samples/step-{step:08d}.png").write_bytes(b"sheet")
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """After steps 2 and 4."""
    run(tmp_path / "there", 2)
    return run(tmp_path / "there", 4)


@pytest.fixture
def pieces(there: Path, tmp_path: Path) -> Path:
    cut(there, tmp_path / "pieces", 0.009)
    return tmp_path / "pieces"


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder by their paths in it, without its lock."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if name != ".lock"}


KEPT = {"checkpoint-00000004.npz", "config.json", "log.jsonl", "samples/step-00000004.png"}
KEPT |= {f"{name}.{kind}" for name in ("generator_ab", "best_generator_ab") for kind in ("keras", "json")}


def test_what_is_worth_keeping_arrives_as_it_was(there: Path, pieces: Path, tmp_path: Path) -> None:
    summary = join(pieces, tmp_path / "deep/home")
    assert summary == f"{tmp_path / 'deep/home'}: the run after step 4; kgan train goes on from there."
    arrived = contents(tmp_path / "deep/home")
    assert arrived.keys() == KEPT
    assert arrived == {name: content for name, content in contents(there).items() if name in KEPT}


def test_no_piece_is_larger_and_there_are_no_more_than_needed(there: Path, pieces: Path, tmp_path: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in pieces.iterdir() if path.name != "run.json"}
    total = sum(sizes.values())
    count = -(-total // 9000)
    assert count == 3 and sizes == {
        **{f"run.{i:03d}": 9000 for i in range(count - 1)},
        f"run.{count - 1:03d}": total - (count - 1) * 9000,
    }
    about = json.loads((pieces / "run.json").read_text())
    assert about["step"] == 4 and about["bytes"] == total
    assert {piece["name"]: piece["bytes"] for piece in about["pieces"]} == sizes
    whole = tmp_path / "whole.tar"
    whole.write_bytes(b"".join((pieces / name).read_bytes() for name in sorted(sizes)))
    with tarfile.open(whole) as tar:
        assert set(tar.getnames()) == KEPT


def test_brought_again_the_former_pieces_go(there: Path, pieces: Path, tmp_path: Path) -> None:
    run(there, 6)
    summary = cut(there, pieces)
    assert summary.startswith(f"{pieces}: the run after step 6, 0.0 MB in 1 pieces")
    assert {path.name for path in pieces.iterdir()} == {"run.000", "run.json"}
    join(pieces, tmp_path / "home")
    assert (tmp_path / "home/checkpoint-00000006.npz").is_file()


def test_a_call_that_is_killed_leaves_nothing_in_sight_and_the_next_sweeps(there: Path, tmp_path: Path) -> None:
    """Killed between two files of the tar, and then given again."""
    code = (
        "import os, signal, sys, tarfile\n"
        "from kgan.carry.pieces import cut\n"
        "add, files = tarfile.TarFile.add, []\n"
        "def add_or_die(*arguments, **options):\n"
        "    files.append(arguments)\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if len(files) == 5 else add(*arguments, **options)\n"
        "tarfile.TarFile.add = add_or_die\n"
        "cut(sys.argv[1], sys.argv[2], 0.009)\n"
    )
    command = [sys.executable, "-c", code, str(there), str(tmp_path / "pieces")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"there"}
    (unfinished,) = tmp_path.glob(".*")
    assert list(unfinished.iterdir())  # it had begun
    other = tmp_path / ".unfinished-01234567-more-pieces"  # another call's, which may be at work
    other.mkdir()
    cut(there, tmp_path / "pieces", 0.009)
    assert {path.name for path in tmp_path.iterdir()} == {"there", "pieces", other.name}
    assert contents(there)[".unfinished-01234567-generator_ab.keras"]


def test_what_was_left_unfinished_at_home_goes(pieces: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".unfinished-0123abcd").mkdir(parents=True)
    join(pieces, home)
    assert contents(home).keys() == KEPT and not (home / ".unfinished-0123abcd").exists()


def test_other_files_in_the_output_are_not_replaced(there: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for path in (tmp_path / "mine/run.txt", tmp_path / "file"):
        path.write_text("mine")
    for output in ("mine", "file"):
        with pytest.raises(UserError, match="holds other things than pieces"):
            cut(there, tmp_path / output)
    assert (tmp_path / "mine/run.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_without_a_checkpoint_there_is_nothing_to_bring(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere holds no checkpoint"):
        cut(tmp_path / "nowhere", tmp_path / "pieces")
    assert not (tmp_path / "pieces").exists()


def test_every_missing_or_damaged_piece_is_named_and_nothing_placed(pieces: Path, tmp_path: Path) -> None:
    home = run(tmp_path / "home", 2)
    before = contents(home)
    (pieces / "run.001").unlink()
    data = bytearray((pieces / "run.002").read_bytes())
    data[100] ^= 1
    (pieces / "run.002").write_bytes(data)
    with pytest.raises(UserError, match=r"run\.001 is missing; \S*run\.002 is damaged\. Bring"):
        join(pieces, home)
    assert contents(home) == before
    with pytest.raises(UserError, match=r"run\.001 is missing"):
        join(pieces, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_pieces_of_two_runs_do_not_mix(there: Path, pieces: Path, tmp_path: Path) -> None:
    about = json.loads((pieces / "run.json").read_text())
    about["pieces"].reverse()
    (pieces / "run.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="The pieces do not belong together"):
        join(pieces, tmp_path / "home")


def test_without_its_list_nothing_is_put_together(pieces: Path, tmp_path: Path) -> None:
    (pieces / "run.json").write_text('{"pieces": [{"name"')
    with pytest.raises(UserError, match=r"run\.json is damaged .*bring it again"):
        join(pieces, tmp_path / "home")
    (pieces / "run.json").unlink()
    with pytest.raises(UserError, match=r"There is no \S*run\.json"):
        join(pieces, tmp_path / "home")


def test_an_older_state_gives_way(pieces: Path, tmp_path: Path) -> None:
    home = run(tmp_path / "home", 3, {**SETTINGS, "name": "renamed", "data": {"root": "elsewhere"}})
    join(pieces, home)
    assert [path.name for path in checkpoint.paths(home)] == ["checkpoint-00000003.npz", "checkpoint-00000004.npz"]
    assert (home / "generator_ab.keras").read_bytes() == b"4" * 100
    assert len((home / "log.jsonl").read_text().splitlines()) == 4
    join(pieces, home)  # once more changes nothing


@pytest.mark.parametrize(
    ("step", "settings", "pictures", "sentence"),
    [
        (5, SETTINGS, PICTURES, "holds a newer state of this run, after step 5, and the pieces are of step 4"),
        (2, {**SETTINGS, "training": {"batch_size": 3}}, PICTURES, "training.batch_size was 3 and is 2"),
        (2, {**SETTINGS, "system": {"match_weight": 1.0}}, PICTURES, r"system\.match_weight was 1\.0 and is 3\.0"),
        (2, SETTINGS, {"a": {"pictures": 2, "sha256": "0"}}, "began with other pictures"),
    ],
)
def test_another_or_a_newer_run_is_left_alone(
    pieces: Path, tmp_path: Path, step: int, settings: dict[str, Any], pictures: dict[str, Any], sentence: str
) -> None:
    home = run(tmp_path / "home", step, settings, pictures)
    before = contents(home)
    with pytest.raises(UserError, match=sentence):
        join(pieces, home)
    assert contents(home) == before


def test_a_run_that_is_training_is_left_alone(pieces: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with files.locked(tmp_path / "home"), pytest.raises(UserError, match="Another process is at work"):
        join(pieces, tmp_path / "home")
    assert not contents(tmp_path / "home")


@pytest.mark.parametrize(("here", "brought", "best"), [(1.0, 2.0, "here"), (2.0, 1.0, "there"), (None, 9.0, "there")])
def test_the_better_of_two_best_filters_stays(
    there: Path, tmp_path: Path, here: float | None, brought: float, best: str
) -> None:
    home = Path(shutil.copytree(there, tmp_path / "home"))
    for folder, kid in ((home, here), (there, brought)):
        (folder / "best_generator_ab.keras").write_text("here" if folder == home else "there")
        measured = {} if kid is None else {"validation": {"kid": kid, "fid": 1.0, "pictures": 4, "image_size": 16}}
        (folder / "best_generator_ab.json").write_text(json.dumps({"training": measured}))
    card = (there / "best_generator_ab.json").read_bytes()
    cut(there, tmp_path / "pieces")
    join(tmp_path / "pieces", home)
    assert (home / "best_generator_ab.keras").read_text() == best
    assert ((home / "best_generator_ab.json").read_bytes() == card) == (best == "there")


def test_the_command(there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, home = tmp_path / "pieces", tmp_path / "home"
    for arguments, code in (
        ([f"--workdir={there}", f"--output={output}", "--piece_mb=0.02"], 0),
        ([f"--workdir={home}", f"--input={output}"], 0),
        ([f"--workdir={home}", f"--input={output}", f"--output={output}"], 2),
        ([f"--workdir={home}"], 2),
        ([f"--input={output}"], 2),
    ):
        assert status(command, *arguments) == code
    printed = capsys.readouterr()
    assert [line.partition(":")[0] for line in printed.out.splitlines()] == [str(output), str(home)]
    assert printed.err.count("kgan: bring needs --output there, or --input at home") == 2
    assert printed.err.endswith("\nkgan: --workdir=... is missing. --help explains it.\n")


# --- pieces that no run left ---------------------------------------------------------------------------------------


def pieces_of(folder: Path, contents: dict[str, bytes | tarfile.TarInfo]) -> Path:
    """A folder of pieces, checksums and all, whose tar holds these files and other members."""
    folder.mkdir()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in contents.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content) if isinstance(content, bytes) else 0
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return as_pieces(folder, data.getvalue())


def as_pieces(folder: Path, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.000").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    about = {"step": 4, "sha256": sha256, "pieces": [{"name": "run.000", "bytes": len(data), "sha256": sha256}]}
    files.write_json(folder / "run.json", about)
    return folder


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def test_pieces_that_hold_no_run_are_a_sentence(there: Path, tmp_path: Path) -> None:
    one, other = (path.read_bytes() for path in checkpoint.paths(there))
    four = "checkpoint-00000004.npz"
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "hold 0 checkpoints"),
        ({"log.jsonl": b""}, "hold 0 checkpoints"),
        ({"checkpoint-00000002.npz": one, four: other}, "hold 2 checkpoints"),
        ({four: b""}, "hold a damaged checkpoint"),
        ({four: other[:-50]}, "hold a damaged checkpoint"),
        ({four: link(four, "/etc/passwd")}, "which is no file of a run"),
        ({"samples": link("samples", "/tmp")}, "which is no file of a run"),
        ({"../out.json": b"{}"}, "which is no file of a run"),
        ({"/tmp/out.json": b"{}"}, "which is no file of a run"),
        ({"/".join("d" * 500): b""}, "which is no file of a run"),
    ]
    for number, (contents, sentence) in enumerate(cases):
        with pytest.raises(UserError, match=sentence):
            join(pieces_of(tmp_path / f"pieces{number}", contents), tmp_path / "home")
    for number, data in enumerate((b"", b"no tar" * 999, other)):
        with pytest.raises(UserError, match=r"Bring the pieces again|hold 0 checkpoints"):
            join(as_pieces(tmp_path / f"other{number}", data), tmp_path / "home")
    assert contents_of_home(tmp_path) == []


def contents_of_home(folder: Path) -> list[str]:
    return [path.name for path in (folder / "home").iterdir() if path.name != ".lock"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b'{"pieces": 5, "sha256": ""}',
        b'{"pieces": [{"name": 5, "sha256": ""}], "sha256": ""}',
        b'{"pieces": [{"name": "../../etc/passwd", "sha256": ""}], "sha256": ""}',
        b'{"pieces": ["run.000"], "sha256": ""}',
    ],
)
def test_a_list_of_pieces_that_is_damaged(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        join(tmp_path, tmp_path / "home")
