"""A generator from a `.keras` file, in its parts: z to w, w to a style for each layer, styles to pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included
from kgan.filters.card import Card
from kgan.quiet import quiet
from kgan.types import Shape, Tensor

if TYPE_CHECKING:
    import keras

BATCH = 16
PARTS = ("mapping", "truncation", "synthesis")


class Generator:
    """What StyleGAN trained: pictures of `seeds`, or of any z [B, Z], w [B, W] or ws [B, layers, W], all float32.

    Attributes:
      card: what is known of it.
      image_size: pixels a side.
      latent_size: of z; label_size: 0 where it takes no label.
      layers: of the synthesis network, each with a style; used: how many of them draw, fewer while it still grows.
      mean: [W], the average w; cutoff: how many layers truncation touches unless told otherwise.
      noise_shapes: of the optional noise, [h, w, 1] by name.

    It may be called from several threads, which take turns.
    """

    def __init__(self, model: keras.Model, card: Card) -> None:
        import keras

        mapping, truncation, synthesis = (part(model, name) for name in PARTS)
        self.card = card
        self.image_size = int(model.output["image"].shape[1])
        self.mean = np.asarray(keras.ops.convert_to_numpy(truncation.mean), np.float32)
        self.cutoff, self.layers = truncation.cutoff, truncation.layers
        shapes = {tensor.name: tensor.shape for tensor in mapping.inputs}
        self.latent_size, self.label_size = shapes["z"][1], shapes["label"][1] if "label" in shapes else 0
        self.noise_shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in synthesis.inputs if tensor.name != "ws"}
        self.used = len(self.noise_shapes)
        self._mapping, self._synthesis = mapping, synthesis
        self._lock = threading.Lock()  # Keras' predict_on_batch keeps state between calls
        self._quiet = _without_noise(synthesis)

    def z(self, seeds: Sequence[int]) -> np.ndarray:
        """Latents [B, Z] from N(0, 1), each row drawn by its seed alone."""
        return np.stack([np.random.default_rng(seed).standard_normal(self.latent_size, np.float32) for seed in seeds])

    def label(self, text: str | None) -> np.ndarray | None:
        """The label [N] that "hair=blonde" names, None where the generator takes none.

        Raises:
          UserError: a label that it does not have, take, or need.
        """
        labels = self.card.labels
        if not self.label_size:
            if text is not None:
                raise UserError(f"The generator {self.card.name} takes no label.")
            return None
        if labels is None or labels.width != self.label_size:
            raise UserError(
                f"The card of the generator {self.card.name} does not name its {self.label_size} labels: keep the "
                ".json file that its training wrote beside it."
            )
        if text is None:
            raise UserError(f"The generator {self.card.name} needs a label, such as {labels.example()}.")
        return labels.vector(text)

    def w(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Map z [B, Z] and, where it takes them, labels [B, N] to w [B, W]."""
        inputs = [z] if label is None else [z, label]
        with self._lock:
            return _batches(lambda z, *label: self._mapping.predict_on_batch(_named(z, *label)), *inputs)

    def ws(self, w: np.ndarray, psi: float = 1.0, cutoff: int | None = None) -> np.ndarray:
        """Styles [B, layers, W] of w [B, W]: mean + psi (w - mean) below layer `cutoff`, w itself from there on."""
        cut = np.arange(self.layers)[:, None] < (self.cutoff if cutoff is None else cutoff)
        w = w[:, None]
        return np.where(cut, self.mean + np.float32(psi) * (w - self.mean), w).astype(np.float32)

    def draw(self, ws: np.ndarray, noise: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """Pictures [B, r, r, 3], about [-1, 1], of styles [B, layers, W].

        Args:
          noise: by name, [1 or B, h, w, 1], see `noise_shapes`; without it, the file's own fixed noise.
        """
        if not noise:
            with self._lock:
                return _batches(self._quiet.predict_on_batch, ws)
        import keras

        pictures = self._synthesis({"ws": ws, **noise}, training=False)
        return np.asarray(keras.ops.convert_to_numpy(pictures), np.float32)

    def __call__(self, seeds: Sequence[int], psi: float = 1.0, label: np.ndarray | None = None) -> np.ndarray:
        """Pictures [B, r, r, 3] of seeds, all with one label [N]."""
        return self.draw(self.ws(self.w(self.z(seeds), for_each(len(seeds), label)), psi))


def for_each(count: int, label: np.ndarray | None) -> np.ndarray | None:
    """A label [N] for each of `count` pictures, [count, N]; None for a generator that takes none."""
    return None if label is None else np.repeat(label[None], count, 0)


def _without_noise(synthesis: keras.Model) -> keras.Model:
    """A network of ws alone: what `predict_on_batch` compiles must not have inputs that are left out."""
    import keras

    names = [tensor.name for tensor in synthesis.inputs if tensor.name != "ws"]

    class Quiet(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.synthesis, self.built = synthesis, True

        def call(self, ws: Tensor) -> Tensor:
            return self.synthesis({"ws": ws, **dict.fromkeys(names)}, training=False)

        def compute_output_shape(self, shape: Shape) -> Shape:
            return self.synthesis.output_shape

    ws = keras.Input(next(tensor.shape[1:] for tensor in synthesis.inputs if tensor.name == "ws"))
    return keras.Model(ws, Quiet()(ws))


def _named(z: np.ndarray, label: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return {"z": z} if label is None else {"z": z, "label": label}


def _batches(function: Callable[..., Tensor], *arrays: np.ndarray) -> np.ndarray:
    """What `function` makes of rows, 16 at a time; the last batch is filled up, so that one shape is compiled."""
    count, results = len(arrays[0]), []
    for start in range(0, count, BATCH):
        rows = np.minimum(np.arange(start, start + BATCH), count - 1)
        results.append(np.asarray(function(*(array[rows] for array in arrays)), np.float32))
    return np.concatenate(results)[:count]


def part(model: keras.Model, name: str) -> Any:
    """The layer of a generator whose name begins so; a `UserError` where there is none."""
    for layer in model.layers:
        if layer.name.startswith(name):
            return layer
    raise UserError(f"It is no generator: it has no {name}.")


def load(path: str | Path) -> Generator:
    """Load what a StyleGAN training wrote as `generator.keras`.

    Raises:
      UserError: there is no such file, it is damaged, or it is no generator.
    """
    return Generator(*load_network(path))


def load_network(path: str | Path) -> tuple[keras.Model, Card]:
    """The network of what `load` loads, in float32, and its card."""
    with quiet():
        from kgan.layers import legacy
        from kgan.precision import float32_copy

    path = included.find(path)
    if not path.is_file() or path.suffix != ".keras":
        raise UserError(f"There is no generator {path}: the generator.keras of a StyleGAN training was looked for.")
    card = cards.checked(path) or Card(name=path.stem, kind="generator")
    try:
        model = float32_copy(legacy.load_model(path))
        for name in PARTS:
            part(model, name)
        return model, card
    except UserError as error:
        raise UserError(f"{path} cannot be used. {error}") from None
    except Exception as error:  # Keras raises nearly anything on a file that it did not write
        raise UserError(f"{path} cannot be loaded: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
