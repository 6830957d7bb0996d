"""A picture in, a picture out: what is posted to a filter, and what `kgan translate` would make of it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import email.parser
import email.policy
import math
import threading
import time
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import numpy as np

from kgan.errors import UserError
from kgan.filters import photos
from kgan.filters.card import CROPS
from kgan.filters.loading import Filter
from kgan.interrupts import go_on
from kgan.pictures import images
from kgan.pictures.faces import Face
from kgan.serve.batching import LATE, LOOK, Answer
from kgan.serve.errors import Refusal, Status
from kgan.serve.limits import Limits
from kgan.serve.models import Version
from kgan.serve.signatures import Arrays, Signature

KINDS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
NAMES = ("crop", "paste", "size", "tile", "label", "z_seed", "psi")
YES, NO = ("1", "true", "yes", ""), ("0", "false", "no")


@dataclasses.dataclass(frozen=True)
class Options:
    """As of `photos.translate`; z_seed and psi of a generator."""

    crop: str = "auto"
    paste: bool = False
    size: int | None = None
    tile: int | None = None
    label: str | None = None
    z_seed: int = 0
    psi: float = 0.7


@dataclasses.dataclass
class Result:
    """An answer: the file, its type, and what its headers say; `face` is the one that was cut out."""

    data: bytes
    kind: str
    runtime: str
    seconds: float = 0.0
    faces: int | None = None
    face: Face | None = None
    remarks: tuple[str, ...] = ()


def options_of(query: Mapping[str, str]) -> Options:
    """The options of a query; a `Refusal` with 400 for one that is unknown or unreadable."""
    values: dict[str, Any] = {}
    for name, text in query.items():
        if name not in NAMES:
            raise Refusal(400, f"There is no option {name}: there are {', '.join(NAMES)}.")
        try:
            if name == "paste":
                values[name] = {**dict.fromkeys(YES, True), **dict.fromkeys(NO, False)}[text.lower()]
            elif name in ("size", "tile", "z_seed"):
                values[name] = int(text)
            elif name == "psi":
                values[name] = float(text)
            else:
                values[name] = text
        except (ValueError, KeyError):
            wanted = {"paste": "1 or 0", "psi": "a number such as 0.7"}.get(name, "a whole number")
            raise Refusal(400, f"{name}={text} is not understood: {wanted} is wanted.") from None
    options = Options(**values)
    if options.crop not in ("auto", *CROPS):
        raise Refusal(400, f"crop={options.crop} is unknown: it is one of auto, {', '.join(CROPS)}.")
    if not 0 <= options.z_seed < 2**64:
        raise Refusal(400, "z_seed is a whole number from 0 on.")
    if not math.isfinite(options.psi) or abs(options.psi) > 10:
        raise Refusal(400, "psi is a number such as 0.7, from -10 to 10.")
    return options


def kind_of(accept: str) -> str:
    """The kind of picture that a header Accept likes best, of equals the first of `KINDS`.

    Raises:
      Refusal: it likes none of them.
    """
    likes: dict[str, tuple[float, int]] = {}
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                with contextlib.suppress(ValueError):
                    quality = float(parameter[2:])
        exact = 2 if name in KINDS else 1 if name == "image/*" else 0
        for kind in KINDS if name in ("*/*", "image/*") else [name] if name in KINDS else []:
            if kind not in likes or likes[kind][1] <= exact:
                likes[kind] = quality, exact
    best = max(KINDS, key=lambda kind: likes.get(kind, (0.0, 0)))  # of equals the first
    if likes.get(best, (0.0, 0))[0] <= 0:
        raise Refusal(406, f"Pictures are written as {', '.join(KINDS)}, and the header Accept takes none of them.")
    return best


def file_of(body: bytes, content_type: str) -> bytes:
    """The bytes of the picture in a body: the body itself, or the first file of multipart/form-data."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        return body
    header = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(header + body)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_filename() is not None or part.get_content_maintype() == "image":
            data = part.get_payload(decode=True)
            return data if isinstance(data, bytes) else b""
    raise Refusal(415, "The form holds no file: send the picture as one, or as the whole body.")


def picture_of(data: bytes, most: float = Limits.megapixels) -> tuple[np.ndarray, tuple[str, ...]]:
    """A file as uint8 [H, W, 3 or 4], upright, and what it held beside: see `images.remarks`.

    Raises:
      Refusal: 415 where it is no picture, 413 where it has more than `most` megapixels, 422 where it is damaged.
    """
    with contextlib.ExitStack() as stack:
        try:
            image = stack.enter_context(images.opened(BytesIO(data), "The body", math.inf))
        except UserError as error:
            raise Refusal(415, str(error)) from None
        width, height = image.size
        if width * height > most * 1e6:
            raise Refusal(413, f"The picture has {width} x {height} pixels, and at most {most:g} megapixels are taken.")
        try:
            remarks = images.remarks(image) - {"transparency"}
            return images.array_of(image, transparent=True), tuple(sorted(remarks))
        except Exception as error:  # decoders raise errors of every kind on damaged files
            raise Refusal(422, f"The picture is damaged: {error or type(error).__name__}.") from None


