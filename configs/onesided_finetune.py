"""The face filter that comes with kgan, in a style of your own: a quarter of an hour of one core.

    kgan train --config=onesided_finetune --config.data.root=mine --workdir=runs/mine

`mine` holds trainA (photographs of faces), trainB (some hundreds of pictures in that style), testA and testB. A filter
of `onesided` goes on in the same way, with new discriminators and lower rates:

    kgan train --config=onesided_finetune --config.data.root=mine --config.training.init_from=runs/mine \
        --config.data.subject=none --workdir=runs/better

Where drawings get lines that their photographs do not have: --config.system.line_weight=40
--config.system.content_weight=3.5 --config.system.learning_rate=2e-4.
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_finetune"
    config = config.replace("system", grow_at=(), content_weight=4.7, colour_weight=3.0)
    config = config.replace("system", learning_rate=1e-4, discriminator_learning_rate=4e-4)
    return config.replace("training", steps=900, evaluate_every=300, save_every=300, init_from="onesided_selfie2anime")
