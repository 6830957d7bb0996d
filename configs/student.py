"""A filter of yours, small enough for a phone: a student learns to draw what the filter draws of a folder of pictures.

    kgan train --config=student --config.system.teacher=runs/anime/generator_ab.keras --config.data.root=photos \
        --workdir=runs/student
    kgan export --model=runs/student/student.keras --output=exported --images=photos

`photos` holds some hundreds of pictures such as the filter will be given. The teacher is any filter in a .keras file,
yours, an imported one, or the name of one that comes with kgan. Where it was trained on faces, or on squares, say
--config.data.subject=face or center. A teacher of labels wants kgan.data.Labelled as the config's data.

With two folders, of which trainB shows what pictures should become, onesided_selfie2anime_student measures KID too.
"""

from kgan.data import Unlabelled
from kgan.systems.distillation import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="student",
        system=Settings(),
        data=Unlabelled(),
        training=Training(
            steps=2_500,
            batch_size=8,
            precision="float32",  # in which its figures were measured
            log_every=50,
            sample_every=500,
            save_every=500,
        ),
    )
