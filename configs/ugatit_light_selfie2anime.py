"""U-GAT-IT light on selfie2anime at 256 px with the paper's settings, for a GPU.

    kgan train --config=ugatit_light_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime

The official TensorFlow code's hyper-parameters: batch 1, a million steps, the learning rate falling linearly over the
second half. Its authors report four days on one V100, and for the full generator a KID x 100 of 11.61: the mean of KID
to the target and to the source (docs/measuring.md; against the target alone it has 2.72). Add
--config.system.light=False for that one (279 M parameters each, 256 px only).
"""

from kgan.data import Unpaired
from kgan.systems.ugatit import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="ugatit_light_selfie2anime",
        system=Settings(light=True),
        data=Unpaired(root="selfie2anime", subject="face"),
        training=Training(steps=1_000_000, batch_size=1, sample_every=1000, save_every=5000),
    )
