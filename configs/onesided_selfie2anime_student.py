"""x"""

from kgan.data import Unpaired
from kgan.systems.distillation import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="onesided_selfie2anime_student",
        system=Settings(teacher="onesided_selfie2anime"),
        data=Unpaired(subject="face"),
        training=Training(
            steps=2_500,
            batch_size=8,
            precision="float32",  # most CPUs take ten times as long for bfloat16
            log_every=50,
            sample_every=500,
            save_every=500,
            evaluate_every=500,
        ),
    )
