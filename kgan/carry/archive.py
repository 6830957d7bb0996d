"""All that a training needs in one archive, for a machine with a GPU that is at hand for a while: see `kgan pack`."""

from __future__ import annotations

import dataclasses
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
from kgan.carry import MB
from kgan.errors import UserError
from kgan.quiet import quiet
from kgan.training import checkpoint

if TYPE_CHECKING:
    from kgan.data import Reader
    from kgan.labels import Labels
    from kgan.training import Config

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
        from kgan.settings import expanded
        from kgan.training.config import check, open_data, resolved, stages
    output, limit = Path(output), int(limit_mb * MB)
    if output.is_dir():
        raise UserError(f"--output={output} is a folder: name the archive to write, such as {output / 'run.tar'}.")
    check(config)
    config = resolved(expanded(config))
    largest = max(stages(config), key=lambda stage: stage.image_size)
    reader = open_data(config.replace("data", memory="stream"), largest)
    print(*reader.summary(), *reader.enlarged(largest.image_size), sep="\n", flush=True)
    copies = Copies(config.data, reader)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, re.sub(r"[^\w-]+", "_", config.name) or "run")
        _add_kgan(folder)
        step = _add_run(config, reader, Path(workdir), folder) if workdir else None
        config = _add_weights(config, folder)
        if step is None:
            config = _add_generators(config, reader.labels, folder)
        if copies.train:
            config = config.replace("data", root="data")
        (folder / "config.py").write_text(source(config), encoding="utf-8")
        readme = _readme(config, folder, output.name).encode(errors="backslashreplace")  # paths need not be UTF-8
        (folder / "README.txt").write_bytes(readme)
        room = limit - weight(folder, folder.parent)
        pictures = copies.fill(folder / "data", room, as_they_are=step is not None, base=folder.parent)
        if (surplus := weight(folder, folder.parent) - limit) > 0:
            sizes = {part.name: weight(part, folder.parent) / MB for part in folder.iterdir() if part.is_dir()}
            parts = ", ".join(f"{name} of {size:.1f} MB" for name, size in sorted(sizes.items()))
            pieces = ", or leave out --workdir and take the run there as pieces of kgan bring" if "run" in sizes else ""
            raise UserError(
                f"Even with {pictures} the archive is {surplus / MB:.1f} MB larger than its {limit_mb:g} MB: it holds "
                f"{parts}. Raise --limit_mb{pieces}."
            )
        if copies.train:
            there = config.replace("data", root=str(folder / "data"), memory="stream")
            _check(lambda: open_data(there, largest), reader.labels)
        files.sweep(output.parent, output.name)
        with files.replacing(output) as archive, tarfile.open(archive, "w") as tar:
            tar.add(folder, folder.name, filter=files.anonymous)
    run = "a new run" if step is None else f"the run after step {step:,}"
    return f"{output}: {output.stat().st_size / MB:.1f} MB with {run} and {pictures}."


def _add_kgan(folder: Path) -> None:
    """Put kgan into `folder` as a wheel has it, but for the included models and what browsers run them with."""
    for package in ("kgan", "kgan.export", "kgan.configs"):
        place = folder.joinpath(*package.split("."))
        ignored = shutil.ignore_patterns("__pycache__", "*.keras", "*_dynamic_wi8_afp32.tflite", "vendor")
        shutil.copytree(str(resources.files(package)), place, ignore=ignored, dirs_exist_ok=True)


def _add_run(config: Config, reader: Reader, workdir: Path, folder: Path) -> int:
    """Put the newest checkpoint of `workdir` and its log into folder/run; returns the checkpoint's step."""
    from kgan.training.resume import as_begun, complete, describe, refuse_another_run, refuse_other_networks

    contents = checkpoint.newest_whole(workdir)
    if contents is None:
        raise UserError(f"{workdir} holds no checkpoint: name a run's folder, or leave out --workdir to begin anew.")
    newest, _, about = contents
    if "imported" in about:
        refuse_other_networks(newest, about, config)
    else:
        refuse_another_run(
            workdir,
            complete(about, config),
            describe(as_begun(config, about), reader),
            settings="Give the old settings to go on, or leave out --workdir to begin anew.",
            pictures=f"{config.data.root} should hold the same files: name their folder as --config.data.root, which "
            "is the folder data of an archive where the run began with one.",
        )
    (folder / "run").mkdir()
    for path in (newest, workdir / "log.jsonl"):
        if path.is_file():
            shutil.copyfile(path, folder / "run" / path.name)
    return int(about["step"])


