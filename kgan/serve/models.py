"""Models and their versions: what lies in a folder is looked for, loaded, and replaced without dropping a request.

In the folder may lie

  NAME/1/, NAME/2/ ...           version folders, as `kgan export --serving` writes them, with a SavedModel
                                 (saved_model.pb), or else model.tflite or model.keras
  NAME.tflite, NAME.keras        files, as version 1, with their cards beside them
  NAME_saved_model/              a SavedModel, as version 1

What is replaced by another of the same version is loaded again.

Without a folder the models that come with kgan are served, each loaded when it is first asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import generators, included, loading
from kgan.filters.card import Card
from kgan.filters.loading import Filter
from kgan.litert import Model
from kgan.serve.batching import Answer, Batcher
from kgan.serve.errors import Refusal, Status
from kgan.serve.limits import USUAL, Limits
from kgan.serve.signatures import Arrays, Signature, of_filter, of_generator, of_saved_model, of_tflite_generator

FILES = ("model.tflite", "model.keras")  # in a version's folder without a SavedModel
LITERT = f"LiteRT on the CPU, {os.cpu_count()} threads"
EVERY = 1.0  # seconds between two looks at the folder


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a version lies.

    Attributes:
      path: a SavedModel's folder or a file; included: it comes with kgan.
      tflite: the same model as a `.tflite` file, which browsers run; the path itself where it is one.
    """

    path: Path
    tflite: Path | None = None
    included: bool = False

    def stamp(self) -> frozenset[tuple[Path, int, int, int]]:
        """Another one as soon as what lies there, or its card, is another; an `OSError` where nothing does."""
        inside = self.path.rglob("*") if self.path.is_dir() else ()
        beside = [path for path in (cards.path_of(self.path), self.tflite) if path and path.exists()]
        stats = {path: path.stat() for path in (self.path, *inside, *beside)}
        return frozenset((path, each.st_ino, each.st_mtime_ns, each.st_size) for path, each in stats.items())


class Version:
    """A version of a model, loaded.

    Attributes:
      number: of the version; source: where it lies; stamp: of that when it was loaded; card: what is known of it, None
        of a stranger's SavedModel.
      signatures: by name.
      picture_filter: for photos, None of what is none.
      runtime: what runs it, in words; fast: (height, width) where that is so for pictures of this size alone, and Keras
        runs all others.
      users: requests that are at work with it; retired: it closes with the last of them.
    """

    def __init__(self, name: str, number: int, source: Source) -> None:
        self.name, self.number, self.source, self.stamp = name, number, source, source.stamp()
        self.card = card_of(name, source)
        self.picture_filter: Filter | None = None
        self.fast: tuple[int, int] | None = None
        path = source.path
        if path.is_dir():
            self.signatures, self.runtime = of_saved_model(path, exported=self.card is not None), "TensorFlow"
            self.picture_filter = _filter_of(self.signatures, self.card)
        elif self.card and self.card.kind == "generator" and path.suffix == ".keras":
            self.signatures, self.runtime = of_generator(generators.load(path)), _keras()
        elif self.card and self.card.kind == "generator":
            self.signatures, self.runtime = of_tflite_generator(Model(path)), LITERT
        else:
            self.picture_filter = loading.load_for_photos(name) if source.included else loading.load(path)
            tflite = path.suffix == ".tflite" or bool(source.included and source.tflite)
            card = self.picture_filter.card
            together = not tflite and card.batch_norm != "batch" and not card.dropout
            self.signatures = of_filter(self.picture_filter, together)
            self.runtime = LITERT if tflite else _keras()
            if source.included and source.tflite and (fixed := cards.read(source.tflite)):
                self.fast = fixed.size
        self.batcher = Batcher()
        self.users, self.retired = 0, False

    @property
    def draws(self) -> bool:
        """It draws pictures of noise."""
        return bool(self.card and self.card.kind == "generator" and "generate" in self.signatures)

    def runs_on(self, sides: tuple[int, ...]) -> str:
        """What runs pictures of this height and width, in words."""
        return "Keras" if self.fast and sides != self.fast else self.runtime

    def signature(self, name: str) -> Signature:
        """The signature of this name, "" for the default; a `Status` in TensorFlow Serving's words where none is."""
        name = name or "serving_default"
        if name not in self.signatures:
            raise Status("INVALID_ARGUMENT", f'Serving signature name: "{name}" not found in signature def')
        return self.signatures[name]

    def predict(self, signature: Signature, inputs: Arrays, limits: Limits = USUAL) -> Answer:
        """What a signature of this version makes of inputs, together with other requests where they can be joined.

        Raises:
          Status: the inputs do not fit, too many wait, or it takes longer than the limits' seconds.
        """
        try:
            signature.check(inputs, limits.megapixels)
            return self.batcher(signature, inputs, limits)
        except Refusal:
            raise
        except UserError as error:
            raise Status("INVALID_ARGUMENT", str(error)) from error


