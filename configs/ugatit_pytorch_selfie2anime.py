"""U-GAT-IT light on selfie2anime at 256 px as the authors' PyTorch port trains it, for a GPU.

    kgan train --config=ugatit_pytorch_selfie2anime --config.data.root=selfie2anime --workdir=runs/anime

The hyper-parameters of UGATIT-pytorch: batch 1, a million steps, the learning rate falling linearly over the second
half; what differs from the TensorFlow code of the paper's figures is in `Settings.pytorch`. It is also the config that
goes on with what `kgan import --workdir` made of that code's checkpoints. Nobody published figures of the port alone.
"""

from kgan.data import Unpaired
from kgan.systems.ugatit import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="ugatit_pytorch_selfie2anime",
        system=Settings.pytorch(light=True),
        data=Unpaired(root="selfie2anime", subject="face"),
        training=Training(steps=1_000_000, batch_size=1, precision="float32", sample_every=1000, save_every=5000),
    )
