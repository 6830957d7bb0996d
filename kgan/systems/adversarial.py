"""A system in which a discriminator judges what the generators make."""

from __future__ import annotations

import keras

from kgan.augmentation import DRAWS, augment
from kgan.systems.system import System
from kgan.types import Tensor


class Adversarial(System):
    """A generator side and a discriminator side, each with its optimizer."""

    # beginnings of the names of D's terms
    critic_terms: tuple[str, ...] = ("discriminator", "penalty", "l2_discriminators")
    augments_colours = True
    discriminator_optimizer: keras.optimizers.Optimizer

    def ready(self, seed: int) -> None:
        """Do what `System.ready` does, and build the discriminators' optimizer too."""
        super().ready(seed)
        self.discriminator_optimizer.build(self.discriminator_variables())

    def discriminator_variables(self) -> list[keras.Variable]:
        """What `discriminator_optimizer` trains."""
        raise NotImplementedError

    def shown(self, image: Tensor, name: str) -> Tensor:
        """What a discriminator sees of an image: augmented by draws of its own where the settings say so."""
        if not self.settings.augment:
            return image
        return augment(image, self.uniform(f"augment_{name}", (image.shape[0], DRAWS)), self.augments_colours)

    def progress(self, terms: dict[str, float]) -> str:
        """What the progress bar says of a step: both sides' losses."""
        critic = sum(value for name, value in terms.items() if name.startswith(self.critic_terms))
        return f"G {sum(terms.values()) - critic:.3g}, D {critic:.3g}"
