"""A filter, whatever kind of file it lies in: `kgan.load(path)(image)`.

`.keras` runs under any Keras backend, `.tflite` in LiteRT (TensorFlow is never imported), a SavedModel in TensorFlow.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included
from kgan.filters.card import Card
from kgan.litert import Model
from kgan.pictures import images
from kgan.quiet import quiet
from kgan.types import Shape, Tensor

if TYPE_CHECKING:
    import keras

    from kgan.filters.streaming import Plan

KINDS = ".keras file, .tflite file or SavedModel folder"
Label = str | Sequence[float] | np.ndarray
Run = Callable[..., np.ndarray]  # float32 [1, H, W, 3] in [-1, 1], and a label [1, C] where it takes one, to the same


def load(path: str | Path) -> Filter:
    """Load a filter from a `.keras` (or `.h5`) file, a `.tflite` file, a SavedModel folder, or an included one by name.

    Raises:
      UserError: there is no such file, it is damaged, or it is no filter from pictures to pictures.
    """
    path = included.find(path)
    if not path.exists():
        raise UserError(f"There is no model {path}: a {KINDS} was looked for.")
    run, inputs, card, streams = _open(path, cards.checked(path))
    _, height, width, _ = inputs["image"]
    label_size = inputs["label"][1] or 0 if "label" in inputs else 0
    if card.labels and card.labels.width != label_size:
        raise UserError(
            f"{cards.path_of(path)} names labels of {card.labels.width} numbers, and {path.name} takes {label_size}: "
            "it is the card of another filter."
        )
    size = (height, width) if height and width else None
    return Filter(run, dataclasses.replace(card, size=size), label_size, streams)


def load_for_photos(path: str | Path) -> Filter:
    """As `load`, but an included filter, by its name, starts without Keras.

    Its `.tflite` runs pictures of the one size that it takes. Its `.keras` file runs all others, and is loaded when the
    first of them comes.
    """
    tflite = included.tflite(path)
    if tflite is None:
        return load(path)
    fixed, free, lock = load(tflite), functools.cache(lambda: load(path)), threading.Lock()

    def run(pixels: np.ndarray, *label: np.ndarray) -> np.ndarray:
        if pixels.shape[1:3] == fixed.size:
            return fixed.run(pixels, *label)
        with lock:
            other = free()
        return other.run(pixels, *label)

    card = cards.read(included.find(path))
    assert card is not None
    return Filter(run, card, fixed.label_size, streams=True)


class Filter:
    """A callable that turns one picture into another of the same height, width and dtype.

    A filter of any size gets the picture with its right and bottom border reflected up to the next multiple of
    `multiple`, and the result is cropped back. A filter of a fixed size gets the picture resized (bicubic, antialiased,
    regardless of the aspect: crop first where that matters), and the result is resized back.

    Attributes:
      card: what is known of the filter, a default one named after the file where it has none.
      size: (height, width) in pixels where only that is accepted, else None.
      multiple, smallest: what the sides of a picture are brought to a multiple of, and at least to; 1 for a filter of
        fixed size.
      label_size: how many numbers a label has, 0 where the filter takes none; the card's labels name them.
      streams: it takes pictures of any size without needing memory for all of one: see `kgan.filters.streaming`.
      run: the bare network, see `Run`; sides as `size` and `multiple` ask.

    It may be called from several threads.
    """

    def __init__(self, run: Run, card: Card, label_size: int = 0, streams: bool = False) -> None:
        self.run, self.streams = run, streams
        self.card = card
        self.label_size = label_size
        self._label: np.ndarray | None = None
        self.size = card.size
        self.multiple, self.smallest = (1, 1) if card.size else (card.multiple, card.smallest)

    def with_label(self, label: Label | None) -> Filter:
        """The filter that draws what `label` names unless told otherwise; itself where it takes none.

        Args:
          label: "hair=blonde,eyes=blue", with groups and values of the card's labels, or label_size numbers.

        Raises:
          UserError: a label that this filter does not have, takes, or needs.
        """
        if not self.label_size:
            if label is not None:
                raise UserError(f"The filter {self.card.name} takes no label.")
            return self
        labels = self.card.labels
        if label is None:
            hint = f"such as {labels.example()}. There are {labels.describe()}" if labels else "which its card lacks"
            raise UserError(f"The filter {self.card.name} needs a label, {hint}.")
        if isinstance(label, str):
            if not labels:
                raise UserError(f"The labels of the filter {self.card.name} have no names: its card lacks them.")
            label = labels.vector(label)
        vector = np.asarray(label, np.float32)
        if vector.shape != (self.label_size,):
            raise UserError(
                f"A label of the filter {self.card.name} has {self.label_size} numbers, got an array of shape "
                f"{list(vector.shape)}."
            )
        labelled = copy.copy(self)
        labelled._label = vector
        return labelled

    def __call__(self, image: np.ndarray, label: Label | None = None) -> np.ndarray:
        """uint8 [H, W, 3], or float [H, W, 3] in [-1, 1], to the same kind.

        Args:
          image: the picture.
          label: as `with_label` takes it; none for a filter that has one already.

        Raises:
          UserError: another shape or dtype, or float values outside [-1, 1]; a label that is wrong or missing.
        """
        image = np.asarray(image)
        _check(image)
        if self._label is None or label is not None:
            labelled = self.with_label(label)
            if labelled is not self:
                return labelled(image)
        height, width = image.shape[:2]
        pixels = images.to_float(image) if image.dtype == np.uint8 else image.astype(np.float32)
        pixels = _resize(pixels, self.size) if self.size else _pad(pixels, self.multiple, self.smallest)
        result = self.run(pixels[None], *([] if self._label is None else [self._label[None]]))[0]
        result = _resize(result, (height, width)) if self.size else result[:height, :width]
        return images.to_uint8(result) if image.dtype == np.uint8 else result.astype(image.dtype)


def _check(image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[-1] != 3 or image.size == 0:
        raise UserError(f"A filter takes one RGB picture of shape [H, W, 3], got {list(image.shape)}.")
    if image.dtype == np.uint8:
        return
    if not np.issubdtype(image.dtype, np.floating):
        raise UserError(f"A filter takes uint8 pixels or floats in [-1, 1], got {image.dtype}.")
    if not np.abs(image).max() <= 1.001:  # also true of NaN
        raise UserError(
            f"A filter takes floats in [-1, 1], got values from {image.min():g} to {image.max():g}: "
            "divide pixels in [0, 255] by 127.5 and subtract 1, or pass uint8."
        )


def padding(length: int, multiple: int, smallest: int) -> int:
    """How many pixels to add to a side: up to the next multiple, and at least to `smallest`."""
    return -(-max(length, smallest) // multiple) * multiple - length


def _pad(image: np.ndarray, multiple: int, smallest: int) -> np.ndarray:
    added = [(0, padding(length, multiple, smallest)) for length in image.shape[:2]]
    return np.pad(image, (*added, (0, 0)), mode="reflect")


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """As `images.resize`, on float32 in [-1, 1]."""
    if image.shape[:2] == size:
        return image
    height, width = size
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).resize((width, height), Image.Resampling.BICUBIC)
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], -1), -1, 1)


class _Opened(NamedTuple):
    """What a file holds.

    Attributes:
      run: the network.
      inputs: their shapes by name: "image" [B, H, W, 3], and "label" [B, C] where it takes one; None for any length.
      card: as it lies beside the file, or what is known without.
      streams: as of a `Filter`.
    """

    run: Run
    inputs: dict[str, Shape]
    card: Card
    streams: bool = False


def _open(path: Path, card: Card | None) -> _Opened:
    if path.is_dir():
        return _open_saved_model(path, card)
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return _open_keras(path, card)
    if path.suffix == ".tflite":
        return _open_tflite(path, card)
    raise UserError(f"{path} is not a model that kgan knows: it reads a {KINDS}.")


def _open_keras(path: Path, card: Card | None) -> _Opened:
    from kgan.filters import streaming

    model = load_keras(path)
    inputs = inputs_of(model)
    plan = None if all(inputs["image"][1:3]) else streaming.plan(model)
    card = card or card_of(model, path.stem, plan)
    return _Opened(keras_runner(model, card.dropout, plan), inputs, card, plan is not None)


def _open_tflite(path: Path, card: Card | None) -> _Opened:
    model = Model(path)
    # By rank, since files that others made name their tensors as they like: a picture has four dimensions, a label two.
    indices = {len(tensor["shape"]): tensor["index"] for tensor in model.inputs}
    shapes, results = (
        [tuple(None if side < 0 else int(side) for side in tensor["shape_signature"]) for tensor in tensors]
        for tensors in (model.inputs, model.outputs)
    )
    dtypes = {tensor["dtype"] for tensor in model.inputs + model.outputs}
    inputs: dict[str, Shape] = {{4: "image", 2: "label"}[len(shape)]: shape for shape in shapes if len(shape) in (2, 4)}
    others = len(inputs) < len(shapes) or dtypes != {np.float32}
    if others or len(results) != 1 or not _is_picture(inputs.get("image")) or not _is_picture(results[0]):
        raise UserError(
            f"{path} is no filter: it should map one float32 picture [1, H, W, 3], and a label [1, C] where it takes "
            f"one, to another, but it has tensors of the shapes {[*shapes, *results]} and the types "
            f"{', '.join(sorted(np.dtype(dtype).name for dtype in dtypes))}."
        )

    def run(pixels: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        arrays = {indices[4]: pixels} if label is None else {indices[4]: pixels, indices[2]: label}
        (picture,) = model(arrays).values()
        return picture

    return _Opened(run, inputs, card or Card(name=path.stem))


def _open_saved_model(path: Path, card: Card | None) -> _Opened:
    if not (path / "saved_model.pb").is_file():
        models = sorted(file.name for file in path.iterdir() if file.suffix in (".keras", ".tflite"))
        hint = f"; it holds {', '.join(models)}: name one of them" if models else f": a {KINDS} was looked for"
        raise UserError(f"{path} is a folder without saved_model.pb{hint}.")
    with quiet():
        import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:  # as for .keras
        raise UserError(f"{path} cannot be loaded: {_first_sentence(error)}.") from error
    function = model.signatures.get("serving_default")
    inputs = function.structured_input_signature[1] if function else {}
    if not {"image"} <= inputs.keys() <= {"image", "label"} or "image" not in function.structured_outputs:
        raise UserError(
            f"{path} is no filter: it should have a signature serving_default from 'image', and 'label' where it takes "
            "one, to 'image'."
        )

    lock = threading.Lock()  # as of `keras_runner`

    def run(pixels: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        arrays = {"image": pixels} if label is None else {"image": pixels, "label": label}
        with lock:
            return function(**{name: tf.constant(array) for name, array in arrays.items()})["image"].numpy()

    run.model = model  # type: ignore[attr-defined]  # a signature alone does not keep its variables alive
    shapes = {name: tuple(spec.shape) for name, spec in inputs.items()}
    return _Opened(run, shapes, card or Card(name=path.stem))


def load_keras(path: str | Path) -> keras.Model:
    """Load a generator from a `.keras` or `.h5` file of Keras 3 or tf.keras 2, with kgan's own layers registered.

    Raises:
      UserError: the file is missing or damaged, holds layers that kgan does not know, or maps no pictures to pictures.
    """
    with quiet():
        from kgan.layers import legacy  # here: a .tflite filter needs no Keras

    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no model {path}: a .keras file was looked for.")
    try:
        model = legacy.load_model(path)
    except UserError as error:
        raise error if str(path) in str(error) else UserError(f"{path} cannot be loaded: {error}") from None
    except Exception as error:  # Keras raises nearly anything on a file that it did not write
        raise UserError(f"{path} cannot be loaded: {_first_sentence(error)}.") from error
    names = inputs_of(model) if getattr(model, "inputs", None) else {}
    if "z" in names:
        raise UserError(f"{path} is no filter: it draws pictures of noise, with kgan generate.")
    shape = names.get("image")
    output = getattr(model, "output", None)
    result = image_of(output) if not isinstance(output, dict) or "image" in output else None
    if not _is_picture(shape) or not _is_picture(getattr(result, "shape", None)):
        raise UserError(
            f"{path} is no filter: it should map pictures [B, H, W, 3] to pictures, as its only output or one named "
            f"'image', but its input is {shape}."
        )
    return model


def card_of(model: keras.Model, name: str, plan: Plan | None = None) -> Card:
    """For a model without one; of a network that nothing is known of, strided convolutions are counted."""
    halvings = sum(layer.__class__.__name__ == "Conv2D" and layer.strides == (2, 2) for layer in model.layers)
    multiple = plan.multiple if plan else 2**halvings
    return Card(name=name, multiple=multiple, smallest=max(8, multiple))


def inputs_of(model: keras.Model) -> dict[str, Shape]:
    """Shapes by name; an only input is the "image", whatever its own name."""
    if len(model.inputs) == 1:
        return {"image": tuple(model.inputs[0].shape)}
    return {tensor.name: tuple(tensor.shape) for tensor in model.inputs}


def image_of(outputs: Tensor | dict[str, Tensor]) -> Tensor:
    """The picture [B, H, W, 3] among what a generator returns: its "image", or its only output."""
    return outputs["image"] if isinstance(outputs, dict) else outputs


def outputs(
    model: keras.Model, image: Tensor, label: Tensor | None = None, draws: dict[str, Tensor] | None = None
) -> Tensor | dict[str, Tensor]:
    """What a generator returns of [B, H, W, 3], and of a label [B, C] where it takes one.

    Its optional inputs, dropout's `draws`, stay empty where none are given.
    """
    names = inputs_of(model)
    if len(names) == 1:
        return model(image, training=False)
    tensors = {"image": image, "label": label, **(draws or {})}
    return model({name: tensors.get(name) for name in names}, training=False)


def apply(
    model: keras.Model, image: Tensor, label: Tensor | None = None, draws: dict[str, Tensor] | None = None
) -> Tensor:
    """The picture [B, H, W, 3] among them."""
    return image_of(outputs(model, image, label, draws))


def _is_picture(shape: Any) -> bool:
    return isinstance(shape, tuple) and len(shape) == 4 and shape[-1] == 3


def _first_sentence(error: Exception) -> str:
    """The beginning of an error's text, or of the error that Keras reports inside it, without its last full stop."""
    text = (str(error).split("Exception encountered: ")[-1].strip() or type(error).__name__).splitlines()[0]
    return text.split(". ")[0].rstrip(".")


def keras_runner(model: keras.Model, dropout: bool = False, plan: Plan | None = None) -> Run:
    """The `run` of a `Filter`, one picture at a time.

    Args:
      model: the network.
      dropout: it drops out, by draws that are the same every time.
      plan: large pictures are done tile by tile as it says; without one they are done whole.
    """
    import keras

    from kgan.filters import streaming
    from kgan.layers.batch import draw_shapes

    lock = threading.Lock()  # two at once would take as long, and twice the memory

    def run(pixels: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        _, height, width, _ = pixels.shape
        random = np.random.default_rng(0)
        shapes = draw_shapes(model, *pixels.shape[:3]) if dropout else {}
        draws = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
        with lock:
            if plan and streaming.worth_it(height, width) and not (height % plan.multiple or width % plan.multiple):
                return streaming.run(plan, {"image": pixels, "label": label, **draws}).astype(np.float32)
            return np.asarray(keras.ops.convert_to_numpy(apply(model, pixels, label, draws)), np.float32)

    return run
