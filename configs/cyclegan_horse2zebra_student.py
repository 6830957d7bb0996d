"""Horses to zebras for a phone, at 256 px: teacher and student advance together, as in OMGD, for a GPU.

    kgan train --config=cyclegan_horse2zebra_student --config.data.root=horse2zebra --workdir=runs/zebra

The data and the settings of the teacher are those of cyclegan_horse2zebra, whose averaged generator teaches from the
first step on; OMGD takes the best of every ten epochs instead. The losses and weights are OMGD's, on VGG16 (get it with
kgan weights), whose maps are normalized here: hence another weight of Gram matrices. Published for OMGD's student of
0.137 M parameters: FID 51.9, and 96.7 where it learns without a teacher. Of this one nothing is measured yet.
"""

from kgan.configs import cyclegan_horse2zebra
from kgan.systems.distillation import Settings
from kgan.training import Config


def get_config() -> Config:
    config = cyclegan_horse2zebra.get_config()
    config.name = "cyclegan_horse2zebra_student"
    config.system = Settings(
        online=config.replace("system", ema=0.999).system,
        image_size=256,
        residual_blocks=4,
        pixel_weight=0.0,
        ssim_weight=10.0,
        features="vgg16",
        feature_weight=10.0,
        feature_taps=(1,),
        gram_weight=100.0,
        gram_taps=(0, 1, 2, 3),
        variation_weight=1e-5,
        channel_weight=500.0,
        channel_layers=tuple(f"block{i}_add=block{2 * i}_add" for i in (1, 2, 3, 4)),
        learning_rate=2e-4,
    )
    return config
