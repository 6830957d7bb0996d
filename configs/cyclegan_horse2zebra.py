"""CycleGAN on horse2zebra, or any two folders laid out like it, at 256 px with the published settings, for a GPU.

    kgan train --config=cyclegan_horse2zebra --config.data.root=horse2zebra --workdir=runs/zebra

The root holds the folders trainA, trainB, testA and testB. There are 939 and 1,177 pictures to train on, hence 200
epochs of 1,177 steps of batch 1, on GPUs in bfloat16; --config.training.precision=float32 is the original's. FID of
horses made zebras, as reported: 62.1 with these settings, 77.2 with --config.system.identity_weight=0, as in the paper.
"""

from kgan.data import Unpaired
from kgan.systems.cyclegan import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="cyclegan_horse2zebra",
        system=Settings(),
        data=Unpaired(root="horse2zebra", fit="stretch"),
        training=Training(steps=200 * 1177, batch_size=1, sample_every=1177, save_every=5000),
    )
