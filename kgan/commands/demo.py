"""Train a small filter on the embedded emoji, export and check it, and show what it draws.

  kgan demo --output=demo

It trains pix2pix to give grey emoji their colours (kgan.configs.pix2pix_emoji_colorize), exports the generator to
.tflite, compares every file with Keras, and runs the .tflite on emoji that the training never saw. index.html in the
folder shows them all beside the true colours, with the curves of the training. Interrupted, it goes on.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
from absl import flags

from kgan import commands, files
from kgan.commands import DEFINE_path, demo_page, shared
from kgan.filters import loading
from kgan.pictures import emoji, images

OUTPUT = shared(DEFINE_path, "output", "The folder for everything that the demo makes. Default: demo.")
STEPS = flags.DEFINE_integer("steps", None, "Training steps. Default: the configuration's.", lower_bound=1)

SHOWN = slice(6, None, 8)  # every eighth of the unseen emoji is in the picture; the page shows all


def main() -> None:
    demo(OUTPUT.value or "demo", STEPS.value)


def demo(output: str | Path, steps: int | None = None) -> Path:
    """Run it all in the folder `output`; returns the page."""
    from kgan.configs import pix2pix_emoji_colorize
    from kgan.export import export, verify
    from kgan.training.forecast import duration
    from kgan.training.run import train

    output, start = Path(output), time.monotonic()
    config = pix2pix_emoji_colorize.get_config()
    if steps:
        config.training = dataclasses.replace(config.training, steps=steps)
    _, vendor, _ = config.data.root.split(":")

    print(f"1. Training on {len(emoji.names('train'))} emoji by {vendor}: grey to colour", flush=True)
    train(config, output / "run")

    print("\n2. Exporting, and comparing every file with Keras", flush=True)
    truth = list(emoji.load(vendor, "test"))
    inputs = [grey(picture) for picture in truth]
    exported = output / "exported"
    try:
        measurements = export(output / "run" / "generator.keras", exported, inputs[SHOWN])
    except verify.VerificationError as error:  # a file below its floor is not kept; the demo goes on with the others
        measurements = list(error.measurements)
    print(verify.table(measurements))

    passed = [m for m in measurements if m.file.endswith(".tflite") and not m.problems]
    if not passed:
        raise verify.VerificationError(measurements)
    smallest = exported / min(passed, key=lambda measurement: measurement.bytes).file
    print(f"\n3. Running {smallest.name} on the {len(truth)} emoji that it has not seen", flush=True)
    translate = loading.load(smallest)
    outputs = [translate(picture) for picture in inputs]
    before, after = distance(inputs, truth), distance(outputs, truth)
    facts = f"Mean distance from the true colours: {after:.1f} grey levels of 255; {before:.1f} for the grey pictures."
    print(facts)

    rows = [[images.resize(each, (96, 96)) for each in row[SHOWN]] for row in (inputs, outputs, truth)]
    picture, page = output / "before_after.png", output / "index.html"
    images.write(picture, images.grid(rows, gap=6))
    text = demo_page.page(
        pictures=list(zip(inputs, outputs, truth, strict=True)),
        names=emoji.names("test"),
        log=output / "run" / "log.jsonl",
        measurements=measurements,
        facts=f"{config.training.steps:,} steps, then {smallest.name}. {facts}",
    )
    files.write_bytes(page, text.encode())

    print(
        f"\nDone in {duration(time.monotonic() - start)}.\n"
        f"  {page}: all of them, and the curves of the training\n"
        f"  {picture}: every eighth of them: grey, coloured, true\n"
        f"  {exported}: the filter as .tflite and SavedModel, their cards and verification.json\n"
        f"  {output / 'run'}: checkpoints, sample sheets, log.jsonl, tensorboard\n"
        f"Next: kgan translate --model={smallest} --input=PICTURE --output={output}"
    )
    return page


def grey(picture: np.ndarray) -> np.ndarray:
    """The lightness of a picture, uint8 [H, W, 3] to the same: what the network sees of it."""
    from keras import ops

    from kgan.layers.color import lab_to_rgb, rgb_to_lab

    lab = rgb_to_lab(images.to_float(picture)[None])
    lightness = ops.pad(lab[..., :1], [[0, 0], [0, 0], [0, 0], [0, 2]])  # [1, H, W, 3], without colour
    return images.to_uint8(ops.convert_to_numpy(lab_to_rgb(lightness))[0])


def distance(pictures: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """The mean absolute difference, in grey levels of 255."""
    return float(np.mean(np.abs(np.subtract(pictures, truth, dtype=np.float32))))


if __name__ == "__main__":
    commands.run(main)
