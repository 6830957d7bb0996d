"""U-GAT-IT on the embedded emoji: 3D renderings to flat drawings, in minutes on two CPU cores.

    kgan train --config=ugatit_emoji --workdir=runs/emoji

Minutes are enough with the PyTorch port's settings, whose larger starting weights carry colour through the attention
from the first step, and with a CAM loss of 2 in place of 1000, which would drown the identity loss in so short a time.
Expect flat areas, hard edges and colours that are mostly right.
"""

from kgan.data import Unpaired
from kgan.systems.ugatit import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="ugatit_emoji",
        system=Settings.pytorch(
            light=True,
            image_size=64,
            filters=16,
            residual_blocks=2,
            discriminator_layers=5,
            cam_weight=2.0,
            learning_rate=4e-4,
            ema=0.99,
        ),
        data=Unpaired(root="emoji:fluent3d:twitter", enlarge=1.06),
        training=Training(
            steps=3000, batch_size=1, precision="float32", log_every=50, sample_every=250, save_every=500, keep=2
        ),
    )
