"""The measures of one evaluation, and what they share: networks, features on disk, a seed."""

from __future__ import annotations

import hashlib
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgan import files
from kgan.evaluation.sets import PictureSet, partners
from kgan.metrics import fid, kid, match, similarity
from kgan.metrics.flicker import flicker
from kgan.metrics.precision_recall import precision_recall
from kgan.pictures import images
from kgan.quiet import quiet

if TYPE_CHECKING:
    import keras

OF_FEATURES = ("fid", "kid", "precision_recall")
OF_INPUTS = ("match", "flicker")  # what compares each picture with the one that it was made of
OF_PAIRS = ("ssim", "psnr", "l1", "lpips")
OF_LPIPS = ("lpips", "lpips_diversity")
DIMENSIONS = 2048
BLOCK = 1024  # pictures whose features become float64 at a time
SUBSETS = 100
DIVERSE = (128, 128)  # pixels at which diversity compares
PAIRS = 1000  # of pictures, for diversity

Extract = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]  # pictures of any size to features [b, 2048]
Row = dict[str, Any]  # a part of a row of the table


class Measures:
    """The measures `metrics` of sets of pictures, each against the set `real` where it compares.

    Args:
      metrics, resize, seed, weights_path: as for `kgan.evaluation.evaluate`; only those networks are loaded that
        `metrics` need.
      cache: folder that keeps features and diversity of users' pictures, by their content.
      temporary: folder for the same of pictures that models made.

    Attributes:
      networks: what the report says of each network.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        real: PictureSet | None,
        resize: str,
        seed: int,
        weights_path: str | Path | None,
        cache: Path,
        temporary: Path,
    ) -> None:
        self.metrics, self.real, self.resize, self.seed = metrics, real, resize, seed
        self.cache, self.temporary = _writable(cache) or temporary, temporary
        self.networks: dict[str, dict[str, str]] = {}
        if set(metrics) & {*OF_FEATURES, "match"}:
            self._extract, self.networks["features"] = _inception(resize, weights_path)
        if set(metrics) & set(OF_LPIPS):
            self._lpips, self.networks["lpips"] = _lpips(weights_path)

    def distances(self, side: PictureSet, inputs: PictureSet | None) -> Row:
        """FID, KID, precision and recall of a set; where there are `inputs`, the mean of KID to both sets too."""
        row: Row = {}
        if self.real is None or not set(self.metrics) & set(OF_FEATURES):
            return row
        x, y = self._features(side), self._features(self.real)
        if "fid" in self.metrics:
            row["fid"] = fid.distance(self._gaussian_of_real, _gaussian(x))
        if "kid" in self.metrics:
            row["kid"] = 100 * kid.distance(x, y)
            if inputs:
                row["kid_mean"] = (row["kid"] + 100 * kid.distance(x, self._features(inputs))) / 2
            mean, deviation = kid.over_subsets(x, y, SUBSETS, self.seed)
            size = kid.subset_size(len(x), len(y))
            row["kid_subsets"] = {"mean": 100 * mean, "deviation": 100 * deviation, "size": size}
        if "precision_recall" in self.metrics:
            row["precision"], row["recall"] = precision_recall(y, x)
        return row

    def likeness(self, side: PictureSet) -> Row:
        """The means of SSIM, PSNR, L1 and LPIPS over the set's pictures and their partners in `real`."""
        values: dict[str, list[float]] = {metric: [] for metric in self.metrics if metric in OF_PAIRS}
        if self.real is None or not values:
            return {}
        partner = partners(side, self.real, list(values))
        for number in side.each("pairs"):
            target = self.real.read(partner[number])
            target = images.center_square(target) if side.by_model else target
            picture = images.resize(side.read(number), target.shape[:2])
            for metric in values:
                compare = self._lpips_of if metric == "lpips" else SIMILARITY[metric]
                values[metric].append(compare(picture, target))
        means = {metric: float(np.mean(each)) for metric, each in values.items()}
        return {metric: mean if math.isfinite(mean) else None for metric, mean in means.items()}

    def match(self, side: PictureSet, inputs: PictureSet | None) -> Row:
        """The share of a set's pictures whose own input is the nearest of `inputs`, and the median rank of it."""
        if inputs is None or "match" not in self.metrics:
            return {}
        own = self._features(inputs)[partners(side, inputs, ["match"], by_pixel=False)]
        ranks = match.ranks(self._features(side), own)
        return {"match": float(np.mean(ranks == 1)), "match_rank": float(np.median(ranks))}

    def flicker(self, side: PictureSet, inputs: PictureSet | None) -> Row:
        """Flicker of a set of frames made of the frames `inputs`, in the order of their names."""
        if inputs is None or "flicker" not in self.metrics:
            return {}
        partner = partners(side, inputs, ["flicker"])

        def frame(number: int) -> tuple[np.ndarray, np.ndarray]:
            before, after = inputs.read(partner[number]), side.read(number)
            return images.resize(images.center_square(before) if side.by_model else before, after.shape[:2]), after

        return {"flicker": float(np.mean(list(flicker(map(frame, side.each("frames", side.in_order()))))))}

    def diversity(self, side: PictureSet) -> Row:
        """Diversity, the mean LPIPS of a set's pictures to each other, and of how many pairs it is the mean."""
        if "lpips_diversity" not in self.metrics:
            return {}
        from kgan.metrics import lpips

        def picture(number: int) -> np.ndarray:
            return images.to_float(images.resize(images.center_square(side.read(number)), DIVERSE))

        def blocks() -> Iterator[np.ndarray]:
            order = side.each("diversity", lpips.circle(len(side), PAIRS, self.seed))
            yield np.array(list(lpips.neighbours(self._lpips, map(picture, order))))

        values = self._stored(blocks, side, "diversity", str(self.seed), *self.networks["lpips"].values())
        return {"lpips_diversity": float(np.mean(values)), "lpips_pairs": len(values)}

    def _lpips_of(self, x: np.ndarray, y: np.ndarray) -> float:
        """LPIPS of two pictures, uint8 [H, W, 3]."""
        from kgan.metrics import lpips

        return float(lpips.distance(self._lpips, *(images.to_float(picture)[None] for picture in (x, y)))[0])

    @cached_property
    def _gaussian_of_real(self) -> fid.Gaussian:
        """The Gaussian of the reference's features, which every row needs."""
        assert self.real is not None
        return _gaussian(self._features(self.real))

    def _features(self, side: PictureSet) -> np.ndarray:
        """The features [n, 2048] of a set, as an array that stays on disk."""

        def blocks() -> Iterator[np.ndarray]:
            return self._extract(map(side.read, side.each("features")))

        return self._stored(blocks, side, self.resize, *self.networks["features"].values()).reshape(-1, DIMENSIONS)

    def _stored(self, blocks: Callable[[], Iterable[np.ndarray]], side: PictureSet, *key: str) -> np.ndarray:
        """The float32 numbers that `blocks` computes of a set, on disk: computed once for each content and `key`."""
        name = hashlib.sha256(" ".join([side.sha256, *key]).encode()).hexdigest()
        file = (self.temporary if side.by_model else self.cache) / f"{name}.f32"
        if not file.is_file():
            with files.replacing(file) as temporary, temporary.open("wb") as stream:
                for block in blocks():
                    stream.write(np.asarray(block, "<f4").tobytes())
        return np.memmap(file, "<f4", mode="r")


