"""Run a filter over a photo or a folder of photos.

  kgan translate --model=runs/anime/generator_ab.keras --input=photo.jpg --output=anime.png
  kgan translate --model=anime.tflite --input=photos --output=filtered --crop=face --paste
  kgan translate --model=faces.keras --input=photo.jpg --output=blonde.png --label=hair=blonde

A face filter cuts out every face as its training pictures were cut (the model's card says how) and writes one picture
a face: photo.png, or photo_1.png, photo_2.png where there are several, the largest first. --paste blends them back into
the photo instead. Other filters take the whole photo, in any size. Results are upright as the photo's EXIF orientation
says, and carry no EXIF data themselves.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from kgan import commands
from kgan.errors import UserError
from kgan.filters.card import CROPS
from kgan.filters.loading import load
from kgan.filters.photos import TILE, translate_files

# Other commands have flags of the same names; a process runs one command, but tests import several.
_MODEL = flags.DEFINE_string(
    "model", None, "The filter: a .keras or .tflite file or a SavedModel.", allow_override=True
)
_INPUT = flags.DEFINE_string("input", None, "A photo, or a folder of photos.", allow_override=True)
_OUTPUT = flags.DEFINE_string("output", None, "The file or the folder to write.", allow_override=True)
_CROP = flags.DEFINE_enum("crop", "auto", ["auto", *CROPS], "What is taken of a photo; auto: as the model's card says.")
_PASTE = flags.DEFINE_bool("paste", False, "Blend filtered faces back into the photo.")
_SIZE = flags.DEFINE_integer("size", None, "Side of a crop in pixels; default: as the filter was trained.")
_LABEL = flags.DEFINE_string("label", None, "For a filter that takes labels, which to draw: hair=blonde,eyes=blue.")
_TILE = flags.DEFINE_integer("tile", TILE, "Larger photos are done in overlapping tiles of this side in pixels.")


def main() -> None:
    for flag in (_MODEL, _INPUT, _OUTPUT):
        if not flag.value:
            raise UserError(f"--{flag.name}=... is missing. kgan translate --help explains it.")
    if not Path(_INPUT.value).exists():  # before the model is loaded, which takes a while
        raise UserError(f"There is no file or folder {_INPUT.value}.")
    picture_filter = load(_MODEL.value)
    if picture_filter.size:
        height, width = picture_filter.size
        print(f"{_MODEL.value} accepts {width} x {height} pixels only: pictures are resized to that.")
    settings = _CROP.value, _PASTE.value, _SIZE.value, _TILE.value, _LABEL.value
    summary = translate_files(picture_filter, _INPUT.value, _OUTPUT.value, *settings)
    if len(summary.written) == 1:
        print(f"Wrote {summary.written[0]}.")
    else:
        print(f"Wrote {len(summary.written)} pictures to {summary.written[0].parent}.")
    if summary.skipped:
        print(f"Skipped {len(summary.skipped)}, named above.")


if __name__ == "__main__":
    commands.run(main)
