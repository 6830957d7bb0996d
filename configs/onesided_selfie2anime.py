"""Selfies to anime at 128 px, with the recipe of `onesided` for the data set of U-GAT-IT: the included face filter.

    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime

Expect a KID x 100 near 9 after 1,500 steps (11 minutes of two cores with bfloat16), 6 after 3,000 (half an hour) and
5.2 at the end (74 minutes), with a match near .6; the photographs as they are have 23.2.
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_selfie2anime"
    return config.replace("system", line_weight=20.0)
