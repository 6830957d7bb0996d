"""Separability with known answers: latents that tell everything, something, or nothing."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.metrics.separability import classifiers, conditional_entropy, separability

pytest.importorskip("sklearn", reason="needs scikit-learn: pip install kgan[metrics]")


def test_conditional_entropy_by_hand() -> None:
    truth = np.array([True, True, False, False])
    assert conditional_entropy(truth, truth) == 0
    assert conditional_entropy(~truth, truth) == 0
    assert conditional_entropy(np.array([True, False, True, False]), truth) == pytest.approx(1)
    assert conditional_entropy(np.ones(4, bool), truth) == pytest.approx(1)
    # Three of four on one side, of which one is wrong: 3/4 H(1/3) bits.
    share = -(np.log2(1 / 3) / 3 + 2 * np.log2(2 / 3) / 3)
    assert conditional_entropy(np.array([True, True, True, False]), truth) == pytest.approx(0.75 * share)


def test_a_perfect_separator_scores_one() -> None:
    """Attributes that are directions of the latent space, one of them rare."""
    latents = np.random.default_rng(0).normal(size=(2000, 5))
    logits = np.stack([latents @ [1, 2, 0, 0, 0], latents[:, 3] - 1.0], -1)
    score, entropies = separability(latents, logits)
    assert score == pytest.approx(1, abs=0.05) and entropies.shape == (2,)


def test_latents_that_tell_nothing_leave_a_bit_for_each_attribute() -> None:
    random = np.random.default_rng(1)
    score, entropies = separability(random.normal(size=(6000, 3)), random.normal(size=(6000, 2)))
    np.testing.assert_allclose(entropies, 1, atol=0.01)
    assert score == pytest.approx(4, rel=0.02)


def test_an_entangled_attribute_is_in_between() -> None:
    """Exclusive or: no plane tells it, though every latent determines it."""
    latents = np.random.default_rng(2).uniform(-1, 1, size=(6000, 2))
    score, _ = separability(latents, (latents[:, 0] * latents[:, 1])[:, None])
    assert score > 1.9


def test_only_the_surer_half_counts() -> None:
    """The unsure half is wrong throughout."""
    latents = np.concatenate([np.full((100, 1), 1.0), np.full((100, 1), -1.0)])
    logits = np.where(np.arange(200) % 2, 5.0, 0.1) * np.sign(latents[:, 0])
    logits[::2] *= -1
    assert separability(latents, logits[:, None])[0] == pytest.approx(1)
    assert separability(latents, logits[:, None], share=1.0)[0] > 1.5


def test_an_attribute_that_all_or_none_have_tells_nothing_new() -> None:
    assert separability(np.random.default_rng(3).normal(size=(50, 4)), np.ones((50, 1)))[0] == 1


def test_classifiers_say_how_good_they_are() -> None:
    """Of three attributes the first two follow the features, the third has too few pictures."""
    random = np.random.default_rng(4)
    features = random.normal(size=(1500, 6)) * [1, 10, 100, 1, 1, 1] + [0, 50, 0, 0, 0, 0]
    labels = np.stack([features[:, 0] > 0, features[:, 1] > 58, np.arange(1500) < 30], -1).astype(float)
    known = np.ones_like(labels)
    known[:300, 0] = 0
    results = classifiers(features, labels, known, ["hair", "eyes", "rare"])
    assert [each.name for each in results] == ["hair", "eyes"]
    assert results[0].pictures == int(labels[300:, 0].sum())
    for each in results:
        assert each.accuracy > 0.9 and each.balanced > 0.9
    agree = (results[0].logits(features) > 0) == (labels[:, 0] > 0)
    assert agree.mean() > 0.95
    with pytest.raises(UserError, match="No attribute has 2000 pictures and 2000 without it"):
        classifiers(features, labels, known, ["hair", "eyes", "rare"], least=2000)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UserError, match=r"pip install 'kgan\[metrics\]'"):
        separability(np.zeros((4, 1)), np.array([[1.0], [-1], [1], [-1]]))
