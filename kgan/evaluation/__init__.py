"""Measuring sets of pictures: what filters make of a folder, and finished folders, against a folder of real ones."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgan.errors import UserError
from kgan.evaluation.latents import OF_LATENTS, Latents, draw_set
from kgan.evaluation.measures import DIMENSIONS, OF_FEATURES, OF_INPUTS, OF_PAIRS, Measures
from kgan.evaluation.sets import PictureSet, inspect, partners, translate
from kgan.filters import card as cards
from kgan.filters import generators
from kgan.filters.included import find
from kgan.filters.loading import Filter, load
from kgan.metrics import path_length, report
from kgan.pictures import images
from kgan.pretrained import resizing, weights

METRICS = tuple(report.HOW)
DEFAULT = ("fid", "kid")
NO_FILTER = "no filter"
REFERENCE = "the reference"
ENOUGH = 10_000  # pictures for precision and recall, which the paper measures with 50,000
ON_SHEET = 8


def evaluate(
    reference: str | Path | None,
    generated: Sequence[str | Path] = (),
    models: Sequence[str | Path] = (),
    source: str | Path | None = None,
    metrics: Sequence[str] = DEFAULT,
    resize: str = "clean",
    seed: int = 0,
    weights_path: str | Path | None = None,
    cache: Path = weights.CACHE,
    sheet: str | Path | None = None,
    label: str | None = None,
    count: int = 10_000,
    crop: str = "none",
    labelled: str | Path | None = None,
) -> dict[str, Any]:
    """Measure the pictures of `source` as they are, every model on them, and every folder in `generated`.

    Memory does not grow with the number of pictures: features are kept on disk, 8 KiB a picture, and what models make
    lies there meanwhile.

    Args:
      reference: folder of real pictures, such as the filter should make; for measures of pairs each has the name of
        its input. Diversity and flicker do without.
      generated: folders of finished pictures.
      models: names of included filters, paths of filters as `kgan.load` takes them, which need `source`, or paths of
        generators with a card that says so.
      source: folder of pictures for the filters; for flicker and match, of what was filtered, under the same names.
      metrics: some of METRICS.
      resize: "clean" or "legacy", see `kgan.pretrained.resizing`.
      seed: fixes KID's subsets and diversity's pairs.
      weights_path: the networks' weights or their folder, see `kgan.pretrained.weights.find`.
      cache: folder that keeps features and diversity of pictures, by the content of their files.
      sheet: where to write a picture of the first inputs and what each model makes of them.
      label: what filters and generators with labels draw, such as "hair=blonde"; filters take several, separated by ;
        in turn.
      count: how many pictures a generator draws, without truncation, and how many steps its path lengths take.
      crop: what path lengths look at, see `kgan.metrics.path_length`.
      labelled: folder of labelled pictures, whose attributes separability measures.

    Returns:
      {"protocol", "folders", "results", "warnings"}, fit for JSON.

    Raises:
      UserError: settings that do not fit each other, a missing folder, model or weights, fewer than two readable
        pictures in a folder, pictures that do not pair.
    """
    paths = {str(model): find(model) for model in models}
    generator_paths = {name: path for name, path in paths.items() if _draws_noise(path)}
    filter_paths = {name: path for name, path in paths.items() if name not in generator_paths}
    _check(reference, [*generated, *generator_paths], [*filter_paths], source, metrics, resize)
    _check_latents([*generator_paths], metrics, crop, count, labelled)
    real = inspect(reference) if reference else None
    inputs = inspect(source) if source else None
    folders = [inspect(folder) for folder in generated]
    _check_pairs(real, inputs, folders, metrics)
    from kgan import engine  # here: mistakes are told before an engine starts

    engine.exactly()
    filters = {name: _for_each_label(load(path), label) for name, path in filter_paths.items()}
    drawing = {name: generators.load(path) for name, path in generator_paths.items()}
    labels = {name: generator.label(label) for name, generator in drawing.items()}
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder)
        measures = Measures(metrics, real, resize, seed, weights_path, cache.expanduser() / "features", temporary)
        translations = [
            translate(labelled_filters, name, inputs, temporary / str(number))
            for number, (name, labelled_filters) in enumerate(filters.items())
            if inputs
        ]
        drawings = [
            draw_set(generator, name, count, labels[name], temporary / f"noise{number}")
            for number, (name, generator) in enumerate(drawing.items())
        ]
        if sheet and inputs and translations:
            images.write(sheet, _sheet(inputs, translations))
        elif sheet and drawings:
            images.write(sheet, _rows(drawings))
        unfiltered = [dataclasses.replace(inputs, name=NO_FILTER)] if inputs else []
        sides = [*unfiltered, *translations, *folders, *drawings]
        latents = Latents(metrics, count, crop, seed, labelled, weights_path)
        before = {side.name: None if side.name in drawing else inputs for side in sides}  # noise was no picture before
        results = [
            {"name": side.name, "count": len(side), "sizes": side.sizes}
            | measures.distances(side, before[side.name])
            | measures.likeness(side)
            | measures.match(side, before[side.name])
            | measures.flicker(side, before[side.name])
            | measures.diversity(side)
            | (latents.measure(drawing[side.name], labels[side.name]) if side.name in drawing else {})
            for side in sides
        ]
        if real and "lpips_diversity" in metrics:
            row = {"name": REFERENCE, "count": len(real), "sizes": real.sizes}
            results.append(row | measures.diversity(dataclasses.replace(real, name=REFERENCE)))
    on_disk = [pictures for pictures in (real, inputs, *folders) if pictures]
    return {
        "protocol": {
            "measures": {metric: report.HOW[metric] for metric in metrics},
            "networks": measures.networks,
            "resize": f"{resize}, to 299 x 299 without regard to the aspect",
            "model_input": "the centred square, resized (bicubic, antialiased) to the size that the model's card names",
            "model_output": "uint8, without loss",
            "generators": f"seeds 0 to {count - 1}, no truncation; crop of path lengths: {crop}" if drawing else "",
            "label": label,
            "pairs": "of one name; resized (bicubic, antialiased) to the reference, a model's to its centred square",
            "seed": seed,
            "versions": _versions(),
        },
        "folders": [_summary(pictures) for pictures in on_disk],
        "results": results,
        "warnings": [
            *_about_counts(sides, real, metrics),
            *_about_sizes(sides, real),
            *_about_colours(on_disk),
            *_about_formats([pictures for pictures in (inputs, *folders) if pictures], real),
            *latents.about_classifiers(),
        ],
    }


def _draws_noise(model: str | Path) -> bool:
    """Whether the model's card says that it draws pictures of noise, not of pictures."""
    card = cards.read(model)
    return card is not None and card.kind == "generator"


