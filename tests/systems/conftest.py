"""What tests of systems share."""

from __future__ import annotations

import keras
import pytest
from keras import ops

from kgan.pretrained import projection


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the projection's place: the mean colour of cells, as "taps", and repeated to the width of the "maps"."""

    def load() -> keras.Model:
        picture = keras.Input((None, None, 3), dtype="float32")
        taps = [keras.layers.AveragePooling2D(2 ** (2 + i), dtype="float32")(picture) for i in range(4)]
        maps = [ops.tile(tap[..., :1], (1, 1, 1, width)) for tap, width in zip(taps, projection.WIDTHS, strict=True)]
        return keras.Model(picture, {"maps": maps, "taps": taps})

    monkeypatch.setattr(projection, "load", load)
