"""What can be asked of a model: named functions from arrays to arrays, as the signatures of a SavedModel.

A filter or a generator in a `.tflite` or `.keras` file answers to the names that `kgan export` gives those of its
SavedModel.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kgan.errors import UserError
from kgan.filters import photos
from kgan.filters.generators import Generator
from kgan.filters.loading import Filter, padding
from kgan.interrupts import go_on
from kgan.litert import Model
from kgan.pictures import images
from kgan.quiet import quiet
from kgan.serve.errors import Status
from kgan.types import Shape

Arrays: TypeAlias = dict[str, np.ndarray]  # by name; strings are arrays of bytes, of dtype object


class Spec(NamedTuple):
    """A tensor.

    Attributes:
      dtype: NumPy's name of its type, "object" for strings.
      shape: with None for any length; None for any shape.
      tensor: its name inside a SavedModel.
    """

    dtype: str
    shape: Shape | None
    tensor: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Signature:
    """A function, and what it takes and returns by name.

    Attributes:
      call: may be called by one thread at a time.
      method: TensorFlow Serving's name of the kind of function.
      largest: pixels that each picture may have of those that `image_bytes` holds; None where it holds none.
    """

    inputs: dict[str, Spec]
    outputs: dict[str, Spec]
    call: Callable[[Arrays], Arrays]
    method: str = "tensorflow/serving/predict"
    largest: float | None = None

    @property
    def batched(self) -> bool:
        """Rows of several requests may be joined: the first axis of every tensor is free."""
        return all((spec.shape or ())[:1] == (None,) for spec in (*self.inputs.values(), *self.outputs.values()))

    def check(self, inputs: Arrays, megapixels: float) -> None:
        """Look at arrays, whose names are those of the inputs, and at the headers of encoded pictures.

        Raises:
          Status: they do not fit.
          UserError: an encoded picture is none, or too large, or all have more than `megapixels` together.
        """
        lengths = {}
        for name, spec in self.inputs.items():
            array = inputs[name]
            if spec.shape is None:
                continue
            fits = len(array.shape) == len(spec.shape) and all(
                free in (None, side) for free, side in zip(spec.shape, array.shape, strict=True)
            )
            if not fits:
                wanted = ",".join("?" if side is None else str(side) for side in spec.shape)
                raise Status(
                    "INVALID_ARGUMENT",
                    f"Input {name} has shape [{','.join(map(str, array.shape))}], and [{wanted}] is expected",
                )
            lengths[name] = array.shape[:1]
        if self.batched and len(set(lengths.values())) > 1:
            raise Status("INVALID_ARGUMENT", f"Inputs differ in batch size: {_listed(lengths)}")
        if self.batched and (0,) in lengths.values():
            raise Status("INVALID_ARGUMENT", "Inputs have no rows")
        if self.largest is not None:
            check_files(inputs["image_bytes"], self.largest, megapixels)


def _listed(lengths: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} has {length[0]}" for name, length in lengths.items())


def of_filter(picture_filter: Filter, together: bool) -> dict[str, Signature]:
    """The three signatures of a filter: floats, uint8, and files.

    Args:
      picture_filter: the filter.
      together: whether its network may be given several pictures at once.
    """
    sides = picture_filter.size or (None, None)
    label = {"label": Spec("float32", (None, picture_filter.label_size))} if picture_filter.label_size else {}

    def floats(inputs: Arrays) -> Arrays:
        return {"image": translated(picture_filter, inputs["image"], inputs.get("label"), together)}

    def pixels(inputs: Arrays) -> Arrays:
        return {"image": images.to_uint8(floats({**inputs, "image": images.to_float(inputs["image"])})["image"])}

    def files(inputs: Arrays) -> Arrays:
        def drawn(data: bytes, label: np.ndarray | None) -> bytes:
            go_on()
            return images.encode(picture_filter(images.decode(data), label))

        labels = inputs.get("label", [None] * len(inputs["image_bytes"]))
        results = [drawn(*pair) for pair in zip(inputs["image_bytes"], labels, strict=True)]
        return {"image_bytes": np.array(results, object)}

    def signature(name: str, spec: Spec, call: Callable[[Arrays], Arrays], largest: float | None = None) -> Signature:
        return Signature({name: spec, **label}, {name: spec}, call, largest=largest)

    return {
        "serving_default": signature("image", Spec("float32", (None, *sides, 3)), floats),
        "serving_uint8": signature("image", Spec("uint8", (None, *sides, 3)), pixels),
        "serving_bytes": signature("image_bytes", Spec("object", (None,)), files, math.inf),
    }


def translated(picture_filter: Filter, image: np.ndarray, label: np.ndarray | None, together: bool) -> np.ndarray:
    """[B, H, W, 3] in [-1, 1] to the same: sides are reflected up to the network's multiple and cropped back."""
    height, width = image.shape[1:3]
    added = [
        (0, padding(side, picture_filter.multiple, picture_filter.smallest if not picture_filter.size else 1))
        for side in (height, width)
    ]
    image = np.pad(image, ((0, 0), *added, (0, 0)), mode="reflect") if any(map(any, added)) else image
    results = []
    for row in [slice(None)] if together else [slice(row, row + 1) for row in range(len(image))]:
        go_on()
        results.append(picture_filter.run(image[row], *([] if label is None else [label[row]])))
    return np.concatenate(results)[:, :height, :width]


