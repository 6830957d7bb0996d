"""Linear separability (Karras et al. 2019, arXiv 1812.04948, section 4.2): how well a plane in the space of latents
tells whether a picture has an attribute.

A classifier says for each picture whether it has the attribute, the surer half of the pictures is kept, and a linear
SVM learns to say it of the latents. What remains to be known once the SVM has spoken is the conditional entropy H(Y|X)
in bits; the score is 2^(sum over attributes), 1 for latents that tell everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kgan.errors import UserError

LEAST = 200  # pictures that have an attribute, and as many without: fewer teach no classifier
HELD_BACK = 5  # every fifth picture measures a classifier's accuracy
SURER = 0.5  # share of the pictures, of which classifiers are surest


@dataclass
class Classifier:
    """Whether a picture has an attribute, by logistic regression on features.

    Attributes:
      name: the attribute's.
      pictures: how many of the pictures that it learned from have the attribute.
      accuracy: its share of right answers on pictures held back.
      balanced: the mean of its accuracies on those with and those without the attribute, as most attributes are rare.
    """

    name: str
    pictures: int
    accuracy: float
    balanced: float
    weights: np.ndarray
    bias: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """[N, F] to [N]: positive where the attribute is there."""
        return features @ self.weights + self.bias


def classifiers(
    features: np.ndarray, labels: np.ndarray, known: np.ndarray, names: list[str], least: int = LEAST
) -> list[Classifier]:
    """A classifier for each attribute that at least `least` pictures have and as many have not.

    Args:
      features: [N, F], of any scale.
      labels: [N, A], 1 where the picture has the attribute.
      known: [N, A], 1 where that is known.
      names: the attributes'.

    Raises:
      UserError: no attribute has enough pictures, or scikit-learn is missing.
    """
    results = []
    for name, label, sure in zip(names, labels.T > 0, known.T > 0, strict=True):
        if min((label & sure).sum(), (~label & sure).sum()) >= least:
            results.append(_teach(name, features[sure], label[sure]))
    if not results:
        raise UserError(f"No attribute has {least} pictures and {least} without it: there is nothing to separate.")
    return results


def _teach(name: str, features: np.ndarray, label: np.ndarray) -> Classifier:
    """The classifier of one attribute, from four of five pictures; the fifth measures it."""
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = (features - mean) / deviation
    test = np.arange(len(x)) % HELD_BACK == 0
    regression = _sklearn("linear_model").LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")
    regression.fit(x[~test], label[~test])
    right = regression.predict(x[test]) == label[test]
    balanced = np.mean([right[label[test] == side].mean() for side in (True, False)])
    weights = regression.coef_[0] / deviation
    bias = float(regression.intercept_[0] - weights @ mean)
    return Classifier(name, int(label.sum()), float(right.mean()), float(balanced), weights, bias)


def separability(latents: np.ndarray, logits: np.ndarray, share: float = SURER) -> tuple[float, np.ndarray]:
    """The score, and the conditional entropy [A] of each attribute in bits, from 0 to 1.

    Args:
      latents: [N, W].
      logits: [N, A], what the classifiers say of the pictures of these latents.
      share: of the pictures, the surest, that the SVM learns from and is judged by.
    """
    entropies = []
    for each in logits.T:
        sure = np.argsort(-np.abs(each), kind="stable")[: max(1, round(share * len(each)))]
        truth = each[sure] > 0
        entropies.append(conditional_entropy(_sides(latents[sure], truth), truth))
    return float(2 ** np.sum(entropies)), np.array(entropies)


def _sides(latents: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The side of a linear SVM's plane on which each latent lies: bool [N], as near `truth` as a plane can."""
    if truth.all() or not truth.any():
        return truth  # nothing to tell apart
    x = latents.astype(np.float64)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-12)
    machine = _sklearn("svm").LinearSVC(dual=len(x) < x.shape[1], max_iter=2000)
    return np.asarray(machine.fit(x, truth).predict(x), bool)


def conditional_entropy(side: np.ndarray, truth: np.ndarray) -> float:
    """H(truth | side) in bits, of two bool [N]: what remains to be known of `truth` for one who knows `side`."""
    table = np.array([[np.mean((side == x) & (truth == y)) for y in (False, True)] for x in (False, True)])
    share = table.sum(axis=1, keepdims=True)
    inside = table > 0
    return float(-np.sum(table[inside] * np.log2((table / np.where(share > 0, share, 1))[inside])))


def _sklearn(part: str) -> Any:
    """A module of scikit-learn; a `UserError` where it is not installed."""
    try:
        import sklearn.linear_model
        import sklearn.svm
    except ImportError:
        raise UserError("Separability needs scikit-learn: pip install 'kgan[metrics]'.") from None
    return getattr(sklearn, part)
