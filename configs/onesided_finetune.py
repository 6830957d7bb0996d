"""A short second training of a One-sided filter, a quarter of an hour: nearer to the target, or to another style.

    kgan train --config=onesided_finetune --config.data.root=mine --config.training.init_from=runs/mine \
        --workdir=runs/better

begins with the filter of a run of `onesided`, and goes on with new discriminators and lower rates. Without init_from
it begins with the face filter that comes with kgan, for portraits in a style of your own: `mine` holds trainA
(photographs of faces), trainB (some hundreds of pictures in that style), testA and testB.
"""

from kgan.configs import onesided
from kgan.training import Config


def get_config() -> Config:
    config = onesided.get_config()
    config.name = "onesided_finetune"
    config = config.replace("system", grow_at=(), learning_rate=1e-4, discriminator_learning_rate=4e-4)
    return config.replace("training", steps=900, evaluate_every=300, save_every=300, init_from="onesided_selfie2anime")
