"""The face filter that comes with kgan, in a style of your own: twenty minutes of one core.

    kgan train --config=onesided_finetune --config.data.root=mine --workdir=runs/mine

`mine` holds trainA (photographs of faces), trainB (some hundreds of pictures in that style), testA and testB. A filter
of `onesided` goes on in the same way, with new discriminators and lower rates; its network is a narrower one:

    kgan train --config=onesided_finetune --config.data.root=mine --config.training.init_from=runs/mine \
        --config.system.filters=32 --config.system.residual_blocks=4 --config.data.subject=none --workdir=runs/better

Where the person is lost raise system.match_weight, where drawings get lines that their photographs do not have
system.line_weight, which is 80 in onesided_selfie2anime_gpu; both cost KID.
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config().replace("data", subject="face")
    config.name = "onesided_finetune"
    config = config.replace("system", filters=48, residual_blocks=6, grow_at=())
    config = config.replace("system", content_weight=1.0, match_weight=10.0, colour_weight=5.0, line_weight=20.0)
    config = config.replace("system", scale_weights=(1.0, 1.0, 1.0, 1.0))
    config = config.replace("system", learning_rate=2e-4, discriminator_learning_rate=4e-4)
    return config.replace("training", steps=900, evaluate_every=300, save_every=300, init_from="onesided_selfie2anime")