def card_of(name: str, source: Source) -> Card | None:
    """The card of a version under the name that it is served by."""
    card = cards.read(source.path)
    return dataclasses.replace(card, name=name) if card else None


def _keras() -> str:
    import keras

    return f"Keras on {keras.backend.backend()}"


def _filter_of(signatures: Mapping[str, Signature], card: Card | None) -> Filter | None:
    """A SavedModel as a filter of photos, where its default signature is one."""
    signature = signatures.get("serving_default")
    if not card or not signature or not {"image"} <= signature.inputs.keys() <= {"image", "label"}:
        return None
    image = signature.inputs["image"]
    if image.dtype != "float32" or image.shape is None or len(image.shape) != 4 or "image" not in signature.outputs:
        return None

    def run(pixels: Any, label: Any = None) -> Any:
        inputs: Arrays = {"image": pixels} if label is None else {"image": pixels, "label": label}
        return signature.call(inputs)["image"]

    _, height, width, _ = image.shape
    size = (height, width) if height and width else None
    label = signature.inputs["label"].shape if "label" in signature.inputs else None
    labels = (label[1] or 0) if label else 0
    return Filter(run, dataclasses.replace(card, size=size), labels)


def of_kgan() -> dict[str, dict[int, Source]]:
    """The models that come with kgan, each as version 1."""
    return {name: {1: Source(included.find(name), included.tflite(name), included=True)} for name in included.names()}


