"""A run in files of a size that can pass, and home again: see `kgan bring`."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgan import files
from kgan.carry import MB
from kgan.errors import UserError
from kgan.filters import card
from kgan.quiet import quiet
from kgan.training import checkpoint

CONTENTS = "run.json"  # beside the pieces, lists them
# What `_worth_bringing` names; nothing else in a tar is placed.
_NAMES = re.compile(r"checkpoint-\d+\.npz|[^./][^/]*\.(keras|json)|log\.jsonl|samples/step-\d+\.png")
_AGAIN = "Bring the pieces again."


def cut(workdir: str | Path, output: str | Path, piece_mb: float = 16.0) -> str:
    """Write the run in `workdir` into the folder `output` as pieces; returns a line that says how many.

    The pieces one after the other are a tar. They appear together, when all are there; what an earlier call for this
    `output` left when it was killed goes.

    Raises:
      UserError: there is no run, or `output` holds other things, since all in it is replaced.
    """
    workdir, output = Path(workdir), Path(output)
    contents = checkpoint.newest_whole(workdir)
    if contents is None:
        raise UserError(f"{workdir} holds no checkpoint, so there is nothing to bring: is it the --workdir of a run?")
    newest, step = contents[0], contents[2]["step"]
    if output.is_file() or any(not re.fullmatch(r"run\.(\d+|json)", path.name) for path in output.glob("*")):
        raise UserError(f"{output} holds other things than pieces, which would be lost: name a new folder.")
    files.sweep(output.parent, output.name)
    with files.replacing(output) as folder:
        folder.mkdir()
        pieces = _Pieces(folder, int(piece_mb * MB))
        with pieces, tarfile.open(fileobj=pieces, mode="w|") as tar:
            for path in _worth_bringing(workdir, newest):
                tar.add(path, path.relative_to(workdir).as_posix(), filter=files.anonymous)
        files.write_json(folder / CONTENTS, {"step": step, **pieces.contents()})
    return f"{output}: the run after step {step:,}, {pieces.size / MB:.1f} MB in {pieces.count} pieces, and {CONTENTS}."


class _Pieces(io.RawIOBase):
    """In a file's place: what is written goes into files run.000, run.001 and so on of `most` bytes."""

    def __init__(self, folder: Path, most: int) -> None:
        super().__init__()
        self._folder, self._most = folder, most
        self._whole = hashlib.sha256()
        self._buffer = bytearray()
        self._pieces: list[dict[str, Any]] = []

    def write(self, data: Any) -> int:
        self._buffer += data
        while len(self._buffer) > self._most:
            self._cut()
        return len(data)

    def close(self) -> None:
        if self._buffer:
            self._cut()
        super().close()

    def _cut(self) -> None:
        piece = bytes(self._buffer[: self._most])
        del self._buffer[: self._most]
        name = f"run.{self.count:03d}"
        (self._folder / name).write_bytes(piece)
        self._whole.update(piece)
        self._pieces.append({"name": name, "bytes": len(piece), "sha256": hashlib.sha256(piece).hexdigest()})

    @property
    def count(self) -> int:
        return len(self._pieces)

    @property
    def size(self) -> int:
        return sum(piece["bytes"] for piece in self._pieces)

    def contents(self) -> dict[str, Any]:
        """What `CONTENTS` says of the pieces: sizes and checksums, of each and of all together."""
        return {"bytes": self.size, "sha256": self._whole.hexdigest(), "pieces": self._pieces}


def _worth_bringing(workdir: Path, newest: Path) -> Iterator[Path]:
    """The newest checkpoint, the filters with their cards, settings, log, and the last sample sheet."""
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
    files.make_folder(workdir)
    with files.locked(workdir):
        # A folder of this name inside the run's is on its disk, and swept away later if this process is killed.
        with tempfile.TemporaryDirectory(prefix=f"{files.MARK}-", dir=workdir) as temporary:
            arrived = Path(temporary, "run")
            _unpack(parts, arrived)
            newest, about = _checkpoint(arrived)
            if former := checkpoint.newest_whole(workdir):
                _refuse_another(workdir, former[2], about)
                _drop_worse(arrived, workdir)
            # The checkpoint comes last: without it, the run at home goes on from where it was.
            for path in sorted(filter(Path.is_file, arrived.rglob("*")), key=lambda path: path == newest):
                target = workdir / path.relative_to(arrived)
                target.parent.mkdir(exist_ok=True)
                files.place(path, target)
        files.sweep(workdir)  # what another process left that was killed
    return f"{workdir}: the run after step {about['step']:,}; kgan train goes on from there."


