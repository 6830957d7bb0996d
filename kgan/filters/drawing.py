"""Pictures of a generator: grids of seeds, mixed styles, truncations, and walks through w."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from kgan.errors import UserError
from kgan.filters.generators import BATCH, Generator, for_each
from kgan.pictures import images

LAYERS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}  # the paper's figure 3: 4 to 8, 16 to 32, 64 px on
LONGEST = 30  # pictures a row of a grid


def numbers(text: str, what: str = "--seeds") -> list[int]:
    """The numbers that '0-3,7' names, [0, 1, 2, 3, 7]; a `UserError` where it is no such list, or empty."""
    result: list[int] = []
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UserError(f"{what}={text} is no list of numbers: write such as 0-63 or 1,5,20-29.")
        result += range(int(first), int(last or first) + 1)
    return result


def layers_of(text: str, generator: Generator) -> list[int]:
    """The numbers of the layers that "coarse", "middle", "fine" or a list of numbers names."""
    if text in LAYERS:
        first, last = LAYERS[text]
        layers = list(range(generator.used))[first:last]
    else:
        layers = numbers(text, "--layers")
    if not layers or max(layers) >= generator.used:
        raise UserError(f"--layers={text}: this generator has the layers 0 to {generator.used - 1}.")
    return layers


def pictures(generator: Generator, seeds: Sequence[int], psi: float, label: np.ndarray | None = None) -> np.ndarray:
    """The pictures of seeds, uint8 [B, r, r, 3], drawn with a progress bar."""
    batches = [
        images.to_uint8(generator(seeds[start : start + BATCH], psi, label))
        for start in tqdm(range(0, len(seeds), BATCH), desc="generate", unit="batch")
    ]
    return np.concatenate(batches)


def grid(drawings: np.ndarray) -> np.ndarray:
    """Pictures [B, r, r, 3] on one sheet, about twice as wide as high."""
    columns = min(LONGEST, len(drawings), round((2 * len(drawings)) ** 0.5) or 1)
    return images.grid([list(drawings[i : i + columns]) for i in range(0, len(drawings), columns)])


def mixed(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: Sequence[int],
    psi: float,
    label: np.ndarray | None = None,
) -> np.ndarray:
    """The paper's figure 3 of two lists of seeds, as one sheet.

    The pictures of `columns` stand above, those of `rows` on the left, and where they meet the row's picture with the
    column's styles in `layers`.
    """
    left, above = (styles(generator, seeds, psi, label) for seeds in (rows, columns))
    both = np.repeat(left[:, None], len(columns), 1)  # [rows, columns, layers, W]
    both[:, :, layers] = above[None, :, layers]
    drawings = images.to_uint8(generator.draw(np.concatenate([left, above, *both])))
    blank = np.full_like(drawings[0], 255)
    left_pictures, top, rest = np.split(drawings, [len(rows), len(rows) + len(columns)])
    inner = rest.reshape(len(rows), len(columns), *rest.shape[1:])
    return images.grid([[blank, *top], *([one, *row] for one, row in zip(left_pictures, inner, strict=True))])


def truncated(
    generator: Generator, seeds: Sequence[int], psis: Sequence[float], label: np.ndarray | None = None
) -> np.ndarray:
    """One sheet with a row for each seed and a column for each strength of truncation, its number above."""
    w = generator.w(generator.z(seeds), for_each(len(seeds), label))
    columns = [images.to_uint8(generator.draw(generator.ws(w, psi))) for psi in psis]
    return images.grid(list(zip(*columns, strict=True)), [f"{psi:g}" for psi in psis])


def walk(
    generator: Generator, seeds: Sequence[int], frames: int, psi: float, label: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """The pictures, uint8 [r, r, 3], of a walk in `frames` steps from seed to seed, straight in w, and back again."""
    stops = styles(generator, seeds, psi, label)
    place = np.arange(frames) * len(seeds) / frames
    for start in tqdm(range(0, frames, BATCH), desc="generate", unit="batch"):
        at = place[start : start + BATCH]
        before, share = at.astype(int), (at % 1)[:, None, None].astype(np.float32)
        after = (before + 1) % len(seeds)
        yield from images.to_uint8(generator.draw(stops[before] + share * (stops[after] - stops[before])))


def styles(generator: Generator, seeds: Sequence[int], psi: float, label: np.ndarray | None = None) -> np.ndarray:
    """The styles ws [B, layers, W] of seeds, truncated by `psi`."""
    return generator.ws(generator.w(generator.z(seeds), for_each(len(seeds), label)), psi)