def in_folder(folder: Path) -> dict[str, dict[int, Source]]:
    """The models that lie in a folder now, by name and version."""
    models: dict[str, dict[int, Source]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            try:
                versions = _in_model(path)
            except OSError:  # it cannot be looked into, which loading it says
                versions = {1: Source(path)}
            if versions:
                models[path.name] = versions
        elif path.suffix == ".keras" or (path.suffix == ".tflite" and not path.with_suffix(".keras").exists()):
            tflite = path.with_suffix(".tflite")
            models[path.stem] = {1: Source(path, tflite if tflite.is_file() else None)}
    return models


def _in_model(folder: Path) -> dict[int, Source]:
    if (folder / "saved_model.pb").is_file():
        return {1: Source(folder)}
    numbered = {int(each.name): each for each in folder.iterdir() if each.name.isdecimal() and each.is_dir()}
    return {number: source for number, each in numbered.items() if (source := _in_version(each))}


def _in_version(folder: Path) -> Source | None:
    tflite = folder / "model.tflite"
    try:
        beside = tflite if tflite.is_file() else None
        if (folder / "saved_model.pb").is_file():
            return Source(folder, beside)
        return next((Source(folder / name, beside) for name in FILES if (folder / name).is_file()), None)
    except OSError:  # it cannot be looked into, which loading it says
        return Source(folder)


class Models:
    """All models that are served, each in its newest version.

    Args:
      look: the sources that there are now, by name and version.
      lazy: a model is loaded when it is first asked for.
    """

    def __init__(self, look: Callable[[], dict[str, dict[int, Source]]], lazy: bool = False) -> None:
        self._look, self._lazy = look, lazy
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._sources: dict[str, dict[int, Source]] = {}
        self._versions: dict[str, Version] = {}
        self._failures: dict[tuple[str, int], tuple[object, str]] = {}
        self._retired: dict[str, set[int]] = {}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def refresh(self) -> None:
        """Look once: load newer versions, then let requests go to them, then unload the older ones."""
        sources = self._look()
        with self._lock:
            self._sources = sources
        if not self._lazy:
            for name in sources:
                self._load_newest(name)
        with self._lock:
            gone = [self._versions.pop(name) for name in list(self._versions) if name not in sources]
            for name, number in list(self._failures):
                if number not in sources.get(name, {}):
                    del self._failures[name, number]
        for version in gone:
            self._retire(version)

    def _load_newest(self, name: str) -> None:
        with self._loading:
            number, source = max(self._sources[name].items())
            with self._lock:
                current = self._versions.get(name)
            stamp = None
            try:
                stamp = source.stamp()
                failed = self._failures.get((name, number))
                same = current and (current.number, current.source, current.stamp) == (number, source, stamp)
                if same or (failed and failed[0] == stamp):
                    return
                version = Version(name, number, source)
            except Exception as error:  # whatever it is, the former version goes on
                text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                self._failures[name, number] = stamp, text
                return
            self._failures.pop((name, number), None)
            with self._lock:
                self._versions[name] = version
                self._retired.get(name, set()).discard(number)
            if current:
                self._retire(current)

    def _retire(self, version: Version) -> None:
        """Unload a version as soon as nobody uses it."""
        with self._lock:
            self._retired.setdefault(version.name, set()).add(version.number)
            version.retired = True
            unused = not version.users
        if unused:
            version.batcher.close()

    @contextlib.contextmanager
    def lease(self, name: str, number: int | None = None, label: str | None = None) -> Iterator[Version]:
        """The version that answers for a model, which stays loaded within the block.

        Raises:
          Status: in TensorFlow Serving's words, where there is none.
        """
        if label is not None:  # none is ever given: TensorFlow Serving has them from its model.config
            raise Status("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        if self._lazy and name in self._sources and name not in self._versions:
            self._load_newest(name)
        with self._lock:
            version = self._versions.get(name)
            if version is None or number not in (None, version.number):
                asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise Status("NOT_FOUND", f"Servable not found for request: {asked}")
            version.users += 1
        try:
            yield version
        finally:
            with self._lock:
                version.users -= 1
                unused = version.retired and not version.users
            if unused:
                version.batcher.close()

    def has(self, name: str) -> bool:
        """Whether there is a model of this name."""
        return name in self._sources

    def states(self, name: str, number: int | None = None, label: str | None = None) -> list[State]:
        """What is known of the versions of a model, the newest first; a `Status` where none is known."""
        if label is not None:
            raise Status("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        with self._lock:
            versions = self._sources.get(name, {})
            states = {each: State(each, "END") for each in self._retired.get(name, ())}
            for (failed, each), (_, text) in self._failures.items():
                if failed == name:
                    states[each] = State(each, "END", "UNKNOWN", text)
            if self._lazy and versions:
                states[max(versions)] = State(max(versions), "AVAILABLE")
            if name in self._versions:
                states[self._versions[name].number] = State(self._versions[name].number, "AVAILABLE")
        chosen = [state for each, state in sorted(states.items(), reverse=True) if number in (None, each)]
        if not chosen:
            which = "any versions" if number is None else f"version {number}"
            raise Status("NOT_FOUND", f"Could not find {which} of model {name}")
        return chosen

    def newest(self) -> dict[str, tuple[Source, Card]]:
        """The filters and generators among the models: where each lies, and its card."""
        with self._lock:
            names = {*self._versions, *(self._sources if self._lazy else ())}
        newest = {name: self.newest_of(name) for name in sorted(names)}
        return {name: pair for name, pair in newest.items() if pair}

    def newest_of(self, name: str) -> tuple[Source, Card] | None:
        """As `newest`, of one model; None where it is none of them."""
        with self._lock:
            version = self._versions.get(name)
            sources = self._sources.get(name, {}) if self._lazy else {}
        if version:
            return (version.source, version.card) if version.card else None
        if not sources:
            return None
        source = sources[max(sources)]
        card = card_of(name, source)
        return (source, card) if card else None

    def failures(self) -> dict[str, str]:
        """Of versions that could not be loaded: why, by "NAME/N"."""
        return {f"{name}/{number}": text for (name, number), (_, text) in self._failures.items()}

    def watch(self, every: float = EVERY) -> None:
        """Look again and again in a thread, until `close`."""

        def work() -> None:
            while not self._stop.wait(every):
                with contextlib.suppress(OSError):  # the folder is being moved: it is looked at again
                    self.refresh()

        self._watcher = threading.Thread(target=work, name="kgan-versions", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Look no more, and unload everything."""
        self._stop.set()
        if self._watcher:
            self._watcher.join()
        with self._lock:
            versions, self._versions = list(self._versions.values()), {}
        for version in versions:
            self._retire(version)


class State(NamedTuple):
    """Of a version, in TensorFlow Serving's words: AVAILABLE or END, and if it failed why."""

    version: int
    state: str
    code: str = "OK"
    message: str = ""
