"""Selfies to anime at 128 px, with the recipe of `onesided` for the data set of U-GAT-IT: the included face filter.

    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime

Expect a KID x 100 near 16 after 500 steps (four minutes of two cores), 6 after 3,000 (half an hour) and 5.3 to 5.5 at
the end (an hour), with a match of .5 to .6; the photographs as they are have 23.2 (20.3 at 64 px, the size of the first
1,500 steps). With system.line_weight=20 and system.lighter_weight=1 it is 4.4 to 5.2, and 4.0 to 4.5 after a second
training of some minutes (`onesided_finetune`), and faces get ink where none should be: docs/selfie2anime.md.
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_selfie2anime"
    return config.replace("system", line_weight=40.0, lighter_weight=0.2)
