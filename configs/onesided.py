"""Two folders of pictures to a filter, within an hour or two of a laptop: the recipe for pictures of your own.

    kgan train --config=onesided --config.data.root=mine --workdir=runs/mine

`mine` holds the folders trainA (pictures like those that the filter will be given) and trainB (pictures that show what
they should become), some hundreds of each, and testA and testB with some tens of others: without these two, sheets and
measures show training pictures. The training begins with pictures of 64 px and goes on with 128.

Look at `runs/mine/samples` and at the line after each 500 steps. While pictures have 64 px, KID should fall below
that of the inputs, and match stays near .1. From 128 px on (step 2,200) match should be above .3. Where the outputs
look too much like the inputs lower system.content_weight; where match stays below .3 raise it. Where drawings get
lines that their photographs do not have, go on by onesided_finetune with its line_weight. Selfies to anime: KID 15
after 1,000 steps, 12.5 after 2,000, 9.3 and match .39 after 3,000, 8.5 and .40 after 5,000, where the inputs have
23.2. Originals of 256 px and more can go on to that size, with four times the time for each step:

        --config.system.image_size=256 --config.system.grow_at=2200,5000 --config.training.steps=6000
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
            steps=5_000,
            batch_size=4,
            precision="float32",  # in which its figures were measured
            log_every=50,
            sample_every=500,
            save_every=500,
            evaluate_every=500,
        ),
    )
