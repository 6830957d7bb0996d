"""While a training goes on: KID, FID and match of what the generators draw of test pictures, and which was the best."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from kgan import engine
from kgan.data import Reader
from kgan.errors import UserError
from kgan.filters import card
from kgan.metrics import fid, kid, match
from kgan.pictures import images
from kgan.pretrained import inception, weights
from kgan.systems.system import System

Measures = dict[str, float]


class Validation:
    """Measures what a system's generators draw against test pictures of the domain that they should look like.

    KID (times 100) and FID of at most some hundred pictures: enough to compare the steps of a run with each other. Such
    a FID compares with nothing else. Match: see `kgan.metrics.match`.

    Args:
      count: test pictures at most; as many of each domain as the smallest has.

    Raises:
      UserError: Inception's weights are missing or others.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._weights = weights.find(inception.NAME, inception.SHA256)

    def read(self, reader: Reader, system: System) -> None:
        """Take the test pictures of a reader.

        Raises:
          UserError: there are fewer than two, or none of a domain that a generator of the system is judged by.
        """
        pictures = reader.validation(self.count)
        missing = {stream for streams in system.judged().values() for stream in streams if stream} - pictures.keys()
        if missing:
            raise UserError(
                "training.evaluate_every compares what is drawn with pictures that show how it should look, and the "
                f"data has none ({', '.join(sorted(missing))}). Set training.evaluate_every=0."
            )
        number = min(map(len, pictures.values()))
        if number < 2:
            raise UserError(
                f"training.evaluate_every asks for KID and FID of test pictures, and there is {number}: both compare "
                "sets of two at the very least. Add some, or set training.evaluate_every=0."
            )
        # A generator of noise tells the rows of one batch from those of another by their numbers.
        self._pictures = {name: array[:number] for name, array in pictures.items()} | {"number": np.arange(number)}
        self._cache: dict[str, np.ndarray] = {}

    @property
    def measured(self) -> int:
        """How many pictures of each domain, once they are read."""
        return len(self._pictures["number"])

    def measure(self, system: System, batch_size: int) -> dict[str, Measures]:
        """By generator: "kid" and "fid", and of how many "pictures" of which "image_size".

        Of a generator that translates also "match", the share of its outputs whose own input is the nearest, and
        "kid_unchanged", the KID of its inputs.

        Raises:
          UserError: a generator draws what is no number.
        """
        outputs: dict[str, list[np.ndarray]] = {name: [] for name in system.judged()}
        for start in range(0, len(self._pictures["number"]), batch_size):
            batch = {name: array[start : start + batch_size] for name, array in self._pictures.items()}
            for name, pictures in engine.to_host(system.translated(batch)).items():
                if not np.isfinite(pictures).all():
                    raise UserError(f"{name} draws what is no number.")
                outputs[name] += list(map(images.to_uint8, pictures))
        return {name: self._compare(outputs[name], *streams) for name, streams in system.judged().items()}

    def _compare(self, outputs: list[np.ndarray], source: str, target: str) -> Measures:
        """The measures of a generator's outputs, uint8, of the test pictures of one stream against those of another."""
        real, fake = self._real(target), self._features(outputs)
        measures: Measures = {
            "kid": 100 * kid.distance(fake, real),
            "fid": fid.distance(fid.gaussian([real]), fid.gaussian([fake])),
            "pictures": len(outputs),
            "image_size": outputs[0].shape[0],
        }
        if source:
            inputs = self._real(source)
            measures["match"] = float(np.mean(match.ranks(fake, inputs) == 1))
            measures["kid_unchanged"] = 100 * kid.distance(inputs, real)
        return measures

    def _real(self, stream: str) -> np.ndarray:
        """Inception's features of a stream's test pictures."""
        if stream not in self._cache:
            self._cache[stream] = self._features(list(map(images.to_uint8, self._pictures[stream])))
        return self._cache[stream]

    def _features(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Inception's features of pictures, [N, 2048]."""
        return np.concatenate(list(inception.features(self._network, pictures)))

    @cached_property
    def _network(self) -> keras.Model:
        return inception.load(self._weights)


LEGEND = (
    "  Measured by {} pictures of each domain. KID: how far the outputs are from what they should look like; it should "
    "fall below that of the inputs. Match: the share of outputs that are nearest to their own input; 1 where nothing "
    "changes, near 0 where it is forgotten."
)


def sentence(now: Measures, best: Measures | None) -> str:
    """The measures as one line says them, with how they compare: `best` are those of the best generator before."""
    text = f"KID x 100 {now['kid']:.2f}"
    if "match" in now:
        text += f" (of the inputs {now['kid_unchanged']:.2f}), match {now['match']:.2f}"
        if now["kid"] >= now["kid_unchanged"]:
            text += ", no nearer than the inputs"
    if best is None or not alike(now, best):
        return text
    return f"{text}; the best so far" if better(now, best) else f"{text}; the best was {best['kid']:.2f}"


def best_of(folder: Path, name: str) -> Path:
    """The path of the best generator `name` of a run."""
    return folder / f"best_{name}.keras"


def measures_of(folder: Path, name: str) -> Measures | None:
    """What the best generator `name` so far reached, as its card says; None where there is none."""
    path = best_of(folder, name)
    try:
        about = card.read(path) if path.is_file() else None
        if about and about.sha256 and not about.describes(path):
            raise UserError(f"its card {card.path_of(path).name} is of another file.")
        return about.training.get("validation") if about else None
    except (UserError, AttributeError) as error:
        print(f"kgan: what {path.name} reached is not known, and the best is chosen anew: {error}")
        return None


def better(now: Measures, before: Measures | None) -> bool:
    """Whether the KID fell; where it does not compare with that of before, the later one is the best."""
    return before is None or not alike(now, before) or now["kid"] < before["kid"]


def alike(now: Measures, before: Measures) -> bool:
    """Whether both are of as many pictures of one size: otherwise their figures do not compare."""
    return all(before.get(key) == now[key] for key in ("pictures", "image_size"))
