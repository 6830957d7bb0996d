"""Two folders of pictures to a filter, within an hour of a laptop: the recipe for pictures of your own.

    kgan train --config=onesided --config.data.root=mine --workdir=runs/mine

`mine` holds the folders trainA (pictures like those that the filter will be given) and trainB (pictures that show what
they should become), some hundreds of each, and testA and testB with some tens of others: without these two, sheets and
measures show training pictures. The training begins with pictures of 64 px and goes on with 128.

Look at `runs/mine/samples` and at the line after each 500 steps: KID should fall below that of the inputs. Where the
outputs look too much like the inputs lower system.match_weight, system.content_weight and system.colour_weight; where
match stays below .3 raise the first of them. Where drawings get lines or marks that their photographs do not have,
lower system.calm_weight or raise system.line_weight or system.ink_weight. Originals of 256 px and more can go on to
that size, with four times the time for each step:

        --config.system.image_size=256 --config.system.grow_at=1500,4500 --config.training.steps=5500
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
            batch_size=8,
            log_every=50,
            sample_every=500,
            save_every=500,
            evaluate_every=500,
        ),
    )
