"""What a discriminator sees of small and large pictures, and the terms of its verdict by hand."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from kgan.pretrained import projection
from kgan.systems import projected


def logits(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def test_terms_by_hand() -> None:
    """Of two reals and two fakes: max(0, 1 - real) + max(0, 1 + fake), and - weight D(fake)."""
    terms = projected.discriminator_terms({"0": logits(3.0, 0.5, -2.0, -0.5), "2": logits(-1.0, -1.0, 1.0, 1.0)})
    assert {name: float(term) for name, term in terms.items()} == {
        "discriminator_0": (0 + 0.5) / 2 + (0 + 0.5) / 2,
        "discriminator_2": 2 + 2,
    }
    terms = projected.generator_terms({"3": logits(3.0, -1.0)}, 0.5)
    assert {name: float(term) for name, term in terms.items()} == {"adversarial_3": -0.5}


@pytest.mark.usefixtures("coarse")
def test_small_pictures_are_enlarged_and_each_map_has_a_verdict() -> None:
    project, discriminator = projection.load(), projected.build_discriminator(projected.ALL)
    for size, seen in ((16, 128), (128, 128), (160, 160)):
        image = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype("float32")
        maps = projected.features(project, ops.convert_to_tensor(image))["maps"]
        assert [x.shape[1] for x in maps] == [seen // 4, seen // 8, seen // 16, seen // 32]
        verdict = projected.judge(discriminator, (0, 1, 2, 3), maps)
        assert {scale: x.shape[1] for scale, x in verdict.items()} == dict.fromkeys("0123", seen // 32)
