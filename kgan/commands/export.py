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

A .tflite has one fixed size, float32 input and output in [-1, 1], [1, H, W, 3], RGB, and for a model with labels a
second input `label`, whose numbers the card explains. Further recipes with --recipes: weight_only_wi8, and with
--calibration=pictures/ static_convs, static_wi8_ai8_norm_float and static_wi8_ai8, whose arithmetic is in 8 bits too:
PSNR 30 dB at least. A file whose pictures differ from Keras' by more than its recipe
allows (PSNR 100, 60 and 40 dB for these three, at peak 2), or that holds operations which phones have no
kernel for, is not kept, and the command ends with 2.
"""

from __future__ import annotations

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path, shared
from kgan.export import export, export_generator, recipes
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
NOISE = flags.DEFINE_enum(
    "noise", "constant", ["constant", "input"], "Of a generator: kept in the file, or given at each run."
)
IMAGES = shared(
    DEFINE_path, "images", "A folder of pictures to verify on, 8 of them. Default: 8 of the embedded emoji."
)

PICTURES = 8
MOST = 200  # pictures to calibrate on: more change nothing


def main() -> None:
    from kgan.export import verify

    commands.require(MODEL, OUTPUT)
    model = included.find(MODEL.value)
    card = cards.read(model)
    print(f"Converting {model} and verifying each file on {PICTURES} pictures ...", flush=True)
    try:
        if card and card.kind == "generator":
            measurements = export_generator(
                model, OUTPUT.value, RECIPES.value, SAVED_MODEL.value, NOISE.value, HALF_KERAS.value
            )
        else:
            folder, calibration = IMAGES.value, CALIBRATION.value
            pictures = samples.of_folder(folder, PICTURES) if folder else samples.of_emoji(PICTURES)
            measurements = export(
                model,
                OUTPUT.value,
                pictures,
                SIZE.value,
                RECIPES.value,
                SAVED_MODEL.value,
                HALF_KERAS.value,
                samples.of_folder(calibration, MOST) if calibration else [],
            )
    except verify.VerificationError as error:
        print(verify.table(error.measurements))
        raise
    print(verify.table(measurements))
    print(f"Everything lies in {OUTPUT.value}; the report is verification.json.")


if __name__ == "__main__":
    commands.run(main)
