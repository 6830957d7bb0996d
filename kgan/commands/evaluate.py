"""Measure filters, or folders of pictures that they made, against a folder of real ones: FID, KID and more.

  kgan evaluate --model=runs/anime/generator_ab.keras --input=photos/testA --reference=photos/testB
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
from kgan.errors import UserError
from kgan.evaluation import DEFAULT, METRICS, evaluate
from kgan.metrics import report
from kgan.pretrained import resizing, weights

# Other commands have flags of the same names; a process runs one command, but tests import several.
_MODEL = flags.DEFINE_string("model", None, "Filters to measure, separated by commas.", allow_override=True)
_INPUT = flags.DEFINE_string(
    "input", None, "Folder of pictures for the filters, or of the frames before them.", allow_override=True
)
_GENERATED = flags.DEFINE_list("generated", [], "Folders of finished pictures to measure, separated by commas.")
_REFERENCE = flags.DEFINE_string(
    "reference", None, "Folder of real pictures, such as the filter should make; for pairs under the inputs' names."
)
_METRICS = flags.DEFINE_list("metrics", list(DEFAULT), f"What to measure: some of {', '.join(METRICS)}.")
_RESIZE = flags.DEFINE_enum(
    "resize", "clean", list(resizing.METHODS), "To 299 pixels: clean (antialiased), or legacy (as TensorFlow 1 did)."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Where to write the report as JSON, and beside it a sheet of pictures.", allow_override=True
)
_SEED = flags.DEFINE_integer("seed", 0, "Of KID's random subsets and diversity's pairs.", allow_override=True)
_LABEL = flags.DEFINE_string(
    "label",
    None,
    "What filters with labels are to draw: hair=blonde,eyes=blue. The pictures get several, separated by ;, in turn.",
    allow_override=True,
)
_COUNT = flags.DEFINE_integer("count", 10_000, "Pictures of a generator, and steps of its path lengths.")
_CROP = flags.DEFINE_string("path_crop", "none", "Of path lengths: none, or face as the official code for FFHQ.")
_LABELLED = flags.DEFINE_string("labelled", None, "For separability: a folder with labels.csv and images.")
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "The weights of Inception and LPIPS: their folder, or the file where one is enough; default: "
    f"${weights.VARIABLE}, else {weights.CACHE}.",
)


def main() -> None:
    if _OUTPUT.value and Path(_OUTPUT.value).is_dir():
        raise UserError(f"--output={_OUTPUT.value} is a folder: name a file for the report, such as report.json.")
    sheet = Path(_OUTPUT.value).with_suffix(".png") if _OUTPUT.value and _MODEL.value else None
    found = evaluate(
        _REFERENCE.value,
        _GENERATED.value,
        _MODEL.value.split(",") if _MODEL.value else [],
        _INPUT.value,
        _METRICS.value,
        _RESIZE.value,
        _SEED.value,
        _WEIGHTS.value,
        sheet=sheet,
        label=_LABEL.value,
        count=_COUNT.value,
        crop=_CROP.value,
        labelled=_LABELLED.value,
    )
    resized = f", resize {_RESIZE.value}" if "features" in found["protocol"]["networks"] else ""
    against = f"Against {_REFERENCE.value}{resized}: " if _REFERENCE.value else ""
    print(f"\n{against}{report.better(_METRICS.value)}.\n\n{report.table(found['results'])}\n")
    for warning in found["warnings"]:
        print(f"Note: {warning}")
    if _OUTPUT.value:
        files.write_json(_OUTPUT.value, found)
        print(f"Wrote {_OUTPUT.value}{f' and {sheet}' if sheet else ''}.")


if __name__ == "__main__":
    commands.run(main)