SIMILARITY = {"ssim": similarity.ssim, "psnr": similarity.psnr, "l1": similarity.l1}


def _gaussian(features: np.ndarray) -> fid.Gaussian:
    """The Gaussian of features [n, 2048], read from disk in blocks."""
    return fid.gaussian(features[start : start + BLOCK] for start in range(0, len(features), BLOCK))


def _inception(resize: str, path: str | Path | None) -> tuple[Extract, dict[str, str]]:
    """Inception as a function of pictures, and what the report says of it."""
    with quiet():
        from kgan.pretrained import inception  # here: mistakes are told before an engine starts

        network = inception.load(path)

    def extract(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return inception.features(network, pictures, resize)

    return extract, {"network": network.name, "sha256": inception.SHA256, "backend": inception.keras.backend.backend()}


def _lpips(path: str | Path | None) -> tuple[keras.Model, dict[str, str]]:
    """LPIPS' network, and what the report says of it."""
    with quiet():
        from kgan.metrics import lpips
        from kgan.pretrained import vgg16

        network = lpips.load(path)
    return network, {"network": network.name, "sha256": vgg16.SHA256, "backend": lpips.keras.backend.backend()}


def _writable(folder: Path) -> Path | None:
    """The folder, made where it is missing; None, once that is said, where nothing can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        print(f"{folder} cannot be written, so that features are not kept for the next time.", file=sys.stderr)
        return None
