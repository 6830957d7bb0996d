"""Draw pictures of noise with a generator that StyleGAN trained.

  kgan generate --model=runs/faces/generator.keras --seeds=0-63 --truncation_psi=0.7 --output=faces
  kgan generate --model=runs/faces/generator.keras --seeds=0-4 --mix=10-15 --layers=coarse --output=mixed.png
  kgan generate --model=runs/faces/generator.keras --seeds=0-3 --psis=-1,-0.5,0,0.5,1 --output=truncation.png
  kgan generate --model=runs/faces/generator.keras --seeds=0-7 --frames=240 --output=walk.gif

The first writes a picture a seed and grid.png with all of them into a folder; --output=faces.png is the grid alone.
--mix draws the paper's figure of mixed styles: a row for each of --seeds, a column for each of --mix, whose styles
replace the row's in --layers. --psis draws each seed at several truncations. A .gif or .mp4 walks from seed to seed, in
w, and back to the first.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from kgan import commands, files, images
from kgan.errors import UserError
from kgan.generators import BATCH, Generator, load

LAYERS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}  # the paper's figure 3: 4 to 8, 16 to 32, 64 px on
LONGEST = 30  # pictures a row of a grid
RATE = 30  # frames a second
FILMS = (".gif", ".mp4")


def numbers(text: str, what: str = "--seeds") -> list[int]:
    """'0-3,7' to [0, 1, 2, 3, 7]; a `UserError` for anything else, or nothing."""
    found: list[int] = []
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UserError(f"{what}={text} is no list of numbers: write such as 0-63 or 1,5,20-29.")
        found += range(int(first), int(last or first) + 1)
    return found


def layers_of(text: str, generator: Generator) -> list[int]:
    """ "coarse", "middle", "fine" or numbers, to the layers whose styles are replaced."""
    if text in LAYERS:
        first, last = LAYERS[text]
        found = list(range(generator.used))[first:last]
    else:
        found = numbers(text, "--layers")
    if not found or max(found) >= generator.used:
        raise UserError(f"--layers={text}: this generator has the layers 0 to {generator.used - 1}.")
    return found


def pictures(generator: Generator, seeds: Sequence[int], psi: float, label: np.ndarray | None = None) -> np.ndarray:
    """uint8 [B, r, r, 3] of seeds, with a progress bar."""
    made = [
        images.to_uint8(generator(seeds[start : start + BATCH], psi, label))
        for start in tqdm(range(0, len(seeds), BATCH), desc="generate", unit="batch")
    ]
    return np.concatenate(made)


def grid(made: np.ndarray) -> np.ndarray:
    """All of them on one sheet, about twice as wide as high."""
    columns = min(LONGEST, len(made), round((2 * len(made)) ** 0.5) or 1)
    return images.grid([list(made[i : i + columns]) for i in range(0, len(made), columns)])


def mixed(
    generator: Generator,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: Sequence[int],
    psi: float,
    label: np.ndarray | None = None,
) -> np.ndarray:
    """The paper's figure 3: the pictures of `columns` above, those of `rows` on the left, and where they meet the row's
    picture with the column's styles in `layers`."""
    left, above = (styles(generator, seeds, psi, label) for seeds in (rows, columns))
    both = np.repeat(left[:, None], len(columns), 1)  # [rows, columns, layers, W]
    both[:, :, layers] = above[None, :, layers]
    made = images.to_uint8(generator.draw(np.concatenate([left, above, *both])))
    blank = np.full_like(made[0], 255)
    left_pictures, top, rest = np.split(made, [len(rows), len(rows) + len(columns)])
    inner = rest.reshape(len(rows), len(columns), *rest.shape[1:])
    return images.grid([[blank, *top], *([one, *row] for one, row in zip(left_pictures, inner, strict=True))])


def truncated(
    generator: Generator, seeds: Sequence[int], psis: Sequence[float], label: np.ndarray | None = None
) -> np.ndarray:
    """A row a seed, a column a psi."""
    w = generator.w(generator.z(seeds), _repeated(label, len(seeds)))
    columns = [images.to_uint8(generator.draw(generator.ws(w, psi))) for psi in psis]
    return images.grid(list(zip(*columns, strict=True)), [f"{psi:g}" for psi in psis])


