"""Turn a trained generator into files for phones, browsers and servers, and prove that they compute the same.

  kgan export --model=runs/anime/generator_ab.keras --output=exported/

writes into exported/:

  generator_ab_float32.tflite            weights as trained
  generator_ab_float16.tflite            half the size, for GPUs
  generator_ab_dynamic_wi8_afp32.tflite  weights in 8 bits: a quarter of the size, the fastest on CPUs
  generator_ab_half.keras                with --half_keras: the same model, weights in 16 bits, to keep and to share
  generator_ab_<recipe>.json             a card for each: shapes, value range, sha256, versions, verification
  generator_ab_saved_model/              for TensorFlow Serving: pictures as floats, uint8, or JPEG or PNG files
  verification.json                      every file run on real pictures and compared with Keras

A generator of noise (generator.keras of a StyleGAN run) gives the same files, which take z and psi, the strength of
truncation; its SavedModel draws (`generate`) and mixes the styles of two z (`mix`).

With --serving, OUTPUT is a folder of models for TensorFlow Serving and `kgan serve`, and the export is the next version
of the model --name in it: see docs/serving.md.

A .tflite has one fixed size, float32 input and output in [-1, 1], [1, H, W, 3], RGB, and for a model with labels a
second input `label`, whose numbers the card explains. Further recipes with --recipes: weight_only_wi8, and with
--calibration=pictures/ static_convs, static_wi8_ai8_norm_float and static_wi8_ai8, whose arithmetic is in 8 bits too:
PSNR 30 dB at least. A file whose pictures differ from Keras' by more than its recipe
allows (PSNR 100, 60 and 40 dB for these three, at peak 2), or that holds operations which phones have no
kernel for, is not kept, and the command ends with 2.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from absl import flags

from kgan import commands, files
from kgan.commands import DEFINE_path, shared
from kgan.errors import UserError
from kgan.export import export, export_generator, recipes, serving
from kgan.export.recipes import USUAL
from kgan.filters import card as cards
from kgan.filters import included
from kgan.pictures import samples

MODEL = shared(DEFINE_path, "model", "The generator, a .keras file with its .json card beside it.")
OUTPUT = shared(DEFINE_path, "output", "The folder to write to.")
SIZE = shared(
    flags.DEFINE_integer, "size", "Side in pixels of the .tflite files' pictures. Default: as it was trained."
)
RECIPES = flags.DEFINE_list(
    "recipes", ",".join(USUAL), f"Which .tflite files to write, of {', '.join(recipes.RECIPES)}."
)
CALIBRATION = DEFINE_path(
    "calibration", None, "A folder of some hundred pictures by which static recipes choose the ranges of activations."
)
SAVED_MODEL = flags.DEFINE_bool("saved_model", True, "Write the SavedModel too.")
HALF_KERAS = flags.DEFINE_bool(
    "half_keras", False, "Write NAME_half.keras too: the .keras file with its weights in 16 bits."
)
SERVING = flags.DEFINE_bool(
    "serving", False, "Write the next version of a model, for TensorFlow Serving and kgan serve."
)
NAME = flags.DEFINE_string("name", None, "With --serving: what the model is called. Default: as its file.")
NOISE = flags.DEFINE_enum(
    "noise", "constant", ["constant", "input"], "Of a generator: kept in the file, or given at each run."
)
IMAGES = shared(
    DEFINE_path, "images", "A folder of pictures to verify on, 8 of them. Default: 8 of the embedded emoji."
)

PICTURES = 8
MOST = 200  # pictures to calibrate on: more change nothing


def main() -> None:
    commands.require(MODEL, OUTPUT)
    model = included.find(MODEL.value)
    card = cards.read(model)
    draws = bool(card and card.kind == "generator")
    if draws:
        commands.refuse("on a generator of noise", SIZE, IMAGES, CALIBRATION)
    else:
        commands.refuse("on a filter", NOISE)
    chosen = [recipes.RECIPES[name] for name in RECIPES.value if name in recipes.RECIPES]
    if chosen and not any(recipe.calibrated for recipe in chosen):
        commands.refuse("without a static recipe in --recipes", CALIBRATION)
    if SERVING.value:
        commands.refuse("with --serving, which writes a SavedModel and one .tflite", SAVED_MODEL, HALF_KERAS)
    else:
        commands.refuse("without --serving", NAME)
    print(f"Converting {model} and verifying each file on {PICTURES} pictures ...", flush=True)
    if not SERVING.value:
        write(model, OUTPUT.value, RECIPES.value, SAVED_MODEL.value, HALF_KERAS.value)
        print(f"Everything lies in {OUTPUT.value}; the report is verification.json.")
        return
    output, name = Path(OUTPUT.value), NAME.value or model.stem
    usual = "float16" if draws else USUAL[-1]  # in 8 bits a mapping network is spoilt
    recipe = RECIPES.value if RECIPES.present else [usual]
    serving.check_name(name)
    if len(recipe) != 1:
        raise UserError(f"--serving lays one .tflite beside, and --recipes names {len(recipe)}: --recipes={usual}.")
    files.make_folder(output)
    with tempfile.TemporaryDirectory(dir=output, prefix=f"{files.MARK}-") as temporary:
        write(model, temporary, recipe, saved_model=True, half_keras=False)
        folder = serving.publish(Path(temporary), model.stem, recipe[0], output, name)
    print(
        f"{folder} is the newest version. kgan serve --models={output} serves it, docs/serving.md says what else does."
    )


def write(model: Path, output: str, names: list[str], saved_model: bool, half_keras: bool) -> None:
    """Export and print what was measured."""
    from kgan.export import verify

    card = cards.read(model)
    try:
        if card and card.kind == "generator":
            measurements = export_generator(model, output, names, saved_model, NOISE.value, half_keras)
        else:
            pictures = samples.of_folder(IMAGES.value, PICTURES) if IMAGES.value else samples.of_emoji(PICTURES)
            calibration = samples.of_folder(CALIBRATION.value, MOST) if CALIBRATION.value else []
            measurements = export(model, output, pictures, SIZE.value, names, saved_model, half_keras, calibration)
    except verify.VerificationError as error:
        print(verify.table(error.measurements))
        raise
    print(verify.table(measurements))


if __name__ == "__main__":
    commands.run(main)
