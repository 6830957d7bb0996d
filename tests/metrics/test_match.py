"""Match: places counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics import match


def test_places_of_four_directions() -> None:
    """Around their mean the inputs point right, up, left and down; the first output too, the others by a quarter on."""
    inputs = np.array([[6.0, 5.0], [5.0, 6.0], [4.0, 5.0], [5.0, 4.0]])
    assert match.ranks(10 * inputs + 3, inputs).tolist() == [1, 1, 1, 1]  # neither scale nor shift counts
    assert match.ranks(inputs[[1, 0, 2, 3]], inputs).tolist() == [2, 2, 1, 1]
    assert match.ranks(inputs[[2, 3, 0, 1]], inputs).tolist() == [4, 4, 4, 4]


def test_one_output_for_everybody_matches_as_chance_has_it() -> None:
    random = np.random.default_rng(0)
    ranks = match.ranks(1 + 1e-9 * random.normal(size=(200, 32)), random.normal(size=(200, 32)))
    assert np.mean(ranks == 1) < 0.03 and 80 < np.median(ranks) < 120


def test_equal_outputs_match_nothing() -> None:
    inputs = np.random.default_rng(0).normal(size=(5, 8))
    assert match.ranks(np.ones((5, 8)), inputs).tolist() == [5] * 5


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    inputs = random.normal(size=(10, 4))
    outputs = inputs + random.normal(size=(10, 4))
    whole = match.ranks(outputs, inputs)
    monkeypatch.setattr(match, "BLOCK", 3)
    np.testing.assert_array_equal(match.ranks(outputs, inputs), whole)


def test_one_picture_is_no_choice() -> None:
    with pytest.raises(UserError, match="at least two pictures, got 1"):
        match.ranks(np.ones((1, 3)), np.ones((1, 3)))
