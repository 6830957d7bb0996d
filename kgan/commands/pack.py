"""Pack all that a training needs into one archive, for a machine with a GPU that is at hand for a while.

  kgan pack --config=stylegan_animefaces --config.data.root=animefaces --output=faces.tar --limit_mb=60

There, where kgan is not installed, but what it needs is (keras, jax or tensorflow, numpy, pillow, absl-py,
ml_collections, tqdm, tensorboard):

  tar xf faces.tar && cd stylegan_animefaces
  KERAS_BACKEND=jax python -m kgan train --config=config.py --workdir=run --config.training.minutes=25
  python -m kgan bring --workdir=run --output=pieces

The archive holds kgan itself, the settings as config.py, a README.txt, and the pictures, no larger than the training
loads them, as JPEG where that is smaller. Where they do not fit, all become JPEG, of quality 92, 86 or 80; where that
is not enough, evenly spaced training pictures go in, and all test pictures (of CelebA's a tenth, as its rule is).

A run knows the names of its pictures and their sizes in bytes. One that began with packed pictures goes on with packed
pictures, everywhere: unpack the archive at home too, and name the folder data in it as --config.data.root. With
--workdir, the run that lies there goes on: its newest checkpoint and its log go in, and its pictures byte for byte.
Leave room for the checkpoint in the first archive; one that is too large may travel as pieces, since kgan bring works
in both directions.
"""

from __future__ import annotations

from absl import flags

from kgan import commands
from kgan.commands import DEFINE_config, DEFINE_path, shared

CONFIG = shared(DEFINE_config, "config", "The experiment: a Python file, or the name of an installed one.")
OUTPUT = shared(DEFINE_path, "output", "The archive to write, such as faces.tar.")
LIMIT = flags.DEFINE_float("limit_mb", 60.0, "What the archive may take, in millions of bytes.")
WORKDIR = shared(DEFINE_path, "workdir", "The folder of a run that is to go on.")


def main() -> None:
    commands.require(CONFIG, OUTPUT)
    from kgan.carry.archive import pack

    print(pack(CONFIG.value, OUTPUT.value, LIMIT.value, WORKDIR.value))


if __name__ == "__main__":
    commands.run(main)
