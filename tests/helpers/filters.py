"""What a filter's exported files take, and what Keras makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from kgan.filters.loading import keras_runner
from kgan.pictures import images


def as_inputs(pictures: Sequence[np.ndarray], labels: Sequence[np.ndarray] = ()) -> list[dict[str, np.ndarray]]:
    """uint8 pictures [H, W, 3], each with a label [C] where there are some, as inputs by name, [1, ...]."""
    inputs = [{"image": images.to_float(picture)[None]} for picture in pictures]
    return [one | {"label": label[None]} for one, label in zip(inputs, labels, strict=True)] if len(labels) else inputs


def drawn_by_keras(model: keras.Model, inputs: Sequence[dict[str, np.ndarray]]) -> list[np.ndarray]:
    """Pictures, float32 [H, W, 3]."""
    run = keras_runner(model)
    return [run(*one.values())[0] for one in inputs]