def check_files(files: Iterable[bytes], largest: float, megapixels: float) -> None:
    """Look at the headers of pictures' files, before any is decoded.

    Args:
      files: of one request.
      largest: pixels that each may have.
      megapixels: that all may have together.

    Raises:
      UserError: one is no picture, or is larger than can be taken, or all together are.
    """
    together = 0
    for data in files:
        with images.opened(BytesIO(data), "The picture", math.inf) as image:
            pixels = image.width * image.height
        if pixels > largest:
            raise UserError(f"The picture has {pixels} pixels, and this model takes {largest} at once.")
        together += pixels
    if together > megapixels * 1e6:
        raise UserError(f"The pictures of a request may have {megapixels:g} megapixels together, and have more.")


def of_generator(generator: Generator) -> dict[str, Signature]:
    """The signatures of a generator of noise: pictures of z, and of the mixed styles of two z."""
    side = generator.image_size
    rows = {"z": Spec("float32", (None, generator.latent_size)), "psi": Spec("float32", (None, 1))}
    if generator.label_size:
        rows["label"] = Spec("float32", (None, generator.label_size))
    outputs = {"image": Spec("float32", (None, side, side, 3))}

    def styles(z: np.ndarray, inputs: Arrays) -> np.ndarray:
        w = generator.w(z, inputs.get("label"))
        return np.concatenate(
            [generator.ws(row[None], float(psi)) for row, (psi,) in zip(w, inputs["psi"], strict=True)]
        )

    def generate(inputs: Arrays) -> Arrays:
        return {"image": generator.draw(styles(inputs["z"], inputs))}

    def mix(inputs: Arrays) -> Arrays:
        own, others = styles(inputs["z"], inputs), styles(inputs["other"], inputs)
        return {"image": generator.draw(own + inputs["layers"][:, :, None] * (others - own))}

    mixing = {**rows, "other": rows["z"], "layers": Spec("float32", (None, generator.layers))}
    drawing = Signature(rows, outputs, generate)
    return {"serving_default": drawing, "generate": drawing, "mix": Signature(mixing, outputs, mix)}


def of_tflite_generator(model: Model) -> dict[str, Signature]:
    """The signatures of a generator of noise in a `.tflite` file, which draws one picture at a time."""

    def specs(tensors: list[dict[str, Any]]) -> dict[str, Spec]:
        names = {tensor["name"].removeprefix("serving_default_").partition(":")[0]: tensor for tensor in tensors}
        return {name: Spec("float32", (None, *map(int, tensor["shape"][1:]))) for name, tensor in names.items()}

    def generate(inputs: Arrays) -> Arrays:
        pictures = []
        for row in range(len(inputs["z"])):
            go_on()
            (picture,) = model.named({name: array[row : row + 1] for name, array in inputs.items()}).values()
            pictures.append(picture)
        return {"image": np.concatenate(pictures)}

    (picture,) = specs(model.outputs).values()
    signature = Signature(specs(model.inputs), {"image": picture}, generate)
    return {"serving_default": signature, "generate": signature}


def of_saved_model(folder: Path, exported: bool = False) -> dict[str, Signature]:
    """The signatures of a SavedModel, but for the one that only sets its variables.

    Args:
      folder: where it lies.
      exported: by kgan, so that `image_bytes` are pictures, which TensorFlow would decode whatever their size.

    Raises:
      UserError: it cannot be loaded.
    """
    with quiet():
        import tensorflow as tf

    try:
        with quiet():
            model = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises errors of every kind on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{folder} cannot be loaded: {reason}") from error

    def signature(function: Any) -> Signature:
        def call(inputs: Arrays) -> Arrays:
            try:
                results = function(**{name: tf.constant(array) for name, array in inputs.items()})
            except tf.errors.OpError as error:
                raise Status("INVALID_ARGUMENT", str(error.message)) from error
            return {name: tensor.numpy() for name, tensor in results.items()}

        call.model = model  # type: ignore[attr-defined]  # a signature alone does not keep its variables alive
        inputs, outputs = _specs(function.structured_input_signature[1]), _specs(function.structured_outputs)
        largest = photos.LARGEST_WHOLE if exported and "image_bytes" in inputs else None
        return Signature(inputs, outputs, call, largest=largest)

    return {name: signature(function) for name, function in model.signatures.items()}


def _specs(tensors: dict[str, Any]) -> dict[str, Spec]:
    """TensorFlow's descriptions of tensors as ours."""
    return {
        name: Spec(
            "object" if tensor.dtype.name == "string" else tensor.dtype.name,
            tuple(tensor.shape) if tensor.shape.rank is not None else None,
            f"{name}:0",
        )
        for name, tensor in sorted(tensors.items())
    }
