"""pix2pix on facades at 128 px: label maps to photographs, with a U-Net-128 of a quarter of the width.

    kgan train --config=pix2pix_facades --config.data.root=facades --workdir=runs/facades

400 pairs side by side, photograph left and label map right, hence the direction. The published setting is 256 px, 64
filters, 200 epochs of batch 1; here it is 80.
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