def _checked(folder: Path) -> list[Path]:
    """The pieces in their order; a `UserError` that names all that are missing or damaged."""
    try:
        about = files.parse_json((folder / CONTENTS).read_bytes())
        sums, total = {folder / each["name"]: each["sha256"] for each in about["pieces"]}, about["sha256"]
        if not all(re.fullmatch(r"run\.\d+", path.name) and path.parent == folder for path in sums):
            raise ValueError("it names files that are no pieces")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"There is no {folder / CONTENTS}, which lists the pieces: bring it too.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CONTENTS} is damaged ({error}): bring it again.") from error
    whole, wrong = hashlib.sha256(), []
    for path, sha256 in sums.items():
        data = path.read_bytes() if path.is_file() else b""
        whole.update(data)
        if hashlib.sha256(data).hexdigest() != sha256:
            wrong.append(f"{path} is {'damaged' if path.is_file() else 'missing'}")
    if wrong or whole.hexdigest() != total:
        raise UserError(f"{'; '.join(wrong) or 'The pieces do not belong together'}. {_AGAIN}")
    return list(sums)


def _unpack(parts: list[Path], folder: Path) -> None:
    """Write the files of the tar that the pieces are together into `folder`; a `UserError` where it holds others."""
    folder.mkdir()
    with tempfile.TemporaryFile(dir=folder.parent) as file:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, file)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:  # not extractall, whose guards Python 3.11.2 has yet to get
                    content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
                    if content is None or not _NAMES.fullmatch(member.name):
                        raise UserError(f"The pieces hold {member.name[:99]!r}, which is no file of a run. {_AGAIN}")
                    path = folder / member.name
                    path.parent.mkdir(exist_ok=True)
                    with path.open("wb") as copy:
                        shutil.copyfileobj(content, copy)
        except (tarfile.TarError, ValueError, EOFError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"The pieces are no run ({error}). {_AGAIN}") from error


def _checkpoint(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The checkpoint among the files that arrived, and what it says; a `UserError` unless there is one, and whole."""
    paths = checkpoint.paths(folder)
    if len(paths) != 1:
        raise UserError(f"The pieces hold {len(paths)} checkpoints, and a run's hold one. {_AGAIN}")
    try:
        return paths[0], checkpoint.load(paths[0])[1]
    except checkpoint.Damaged as error:
        raise UserError(f"The pieces hold a damaged checkpoint, {paths[0].name}. {_AGAIN}") from error


def _refuse_another(workdir: Path, here: dict[str, Any], arrived: dict[str, Any]) -> None:
    """A `UserError` where `workdir` holds another run than the one that arrived, or a later state of it."""
    with quiet():
        from kgan.training.resume import refuse_another_run
    remedy = "Name another --workdir."
    # Weights and rates of a system may change in a run. But two trainings may also differ in these alone.
    here, arrived = here | {"free": []}, arrived | {"free": []}
    refuse_another_run(workdir, here, arrived, settings=remedy, pictures=remedy)
    if here["step"] > arrived["step"]:
        raise UserError(
            f"{workdir} holds a newer state of this run, after step {here['step']:,}, and the pieces are of step "
            f"{arrived['step']:,}. Name another --workdir to keep both."
        )


def _drop_worse(arrived: Path, workdir: Path) -> None:
    """Leave out best filters that are worse than those in `workdir`: a run that travels begins to choose anew."""
    with quiet():
        from kgan.training.validation import best_of, better, measures_of
    for path in arrived.glob("best_*.keras"):
        name = path.stem.removeprefix("best_")
        measures = measures_of(arrived, name)
        if measures and not better(measures, measures_of(workdir, name)):
            best_of(arrived, name).unlink()
            card.path_of(path).unlink()
