"""pix2pix on facades at 128 px: label maps to photographs, with a U-Net-128 of a quarter of the width.

    kgan train --config=pix2pix_facades --config.data.root=facades --workdir=runs/facades

400 pairs side by side, photograph left and label map right, hence the direction. 80 epochs of batch 1, 20 minutes on
two free cores: expect windows, cornices and shop fronts where the map has them, in flat light with a fine grid, and
on the 106 test pairs a KID x 100 near 18 and an L1 near 46 grey levels (the map itself: 53 and 102). The published
setting is --config.system.image_size=256 --config.system.depth=8 --config.system.filters=64
--config.system.discriminator_filters=64 --config.training.steps=80000.
"""

from kgan.data import Paired
from kgan.systems.pix2pix import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="pix2pix_facades",
        system=Settings(image_size=128, depth=7, filters=16, discriminator_filters=32),
        data=Paired(direction="ba"),
        training=Training(steps=32_000, batch_size=1, log_every=100, sample_every=4000, save_every=1000),
    )
