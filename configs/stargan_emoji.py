"""StarGAN on the embedded emoji: any of three vendors' styles to any other, in minutes on two CPU cores.

    kgan train --config=stargan_emoji --workdir=runs/stargan_emoji
    kgan translate --model=runs/stargan_emoji/generator.keras --input=photo.png --output=flat.png --label=vendor=twitter

Expect soft pictures of the right shape, whose shading follows the label: asked for another vendor, 62 % of the unseen
ones are taken for that vendor's by a classifier trained on real emoji. Chance is a third, and of unchanged pictures it
is one in twenty.
"""

from kgan.data import Labelled
from kgan.systems.stargan import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="stargan_emoji",
        system=Settings(
            image_size=64,
            filters=16,
            residual_blocks=2,
            upsampling="resize",
            discriminator_filters=16,
            discriminator_layers=5,
            n_critic=2,
            learning_rate=5e-4,
            ema=0.99,
        ),
        data=Labelled(root="emoji:fluent3d:google:twitter", enlarge=1.06),
        training=Training(
            steps=1500, batch_size=8, precision="float32", log_every=50, sample_every=250, save_every=250, keep=2
        ),
    )