def _for_each_label(picture_filter: Filter, label: str | None) -> list[Filter]:
    """The filter once for each of the labels between semicolons."""
    return [picture_filter.with_label(each) for each in (label.split(";") if label else [None])]


def _check(
    reference: str | Path | None,
    generated: Sequence[str | Path],
    models: Sequence[str | Path],
    source: str | Path | None,
    metrics: Sequence[str],
    resize: str,
) -> None:
    """A `UserError` for settings of `evaluate` that do not fit each other."""
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        raise UserError(f"--metrics={','.join(unknown)} is unknown: it takes some of {', '.join(METRICS)}.")
    if resize not in resizing.METHODS:
        raise UserError(f"--resize={resize} is unknown: it is one of {', '.join(resizing.METHODS)}.")
    comparing = [metric for metric in metrics if metric in (*OF_FEATURES, *OF_PAIRS)]
    if comparing and not reference:
        raise UserError(f"--reference=FOLDER is missing: the real pictures that {comparing[0]} compares with.")
    if models and not source:
        raise UserError("--model=... needs --input=FOLDER, the pictures for the model to translate.")
    of_inputs = [metric for metric in metrics if metric in OF_INPUTS]
    if of_inputs and not source:
        raise UserError(f"--metrics={of_inputs[0]} needs --input=FOLDER, the pictures or frames before the filter.")
    if not (generated or source):
        raise UserError("There is nothing to measure: give --model=... and --input=FOLDER, or --generated=FOLDER.")


def _check_latents(
    models: Sequence[str], metrics: Sequence[str], crop: str, count: int, labelled: str | Path | None
) -> None:
    """A `UserError` for settings that measures of latents of the generators `models` cannot work with."""
    latent = [metric for metric in metrics if metric in OF_LATENTS]
    if latent and not models:
        raise UserError(f"--metrics={latent[0]} measures generators: name one in --model, with its card beside it.")
    if "separability" in metrics and not labelled:
        raise UserError("--metrics=separability needs --labelled=FOLDER: labels.csv, and beside it the folder images.")
    if crop not in path_length.CROPS:
        raise UserError(f"--path_crop={crop} is unknown: it is one of {', '.join(path_length.CROPS)}.")
    if count < 2:
        raise UserError(f"--count={count} is too small: sets are compared, of two pictures at the very least.")


def _check_pairs(
    real: PictureSet | None, inputs: PictureSet | None, folders: Sequence[PictureSet], metrics: Sequence[str]
) -> None:
    """A `UserError` before hours of work, where pictures that should pair do not."""
    of_pairs, of_inputs = ([metric for metric in metrics if metric in some] for some in (OF_PAIRS, OF_INPUTS))
    for pictures in (*([inputs] if inputs else []), *folders):
        if real and of_pairs:
            partners(pictures, real, of_pairs)
        if inputs and of_inputs:
            partners(pictures, inputs, of_inputs, by_pixel="flicker" in of_inputs)


