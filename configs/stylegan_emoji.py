"""StyleGAN on the embedded emoji at 32 px, in minutes on two CPU cores.

    kgan train --config=stylegan_emoji --workdir=runs/emoji_faces

It learns from 729 pictures, from 8 px on, in levels of 10 thousand images for each fade and each rest.
"""

from kgan.data import Unlabelled
from kgan.systems.stylegan import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    system = Settings(
        image_size=32,
        latent_size=64,
        mapping_layers=4,
        filters=512,
        filters_most=64,
        fused_from=8,
        penalty_weight=1.0,
        learning_rate=0.002,
        stable_kimg=10.0,
        fade_kimg=10.0,
        ema_kimg=2.0,
        batches=(2, 2, 2, 1),
    )
    return Config(
        name="stylegan_emoji",
        system=system,
        data=Unlabelled(root="emoji:fluent3d", flip=False),
        training=Training(
            steps=system.steps(80, 16), batch_size=16, log_every=50, sample_every=500, save_every=500, keep=2
        ),
    )
