"""CycleGAN on selfie2anime at 64 px, narrowed for a CPU.

    kgan train --config=cyclegan_selfie2anime --config.data.root=selfie2anime --workdir=runs/cyclegan_anime

ResNet-6 of 24 filters with resize-convolutions, a PatchGAN of two strided layers (34 pixels of 64), averaged weights.
After 6,400 steps (20 minutes on one free core) expect recoloured faces with large dark eyes and speckle, and a KID
x 100 near 27, worse than no filter (23): docs/selfie2anime.md has what else was tried, and onesided_selfie2anime is
the one to take. For the published setting begin with cyclegan_horse2zebra.
"""

from kgan.data import Unpaired
from kgan.systems.cyclegan import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="cyclegan_selfie2anime",
        system=Settings(
            image_size=64,
            filters=24,
            residual_blocks=6,
            upsampling="resize",
            discriminator_filters=32,
            discriminator_layers=2,
            ema=0.999,
        ),
        data=Unpaired(subject="face"),
        training=Training(steps=6_400, batch_size=1, log_every=100, sample_every=1000, save_every=500),
    )
