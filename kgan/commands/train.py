"""Train a system: kgan train --config=configs/ugatit_light_selfie2anime.py --workdir=runs/anime

The same command goes on where the run in --workdir stopped. Settings are changed with --config.FIELD=VALUE, such as
--config.training.steps=1000 or --config.data.root=~/pictures; a bare name (--config=ugatit_emoji) finds the configs
that are installed with kgan.
"""

from __future__ import annotations

from kgan import commands
from kgan.commands import DEFINE_config, DEFINE_path, shared

CONFIG = shared(DEFINE_config, "config", "The experiment: a Python file, or the name of an installed one.")
WORKDIR = shared(DEFINE_path, "workdir", "Where the run lies, or will: checkpoints, generators, logs, samples.")


def main() -> None:
    commands.require(CONFIG, WORKDIR)
    from kgan.training.run import train  # here: --help must not wait for an engine

    train(CONFIG.value, WORKDIR.value)


if __name__ == "__main__":
    commands.run(main)
