"""Selfies to anime at 128 px, with the recipe of `onesided` for the data set of U-GAT-IT: the included face filter.

    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime

Expect a KID x 100 near 14 after 500 steps (four minutes of two cores with bfloat16), 6 after 3,000 (half an hour) and
4.4 to 5.2 at the end (50 minutes), with a match of .5 to .6; the photographs as they are have 23.2 (20.3 at 64 px, the
size of the first 1,500 steps). A second training of some minutes lowers KID by about 0.4:

    kgan train --config=onesided_finetune --config.data.root=selfie2anime --workdir=runs/second \
        --config.training.init_from=runs/anime/best_generator_ab.keras
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_selfie2anime"
    return config.replace("system", line_weight=20.0)
