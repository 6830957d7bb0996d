"""StyleGAN on anime faces at 64 px, narrowed for hours on two CPU cores rather than days on a GPU.

    kgan train --config=stylegan_animefaces --config.data.root=animefaces --workdir=runs/faces

A folder `images` inside the root holds the pictures. 128 channels at most and 32 at 64 px, levels of 20 thousand images
for each fade and each rest where the paper has 600, twice the learning rate, and a tenth of R1's weight, which at 64 px
is a gradient in fewer pixels.

After 10,532 steps, 204 thousand images in 2 h 17 min on two busy cores, expect well drawn faces of many colours and few
poses, a FID of 131 (2,000 drawn against all 5,200), and path lengths of 41 in z and 13 in w. The levels' first pictures
are worse than the last ones of the level below.

`data=Labelled(enlarge=1.0)` in a config of your own reads labels.csv beside the folder too, and teaches the generator
to draw the hair and eyes that it is asked for: kgan generate --label=hair=blue,eyes=red.
"""

from kgan.data import Unlabelled
from kgan.systems.stylegan import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    system = Settings(
        image_size=64,
        latent_size=128,
        filters=1024,
        filters_most=128,
        fused_from=8,
        penalty_weight=1.0,
        learning_rate=0.002,
        stable_kimg=20.0,
        fade_kimg=20.0,
        ema_kimg=5.0,
        batches=(4, 4, 2, 1),
    )
    return Config(
        name="stylegan_animefaces",
        system=system,
        data=Unlabelled(train="images"),
        training=Training(
            steps=system.steps(200, 16), batch_size=16, log_every=50, sample_every=500, save_every=500, samples=6
        ),
    )
