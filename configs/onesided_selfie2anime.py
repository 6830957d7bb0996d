"""A one-sided filter on selfie2anime at 128 px, for an hour of one CPU core: the small-budget recipe.

    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/small
        --config.system.image_size=64 --config.system.heads=2,4 --config.training.steps=4600
    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/onesided
        --config.training.init_from=runs/small

VGG16's weights (lpips_vgg16.npz) come with the command kgan weights. The first, at 64 px, takes 20 minutes,
the second 56 (one core of an AMD EPYC, bfloat16). Expect faces that keep their shape, with flat skin, harder lines
and darker, larger eyes, and a KID x 100 near 17.5 where no filter has 23: docs/selfie2anime.md has what else was tried.
"""

from kgan.data import Unpaired
from kgan.systems.onesided import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="onesided_selfie2anime",
        system=Settings(),
        data=Unpaired(subject="face"),
        training=Training(steps=3_600, batch_size=4, log_every=50, sample_every=500, save_every=250),
    )
