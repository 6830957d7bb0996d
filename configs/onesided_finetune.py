"""The face filter that comes with kgan, in a style of your own: ten minutes of two cores.

    kgan train --config=onesided_finetune --config.data.root=mine --workdir=runs/mine

`mine` holds trainA (photographs of faces), trainB (some hundreds of pictures in that style), testA and testB. A filter
of `onesided` goes on in the same way, with new discriminators, which see pictures as they are, and lower rates and
weights. Towards the pictures that it had learned already, the included one came from a KID x 100 of 5.3 to 4.9 within
200 steps, with stronger ink, also where none should be, and later steps were worse: `best_generator_ab.keras` is the
one to take.

    kgan train --config=onesided_finetune --config.data.root=mine --config.training.init_from=runs/mine \
        --config.data.subject=none --config.system.line_weight=0 --config.system.lighter_weight=1 --workdir=runs/better

Where the person is lost raise system.match_weight, where drawings get lines that their photographs do not have
system.line_weight; both cost KID.
"""

from kgan.configs import onesided_selfie2anime
from kgan.training import Config


def get_config() -> Config:
    config = onesided_selfie2anime.get_config().replace("system", grow_at=())
    config.name = "onesided_finetune"
    config = config.replace("system", content_weight=0.25, match_weight=2.5, colour_weight=2.0, augment=False)
    config = config.replace("system", learning_rate=2e-4, discriminator_learning_rate=4e-4, ema=0.998)
    return config.replace("training", steps=600, evaluate_every=100, save_every=100, init_from="onesided_selfie2anime")
