"""Run a filter over a photo or a folder of photos.

  kgan translate --model=onesided_selfie2anime --input=photo.jpg --output=anime.png
  kgan translate --model=runs/anime/generator_ab.keras --input=photo.jpg --output=anime.png
  kgan translate --model=anime.tflite --input=photos --output=filtered --crop=face --paste
  kgan translate --model=faces.keras --input=photo.jpg --output=blonde.png --label=hair=blonde

A face filter cuts out every face as its training pictures were cut (the model's card says how) and writes one picture
a face: photo.png, or photo_1.png, photo_2.png where there are several, the largest first. --paste blends them back into
the photo instead. Other filters take the whole photo, in any size. A filter that comes with kgan goes by its name, and
starts sooner where it works on crops. Results are upright as the photo's EXIF orientation says, and carry no EXIF data
themselves. They are in sRGB, keep transparency, and of animations and TIFFs all frames and pages are filtered.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path, shared
from kgan.errors import UserError
from kgan.filters import photos
from kgan.filters.card import CROPS
from kgan.filters.loading import load_for_photos
from kgan.pictures import images

MODEL = shared(DEFINE_path, "model", "The filter: a .keras or .tflite file, a SavedModel, or an included one's name.")
INPUT = shared(DEFINE_path, "input", "A photo, or a folder of photos.")
OUTPUT = shared(DEFINE_path, "output", "The file or the folder to write.")
CROP = flags.DEFINE_enum("crop", "auto", ["auto", *CROPS], "What is taken of a photo; auto: as the model's card says.")
PASTE = flags.DEFINE_bool("paste", False, "Blend filtered faces back into the photo.")
SIZE = shared(flags.DEFINE_integer, "size", "Side of a crop in pixels; default: as the filter was trained.")
LABEL = shared(flags.DEFINE_string, "label", "For a filter that takes labels, which to draw: hair=blonde,eyes=blue.")
TILE = flags.DEFINE_integer(
    "tile",
    None,
    "For a SavedModel: larger photos are done in overlapping tiles of this side in pixels. No .keras needs it.",
)
MEGAPIXELS = flags.DEFINE_float(
    "max_megapixels", images.MEGAPIXELS, "Larger pictures are refused: small files may hold huge ones.", lower_bound=0
)


def main() -> None:
    commands.require(MODEL, INPUT, OUTPUT)
    if not Path(INPUT.value).exists():  # before the model is loaded, which takes a while
        raise UserError(f"There is no file or folder {INPUT.value}.")
    picture_filter = load_for_photos(MODEL.value)
    if picture_filter.size:
        height, width = picture_filter.size
        larger = (
            "larger pictures are done in tiles of that" if picture_filter.card.tiles else "pictures are resized to that"
        )
        print(f"{MODEL.value} accepts {width} x {height} pixels only: {larger}.")
    settings = CROP.value, PASTE.value, SIZE.value, TILE.value, LABEL.value, MEGAPIXELS.value
    summary = photos.translate_files(picture_filter, INPUT.value, OUTPUT.value, *settings)
    if len(summary.written) == 1:
        print(f"Wrote {summary.written[0]}.")
    else:
        print(f"Wrote {len(summary.written)} pictures to {summary.written[0].parent}.")
    if summary.skipped:
        print(f"Skipped {len(summary.skipped)}, named above.")


if __name__ == "__main__":
    commands.run(main)
