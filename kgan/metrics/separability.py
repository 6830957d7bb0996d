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
KEPT = 0.5


@dataclass
class Classifier:
    """Whether a picture has an attribute, by logistic regression on features.

    Attributes:
      name: of the attribute.
      pictures: that have it, of all that taught.
      accuracy: on pictures held back; balanced: the mean of its accuracies on those with and those without, since most
        attributes are rare.
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
    """One against the rest, for each attribute that `least` pictures have and as many have not.

    Args:
      features: [N, F], of any scale.
      labels, known: [N, A], 1 where the attribute is there, and where that is known.

    Raises:
      UserError: no attribute has enough pictures, or scikit-learn is missing.
    """
    found = []
    for name, label, sure in zip(names, labels.T > 0, known.T > 0, strict=True):
        if min((label & sure).sum(), (~label & sure).sum()) >= least:
            found.append(_taught(name, features[sure], label[sure]))
    if not found:
        raise UserError(f"No attribute has {least} pictures and {least} without it: there is nothing to separate.")
    return found


def _taught(name: str, features: np.ndarray, label: np.ndarray) -> Classifier:
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


def separability(latents: np.ndarray, logits: np.ndarray, kept: float = KEPT) -> tuple[float, np.ndarray]:
    """The score, and of each attribute the conditional entropy in bits, in [0, 1].

    Args:
      latents: [N, W].
      logits: [N, A], classifiers' on the pictures of these latents.
      kept: share of the pictures, the surest, that the SVM sees and is judged by.
    """
    entropies = []
    for each in logits.T:
        sure = np.argsort(-np.abs(each), kind="stable")[: max(1, round(kept * len(each)))]
        truth = each[sure] > 0
        entropies.append(conditional_entropy(_separated(latents[sure], truth), truth))
    return float(2 ** np.sum(entropies)), np.array(entropies)


def _separated(latents: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """On which side of a linear SVM's plane each latent lies: bool [N]."""
    if truth.all() or not truth.any():
        return truth  # nothing to tell apart
    x = latents.astype(np.float64)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-12)
    machine = _sklearn("svm").LinearSVC(dual=len(x) < x.shape[1], max_iter=2000)
    return np.asarray(machine.fit(x, truth).predict(x), bool)


def conditional_entropy(given: np.ndarray, truth: np.ndarray) -> float:
    """H(truth | given) in bits, of two bool [N]."""
    table = np.array([[np.mean((given == x) & (truth == y)) for y in (False, True)] for x in (False, True)])
    share = table.sum(axis=1, keepdims=True)
    inside = table > 0
    return float(-np.sum(table[inside] * np.log2((table / np.where(share > 0, share, 1))[inside])))


def _sklearn(part: str) -> Any:
    try:
        import sklearn.linear_model
        import sklearn.svm
    except ImportError:
        raise UserError("Separability needs scikit-learn: pip install 'kgan[metrics]'.") from None
    return getattr(sklearn, part)