def answer(
    version: Version, data: bytes, options: Options, kind: str, turns: threading.Semaphore, limits: Limits
) -> Result:
    """What a filter makes of a picture's file, or a generator of nothing.

    Args:
      version: of a filter or a generator.
      data: the file.
      options: what is asked.
      kind: of the answer's file.
      turns: how many pictures are in memory at once.
      limits: megapixels of the picture, and seconds from now on, with the wait for a turn.

    Raises:
      Refusal: it cannot be done as asked, or not in time.
    """
    result, clock = Result(b"", kind, version.runtime), Clock(limits)
    if version.draws:
        picture = drawing(version, options, result, clock)
        result.data = images.encode(picture, KINDS[kind], images.srgb_profile())
        return result
    if version.picture_filter is None:
        raise Refusal(404, f"{version.name} is no filter of pictures.")
    most = limits.megapixels
    with clock.turn(turns):
        image, result.remarks = picture_of(data, most)
        timed = _timed(version, version.picture_filter, result, clock)
        crop = version.picture_filter.card.crop if options.crop == "auto" else options.crop
        people = None
        if crop == "face":
            people = photos.find_faces(image)
            result.faces = len(people)
            if people and not options.paste:
                (result.face,) = people = people[:1]
        if options.size and options.size**2 * len(people or [None]) > most * 1e6:
            raise Refusal(422, f"size={options.size} is too large: crops have at most {most:g} megapixels together.")
        try:
            pictures = photos.translate(
                timed, image, options.crop, options.paste, options.size, options.tile, options.label, people
            )
        except Refusal:
            raise
        except UserError as error:
            raise Refusal(422, str(error)) from None
        result.data = images.encode(pictures[0], KINDS[kind], images.srgb_profile())
    return result


class Clock:
    """The time that a request has: `limits`, of which less is left each time."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._end = limits, time.monotonic() + limits.seconds

    @property
    def left(self) -> Limits:
        """The limits, with the seconds that are left."""
        return dataclasses.replace(self._limits, seconds=max(0.0, self._end - time.monotonic()))

    @contextlib.contextmanager
    def turn(self, turns: threading.Semaphore) -> Iterator[None]:
        """Within the block it is this request's turn.

        Raises:
          Status: that does not come in time.
          Abandoned: nobody waits for it any more.
        """
        while not turns.acquire(timeout=min(LOOK, self.left.seconds)):
            if not self.left.seconds:
                raise Status("DEADLINE_EXCEEDED", LATE.format(self._limits.seconds))
            go_on()
        try:
            go_on()
            yield
        finally:
            turns.release()

    def predict(self, version: Version, signature: Signature, inputs: Arrays) -> Answer:
        """As `Version.predict`, in the time that is left."""
        try:
            return version.predict(signature, inputs, self.left)
        except Status as error:
            if error.code == "DEADLINE_EXCEEDED":
                raise Status(error.code, LATE.format(self._limits.seconds)) from None
            raise


def _timed(version: Version, picture_filter: Filter, result: Result, clock: Clock) -> Filter:
    """The filter, run with other requests, and the seconds noted in `result`."""

    def run(pixels: np.ndarray, *label: np.ndarray) -> np.ndarray:
        inputs: Arrays = {"image": pixels} | ({"label": label[0]} if label else {})
        outputs, seconds = clock.predict(version, version.signatures["serving_default"], inputs)
        result.seconds += seconds
        result.runtime = version.runs_on(pixels.shape[1:3])
        return outputs["image"]

    timed = copy.copy(picture_filter)
    timed.run = run
    return timed


def drawing(version: Version, options: Options, result: Result, clock: Clock) -> np.ndarray:
    """The picture uint8 [r, r, 3] that a generator draws of z_seed."""
    signature, card = version.signatures["generate"], version.card
    random = np.random.default_rng(options.z_seed)
    shapes = {name: (spec.shape or ())[1:] for name, spec in signature.inputs.items()}
    z = random.standard_normal(shapes.pop("z"), np.float32)
    inputs: Arrays = {"z": z[None], "psi": np.full((1, *shapes.pop("psi")), options.psi, np.float32)}
    labels = card.labels if card and "label" in shapes else None
    if options.label is not None and not labels:
        raise Refusal(422, f"The generator {version.name} takes no label.")
    if labels:
        if options.label is None:
            raise Refusal(422, f"The generator {version.name} needs a label, such as {labels.example()}.")
        try:
            inputs["label"] = labels.vector(options.label)[None]
        except UserError as error:
            raise Refusal(422, str(error)) from None
        del shapes["label"]
    noise = {name: random.standard_normal((1, *shape), np.float32) for name, shape in shapes.items()}
    outputs, result.seconds = clock.predict(version, signature, inputs | noise)
    return images.to_uint8(outputs["image"][0])
