"""What all systems would write alike: networks and optimizers with named state, and one `minimize`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
from keras import ops

from kgan import engine
from kgan.labels import Labels
from kgan.types import Batch, Tensor


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a training within which nothing of the compiled step changes. Systems that do not grow have one.

    Attributes:
      first_step, first_image: how many came before.
      image_size: pixels a side that the step sees.
      batch_size: pictures of each stream in a batch, over all devices.
    """

    first_step: int
    first_image: int
    image_size: int
    batch_size: int


class Settings(Protocol):
    """What the loop needs of a system's dataclass of settings.

    One whose system grows also has `stages(batch_size)`: the `Stage`s of a training, in order; one that cannot learn
    from every kind of data has `data_kinds`, the names of those in `kgan.data` that it can.
    """

    image_size: int

    @property
    def batches_per_step(self) -> int:
        """How many batches a `train_step` takes."""

    def check(self) -> None:
        """Raise a `UserError` where the settings cannot work together."""

    def create(self, steps: int, seed: int, labels: Labels | None = None) -> System:
        """The `System`, for a training of `steps` steps on pictures with these labels."""


def stages(settings: Settings, batch_size: int) -> tuple[Stage, ...]:
    """The parts of a training, in order: the levels of a system that grows, or one stage for all."""
    own = getattr(settings, "stages", None)
    return own(batch_size) if own else (Stage(0, 0, settings.image_size, batch_size),)


