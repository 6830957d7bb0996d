"""U-GAT-IT on the embedded emoji: 3D renderings to flat drawings, in minutes on two CPU cores.

    kgan train --config=ugatit_emoji --workdir=runs/emoji

Both domains show the same things, so little has to move: a narrow network, a light cycle and a high rate learn the
flat colours and lost shadows within about five minutes. `make demo` trains this.
"""

from kgan.data import Unpaired
from kgan.systems.ugatit import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="ugatit_emoji",
        system=Settings(
            light=True,
            image_size=64,
            filters=16,
            residual_blocks=2,
            discriminator_layers=5,
            cycle_weight=5.0,
            identity_weight=5.0,
            cam_weight=100.0,
            learning_rate=5e-4,
            ema=0.99,
        ),
        data=Unpaired(root="emoji:fluent3d:twitter", enlarge=1.06),
        training=Training(steps=1500, batch_size=4, log_every=50, sample_every=250, save_every=500, keep=1),
    )
