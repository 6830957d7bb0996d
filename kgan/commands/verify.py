"""Run .tflite files in every runtime that this machine has, and compare what they draw.

  kgan verify --models=exported/generator_ab_float32.tflite,exported/generator_ab_dynamic_wi8_afp32.tflite

prints for each file its size, operators, and pieces that XNNPACK runs, and a line for each lane:

  litert    LiteRT with XNNPACK on this machine's processor: the reference, itself compared with the Keras model where
            generator_ab.keras lies beside the file
  arm64     the same with the kernels for phones' processors, in QEMU
  gpu       LiteRT's GPU delegate alone, over Vulkan in software (SwiftShader)
  browser   LiteRT.js, in Chromium without a window
  openvino  Intel's OpenVINO

A lane whose runtime is not there is skipped, and a sentence says why: make verify installs what it can. The command
ends with 2 where a lane that ran is below the floor of the file's recipe. A name alone, such as onesided_selfie2anime,
means the .tflite that comes with kgan.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from absl import flags

from kgan import commands, files
from kgan.commands import DEFINE_path, shared
from kgan.errors import UserError
from kgan.filters import included
from kgan.pictures import images, samples

MODELS = commands.shared(
    commands.DEFINE_paths, "models", "The .tflite files, separated by commas. Default: those that come with kgan."
)
LANES = flags.DEFINE_list("lanes", [], "Which lanes to run beside litert. Default: all.")
IMAGES = shared(DEFINE_path, "images", "A folder of pictures to run filters on. Default: embedded emoji.")
PICTURES = flags.DEFINE_integer("pictures", 4, "How many of them.", lower_bound=1)
JSON = DEFINE_path("json", None, "A .json file for all figures.")
PLOT = DEFINE_path("plot", None, "A .png file for a chart of them.")


def main() -> None:
    for flag, suffix in ((JSON, ".json"), (PLOT, ".png")):
        if flag.value and Path(flag.value).suffix != suffix:
            raise UserError(f"--{flag.name} names a {suffix} file, got {flag.value}.")
    from kgan.export import lanes

    names = MODELS.value or [name for name in included.names() if included.tflite(name)]
    lanes.choose(LANES.value)
    count = PICTURES.value
    pictures = samples.of_folder(IMAGES.value, count) if IMAGES.value else samples.of_emoji(count)
    reports = []
    for name in names:
        reports.append(lanes.measure(included.find_tflite(name), pictures, LANES.value or tuple(lanes.LANES)))
        print(f"{lanes.table(reports[-1:])}\n", flush=True)
    if JSON.value:
        files.write_json(JSON.value, [dataclasses.asdict(report) for report in reports])
        print(f"{JSON.value} holds the figures.")
    if PLOT.value:
        images.write(Path(PLOT.value), lanes.chart(reports))
        print(f"{PLOT.value} is the chart.")
    if problems := [problem for report in reports for problem in report.problems]:
        raise UserError(f"Not every file holds: {'; '.join(problems)}.")


if __name__ == "__main__":
    commands.run(main)
