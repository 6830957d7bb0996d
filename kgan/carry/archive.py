"""All that a training needs in one archive, for a machine with a GPU that is at hand for a while: see `kgan pack`."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgan import __version__, files
from kgan.errors import UserError
from kgan.quiet import quiet
from kgan.training import checkpoint

if TYPE_CHECKING:
    from kgan.data import Reader
    from kgan.training import Config

MB = 1_000_000
README = """{name}: a training, packed by kgan {version}.

    tar xf {archive} && cd {name}
    {weights}KERAS_BACKEND=jax python -m kgan train --config=config.py --workdir=run
    python -m kgan bring --workdir=run --output=pieces --piece_mb=16

kgan itself is in this folder; Python 3.11 or 3.12 must be there, and keras, jax (or tensorflow, and no KERAS_BACKEND),
numpy, pillow, absl-py, ml_collections, tqdm and tensorboard. --config.training.minutes=25 stops the second command
after that long; given again, it goes on. The third cuts what is worth keeping into files of at most 16 MB. At home,

    kgan bring --input=pieces --workdir=runs/{name}
    kgan train --config={name}/config.py --config.data.root={root} --workdir=runs/{name}

go on, with the pictures of this archive: unpack it there too. To carry the run elsewhere again:

    kgan pack --config={name}/config.py --config.data.root={root} --workdir=runs/{name} --output={archive}
"""


def pack(config: Config, output: str | Path, limit_mb: float = 60.0, workdir: str | Path | None = None) -> str:
    """Write the archive; returns a line that says what is in it.

    Raises:
      UserError: settings or pictures with which no training begins; no run in `workdir`, or one of others; more than
        the limit.
    """
    with quiet():
        from kgan.carry.copies import Copies, weight
        from kgan.training.config import open_data, stages
    output, limit = Path(output), int(limit_mb * MB)
    if output.is_dir():
        raise UserError(f"--output={output} is a folder: name the archive to write, such as {output / 'run.tar'}.")
    config.system.check()
    largest = max(stages(config), key=lambda stage: stage.image_size)
    reader = open_data(_changed(config, "data", memory="stream"), largest)
    copies = Copies(config.data, reader)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, re.sub(r"[^\w-]+", "_", config.name) or "run")
        _add_kgan(folder)
        begun = _add_run(config, reader, Path(workdir), folder) if workdir else None
        config = _add_weights(config, folder, new=begun is None)
        if copies.train:
            config = _changed(config, "data", root="data")
        (folder / "config.py").write_text(source(config), encoding="utf-8")
        (folder / "README.txt").write_text(_readme(config, folder, output.name), encoding="utf-8")
        room = limit - weight(folder, folder.parent)
        said = copies.fill(folder / "data", room, as_they_are=begun is not None, base=folder.parent)
        if (surplus := weight(folder, folder.parent) - limit) > 0:
            sizes = {part.name: weight(part, folder.parent) / MB for part in folder.iterdir() if part.is_dir()}
            held = ", ".join(f"{name} of {size:.1f} MB" for name, size in sorted(sizes.items()))
            pieces = ", or leave out --workdir and take the run there as pieces of kgan bring" if "run" in sizes else ""
            raise UserError(
                f"Even with {said} the archive is {surplus / MB:.1f} MB larger than its {limit_mb:g} MB: it holds "
                f"{held}. Raise --limit_mb{pieces}."
            )
        if copies.train:
            there = _changed(config, "data", root=str(folder / "data"), memory="stream")
            _check(lambda: open_data(there, largest), reader.labels)
        with files.replacing(output) as archive, tarfile.open(archive, "w") as tar:
            tar.add(folder, folder.name, filter=files.anonymous)
    what = "a new run" if begun is None else f"the run after step {begun:,}"
    return f"{output}: {output.stat().st_size / MB:.1f} MB with {what} and {said}."


def _changed(config: Config, part: str, **fields: Any) -> Config:
    return dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **fields)})


def _add_kgan(folder: Path) -> None:
    """The package as a wheel has it, but for the included models."""
    for package in ("kgan", "kgan.export", "kgan.configs"):
        place, ignored = (
            folder.joinpath(*package.split(".")),
            shutil.ignore_patterns("__pycache__", "*.keras", "*_dynamic.tflite"),
        )
        shutil.copytree(str(resources.files(package)), place, ignore=ignored, dirs_exist_ok=True)


def _add_run(config: Config, reader: Reader, workdir: Path, folder: Path) -> int:
    """The newest checkpoint and the log into folder/run; returns the checkpoint's step."""
    from kgan.training.resume import differences

    saved = checkpoint.found(workdir)
    if not saved:
        raise UserError(f"{workdir} holds no checkpoint: name a run's folder, or leave out --workdir to begin anew.")
    newest = saved[-1]
    _, about = checkpoint.load(newest)
    if differing := differences(about["config"], json.loads(json.dumps(dataclasses.asdict(config)))):
        raise UserError(
            f"{workdir} holds a run with other settings: {'; '.join(differing)}. Give the old settings to go on, or "
            "leave out --workdir to begin anew."
        )
    if about["data"] != reader.fingerprint():
        raise UserError(
            f"{workdir} began with other pictures than those in {config.data.root}, and goes on with the same files "
            "only. Name their folder as --config.data.root: where the run began with an archive, the folder data in it."
        )
    (folder / "run").mkdir()
    for path in (newest, workdir / "log.jsonl"):
        if path.is_file():
            shutil.copyfile(path, folder / "run" / path.name)
    return int(about["step"])


