"""Two folders of pictures to a filter, within an hour or two of a laptop: the recipe for pictures of your own.

    kgan train --config=onesided --config.data.root=mine --workdir=runs/mine

`mine` holds the folders trainA (pictures like those that the filter will be given) and trainB (pictures that show what
they should become), some hundreds of each, and testA and testB with some tens of others: without these two, sheets and
measures show training pictures. The training begins with pictures of 64 px and goes on with 128.

After 500 steps look at `runs/mine/samples` and at the line that follows: KID should be well below that of the inputs,
and match far above zero. Where the outputs look too much like the inputs lower system.content_weight; where match falls
below .3 raise it. Originals of 256 px and more can go on to that size, with four times the time for each step:

        --config.system.image_size=256 --config.system.grow_at=2400,5000 --config.training.steps=6000
"""

from kgan.data import Unpaired
from kgan.systems.onesided import Settings
from kgan.training import Config, Training


def get_config() -> Config:
    return Config(
        name="onesided",
        system=Settings(),
        data=Unpaired(),
        training=Training(
            steps=6_000,
            batch_size=4,
            precision="float32",  # most CPUs take ten times as long for bfloat16
            log_every=50,
            sample_every=500,
            save_every=500,
            evaluate_every=500,
        ),
    )
