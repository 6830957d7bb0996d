"""Trains a small filter on the embedded emoji, exports and checks it, draws before and after.

  kgan demo --output=demo

trains CycleGAN to turn 3D renderings into flat drawings (kgan.configs.cyclegan_emoji), exports the generator to
.tflite, compares every file with Keras, and runs the .tflite on emoji that the training never saw. Interrupted, it goes
on.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
from absl import flags

from kgan import commands
from kgan.commands import shared
from kgan.filters import loading
from kgan.pictures import emoji, images

OUTPUT = shared(flags.DEFINE_string, "output", "demo", "The folder for everything that the demo makes.")
STEPS = flags.DEFINE_integer("steps", None, "Training steps. Default: the configuration's.", lower_bound=1)

SHOWN = 8  # emoji in the picture


def main() -> None:
    demo(OUTPUT.value, STEPS.value)


def demo(output: str | Path, steps: int | None = None) -> Path:
    """Run it all in the folder `output`; returns the before/after picture."""
    from kgan.configs import cyclegan_emoji
    from kgan.export import export, verify
    from kgan.training.forecast import duration
    from kgan.training.run import train

    output, start = Path(output), time.monotonic()
    config = cyclegan_emoji.get_config()
    if steps:
        config.training = dataclasses.replace(config.training, steps=steps)
    _, source, target = config.data.root.split(":")

    print(f"1. Training on {len(emoji.names('train'))} emoji: {source} to {target}, unpaired", flush=True)
    train(config, output / "run")

    print("\n2. Exporting, and comparing every file with Keras", flush=True)
    unseen = emoji.load(source, "test")
    pictures = [unseen[i] for i in np.linspace(0, len(unseen) - 1, SHOWN).astype(int)]
    exported = output / "exported"
    try:
        measurements = export(output / "run" / "generator_ab.keras", exported, pictures)
    except verify.VerificationError as error:  # a file below its floor is not kept; the demo goes on with the others
        measurements = list(error.measurements)
    print(verify.table(measurements))

    passed = [m for m in measurements if m.file.endswith(".tflite") and not m.problems]
    if not passed:
        raise verify.VerificationError(measurements)
    smallest = exported / min(passed, key=lambda measurement: measurement.bytes).file
    print(f"\n3. Running {smallest.name} on emoji that it has not seen", flush=True)
    translate = loading.load(smallest)
    rows = [pictures, [translate(picture) for picture in pictures]]
    picture = output / "before_after.png"
    images.write(picture, images.grid([[images.resize(each, (128, 128)) for each in row] for row in rows], gap=6))

    print(
        f"\nDone in {duration(time.monotonic() - start)}.\n"
        f"  {picture}: before (above) and after (below)\n"
        f"  {exported}: the filter as .tflite and SavedModel, their cards and verification.json\n"
        f"  {output / 'run'}: checkpoints, sample sheets, log.jsonl, tensorboard\n"
        f"Next: kgan translate --model={smallest} --input=PHOTO --output={output}"
    )
    return picture


if __name__ == "__main__":
    commands.run(main)
