"""StarGAN on CelebA at 128 px with the published settings, for a GPU.

    kgan train --config=stargan_celeba --config.data.root=celeba --workdir=runs/stargan

`root` holds the folder images and list_attr_celeba.txt. Hair in three colours, gender and age, as the official code's
--selected_attrs are by default; 200,000 updates of the discriminator, five for one of the generator, batch 16. It is
also the config that goes on with what `kgan import --workdir` made of that code's checkpoints. Here it was not trained:
its networks have the counts of the official ones to the unit.
"""

from kgan.data import Labelled, Labelling
from kgan.systems.stargan import Settings
from kgan.training import Config, Training

ATTRIBUTES = ("hair=Black_Hair|Blond_Hair|Brown_Hair", "Male", "Young")


def get_config() -> Config:
    return Config(
        name="stargan_celeba",
        system=Settings(),
        data=Labelled(root="celeba", sets=(Labelling(layout="celeba", groups=ATTRIBUTES),)),
        training=Training(steps=40_000, batch_size=16, precision="float32", sample_every=1000, save_every=1000),
    )
