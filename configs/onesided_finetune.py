"""The face filter that comes with kgan, in a style of your own: ten minutes of two cores.

    kgan train --config=onesided_finetune --config.data.root=mine --workdir=runs/mine

`mine` holds trainA (photographs of faces), trainB (some hundreds of pictures in that style), testA and testB. A filter
of `onesided` goes on in the same way, with new discriminators, which see pictures as they are, lower rates, and half
the weights of content and colours. Towards the pictures that it had learned already, one of an ink weight of 80,
before averages were vivid, came from a KID x 100 of 5.5 to 5.1 within 200 steps, and kept less of the person (match .40
in place of .46); 300 were no better. `best_generator_ab.keras` is the one to take. A style with more ink or texture
than photographs have needs a lower system.ink_weight and system.line_weight, and a higher system.calm_weight.

    kgan train --config=onesided_finetune --config.data.root=mine --config.training.init_from=runs/mine \
        --config.data.subject=none --config.system.lighter_weight=1 --config.system.calm_weight=1 \
        --config.system.line_weight=0 --config.system.ink_weight=0 --workdir=runs/better

Where the person is lost raise system.match_weight; where drawings get lines or marks that their photographs do not
have lower system.calm_weight, or raise system.line_weight or system.ink_weight. Each costs KID.
"""

from kgan.configs import onesided_selfie2anime
from kgan.training import Config


def get_config() -> Config:
    config = onesided_selfie2anime.get_config().replace("system", grow_at=())
    config.name = "onesided_finetune"
    config = config.replace("system", content_weight=0.25, match_weight=2.5, colour_weight=2.0)
    config = config.replace("system", augment=False, learning_rate=2e-4, discriminator_learning_rate=4e-4, ema=0.998)
    return config.replace("training", steps=600, evaluate_every=100, save_every=100, init_from="onesided_selfie2anime")