class System(keras.Model):
    """A generator side and its optimizer; `kgan.systems.adversarial.Adversarial` adds the side that judges it.

    A subclass sets its networks as attributes, calls `ready`, and writes `train_step(batches)` in the paper's order: it
    gets a tuple of `Settings.batches_per_step` batches, each a dict of [B, ...] arrays, and returns named terms.
    Networks are built in `keras.name_scope(attribute)`, so that a variable's path begins with the attribute's name.
    """

    kind = "filter"  # what it trains, as the card says it, see `kgan.filters.card`
    fixed_size: int | None = None  # where the generators accept no other
    multiple = 4  # what the sides of their pictures must be multiples of
    smallest = 8  # what they must at least measure
    batch_norm = ""  # the statistics that a batch norm uses at test, as the card says it
    dropout = False  # whether the generators drop out at test too, as the card says it
    rate: Callable[[Tensor], Tensor]  # G's learning rate by step
    settings: Any
    generator_optimizer: keras.optimizers.Optimizer

    def ready(self, seed: int) -> None:
        """Count steps, build each optimizer for its side, and mark the model as built, which it is."""
        self.seed = seed
        self.step = keras.Variable(0, dtype="int32", trainable=False, name="step")
        self.generator_optimizer.build(self.generator_variables())
        super().compile(optimizer=None, jit_compile=False)
        self.built = True

    def enter(self, stage: Stage, anew: bool = False) -> None:
        """Called before the first step of a stage that this process takes; `anew` before the very first."""

    def generator_variables(self) -> list[keras.Variable]:
        """What `generator_optimizer` trains."""
        raise NotImplementedError

    def minimize(
        self, optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable], losses: engine.Losses
    ) -> tuple[engine.Terms, Any]:
        """One update of `variables` against the sum of the named terms; returns terms and tensors."""
        terms, tensors, slopes = engine.gradients(losses, variables, optimizer)
        engine.apply(optimizer, slopes, variables)
        return terms, tensors

    def uniform(self, name: str, shape: Sequence[int]) -> Tensor:
        """Draws in [0, 1) that depend on seed, step and `name` alone: see `kgan.engine.uniform`."""
        return engine.uniform(self.seed, self.step.value, name, shape)

    def normal(self, name: str, shape: Sequence[int]) -> Tensor:
        """Draws from N(0, 1) that depend on seed, step and `name` alone."""
        return engine.normal(self.seed, self.step.value, name, shape)

    def draw_once(self, function: Callable[[], Any]) -> engine.Forward:
        """What the generators draw in function(), for a discriminator to judge and for `minimize_through`."""
        return engine.forward(function, self.generator_variables())

    def minimize_through(
        self,
        optimizer: keras.optimizers.Optimizer,
        losses: Callable[[Any], engine.Terms],
        fakes: engine.Forward,
    ) -> engine.Terms:
        """One update of fakes.variables against the sum of the terms of losses(fakes.value); returns the terms."""
        terms, slopes = engine.gradients_through(losses, fakes, optimizer)
        engine.apply(optimizer, slopes, fakes.variables)
        return terms

    def state(self) -> dict[str, keras.Variable]:
        """Everything that a step reads or changes, by attribute path; what a checkpoint holds."""
        state: dict[str, keras.Variable] = {}
        for attribute, child in sorted(vars(self).items()):
            if attribute.startswith("_"):
                continue
            if isinstance(child, keras.Variable):
                state[attribute] = child
            elif isinstance(child, System):
                state |= {f"{attribute}/{path}": variable for path, variable in child.state().items()}
            elif isinstance(child, keras.Layer | keras.optimizers.Optimizer):
                for variable in child.variables:
                    path = (
                        variable.path if variable.path.startswith(f"{attribute}/") else f"{attribute}/{variable.path}"
                    )
                    if path in state:
                        raise ValueError(f"Two variables of the system share the path {path}.")
                    state[path] = variable
        return state

    def networks(self) -> dict[str, keras.Model]:
        """The networks that are trained, by attribute; of a system inside, by the paths of its attributes."""
        networks: dict[str, keras.Model] = {}
        for name, child in sorted(vars(self).items()):
            if isinstance(child, System):
                networks |= {f"{name}/{path}": network for path, network in child.networks().items()}
            elif isinstance(child, keras.Model) and not name.startswith(("_", "ema_")):
                networks[name] = child
        return networks

    def progress(self, terms: dict[str, float]) -> str:
        """What the progress bar says of a step: its loss."""
        return f"loss {sum(terms.values()):.3g}"

    def generators(self) -> dict[str, keras.Model]:
        """The generators as a user wants them, by file name: the averaged ones where there are."""
        raise NotImplementedError

    def beginnings(self, name: str) -> list[keras.Model]:
        """The networks that may begin with the weights of a trained generator `name`: it and its average."""
        averaged = getattr(self, f"ema_{name}", None)
        return [getattr(self, name), *([] if averaged is None else [averaged])]

    def judged(self) -> dict[str, tuple[str, str]]:
        """For measures during the training, of each generator: the stream of test pictures that it translates, "" of
        one that draws from noise, and the stream that what it draws should look like.
        """
        raise NotImplementedError

    def translated(self, batch: Batch) -> dict[str, Tensor]:
        """What each generator makes of a batch of test pictures: [B, H, W, 3] in [-1, 1]."""
        raise NotImplementedError

    def sample(self, batch: Batch) -> dict[str, Tensor]:
        """Columns of the sample sheet: titles to images [B, h, w, 3 or 1], in [-1, 1]."""
        raise NotImplementedError


def together(network: keras.Model, *images: Tensor) -> list[Tensor]:
    """What a network makes of each [B, H, W, C] in training, as one batch: faster than each on its own.

    The same too, where no layer looks across a batch; but a spectral normalization iterates once and not for each.
    """
    outputs = network(ops.concatenate(images), training=True)
    parts = [ops.split(output, len(images)) for output in keras.tree.flatten(outputs)]
    return [keras.tree.pack_sequence_as(outputs, list(part)) for part in zip(*parts, strict=True)]


def newest(decay: float, step: Tensor) -> Tensor:
    """How much what is new counts in a moving average: 1 - decay, and more before.

    The first 1 / (1 - decay) steps count alike, so that where it began counts for nothing.
    """
    return ops.maximum(1 - decay, 1 / (ops.cast(step, "float32") + 1))


def average(target: keras.Model, weights: Sequence[Tensor], decay: float, step: Tensor) -> None:
    """Exponential moving average of all weights, after `step` steps before: target += newest (weights - target)."""
    share = newest(decay, step)
    for mean, value in zip(target.weights, weights, strict=True):
        mean.assign(mean + ops.cast(share, mean.dtype) * (value - mean))


def named(attribute: str, build: Callable[[], keras.Model]) -> keras.Model:
    """Build a network so that its variables' paths begin with `attribute`."""
    with keras.name_scope(attribute):
        return build()