def walk(
    generator: Generator, seeds: Sequence[int], frames: int, psi: float, label: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """`frames` pictures from seed to seed along straight lines in w, and back to the first: uint8 [r, r, 3] each."""
    stops = styles(generator, seeds, psi, label)
    place = np.arange(frames) * len(seeds) / frames
    for start in tqdm(range(0, frames, BATCH), desc="generate", unit="batch"):
        at = place[start : start + BATCH]
        before, share = at.astype(int), (at % 1)[:, None, None].astype(np.float32)
        after = (before + 1) % len(seeds)
        yield from images.to_uint8(generator.draw(stops[before] + share * (stops[after] - stops[before])))


def styles(generator: Generator, seeds: Sequence[int], psi: float, label: np.ndarray | None = None) -> np.ndarray:
    """ws [B, layers, W] of seeds."""
    return generator.ws(generator.w(generator.z(seeds), _repeated(label, len(seeds))), psi)


def _repeated(label: np.ndarray | None, count: int) -> np.ndarray | None:
    return None if label is None else np.repeat(label[None], count, 0)


def film(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write a .gif, or with ffmpeg a .mp4, at 30 frames a second.

    Raises:
      UserError: .mp4 without ffmpeg on the PATH, or ffmpeg fails.
    """
    if path.suffix.lower() == ".gif":
        first, *others = [Image.fromarray(frame) for frame in frames]
        buffer = BytesIO()
        first.save(buffer, "GIF", save_all=True, append_images=others, duration=1000 / RATE, loop=0)
        images.write_bytes(path, buffer.getvalue())
        return
    program = shutil.which("ffmpeg")
    if not program:
        raise UserError(f"--output={path}: an .mp4 needs the program ffmpeg, which is not there; a .gif needs nothing.")
    made = list(frames)
    size = "x".join(map(str, made[0].shape[1::-1]))
    with files.replacing(path) as temporary:
        given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(RATE), "-i", "-"]
        wanted = ["-pix_fmt", "yuv420p", "-f", "mp4", str(temporary)]
        done = subprocess.run(
            [program, "-loglevel", "error", "-y", *given, *wanted],
            input=b"".join(map(bytes, made)),
            capture_output=True,
        )
        if done.returncode:
            raise UserError(f"ffmpeg could not write {path}: {done.stderr.decode(errors='replace').strip()}")


# Other commands have flags of the same names; a process runs one command, but tests import several.
_MODEL = flags.DEFINE_string("model", None, "The generator: generator.keras of a StyleGAN run.", allow_override=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "A folder; a .png for a grid, --mix or --psis; a .gif or .mp4 for a film.", allow_override=True
)
_SEEDS = flags.DEFINE_string("seeds", "0-63", "Numbers, one a picture: 0-63 or 1,5,20-29.")
_PSI = flags.DEFINE_float("truncation_psi", 0.7, "1: as trained; towards 0: more alike and better drawn.")
_MIX = flags.DEFINE_string("mix", None, "Seeds whose styles are mixed into those of --seeds.")
_LAYERS = flags.DEFINE_string("layers", "coarse", "Which styles --mix replaces: coarse, middle, fine, or such as 0-3.")
_PSIS = flags.DEFINE_list("psis", None, "Truncations to show side by side.")
_FRAMES = flags.DEFINE_integer("frames", 240, "Of a .gif or .mp4, 30 a second.", lower_bound=1)
_LABEL = flags.DEFINE_string("label", None, "What a generator with labels draws: hair=blonde.", allow_override=True)


def main() -> None:
    for flag in (_MODEL, _OUTPUT):
        if not flag.value:
            raise UserError(f"--{flag.name}=... is missing. kgan generate --help explains it.")
    output, seeds = Path(_OUTPUT.value), numbers(_SEEDS.value)
    picture, moving = (output.suffix.lower() in kinds for kinds in (images.SUFFIXES, FILMS))
    if (_MIX.value or _PSIS.value) and not picture:
        raise UserError(f"--output={output} should be a picture for a sheet, such as {output}.png.")
    if _FRAMES.present and not moving:
        raise UserError(f"--output={output} should be a film for --frames, such as {output}.gif.")
    if _MIX.value and _PSIS.value:
        raise UserError("--mix and --psis each draw a sheet: give one of them.")
    try:
        psis = [float(psi) for psi in _PSIS.value or []]
    except ValueError:
        raise UserError(f"--psis={','.join(_PSIS.value)}: numbers are wanted, such as -1,0,0.7,1.") from None
    generator = load(_MODEL.value)
    label = generator.label(_LABEL.value)
    if _MIX.value:
        columns, layers = numbers(_MIX.value, "--mix"), layers_of(_LAYERS.value, generator)
        images.write(output, mixed(generator, seeds, columns, layers, _PSI.value, label))
    elif _PSIS.value:
        images.write(output, truncated(generator, seeds, psis, label))
    elif moving:
        film(output, walk(generator, seeds, _FRAMES.value, _PSI.value, label))
    elif picture:
        images.write(output, grid(pictures(generator, seeds, _PSI.value, label)))
    else:
        made = pictures(generator, seeds, _PSI.value, label)
        for seed, one in zip(seeds, made, strict=True):
            images.write(output / f"seed{seed:06d}.png", one)
        images.write(output / "grid.png", grid(made))
    print(f"Wrote {output if picture or moving else f'{len(seeds)} pictures and grid.png to {output}'}.")


if __name__ == "__main__":
    commands.run(main)
