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
from kgan.errors import UserError
from kgan.filters.drawing import grid, layers_of, mixed, numbers, pictures, truncated, walk
from kgan.filters.generators import load
from kgan.pictures import film, images

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
    picture, moving = (output.suffix.lower() in kinds for kinds in (images.SUFFIXES, film.SUFFIXES))
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
        film.write(output, walk(generator, seeds, _FRAMES.value, _PSI.value, label))
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
