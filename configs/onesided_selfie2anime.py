"""Selfies to anime at 128 px, with the recipe of `onesided` for the data set of U-GAT-IT: the included face filter.

    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime

Stop it with Ctrl-C after step 3,000, about 24 minutes of two cores with bfloat16: the included filter is of that step,
with bare foreheads, a KID x 100 of 6.8 and a match of .56, and had system.ink_weight=160 and system.match_weight=3 for
the 1,500 steps at 64 px. Near relatives that were trained further came to a KID of 5.5 to 5.8 after 4,500 steps, and to
strands on foreheads. The photographs as they are have 23.2, at 64 px 20.3. `best_generator_ab.keras` is the step of the
lowest KID, which likes strands: take `generator_ab.keras`. docs/selfie2anime.md tells more.
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_selfie2anime"
    config = config.replace("system", lighter_weight=0.2, calm_weight=0.0, line_weight=20.0, ink_weight=80.0)
    return config.replace("system", match_weight=2.0)
