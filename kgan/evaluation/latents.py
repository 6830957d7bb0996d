"""Measures of generators of noise: their pictures as a set like any other, path lengths, and separability."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kgan.errors import UserError
from kgan.evaluation.sets import PictureSet, write
from kgan.filters.generators import BATCH, Generator, for_each
from kgan.metrics import path_length, separability
from kgan.pictures import images

PATHS = {f"ppl_{space}{sampling}": (space, sampling) for space in "zw" for sampling in ("full", "end")}
OF_LATENTS = (*PATHS, "separability")
GRID = 16  # squares a side whose colours are features

Network = Callable[[np.ndarray], Sequence[np.ndarray]]  # float [B, H, W, 3] to maps [B, h, w, c]


def draw_set(generator: Generator, name: str, count: int, label: np.ndarray | None, folder: Path) -> PictureSet:
    """A generator's pictures of seeds 0 to count - 1, without truncation, as PNG files in `folder`."""

    def pictures() -> Iterator[np.ndarray]:
        for seeds in _batches(count, f"{name}: pictures"):
            yield from map(images.to_uint8, generator(seeds, 1.0, label))

    return write(name, [f"{seed:08d}" for seed in range(count)], pictures(), folder)


class Latents:
    """The measures among `metrics` that look at a generator's latents: path lengths and separability.

    The arguments are those of `kgan.evaluation.evaluate`.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        count: int,
        crop: str,
        seed: int,
        labelled: str | Path | None,
        weights_path: str | Path | None,
    ) -> None:
        self.metrics, self.count, self.crop, self.seed, self.labelled = metrics, count, crop, seed, labelled
        self._classifiers: dict[int, list[separability.Classifier]] = {}
        if set(metrics) & set(OF_LATENTS):
            from kgan.metrics import lpips  # here: mistakes are told before an engine starts

            self._lpips = lpips.load(weights_path)

    def measure(self, generator: Generator, label: np.ndarray | None) -> dict[str, Any]:
        """Figures for a generator's row; its pictures have the vector `label` where it takes labels."""
        separable = self._separability(generator) if "separability" in self.metrics else {}
        return self._path_lengths(generator, label) | separable

    def _path_lengths(self, generator: Generator, label: np.ndarray | None) -> dict[str, float]:
        """Perceptual path lengths in the spaces that `metrics` name."""
        from kgan.metrics import lpips

        def mapping(z: np.ndarray) -> np.ndarray:
            return generator.w(z, for_each(len(z), label))

        def draw(w: np.ndarray) -> np.ndarray:
            return generator.draw(generator.ws(w))

        def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return lpips.distance(self._lpips, a, b)

        figures, half = {}, BATCH // 2
        for metric in (metric for metric in self.metrics if metric in PATHS):
            space, sampling = PATHS[metric]
            pairs = path_length.steps(mapping, generator.latent_size, self.count, space, sampling, half, self.seed)
            bar = tqdm(pairs, metric, total=-(-self.count // half), unit="batch")
            figures[metric] = path_length.trimmed_mean(path_length.lengths(draw, distance, bar, self.crop))
        return figures

    def _separability(self, generator: Generator) -> dict[str, Any]:
        """Separability in z and in w by the pictures of seeds 0, 1, ...; and each attribute's part in it."""
        if generator.label_size:
            raise UserError("Separability asks what latents alone tell: it is not for generators that take a label.")
        if generator.image_size < GRID:
            raise UserError(f"Separability needs {GRID} pixels a side, and {generator.card.name} draws fewer.")
        network, size = self._lpips.predict_on_batch, generator.image_size
        if size not in self._classifiers:
            self._classifiers[size] = teach(self.labelled or "", size, network)
        classifiers = self._classifiers[size]
        latents: dict[str, list[np.ndarray]] = {"z": [], "w": []}
        logits = []
        for seeds in _batches(self.count, "separability"):
            z = generator.z(seeds)
            w = generator.w(z)
            x = features(generator.draw(generator.ws(w)), network)
            latents["z"].append(z)
            latents["w"].append(w)
            logits.append(np.stack([each.logits(x) for each in classifiers], -1))
        truth = np.concatenate(logits)
        scores = {space: separability.separability(np.concatenate(x), truth) for space, x in latents.items()}
        attributes = {
            each.name: {
                "pictures": each.pictures,
                "accuracy": each.accuracy,
                "balanced_accuracy": each.balanced,
                **{f"entropy_{space}": float(entropies[i]) for space, (_, entropies) in scores.items()},
            }
            for i, each in enumerate(classifiers)
        }
        return {**{f"separability_{space}": score for space, (score, _) in scores.items()}, "attributes": attributes}

    def about_classifiers(self) -> Iterable[str]:
        """Sentences that say how far the classifiers are right, whose word separability takes."""
        for size, classifiers in self._classifiers.items():
            told = ", ".join(f"{c.name} {c.accuracy:.1%} ({c.balanced:.1%})" for c in classifiers)
            yield (
                f"Separability is of {len(classifiers)} attributes, told at {size} px by classifiers that were right "
                f"on pictures held back (and on average of those with and those without the attribute): {told}."
            )


def features(pictures: np.ndarray, network: Network) -> np.ndarray:
    """What a classifier sees of pictures [B, H, W, 3] in [-1, 1], [B, F]: the mean colours of 16 x 16 squares, and the
    means of LPIPS' maps.
    """
    height, width = pictures.shape[1] // GRID, pictures.shape[2] // GRID
    squares = pictures[:, : height * GRID, : width * GRID].reshape(-1, GRID, height, GRID, width, 3).mean(axis=(2, 4))
    return np.concatenate([squares.reshape(len(pictures), -1), *(m.mean(axis=(1, 2)) for m in network(pictures))], -1)


def teach(root: str | Path, size: int, network: Network) -> list[separability.Classifier]:
    """Classifiers of the attributes of labelled pictures, seen at `size` px.

    Args:
      root: folder with labels.csv and a folder `images`.
      network: LPIPS'.

    Raises:
      UserError: there are no such pictures, or too few.
    """
    from kgan.data import Labelled

    reader = Labelled(root=str(root), enlarge=1.0, flip=False).open(size, BATCH, 1, 0)
    labels = reader.labels
    count = sum(len(pictures) for pictures in reader.train.values())
    inputs, rows = [], []
    for number in tqdm(range(count // BATCH), "labelled pictures", unit="batch"):
        batch = reader.batch(number)
        inputs.append(features(images.to_float(batch["image"]), network))
        rows.append((batch["label"][:, : labels.classes], batch["known"]))
    label, known = (np.concatenate(each) for each in zip(*rows, strict=True))
    names = [
        place.group.name if len(place.group.values) == 1 else f"{place.group.name}={value}"
        for place in labels.places()
        for value in place.group.values
    ]
    return separability.classifiers(np.concatenate(inputs), label, known, names)


def _batches(count: int, what: str) -> Iterable[range]:
    """The numbers 0 to count - 1 in batches of at most BATCH, with a progress bar."""
    starts = tqdm(range(0, count, BATCH), what, unit="batch")
    return (range(start, min(count, start + BATCH)) for start in starts)
