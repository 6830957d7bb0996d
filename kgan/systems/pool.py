"""CycleGAN's history of fakes, as state of the compiled step: part of every checkpoint, equal on all replicas."""

from __future__ import annotations

import keras
from keras import ops

from kgan import engine
from kgan.types import Tensor


class ImagePool(keras.layers.Layer):
    """The last fakes, of which D sees an older one half of the time.

    While the pool is not full, each new image is stored and passed on. Then, with even chances, it is passed on, or it
    takes the place of a random stored one, which is passed on instead. Shrivastava et al. 2017 (arXiv 1612.07828,
    section 2.3); per image and in this order as in both official CycleGAN codes.

    Args:
      size: images that it holds; 0 passes everything on.
      shape: (height, width, channels) of an image.
    """

    def __init__(self, size: int, shape: tuple[int, ...], name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.size = size
        if size:
            self.images = self.add_weight(
                name="images", shape=(size, *shape), initializer="zeros", trainable=False, dtype="float32"
            )
            self.filled = self.add_weight(name="filled", shape=(), initializer="zeros", trainable=False, dtype="int32")
        self.built = True

    def exchange(self, fakes: Tensor, draws: Tensor) -> Tensor:
        """[B, H, W, C] in, the same out, some of them older.

        Every replica goes through the global batch, so that all keep the same pool, and takes its own share.

        Args:
          draws: [B, 2] in [0, 1): whether each fake is swapped, and with which.
        """
        if not self.size:
            return fakes
        chances = engine.gather(draws)
        everything = engine.gather(ops.cast(fakes, self.images.dtype))
        images, filled = self.images.value, self.filled.value
        chosen = []
        for i in range(everything.shape[0]):
            new, full = everything[i], filled >= self.size
            swap = ops.logical_and(full, chances[i, 0] > 0.5)
            slot = ops.where(full, ops.cast(chances[i, 1] * self.size, "int32"), filled)
            old = ops.take(images, slot, axis=0)
            stored = ops.where(ops.logical_and(full, ops.logical_not(swap)), old, new)
            images = ops.scatter_update(images, ops.reshape(slot, (1, 1)), stored[None])
            filled = ops.minimum(filled + 1, self.size)
            chosen.append(ops.where(swap, old, new))
        self.images.assign(images)
        self.filled.assign(filled)
        return ops.cast(engine.own_share(ops.stack(chosen)), fakes.dtype)
