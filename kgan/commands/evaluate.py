"""Measure filters, or folders of pictures that they made, against a folder of real ones: FID, KID and more.

  kgan evaluate --model=runs/anime/generator_ab.keras --input=photos/testA --reference=photos/testB
  kgan evaluate --model=runs/anime/generator_ab.keras --input=photos/testA --reference=photos/testB --metrics=kid,match
  kgan evaluate --model=light.tflite,full.keras --input=photos/testA --reference=photos/testB --output=report.json
  kgan evaluate --generated=filtered --reference=photos/testB --resize=legacy --metrics=fid,kid,precision_recall
  kgan evaluate --model=runs/facades/generator.keras --input=labels --reference=facades --metrics=ssim,psnr,l1,lpips
  kgan evaluate --generated=filtered --input=frames --metrics=flicker,lpips_diversity
  kgan evaluate --model=generator.keras --reference=faces --metrics=fid,ppl_wend,separability --labelled=animefaces

A model gets the centred square of each input at the size that its card names. The row "no filter" measures the inputs
as they are: a filter that does not beat it is worse than none. Figures of different counts, sizes or ways of resizing
do not compare, so the report says them all.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from kgan import commands, files
from kgan.commands import DEFINE_path, DEFINE_paths, shared
from kgan.errors import UserError
from kgan.metrics import report
from kgan.pretrained import resizing, weights

MODEL = shared(DEFINE_path, "model", "Filters to measure, separated by commas.")
INPUT = shared(DEFINE_path, "input", "Folder of pictures for the filters, or of what --generated was made of.")
GENERATED = DEFINE_paths("generated", [], "Folders of finished pictures to measure, separated by commas.")
REFERENCE = DEFINE_path(
    "reference", None, "Folder of real pictures, such as the filter should make; for pairs under the inputs' names."
)
METRICS = flags.DEFINE_list("metrics", ["fid", "kid"], f"What to measure: some of {', '.join(report.HOW)}.")
RESIZE = flags.DEFINE_enum(
    "resize", "clean", list(resizing.METHODS), "To 299 pixels: clean (antialiased), or legacy (as TensorFlow 1 did)."
)
OUTPUT = shared(DEFINE_path, "output", "Where to write the report as JSON, and beside it a sheet of pictures.")
SEED = flags.DEFINE_integer("seed", 0, "Of KID's random subsets and diversity's pairs.")
LABEL = shared(
    flags.DEFINE_string,
    "label",
    "What filters with labels are to draw: hair=blonde,eyes=blue. The pictures get several, separated by ;, in turn.",
)
COUNT = flags.DEFINE_integer("count", 10_000, "Pictures of a generator, and steps of its path lengths.")
CROP = flags.DEFINE_string("path_crop", "none", "Of path lengths: none, or face as the official code for FFHQ.")
LABELLED = DEFINE_path("labelled", None, "For separability: a folder with labels.csv and images.")
WEIGHTS = DEFINE_path(
    "weights",
    None,
    "The weights of Inception and LPIPS: their folder, or the file where one is enough; default: "
    f"${weights.VARIABLE}, else {weights.CACHE}.",
)


def main() -> None:
    if OUTPUT.value and Path(OUTPUT.value).is_dir():
        raise UserError(f"--output={OUTPUT.value} is a folder: name a file for the report, such as report.json.")
    sheet = Path(OUTPUT.value).with_suffix(".png") if OUTPUT.value and MODEL.value else None
    from kgan.evaluation import evaluate  # here: --help must not wait for an engine

    measured = evaluate(
        REFERENCE.value,
        GENERATED.value,
        commands.split_paths(MODEL.value or ""),
        INPUT.value,
        METRICS.value,
        RESIZE.value,
        SEED.value,
        WEIGHTS.value,
        sheet=sheet,
        label=LABEL.value,
        count=COUNT.value,
        crop=CROP.value,
        labelled=LABELLED.value,
    )
    resized = f", resize {RESIZE.value}" if "features" in measured["protocol"]["networks"] else ""
    against = f"Against {REFERENCE.value}{resized}: " if REFERENCE.value else ""
    print(f"\n{against}{report.better(METRICS.value)}.\n\n{report.table(measured['results'])}\n")
    for warning in measured["warnings"]:
        print(f"Note: {warning}")
    if OUTPUT.value:
        files.write_json(OUTPUT.value, measured)
        print(f"Wrote {OUTPUT.value}{f' and {sheet}' if sheet else ''}.")


if __name__ == "__main__":
    commands.run(main)
