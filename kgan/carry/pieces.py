"""A run in files of a size that can pass, and home again: see `kgan bring`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgan import files
from kgan.errors import UserError
from kgan.filters import card
from kgan.quiet import quiet
from kgan.training import checkpoint

MB = 1_000_000
CONTENTS = "run.json"


def cut(workdir: str | Path, output: str | Path, piece_mb: float = 16.0) -> str:
    """Write the run in `workdir` into the folder `output` as pieces; returns a line that says how many.

    Raises:
      UserError: there is no run, or `output` holds other things, since all in it is replaced.
    """
    workdir, output = Path(workdir), Path(output)
    saved = checkpoint.paths(workdir)
    if not saved:
        raise UserError(f"{workdir} holds no checkpoint, so there is nothing to bring: is it the --workdir of a run?")
    if output.is_file() or any(not re.fullmatch(r"run\.(\d+|json)", path.name) for path in output.glob("*")):
        raise UserError(f"{output} holds other things than pieces, which would be lost: name a new folder.")
    step, whole = checkpoint.load(saved[-1])[1]["step"], hashlib.sha256()
    pieces: list[dict[str, Any]] = []
    with files.replacing(output) as folder, tempfile.TemporaryFile(dir=output.parent) as file:
        folder.mkdir()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path in _worth_keeping(workdir, saved[-1]):
                tar.add(path, path.relative_to(workdir).as_posix(), filter=files.anonymous)
        file.seek(0)
        while data := file.read(int(piece_mb * MB)):
            name = f"run.{len(pieces):03d}"
            (folder / name).write_bytes(data)
            whole.update(data)
            pieces.append({"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        size = file.tell()
        about = {"step": step, "bytes": size, "sha256": whole.hexdigest(), "pieces": pieces}
        (folder / CONTENTS).write_text(json.dumps(about, indent=2) + "\n")
    return f"{output}: the run after step {step:,}, {size / MB:.1f} MB in {len(pieces)} pieces, and {CONTENTS}."


def _worth_keeping(workdir: Path, newest: Path) -> Iterator[Path]:
    yield newest
    for model in sorted(workdir.glob("[!.]*.keras")):
        yield from (path for path in (model, card.path_of(model)) if path.is_file())
    sheets = sorted((workdir / "samples").glob("step-*.png"))
    yield from (path for path in (workdir / "config.json", workdir / "log.jsonl", *sheets[-1:]) if path.is_file())


def join(pieces: str | Path, workdir: str | Path) -> str:
    """Put the files that the folder `pieces` holds into `workdir`; returns a line that says where the run stands.

    Raises:
      UserError: pieces are missing or damaged; `workdir` holds a run of other settings or pictures, or a later state.
    """
    pieces, workdir = Path(pieces), Path(workdir)
    parts = _checked(pieces)
    workdir.mkdir(parents=True, exist_ok=True)
    # A folder of this name inside the run's is on its disk, and swept away if this process is killed.
    with files.locked(workdir), tempfile.TemporaryDirectory(prefix=f"{files.MARK}-", dir=workdir) as temporary:
        brought = Path(temporary, "run")
        with tempfile.TemporaryFile(dir=temporary) as file:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, file)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                for member in tar:  # not extractall, whose guards Python 3.11.2 has yet to get
                    content = tar.extractfile(member)
                    if content and ".." not in Path(member.name).parts and not Path(member.name).is_absolute():
                        path = brought / member.name
                        path.parent.mkdir(parents=True, exist_ok=True)
                        with path.open("wb") as made:
                            shutil.copyfileobj(content, made)
        (newest,) = checkpoint.paths(brought)
        _, about = checkpoint.load(newest)
        for saved in checkpoint.paths(workdir)[-1:]:
            _refuse_another(workdir, checkpoint.load(saved)[1], about)
            _drop_worse(brought, workdir)
        # The checkpoint comes last: without it, the run at home goes on from where it was.
        for path in sorted(filter(Path.is_file, brought.rglob("*")), key=lambda path: path == newest):
            target = workdir / path.relative_to(brought)
            target.parent.mkdir(exist_ok=True)
            files.place(path, target)
    return f"{workdir}: the run after step {about['step']:,}; kgan train goes on from there."


def _checked(folder: Path) -> list[Path]:
    """The pieces in their order; a `UserError` that names all that are missing or damaged."""
    try:
        about = json.loads((folder / CONTENTS).read_text())
        found, total = {folder / each["name"]: each["sha256"] for each in about["pieces"]}, about["sha256"]
    except FileNotFoundError:
        raise UserError(f"There is no {folder / CONTENTS}, which lists the pieces: bring it too.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CONTENTS} is damaged ({error}): bring it again.") from error
    whole, wrong = hashlib.sha256(), []
    for path, sha256 in found.items():
        data = path.read_bytes() if path.is_file() else b""
        whole.update(data)
        if hashlib.sha256(data).hexdigest() != sha256:
            wrong.append(f"{path} is {'damaged' if path.is_file() else 'missing'}")
    if wrong or whole.hexdigest() != total:
        raise UserError(f"{'; '.join(wrong) or 'The pieces do not belong together'}. Bring the pieces again.")
    return list(found)


def _refuse_another(workdir: Path, here: dict[str, Any], brought: dict[str, Any]) -> None:
    with quiet():
        from kgan.training.resume import refuse_another_run
    remedy = "Name another --workdir."
    refuse_another_run(workdir, here, brought, settings=remedy, pictures=remedy)
    if here["step"] > brought["step"]:
        raise UserError(
            f"{workdir} holds a newer state of this run, after step {here['step']:,}, and the pieces are of step "
            f"{brought['step']:,}. Name another --workdir to keep both."
        )


def _drop_worse(brought: Path, workdir: Path) -> None:
    """A run that was carried away without its best filters has begun to choose anew."""
    with quiet():
        from kgan.training.validation import best_of, better, measures_of
    for path in brought.glob("best_*.keras"):
        name = path.stem.removeprefix("best_")
        measures = measures_of(brought, name)
        if measures and not better(measures, measures_of(workdir, name)):
            best_of(brought, name).unlink()
            card.path_of(path).unlink()
