"""A one-sided filter on selfie2anime at 128 px, for an hour on two CPU cores.

    kgan train --config=onesided_selfie2anime --config.data.root=selfie2anime --workdir=runs/onesided

VGG16's weights (lpips_vgg16.npz) must lie in ~/.cache/kgan or in $KGAN_WEIGHTS.
"""

from kgan.data import Unpaired
from kgan.systems.onesided import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="onesided_selfie2anime",
        system=Settings(),
        data=Unpaired(subject="face"),
        training=Training(steps=5_000, batch_size=4, log_every=50, sample_every=500, save_every=250),
    )
