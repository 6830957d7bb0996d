"""The measures of one evaluation, and what they share: networks, features on disk, a seed."""

from __future__ import annotations

import hashlib
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kgan import files
from kgan.evaluation.sets import Pictures, partners
from kgan.metrics import fid, kid, similarity
from kgan.metrics.flicker import flicker
from kgan.metrics.precision_recall import precision_recall
from kgan.pictures import images
from kgan.quiet import quiet

OF_FEATURES = ("fid", "kid", "precision_recall")
OF_PAIRS = ("ssim", "psnr", "l1", "lpips")
OF_LPIPS = ("lpips", "lpips_diversity")
DIMENSIONS = 2048
BLOCK = 1024
SUBSETS = 100
DIVERSE = (128, 128)  # pixels
PAIRS = 1000

Extract = Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]]  # pictures of any size to features [b, 2048]
Row = dict[str, Any]  # a part of a row of the table


class Measures:
    """Those of `metrics`, against `real` where they compare.

    Args:
      metrics, resize, seed: as of `kgan.evaluation.evaluate`.
      weights_path: of the networks, of which only those are loaded that `metrics` need.
      kept, temporary: folders for features and diversity, by content: of pictures that were there, and of those that a
        model made.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        real: Pictures | None,
        resize: str,
        seed: int,
        weights_path: str | Path | None,
        kept: Path,
        temporary: Path,
    ) -> None:
        self.metrics, self.real, self.resize, self.seed = metrics, real, resize, seed
        self.kept, self.temporary = _writable(kept) or temporary, temporary
        self.networks: dict[str, dict[str, str]] = {}  # what the report says of them
        if set(metrics) & set(OF_FEATURES):
            self._extract, self.networks["features"] = _inception(resize, weights_path)
        if set(metrics) & set(OF_LPIPS):
            self._lpips, self.networks["lpips"] = _lpips(weights_path)

    def distances(self, side: Pictures, inputs: Pictures | None) -> Row:
        """FID, KID, precision and recall of the whole set; where there are `inputs`, also the mean of KID to both."""
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

    def likeness(self, side: Pictures) -> Row:
        """SSIM, PSNR, L1 and LPIPS of each picture to its partner in `real`, and of these the mean."""
        found: dict[str, list[float]] = {metric: [] for metric in self.metrics if metric in OF_PAIRS}
        if self.real is None or not found:
            return {}
        partner = partners(side, self.real, list(found))
        for number in side.each("pairs"):
            wanted = self.real.read(partner[number])
            wanted = images.center_square(wanted) if side.made else wanted
            given = images.resize(side.read(number), wanted.shape[:2])
            for metric, values in found.items():
                values.append(
                    self._difference(given, wanted) if metric == "lpips" else SIMILARITY[metric](given, wanted)
                )
        means = {metric: float(np.mean(values)) for metric, values in found.items()}
        return {metric: mean if math.isfinite(mean) else None for metric, mean in means.items()}

    def flicker(self, side: Pictures, inputs: Pictures | None) -> Row:
        """Of frames made of `inputs`, in the order of their names."""
        if inputs is None or "flicker" not in self.metrics:
            return {}
        partner = partners(side, inputs, ["flicker"])

        def frame(number: int) -> tuple[np.ndarray, np.ndarray]:
            before, after = inputs.read(partner[number]), side.read(number)
            return images.resize(images.center_square(before) if side.made else before, after.shape[:2]), after

        return {"flicker": float(np.mean(list(flicker(map(frame, side.each("frames", side.in_order()))))))}

    def diversity(self, side: Pictures) -> Row:
        """Mean LPIPS of pictures of the set to each other."""
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

    def _difference(self, x: np.ndarray, y: np.ndarray) -> float:
        from kgan.metrics import lpips

        return float(lpips.distance(self._lpips, *(images.to_float(picture)[None] for picture in (x, y)))[0])

    @cached_property
    def _gaussian_of_real(self) -> fid.Gaussian:
        assert self.real is not None
        return _gaussian(self._features(self.real))

    def _features(self, side: Pictures) -> np.ndarray:
        """[n, 2048]; a file seen as an array."""

        def blocks() -> Iterator[np.ndarray]:
            return self._extract(map(side.read, side.each("features")))

        return self._stored(blocks, side, self.resize, *self.networks["features"].values()).reshape(-1, DIMENSIONS)

    def _stored(self, blocks: Callable[[], Iterable[np.ndarray]], side: Pictures, *key: str) -> np.ndarray:
        """float32 [...]: what was computed of these very pictures before, or else of `blocks`, and stays on disk."""
        name = hashlib.sha256(" ".join([side.sha256, *key]).encode()).hexdigest()
        file = (self.temporary if side.made else self.kept) / f"{name}.f32"
        if not file.is_file():
            with files.replacing(file) as temporary, temporary.open("wb") as stream:
                for block in blocks():
                    stream.write(np.asarray(block, "<f4").tobytes())
        return np.memmap(file, "<f4", mode="r")


SIMILARITY = {"ssim": similarity.ssim, "psnr": similarity.psnr, "l1": similarity.l1}


def _gaussian(features: np.ndarray) -> fid.Gaussian:
    return fid.gaussian(features[start : start + BLOCK] for start in range(0, len(features), BLOCK))


def _inception(resize: str, path: str | Path | None) -> tuple[Extract, dict[str, str]]:
    """Inception as a function of pictures, and what the report says of it."""
    with quiet():
        from kgan.pretrained import inception  # here: mistakes are told before an engine starts

        network = inception.load(path)

    def extract(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return inception.features(network, pictures, resize)

    return extract, {"network": network.name, "sha256": inception.SHA256, "backend": inception.keras.backend.backend()}


def _lpips(path: str | Path | None) -> tuple[Any, dict[str, str]]:
    """LPIPS' network, and what the report says of it."""
    with quiet():
        from kgan.metrics import lpips
        from kgan.pretrained import vgg16

        network = lpips.load(path)
    return network, {"network": network.name, "sha256": vgg16.SHA256, "backend": lpips.keras.backend.backend()}


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        print(f"{folder} cannot be written, so that features are not kept for the next time.", file=sys.stderr)
        return None