def _sheet(inputs: PictureSet, translations: Sequence[PictureSet]) -> np.ndarray:
    """A picture of the first inputs in a column, and of what each filter makes of them beside it."""
    side = max(max(pictures.shapes[0]) for pictures in translations)
    rows = []
    for number in range(min(ON_SHEET, len(inputs))):
        row = [images.center_square(inputs.read(number)), *(pictures.read(number) for pictures in translations)]
        rows.append([images.resize(picture, (side, side)) for picture in row])
    return images.grid(rows, ["input", *(Path(pictures.name).stem for pictures in translations)])


def _rows(sides: Sequence[PictureSet]) -> np.ndarray:
    """A picture with a row for each generator, of its first pictures."""
    side = max(max(pictures.shapes[0]) for pictures in sides)
    return images.grid(
        [
            [images.resize(pictures.read(n), (side, side)) for n in range(min(ON_SHEET, len(pictures)))]
            for pictures in sides
        ]
    )


def _about_counts(sides: Sequence[PictureSet], real: PictureSet | None, metrics: Sequence[str]) -> Iterator[str]:
    """Warnings about measures that depend on how many pictures there are."""
    least = min(len(pictures) for pictures in (*sides, real) if pictures)
    if "fid" in metrics and least < DIMENSIONS:
        yield (
            f"FID of {least} pictures is biased upward, as of all sets below {DIMENSIONS}, the number of features: "
            "compare it at equal counts only. KID has no such bias."
        )
    if "precision_recall" in metrics and least < ENOUGH:
        yield (
            f"Precision and recall of {least} pictures are coarse: the paper takes 50,000 of each. They move with the "
            "counts: compare them at equal ones only."
        )
    if {"fid", "precision_recall"} & set(metrics) and len({len(side) for side in sides}) > 1:
        yield "The rows have different counts: their FID, precision and recall do not compare."


def _about_sizes(sides: Sequence[PictureSet], real: PictureSet | None) -> Iterator[str]:
    """A warning for each set whose pictures are of other sizes than the reference's."""
    for side in sides:
        if real and set(side.sizes) != set(real.sizes):
            yield (
                f"{side.name} has pictures of {_shown(side.sizes)} pixels, the reference of {_shown(real.sizes)}: "
                "part of the distance is sharpness."
            )


def _about_colours(folders: Sequence[PictureSet]) -> Iterator[str]:
    """Warnings about folders with greyscale or transparent pictures."""
    for pictures in folders:
        grey, clear = pictures.colours.get("greyscale", 0), pictures.colours.get("with transparency", 0)
        if grey:
            yield f"{pictures.name} holds {grey} in greyscale: R, G and B are equal in them."
        if clear:
            yield f"{pictures.name} holds {clear} with transparency: they were laid on white."


def _about_formats(sides: Sequence[PictureSet], real: PictureSet | None) -> Iterator[str]:
    """A warning where folders hold other kinds of files than the reference, named once for all of them."""
    others = [side for side in sides if real and set(side.formats) != set(real.formats)]
    if real and others:
        kinds = "; ".join(f"{side.name} of {_kinds(side)}" for side in others)
        yield (
            f"The reference is of {_kinds(real)}, {kinds}. Compression leaves traces that FID, KID and the like see: "
            "even copies of the same pictures differ. Save both sets as one kind, before any compression."
        )


def _kinds(pictures: PictureSet) -> str:
    """ "6 PNG and 2 JPEG", the most frequent first."""
    return " and ".join(f"{count} {kind}" for kind, count in Counter(pictures.formats).most_common())


def _shown(sizes: dict[str, int]) -> str:
    """The size that all pictures have, or how many sizes there are."""
    return next(iter(sizes)) if len(sizes) == 1 else f"{len(sizes)} sizes"


def _summary(pictures: PictureSet) -> dict[str, Any]:
    """What the report says of a folder; of sizes the five most frequent, as every picture may have its own."""
    sizes = dict(Counter(pictures.sizes).most_common(5))
    left = len(pictures) - sum(sizes.values())
    return {
        "folder": pictures.name,
        "count": len(pictures),
        "sizes": {**sizes, **({"others": left} if left else {})},
        "kinds": dict(Counter(path.suffix.lower() for path in pictures.paths)),
        "colours": pictures.colours,
        "skipped": pictures.broken,
        "left_out": pictures.left_out,
        "sha256": pictures.sha256,
    }


def _versions() -> dict[str, str]:
    """The versions of Python and of the packages that figures depend on."""
    packages = ("kgan", "keras", "numpy", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
