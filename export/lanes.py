"""A `.tflite` in every runtime that this machine has, side by side.

XNNPACK on this machine's processor, the lane litert, is the reference: what the other lanes draw is compared with what
it draws, and it itself with the Keras model, where that lies beside the file. A lane holds where its PSNR reaches the
floor of the recipe that the file was made by. A runtime that is not there is skipped, and a sentence says why.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kgan.errors import UserError
from kgan.export import figures, filters, generators, operations, recipes
from kgan.export.figures import Bar
from kgan.export.runtimes import Absent, Inputs, Runtime, arm64, browser, gpu, litert, openvino
from kgan.export.verify import CEILING, compare
from kgan.filters import card as cards
from kgan.filters.card import Card
from kgan.filters.generators import load_network
from kgan.filters.loading import load_keras
from kgan.litert import Model
from kgan.pictures import images
from kgan.precision import float32_copy

RUNTIMES: tuple[Runtime, ...] = (litert, arm64, gpu, browser, openvino)
LANES = {runtime.__name__.rpartition(".")[-1]: runtime for runtime in RUNTIMES}
FLOOR = 30.0  # dB, of files that others made, or by a recipe that is not known


@dataclasses.dataclass(frozen=True)
class Lane:
    """One file in one runtime.

    Attributes:
      lane: the runtime, a module of `kgan.export.runtimes`; against: what it is compared with, "keras" or "litert".
      floor: the least PSNR in dB with which it holds.
      psnr: in dB at peak 2 over all pictures, 200 where they are equal; None where nothing was compared.
      max_difference: absolute, of pixels in [-1, 1].
      seconds: that the lane took in all; no measure of the runtime's speed.
      skipped: why it did not run; problem: why it does not hold. Both are "" where it does.
    """

    lane: str
    against: str
    floor: float
    psnr: float | None = None
    max_difference: float | None = None
    seconds: float = 0.0
    skipped: str = ""
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """One file in all lanes.

    Attributes:
      file: its name; recipe: as its card says, "" without one; bytes, sha256: of the file.
      parameters, multiplications: see `operations.Size`.
      operations: how many of each kind; rank: the most dimensions that a tensor has.
      obstacles: why phones could not run it, or slowly, as clauses.
      partitions: how many pieces of the network XNNPACK runs; one, where it takes all of it.
      pictures: how many were drawn in each lane.
    """

    file: str
    recipe: str
    bytes: int
    sha256: str
    parameters: int
    multiplications: int
    operations: dict[str, int]
    rank: int
    obstacles: tuple[str, ...]
    partitions: int
    pictures: int
    lanes: tuple[Lane, ...]

    @property
    def problems(self) -> list[str]:
        return [f"{self.file} in the lane {each.lane}: {each.problem}" for each in self.lanes if each.problem]


def choose(names: Sequence[str]) -> dict[str, Runtime]:
    """The lanes of these names, the reference first, which is always among them; a `UserError` where one is unknown."""
    if unknown := [name for name in names if name not in LANES]:
        raise UserError(f"There is no lane '{unknown[0]}': choose from {', '.join(LANES)}.")
    return {name: runtime for name, runtime in LANES.items() if runtime is litert or name in names}


def measure(file: Path, pictures: Sequence[np.ndarray], lanes: Sequence[str] = tuple(LANES)) -> Report:
    """Run a `.tflite` of a filter or generator in each of `lanes`.

    Args:
      file: as `kgan export` wrote it, with its card where it takes labels or noise.
      pictures: uint8 [H, W, 3] of any sizes, for a filter.
      lanes: names in `LANES`.

    Raises:
      UserError: the file is missing or damaged, or is no such file, or a lane is unknown.
    """
    chosen = choose(lanes)
    model, card = Model(file), cards.checked(file) or Card(name=file.stem)
    recipe = str(card.export.get("recipe", ""))
    floor = recipes.get(recipe).floor if recipe in recipes.RECIPES else FLOOR
    inputs = examples(file, model, card, pictures)
    data = file.read_bytes()
    counts, rank = operations.contents(data)

    reference = litert.run(file, inputs)
    results = [lane("litert", "keras", floor, lambda: by_keras(file, recipe, inputs), lambda: reference)]
    for name, runtime in list(chosen.items())[1:]:
        draw = partial(runtime.run, file, inputs)
        results.append(lane(name, "litert", floor, lambda: reference, draw))
    return Report(
        *(file.name, recipe, *cards.digest(file), *operations.size(data), counts, rank),
        *(operations.obstacles(counts, rank), model.partitions, len(inputs), tuple(results)),
    )


def examples(file: Path, model: Model, card: Card, pictures: Sequence[np.ndarray]) -> list[Inputs]:
    """What the file is run on: `pictures` in its size, with its labels in turn; for a generator, noise."""
    shapes = model.signature
    labels = card.labels.examples() if card.labels else []
    if card.kind == "generator":
        rows = {name: shape[1:] for name, shape in shapes.items()}
        return generators.examples(rows, len(pictures), labels)
    if "image" not in shapes or not shapes.keys() <= {"image", "label"}:
        raise UserError(
            f"{file} has no signature from 'image', and 'label' where it takes one, to 'image': kgan verify runs files "
            "that kgan export wrote. kgan benchmark times any."
        )
    if "label" in shapes and not labels:
        raise UserError(f"{file} takes labels, and which is said by its card: keep {cards.path_of(file)} beside it.")
    height, width = shapes["image"][1:3]
    resized = [images.resize(picture, (height, width)) for picture in pictures]
    return filters.inputs_from(resized, [{"label": label[None]} for label in labels] or [{}])


def by_keras(file: Path, recipe: str, inputs: Sequence[Inputs]) -> list[np.ndarray]:
    """What the Keras model that the file was made of draws; `Absent` where none lies beside it."""
    path = file.with_name(f"{file.stem.removesuffix(f'_{recipe}')}.keras")
    if not path.is_file():
        raise Absent(f"no {path.name} lies beside it to compare it with")
    if "z" in inputs[0]:
        return generators.draw_each(load_network(path)[0], inputs)
    return filters.draw_each(float32_copy(load_keras(path)), inputs)


Draw = Callable[[], list[np.ndarray]]


def lane(name: str, against: str, floor: float, expected: Draw, draw: Draw) -> Lane:
    """What two ways of drawing the same pictures differ by."""
    start = time.monotonic()
    try:
        maximum, _, psnr = compare(expected(), draw())
    except Absent as absent:
        return Lane(name, against, floor, skipped=str(absent).rstrip("."))
    except UserError as error:
        problem = f"it cannot be run there: {str(error).rstrip('.')}"
        return Lane(name, against, floor, seconds=time.monotonic() - start, problem=problem)
    seconds = time.monotonic() - start
    if math.isnan(psnr):
        return Lane(name, against, floor, seconds=seconds, problem="it, or the reference, gives no numbers")
    problem = f"its PSNR against {against} is {psnr:.1f} dB, under the floor of {floor:g}" if psnr < floor else ""
    return Lane(name, against, floor, psnr, maximum, seconds, problem=problem)


def table(reports: Sequence[Report]) -> str:
    """Text for people: a table for each file, and below it why lanes were skipped or do not hold."""
    return "\n\n".join(one_table(report) for report in reports)


def one_table(report: Report) -> str:
    """As `table`, of one file."""
    kinds = ", ".join(f"{count} {name}" for name, count in report.operations.items())
    rows = [("lane", "against", "PSNR dB", "floor", "max diff", "seconds", "")]
    for each in report.lanes:
        state = "skipped" if each.skipped else "FAILS" if each.problem else "ok"
        numbers = ("-", "-") if each.psnr is None else (figure(each.psnr), f"{each.max_difference:.1e}")
        rows.append((each.lane, each.against, numbers[0], f"{each.floor:g}", numbers[1], f"{each.seconds:.0f}", state))
    notes = [f"{each.lane}: {each.skipped or each.problem}." for each in report.lanes if each.skipped or each.problem]
    notes += [f"Phones: {clause}." for clause in report.obstacles]
    head = (
        f"{report.file}: {report.bytes / 1000:,.0f} KB, {report.parameters:,} parameters, "
        f"{report.multiplications / 1e6:,.0f} million MACs, {sum(report.operations.values())} operators in "
        f"{report.partitions} XNNPACK {'partition' if report.partitions == 1 else 'partitions'}; "
        f"{report.pictures} pictures"
    )
    return "\n".join([head, kinds, figures.table(rows, words=2), *notes])


def figure(psnr: float) -> str:
    """A PSNR, or that the pictures are equal."""
    return "equal" if psnr >= CEILING else f"{psnr:.1f}"


def chart(reports: Sequence[Report]) -> np.ndarray:
    """PSNR of each lane, as bars, uint8 [H, W, 3]; a black line at the floor. A lane that did not run has no bar."""

    def caption(lane: Lane) -> str:
        if lane.psnr is None:
            return "skipped" if lane.skipped else lane.problem[:60]
        return f"{figure(lane.psnr)}, floor {lane.floor:g} dB"

    return figures.bars(
        [
            Bar(
                f"{report.file}, {each.lane}",
                caption(each),
                each.psnr or 0.0,
                (each.floor, each.floor),
                not each.problem,
            )
            for report in reports
            for each in report.lanes
        ]
    )
