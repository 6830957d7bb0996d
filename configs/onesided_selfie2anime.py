"""Selfies to anime at 128 px, with the recipe of `onesided` for the data set of U-GAT-IT: the included face filter.

kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_selfie2anime"
    return config.replace("system", line_weight=20.0)
