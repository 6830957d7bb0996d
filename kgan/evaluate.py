"""Measure filters, or folders of pictures that they made, against a folder of real ones: FID and KID.

  kgan evaluate --model=runs/anime/generator_ab.keras --input=photos/testA --reference=photos/testB
  kgan evaluate --model=light.tflite,full.keras --input=photos/testA --reference=photos/testB --output=report.json
  kgan evaluate --generated=filtered --reference=photos/testB --resize=legacy

A model gets the centred square of each input at the size that its card names. The row "no filter" measures the inputs
as they are: a filter that does not beat it is worse than none. Lower is better. Figures of different counts, sizes or
ways of resizing do not compare, so the report says them all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from kgan import commands, files, images
from kgan.errors import UserError
from kgan.loading import Filter, load
from kgan.metrics import fid, kid, resizing, weights
from kgan.quiet import quiet

METRICS = ("fid", "kid")
NO_FILTER = "no filter"
DIMENSIONS = 2048
BLOCK = 1024
SUBSETS = 100
ON_SHEET = 8

Extract = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]  # pictures of any size to features [b, 2048]


@dataclasses.dataclass
class Folder:
    """The pictures of a folder, each decoded once to see that it can be.

    Attributes:
      paths: of the readable ones, sorted by name.
      broken: a sentence for each of the others.
      sizes, kinds: how many there are of each "height x width" and suffix.
      sha256: of the readable files' bytes, in this order and whatever their names.
    """

    folder: str
    paths: list[Path]
    broken: list[str]
    sizes: dict[str, int]
    kinds: dict[str, int]
    sha256: str


@dataclasses.dataclass
class Side:
    """A set of pictures under the `name` it has in the table: their sizes and features, [n, 2048] in a file."""

    name: str
    sizes: dict[str, int]
    features: np.ndarray


def evaluate(
    reference: str | Path,
    generated: Sequence[str | Path] = (),
    models: Sequence[str | Path] = (),
    source: str | Path | None = None,
    metrics: Sequence[str] = METRICS,
    resize: str = "clean",
    seed: int = 0,
    weights_path: str | Path | None = None,
    cache: Path = weights.CACHE,
    sheet: str | Path | None = None,
) -> dict[str, Any]:
    """Measure the pictures of `source` as they are, every model on them, and every folder in `generated`.

    Memory does not grow with the number of pictures: features are kept on disk, 8 KiB a picture.

    Args:
      reference: folder of real pictures, such as the filter should make.
      generated: folders of finished pictures.
      models: filters, as `kgan.load` takes them; they need `source`.
      source: folder of pictures for the models.
      metrics: some of METRICS.
      resize: "clean" or "legacy", see `kgan.metrics.resizing`.
      seed: of KID's subsets.
      weights_path: of Inception's weights, see `kgan.metrics.weights.find`.
      cache: features of folders stay here, by the content of their files.
      sheet: a picture to write, of the first inputs and what each model makes of them.

    Returns:
      {"protocol", "reference", "results", "warnings"}, fit for JSON.

    Raises:
      UserError: settings that do not fit each other, a missing folder, model or weights, fewer than two readable
        pictures in a folder.
    """
    _check(generated, models, source, metrics, resize)
    real, *others = [_inspect(folder) for folder in (reference, *([source] if source else []), *generated)]
    filters = {str(model): load(model) for model in models}
    extract, network = _network(resize, weights_path)
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        kept = _writable(cache.expanduser() / "features") or temporary

        def measured(folder: Folder, name: str) -> Side:
            key = " ".join([folder.sha256, resize, *network.values()])
            file = kept / f"{hashlib.sha256(key.encode()).hexdigest()}.f32"
            if not file.is_file():
                _store(extract(_read(name, folder)), file)
            return Side(name, folder.sizes, _rows(file))

        sides = []
        target = measured(real, str(reference))
        if source:
            sides.append(measured(others[0], NO_FILTER))
        for i, (name, picture_filter) in enumerate(filters.items()):
            file = temporary / f"{i}.f32"
            _store(extract(_translated(picture_filter, image) for image in _read(name, others[0])), file)
            height, width = _size(picture_filter)
            sides.append(Side(name, {f"{height} x {width}": len(others[0].paths)}, _rows(file)))
        for folder in others[1:] if source else others:
            sides.append(measured(folder, folder.folder))
        results = _results(sides, target, metrics, seed)
    if sheet and filters:
        images.write(sheet, _sheet(filters, others[0].paths[:ON_SHEET]))
    folders = [real, *others]
    return {
        "protocol": {
            "metrics": list(metrics),
            "features": network,
            "resize": f"{resize}, to 299 x 299 without regard to the aspect",
            "model_input": "the centred square, resized (bicubic, antialiased) to the size that the model's card names",
            "model_output": "uint8, never compressed",
            "kid": "100 times the unbiased estimate with the kernel (x.y / 2048 + 1)^3 over all pictures",
            "kid_subsets": {"count": SUBSETS, "size": "1000, or half of the smaller set where that is less"},
            "seed": seed,
            "versions": _versions(),
        },
        "folders": [_summary(folder) for folder in folders],
        "results": results,
        "warnings": list(_warnings(sides, target, metrics)),
    }


def _check(
    generated: Sequence[str | Path],
    models: Sequence[str | Path],
    source: str | Path | None,
    metrics: Sequence[str],
    resize: str,
) -> None:
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        raise UserError(f"--metrics={','.join(unknown)} is unknown: it takes some of {', '.join(METRICS)}.")
    if resize not in resizing.METHODS:
        raise UserError(f"--resize={resize} is unknown: it is one of {', '.join(resizing.METHODS)}.")
    if models and not source:
        raise UserError("--model=... needs --input=FOLDER, the pictures for the model to translate.")
    if not (generated or source):
        raise UserError("There is nothing to measure: give --model=... and --input=FOLDER, or --generated=FOLDER.")


def _inspect(folder: str | Path) -> Folder:
    """Decode and hash every picture; a `UserError` where fewer than two can be read."""
    paths = images.find(folder)

    def look(path: Path) -> tuple[bytes, tuple[int, int]] | str:
        try:
            data = path.read_bytes()
            return hashlib.sha256(data).digest(), images.decode(data, str(path)).shape[:2]
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        looks = list(zip(paths, pool.map(look, paths), strict=True))
    broken = [found for _, found in looks if isinstance(found, str)]
    readable = {path: found for path, found in looks if not isinstance(found, str)}
    if len(readable) < 2:
        raise UserError(
            f"{folder} holds {len(readable) or 'no'} readable picture{'s' * (not readable)}"
            f"{f', and {len(broken)} broken' if broken else ''}: sets of pictures are compared, of two "
            f"{', '.join(images.SUFFIXES)} files at the very least and better of thousands."
        )
    for sentence in broken:
        print(f"Skipped. {sentence}", file=sys.stderr)
    return Folder(
        folder=str(folder),
        paths=list(readable),
        broken=broken,
        sizes=dict(Counter(f"{height} x {width}" for _, (height, width) in readable.values())),
        kinds=dict(Counter(path.suffix.lower() for path in readable)),
        sha256=hashlib.sha256(b"".join(digest for digest, _ in readable.values())).hexdigest(),
    )


def _network(resize: str, path: str | Path | None) -> tuple[Extract, dict[str, str]]:
    """Inception as a function of pictures, and what the report says of it."""
    with quiet():
        from kgan.metrics import inception  # here: mistakes are told before an engine starts

        network = inception.load(path)

    def extract(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return inception.features(network, pictures, resize)

    return extract, {"network": network.name, "sha256": inception.SHA256, "backend": inception.keras.backend.backend()}


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        print(f"{folder} cannot be written, so that features are not kept for the next time.", file=sys.stderr)
        return None


def _read(name: str, folder: Folder) -> Iterator[np.ndarray]:
    return map(images.read, tqdm(folder.paths, desc=name, unit="picture"))


def _size(picture_filter: Filter) -> tuple[int, int]:
    return picture_filter.size or (picture_filter.card.image_size, picture_filter.card.image_size)


def _translated(picture_filter: Filter, image: np.ndarray) -> np.ndarray:
    return picture_filter(images.resize(images.center_square(image), _size(picture_filter)))


def _sheet(filters: dict[str, Filter], paths: list[Path]) -> np.ndarray:
    """Inputs in the first column, and what each filter makes of them beside it."""
    side = max(max(_size(picture_filter)) for picture_filter in filters.values())
    rows = []
    for path in paths:
        image = images.read(path)
        made = [_translated(picture_filter, image) for picture_filter in filters.values()]
        rows.append([images.resize(picture, (side, side)) for picture in (images.center_square(image), *made)])
    return images.grid(rows, ["input", *(Path(name).stem for name in filters)])


def _store(blocks: Iterable[np.ndarray], file: Path) -> None:
    with files.replacing(file) as temporary, temporary.open("wb") as stream:
        for block in blocks:
            stream.write(np.asarray(block, "<f4").tobytes())


def _rows(file: Path) -> np.ndarray:
    return np.memmap(file, "<f4", mode="r").reshape(-1, DIMENSIONS)


def _results(sides: list[Side], target: Side, metrics: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """A row for each side."""

    def gaussian(side: Side) -> fid.Gaussian:
        starts = range(0, len(side.features), BLOCK)
        return fid.gaussian(side.features[start : start + BLOCK] for start in starts)

    real = gaussian(target) if "fid" in metrics else None
    results = []
    for side in sides:
        row: dict[str, Any] = {"name": side.name, "count": len(side.features), "sizes": side.sizes}
        if real:
            row["fid"] = fid.distance(real, gaussian(side))
        if "kid" in metrics:
            mean, deviation = kid.over_subsets(side.features, target.features, SUBSETS, seed)
            size = kid.subset_size(len(side.features), len(target.features))
            row["kid"] = 100 * kid.distance(side.features, target.features)
            row["kid_subsets"] = {"mean": 100 * mean, "deviation": 100 * deviation, "size": size}
        results.append(row)
    return results


def _warnings(sides: list[Side], target: Side, metrics: Sequence[str]) -> Iterator[str]:
    """What a reader of the table must know."""
    counts = {len(side.features) for side in (*sides, target)}
    if "fid" in metrics and min(counts) < DIMENSIONS:
        yield (
            f"FID of {min(counts)} pictures is biased upward, as of all sets below {DIMENSIONS}, the number of "
            "features: compare it at equal counts only. KID has no such bias."
        )
    if "fid" in metrics and len({len(side.features) for side in sides}) > 1:
        yield "The rows have different counts: their FID does not compare."
    for side in sides:
        if set(side.sizes) != set(target.sizes):
            yield (
                f"{side.name} has pictures of {_shown(side.sizes)} pixels, the reference of {_shown(target.sizes)}: "
                "part of the distance is sharpness."
            )


def _shown(sizes: dict[str, int]) -> str:
    return next(iter(sizes)) if len(sizes) == 1 else f"{len(sizes)} sizes"


def _summary(folder: Folder) -> dict[str, Any]:
    """What the report says of a folder, in which every picture may have a size of its own."""
    sizes = dict(Counter(folder.sizes).most_common(5))
    left = sum(folder.sizes.values()) - sum(sizes.values())
    return {
        "folder": folder.folder,
        "count": len(folder.paths),
        "sizes": {**sizes, **({"others": left} if left else {})},
        "kinds": folder.kinds,
        "skipped": folder.broken,
        "sha256": folder.sha256,
    }


def _versions() -> dict[str, str]:
    packages = ("kgan", "keras", "numpy", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def table(report: dict[str, Any]) -> str:
    """The report's results as aligned text."""
    lines = [["", "pictures", "FID", "KID x 100", "of subsets"]]
    for row in report["results"]:
        subsets = row.get("kid_subsets")
        lines.append(
            [
                row["name"],
                str(row["count"]),
                f"{row['fid']:.2f}" if "fid" in row else "",
                f"{row['kid']:.3f}" if "kid" in row else "",
                f"{subsets['mean']:.3f} +- {subsets['deviation']:.3f}" if subsets else "",
            ]
        )
    kept = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    aligned = [
        [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in zip(*kept, strict=True)
    ]
    return "\n".join("  ".join(row) for row in aligned)


# Other commands have flags of the same names; a process runs one command, but tests import several.
_MODEL = flags.DEFINE_string("model", None, "Filters to measure, separated by commas.", allow_override=True)
_INPUT = flags.DEFINE_string("input", None, "Folder of pictures for the filters.", allow_override=True)
_GENERATED = flags.DEFINE_list("generated", [], "Folders of finished pictures to measure, separated by commas.")
_REFERENCE = flags.DEFINE_string("reference", None, "Folder of real pictures, such as the filter should make.")
_METRICS = flags.DEFINE_list("metrics", list(METRICS), "What to measure.")
_RESIZE = flags.DEFINE_enum(
    "resize", "clean", list(resizing.METHODS), "To 299 pixels: clean (antialiased), or legacy (as TensorFlow 1 did)."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write the report as JSON, and beside it a sheet of pictures.", allow_override=True
)
_SEED = flags.DEFINE_integer("seed", 0, "Of KID's random subsets.", allow_override=True)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, f"Inception's weights, a file or folder; default: ${weights.VARIABLE}, else {weights.CACHE}."
)


def main() -> None:
    if not _REFERENCE.value:
        raise UserError("--reference=FOLDER is missing: the real pictures to compare with. --help explains it.")
    if _OUTPUT.value and Path(_OUTPUT.value).is_dir():
        raise UserError(f"--output={_OUTPUT.value} is a folder: name a file for the report, such as report.json.")
    sheet = Path(_OUTPUT.value).with_suffix(".png") if _OUTPUT.value and _MODEL.value else None
    report = evaluate(
        _REFERENCE.value,
        _GENERATED.value,
        _MODEL.value.split(",") if _MODEL.value else [],
        _INPUT.value,
        _METRICS.value,
        _RESIZE.value,
        _SEED.value,
        _WEIGHTS.value,
        sheet=sheet,
    )
    print(f"\nAgainst {_REFERENCE.value}, resize {_RESIZE.value}; lower is better:\n\n{table(report)}\n")
    for warning in report["warnings"]:
        print(f"Note: {warning}")
    if _OUTPUT.value:
        images.write_bytes(_OUTPUT.value, (json.dumps(report, indent=2) + "\n").encode())
        print(f"Wrote {_OUTPUT.value}{f' and {sheet}' if sheet else ''}.")


if __name__ == "__main__":
    commands.run(main)
