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

from pathlib import Path

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path, shared
from kgan.errors import UserError
from kgan.filters.drawing import grid, layers_of, mixed, numbers, pictures, truncated, walk
from kgan.filters.generators import load
from kgan.pictures import film, images

MODEL = shared(DEFINE_path, "model", "The generator: generator.keras of a StyleGAN run.")
OUTPUT = shared(DEFINE_path, "output", "A folder; a .png for a grid, --mix or --psis; a .gif or .mp4 for a film.")
SEEDS = flags.DEFINE_string("seeds", "0-63", "Numbers, one a picture: 0-63 or 1,5,20-29.")
PSI = flags.DEFINE_float("truncation_psi", 0.7, "1: as trained; towards 0: more alike and better drawn.")
MIX = flags.DEFINE_string("mix", None, "Seeds whose styles are mixed into those of --seeds.")
LAYERS = flags.DEFINE_string("layers", "coarse", "Which styles --mix replaces: coarse, middle, fine, or such as 0-3.")
PSIS = flags.DEFINE_list("psis", None, "Truncations to show side by side.")
FRAMES = flags.DEFINE_integer("frames", 240, "Of a .gif or .mp4, 30 a second.", lower_bound=1)
LABEL = shared(flags.DEFINE_string, "label", "What a generator with labels draws: hair=blonde.")


def main() -> None:
    commands.require(MODEL, OUTPUT)
    output, seeds = Path(OUTPUT.value), numbers(SEEDS.value)
    picture, moving = (output.suffix.lower() in kinds for kinds in (images.SUFFIXES, film.SUFFIXES))
    if (MIX.value or PSIS.value) and not picture:
        raise UserError(f"--output={output} should be a picture for a sheet, such as {output}.png.")
    if FRAMES.present and not moving:
        raise UserError(f"--output={output} should be a film for --frames, such as {output}.gif.")
    if not MIX.value:
        commands.refuse("without --mix", LAYERS)
    if PSIS.value:
        commands.refuse("with --psis, which names several", PSI)
    if MIX.value and PSIS.value:
        raise UserError("--mix and --psis each draw a sheet: give one of them.")
    try:
        psis = [float(psi) for psi in PSIS.value or []]
    except ValueError:
        raise UserError(f"--psis={','.join(PSIS.value)}: numbers are wanted, such as -1,0,0.7,1.") from None
    generator = load(MODEL.value)
    label = generator.label(LABEL.value)
    if MIX.value:
        columns, layers = numbers(MIX.value, "--mix"), layers_of(LAYERS.value, generator)
        images.write(output, mixed(generator, seeds, columns, layers, PSI.value, label))
    elif PSIS.value:
        images.write(output, truncated(generator, seeds, psis, label))
    elif moving:
        film.write(output, walk(generator, seeds, FRAMES.value, PSI.value, label))
    elif picture:
        images.write(output, grid(pictures(generator, seeds, PSI.value, label)))
    else:
        drawings = pictures(generator, seeds, PSI.value, label)
        for seed, drawing in zip(seeds, drawings, strict=True):
            images.write(output / f"seed{seed:06d}.png", drawing)
        images.write(output / "grid.png", grid(drawings))
    print(f"Wrote {output if picture or moving else f'{len(seeds)} pictures and grid.png to {output}'}.")


if __name__ == "__main__":
    commands.run(main)
