"""U-GAT-IT light at 64 px, narrowed for an hour on a CPU rather than days on a GPU.

    kgan train --config=ugatit_light_selfie2anime_64 --config.data.root=selfie2anime --workdir=runs/anime_64

24 filters, n_dis 5 (the official global discriminator needs 96 px), twice the learning rate, one batch for both
updates, as in the PyTorch port, and an average of the generators' weights. Expect, after 10,000 steps (three quarters
of an hour on one free core), drawn eyes, bangs and flat skin with speckle beside them, and a KID x 100 near 28, still
worse than that of no filter at all (23).
"""

from kgan.data import Unpaired
from kgan.systems.ugatit import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="ugatit_light_selfie2anime_64",
        system=Settings(
            light=True,
            image_size=64,
            filters=24,
            discriminator_layers=5,
            learning_rate=2e-4,
            separate_batches=False,
            ema=0.999,
        ),
        data=Unpaired(root="selfie2anime", subject="face"),
        training=Training(steps=10_000, batch_size=1, log_every=100, sample_every=1000, save_every=500),
    )
