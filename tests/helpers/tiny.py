"""The smallest experiment: seconds on the embedded pictures. A config file for `kgan train`, and for tests."""

from typing import Any

from kgan.data import Unpaired
from kgan.systems.cyclegan import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="tiny",
        system=Settings(
            image_size=32,
            filters=2,
            residual_blocks=1,
            discriminator_filters=2,
            discriminator_layers=2,
            pool=3,
            ema=0.9,
        ),
        data=Unpaired(root="emoji:fluent3d:google"),
        training=Training(
            steps=8, batch_size=2, log_every=2, sample_every=5, save_every=2, samples=2, precision="float32"
        ),
    )


def changed(**training: Any) -> Config:
    """The same with other settings of the training."""
    return get_config().replace("training", **training)
