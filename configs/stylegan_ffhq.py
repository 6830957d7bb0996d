"""StyleGAN on FFHQ at 1024 px as published, for GPUs.

    kgan train --config=stylegan_ffhq --config.data.root=ffhq --config.training.devices=8 --workdir=runs/ffhq

25 million images; the authors report 6 days and 14 hours on eight V100 and a FID of 4.40. On one GPU they take smaller
batches of the larger levels, and 41 days:

    --config.training.batch_size=4 --config.system.batches=32,32,32,16,8,4,2,1 --config.training.steps=4895308

They computed in float32: --config.training.precision=float32.
"""

from kgan.data import Unlabelled
from kgan.systems.stylegan import Settings
from kgan.training import Config, Training

KIMG = 25_000


def get_config() -> Config:
    system = Settings()
    return Config(
        name="stylegan_ffhq",
        system=system,
        data=Unlabelled(),
        training=Training(steps=system.steps(KIMG, 32), batch_size=32, sample_every=5000, save_every=5000),
    )