def _add_weights(config: Config, folder: Path) -> Config:
    """Put the trained networks that a training reads into `folder`; returns settings that name where they are.

    Those are a student's teacher, VGG16 where a student is compared by its maps, and Inception where it measures.

    Raises:
      UserError: VGG16's weights are missing.
    """
    from kgan.filters import card, included
    from kgan.pretrained import inception, vgg16, weights

    if name := getattr(config.system, "teacher", ""):
        (folder / "teacher").mkdir()
        teacher = included.find(name)
        for path in (teacher, card.path_of(teacher)):
            if path.is_file():
                shutil.copyfile(path, folder / "teacher" / path.name)
        config = config.replace("system", teacher=f"teacher/{teacher.name}")

    needed = {vgg16.NAME: vgg16.SHA256} if getattr(config.system, "compared_by", "") == "vgg16" else {}
    if config.training.evaluate_every and not weights.present(inception.NAME):
        print("Inception's weights are missing here and will be there: KID, FID and match will not be measured.")
    elif config.training.evaluate_every:
        needed[inception.NAME] = inception.SHA256
    for name, sha256 in needed.items():
        (folder / "weights").mkdir(exist_ok=True)
        shutil.copyfile(weights.find(name, sha256), folder / "weights" / name)
    return config


def _add_generators(config: Config, labels: Labels | None, folder: Path) -> Config:
    """Put the generators that a new run begins with into `folder`; returns settings that name where they are.

    Raises:
      UserError: the run could not begin with them.
    """
    from kgan.training.resume import generator_files, init_from

    if not config.training.init_from:
        return config
    system = config.system.create(config.training.steps, config.training.seed, labels)
    init_from(system, config.training.init_from)
    (folder / "init_from").mkdir()
    for name, path in generator_files(config.training.init_from, list(system.generators())).items():
        shutil.copyfile(path, folder / "init_from" / f"{name}.keras")
    return config.replace("training", init_from="init_from")


def _readme(config: Config, folder: Path, archive: str) -> str:
    """The text of README.txt: the commands there and at home."""
    weights = "KGAN_WEIGHTS=weights " if (folder / "weights").is_dir() else ""
    root = f"{folder.name}/data" if config.data.root == "data" else config.data.root
    return README.format(name=folder.name, version=__version__, archive=archive, weights=weights, root=root)


def _check(open_copies: Callable[[], Reader], labels: Labels | None) -> None:
    """A `UserError` where the copies are no data for this training, whose labels are these."""
    with warnings.catch_warnings(action="ignore"):  # the first reader has named what is broken
        try:
            same = open_copies().labels == labels
        except UserError as error:
            raise UserError(f"The pictures for which there is room are no data to train with: {error}") from error
    if not same:
        raise UserError("Some labels do not occur among the pictures for which there is room: raise --limit_mb.")


def source(config: Config) -> str:
    """A config file of exactly these settings; a `UserError` where their classes are not all kgan's."""
    imports = [f"import {module}" for module in sorted(set(_modules(config)))]  # several have a class Settings
    function = ["def get_config() -> kgan.training.config.Config:", f"    return {_expression(config, '    ')}", ""]
    return "\n".join([f'"""The settings of {config.name}, as they were packed."""', "", *imports, "", "", *function])


def _modules(value: Any) -> Iterator[str]:
    """The module of every dataclass in a setting; a `UserError` where one is not kgan's."""
    if dataclasses.is_dataclass(value):
        module, name = type(value).__module__, type(value).__name__
        if not module.startswith("kgan."):
            raise UserError(f"The settings hold a {name} that is not kgan's own, and would not be there.")
        yield module
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    for each in value if isinstance(value, list | tuple) else ():
        yield from _modules(each)


def _expression(value: Any, indent: str) -> str:
    """A setting as Python, with each field of a dataclass on a line of its own."""
    if isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        return f"({', '.join(_expression(each, indent) for each in value)},)"
    if not dataclasses.is_dataclass(value):
        return repr(value)
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    lines = [f"{indent}    {name}={_expression(each, indent + '    ')},\n" for name, each in fields.items()]
    return f"{type(value).__module__}.{type(value).__name__}(\n{''.join(lines)}{indent})"