def _add_weights(config: Config, folder: Path, new: bool) -> Config:
    """Networks that it reads: Inception, where it measures; and filters to begin with, which the settings then name."""
    from kgan.pretrained import inception, weights

    read = [*getattr(config.system, "weights", ())]
    if config.training.evaluate_every:
        read.append((inception.NAME, inception.SHA256))
    for name, sha256 in read:
        (folder / "weights").mkdir(exist_ok=True)
        shutil.copyfile(weights.find(name, sha256), folder / "weights" / name)
    if not new or not config.training.init_from:
        return config
    (folder / "init_from").mkdir()
    found = sorted(Path(config.training.init_from).glob("generator*.keras"))
    if not found:
        raise UserError(f"training.init_from={config.training.init_from}: there is no generator in that folder.")
    for path in found:
        shutil.copyfile(path, folder / "init_from" / path.name)
    return _changed(config, "training", init_from="init_from")


def _readme(config: Config, folder: Path, archive: str) -> str:
    weights = "KGAN_WEIGHTS=weights " if (folder / "weights").is_dir() else ""
    root = f"{folder.name}/data" if config.data.root == "data" else config.data.root
    return README.format(name=folder.name, version=__version__, archive=archive, weights=weights, root=root)


def _check(opened: Callable[[], Reader], labels: Any) -> None:
    """A `UserError` where the copies are no data for this training."""
    with warnings.catch_warnings(action="ignore"):  # the first reader has named what is broken
        try:
            same = opened().labels == labels
        except UserError as error:
            raise UserError(f"The pictures for which there is room are no data to train with: {error}") from error
    if not same:
        raise UserError("Some labels do not occur among the pictures for which there is room: raise --limit_mb.")


def source(config: Config) -> str:
    """A config file of exactly these settings; a `UserError` where their classes are not all kgan's."""
    imports = [f"from {module} import {name}" for module, name in sorted(set(_kinds(config)))]
    function = ["def get_config() -> Config:", f"    return {_expression(config, '    ')}", ""]
    return "\n".join([f'"""The settings of {config.name}, as they were packed."""', "", *imports, "", "", *function])


def _kinds(value: Any) -> Iterator[tuple[str, str]]:
    """(module, name) of every dataclass in a setting."""
    if dataclasses.is_dataclass(value):
        module, name = type(value).__module__, type(value).__name__
        if not module.startswith("kgan."):
            raise UserError(f"The settings hold a {name} that is not kgan's own, and would not be there.")
        yield module, name
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    for each in value if isinstance(value, list | tuple) else ():
        yield from _kinds(each)


def _expression(value: Any, indent: str) -> str:
    """Python for a setting: each field on a line."""
    if isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        return f"({', '.join(_expression(each, indent) for each in value)},)"
    if not dataclasses.is_dataclass(value):
        return repr(value)
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    lines = [f"{indent}    {name}={_expression(each, indent + '    ')},\n" for name, each in fields.items()]
    return f"{type(value).__name__}(\n{''.join(lines)}{indent})"
