"""Large pictures through a Keras network tile by tile, with the result of the whole picture, to rounding.

A network is cut before each layer that looks at all of a map: instance normalization and its kin, global pooling. In a
stretch between two cuts each pixel depends on a neighbourhood alone. So the stretch is computed in tiles, each with a
margin as wide as that neighbourhood, whose cores make up whole maps. Only maps that a later stretch needs are kept, on
the disk where they are large. Then the statistics of these maps are taken, and the next stretch begins. Memory stays
small however large the picture is, and no seam can appear.

Under JAX all tiles are of one size, whatever the picture's, so that nothing is compiled anew for another size.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers, ops, tree

from kgan import layers as own
from kgan.interrupts import go_on
from kgan.layers.addons import GroupNormalization
from kgan.layers.batch import Dropout
from kgan.layers.color import Colored, Lightness
from kgan.layers.normalization import AdaIN, AdaLIN
from kgan.layers.whole import Core, Statistics
from kgan.pictures.tiling import Span, spans
from kgan.types import Tensor

WHOLE, WHOLE_ON_JAX = 512**2, 256**2  # pixels of a picture that is not worth cutting into tiles
LARGEST_MAP = 2**24  # numbers: as many as the largest map of a tile has, about
CORE_ON_JAX = 256  # pixels a side of a tile without its margin
IN_MEMORY = 2**30  # bytes of maps that are kept there; more lie on the disk
SIDE = 4096  # pixels of the picture by which strides are read off a network's shapes

Key: TypeAlias = tuple[int, ...]  # of a tensor: its id in the network, behind the ids of the calls that it lies in

# Each pixel depends on that pixel alone.
POINTWISE = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Rescaling, layers.Identity),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
    *(layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout),
    *(own.AppendLabel, own.Bias, own.CAM, own.Heatmap, own.PixelNormalization, Colored, Dropout, Lightness),
)
# The same, where their axis is that of the channels.
AT_EACH_PIXEL = (layers.Concatenate, layers.LayerNormalization, layers.Softmax, layers.UnitNormalization)
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
POOLINGS = (layers.AveragePooling2D, layers.MaxPooling2D)
# These look at the whole map.
NORMALIZATIONS = (own.InstanceNormalization, AdaIN, AdaLIN, own.LIN, layers.GroupNormalization)
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


def reach(layer: Any) -> int | None:
    """How many pixels of its input a layer looks to any side of a pixel, at most; None where that is not known."""
    if isinstance(layer, own.SpectralNormalization | layers.SpectralNormalization):
        return reach(layer.layer)
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    if isinstance(layer, POINTWISE):
        return 0
    if isinstance(layer, AT_EACH_PIXEL):
        return 0 if layer.axis in (-1, 3, [-1], [3]) else None
    if isinstance(layer, layers.PReLU):
        return 0 if layer.shared_axes == [1, 2] else None
    if isinstance(layer, layers.BatchNormalization):
        return 0 if layer.axis in (-1, 3) else None
    if isinstance(layer, own.BatchNormalization):
        return 0
    if isinstance(layer, layers.Conv2DTranspose):
        return 1 + max(math.ceil((k - 1) / s) for k, s in zip(layer.kernel_size, layer.strides, strict=True))
    if isinstance(layer, CONVOLUTIONS):
        return max((k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True))
    if isinstance(layer, POOLINGS):
        return max(layer.pool_size)
    if isinstance(layer, layers.ZeroPadding2D | own.ReflectionPadding2D):
        return max(itertools.chain(*layer.padding))
    if isinstance(layer, layers.Cropping2D):
        return max(itertools.chain(*layer.cropping))
    if isinstance(layer, layers.UpSampling2D | own.NearestUpsampling2D):
        return {"nearest": 0, "bilinear": 1, "bicubic": 2}.get(getattr(layer, "interpolation", "nearest"))
    if isinstance(layer, own.Blur2D):
        return 1
    if isinstance(layer, own.DepthToSpace2D):
        return 0
    return None


def looks_at_all(layer: Any) -> bool:
    """Whether a layer takes statistics of the whole map."""
    if isinstance(layer, own.BatchNormalization):
        return layer.at_test == "batch"
    if isinstance(layer, layers.GroupNormalization):
        return layer.axis in (-1, 3)
    return isinstance(layer, NORMALIZATIONS + GLOBAL_POOLINGS)


@dataclasses.dataclass(frozen=True)
class Step:
    """One call of a layer.

    Attributes:
      call: Keras' node: the layer, and how it is called.
      inputs, outputs: keys of its tensors, in the order of the node's.
      stretch: the number of the stretch that it belongs to.
      spatial: whether it gives maps, and no vectors.
    """

    call: Any
    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]
    stretch: int
    spatial: bool

    @property
    def layer(self) -> Any:
        return self.call.operation

    def __call__(self, tensors: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
        """Call the layer."""
        known = {id(t): tensors[key] for t, key in zip(self.call.input_tensors, self.inputs, strict=True)}
        args, kwargs = self.call.arguments.fill_in(known)
        if isinstance(self.layer, layers.GroupNormalization):
            results = GroupNormalization.call(self.layer, *args)  # which asks for means as our layers do
        else:
            results = self.layer(*args, **kwargs)
        return dict(zip(self.outputs, tree.flatten(results), strict=True))


@dataclasses.dataclass(frozen=True)
class Stretch:
    """What lies between two cuts.

    Attributes:
      vectors: steps that give vectors; they come first.
      maps: steps that give maps, in an order in which they can be called.
      kept: the maps among theirs that later stretches need.
      done: the tensors that none needs after this.
      unit: all strides of these maps divide it; tiles begin and end at its multiples.
      margin: how many pixels of the picture a tile needs on each side.
      core: pixels of the picture a side of a tile without its margins.
    """

    vectors: tuple[Step, ...]
    maps: tuple[Step, ...]
    kept: tuple[Key, ...]
    done: tuple[Key, ...]
    unit: int
    margin: int
    core: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """A network cut into stretches.

    Attributes:
      stretches: in their order.
      inputs: the keys of the network's inputs, by name; output: the key of its picture.
      strides: how many pixels of the picture a pixel of each map stands for.
      channels, dtypes: of each map.
    """

    stretches: tuple[Stretch, ...]
    inputs: dict[str, Key]
    output: Key
    strides: dict[Key, int]
    channels: dict[Key, int]
    dtypes: dict[Key, str]

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be a multiple of."""
        return math.lcm(*(stretch.unit for stretch in self.stretches))


class _Unknown(Exception):
    """A network that cannot be cut: it has a layer of which nothing is known."""


def margin(network: keras.Model) -> tuple[int, int] | None:
    """(margin, unit) of a network that looks at nothing but each pixel's neighbourhood, for `tiling.exact`.

    None where a layer takes statistics of the whole map, as instance normalization does, or cannot be understood.
    """
    cut = None if all(network.inputs[0].shape[1:3]) else plan(network)
    if cut is None or len(cut.stretches) > 1 or any(looks_at_all(step.layer) for step in cut.stretches[0].maps):
        return None
    return cut.stretches[0].margin, cut.stretches[0].unit


def plan(network: keras.Model) -> Plan | None:
    """How to cut a network whose picture is called "image"; None where it has a layer that looks nobody knows where."""
    try:
        return _Planner(network).plan()
    except Exception:  # layers that others wrote raise nearly anything when they are asked for shapes
        return None


class _Planner:
    """Walks through a network once, with symbolic tensors of a picture of SIDE pixels."""

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        self.aliases: dict[Key, Key] = {}  # tensors of a model inside, for those outside that they are
        self.shapes: dict[Key, Any] = {}  # symbolic tensors, None for what is optional
        self.stretches: dict[Key, int] = {}
        self.spatial: dict[Key, bool] = {}
        self.strides: dict[Key, int] = {}
        self.reaches: dict[Key, int] = {}  # in pixels of the picture, since the last cut
        self.steps: list[Step] = []

    def plan(self) -> Plan:
        names = {tensor.name: tensor for tensor in self.network.inputs}
        names = {"image": self.network.inputs[0]} if len(names) == 1 else names
        for name, tensor in names.items():
            self.enter(name, tensor)
        self.walk(self.network, ())
        outputs = self.network.output
        picture = self.resolve((id(outputs["image"] if isinstance(outputs, dict) else outputs),))
        steps = self.needed(picture)
        last = {key: step.stretch for step in sorted(steps, key=lambda s: s.stretch) for key in step.inputs}
        last[picture] = len(steps)
        stretches = [
            self.stretch(number, [step for step in steps if step.stretch == number], last)
            for number in range(steps[-1].stretch + 1)
        ]
        inputs: dict[str, Key] = {name: (id(tensor),) for name, tensor in names.items()}
        channels = {key: self.shapes[key].shape[-1] for key in self.strides}
        dtypes = {key: self.shapes[key].dtype for key in self.strides}
        return Plan(tuple(stretches), inputs, picture, self.strides, channels, dtypes)

    def stretch(self, number: int, steps: list[Step], last: dict[Key, int]) -> Stretch:
        """The stretch of these steps; `last` says which stretch needs each tensor last."""
        maps = [step for step in steps if step.spatial]
        own_keys = [key for step in maps for key in step.outputs if self.spatial[key]]
        kept = [key for key in own_keys if last.get(key, -1) > number]
        if any(self.side(key) * self.strides[key] != SIDE for key in kept):
            raise _Unknown  # it does not end where the picture ends
        keys = own_keys + [key for step in maps for key in step.inputs if self.spatial[key]]
        unit = math.lcm(*(self.strides[key] for key in keys))
        margin = max((self.reaches[key] for key in own_keys), default=0)
        density = max((self.shapes[key].shape[-1] / self.strides[key] ** 2 for key in keys), default=1)
        core = CORE_ON_JAX if keras.backend.backend() == "jax" else int(math.sqrt(LARGEST_MAP / density))
        return Stretch(
            vectors=tuple(step for step in steps if not step.spatial),
            maps=tuple(maps),
            kept=tuple(kept),
            done=tuple(key for key, where in last.items() if where == number),
            unit=unit,
            margin=math.ceil(margin / unit) * unit,
            core=max(unit, core // unit * unit),
        )

    def enter(self, name: str, tensor: keras.KerasTensor) -> None:
        """An input: the picture, a label, or dropout's draws, which are not there when shapes are read."""
        key, is_image = (id(tensor),), name == "image"
        shape = (1, SIDE, SIDE, tensor.shape[-1]) if is_image else (1, *tensor.shape[1:])
        self.shapes[key] = keras.KerasTensor(shape, tensor.dtype) if name in ("image", "label") else None
        self.stretches[key], self.spatial[key], self.reaches[key] = 0, is_image, 0
        if is_image:
            self.strides[key] = 1

    def resolve(self, key: Key) -> Key:
        while key in self.aliases:
            key = self.aliases[key]
        return key

    def side(self, key: Key) -> int:
        return self.shapes[key].shape[1]

    def walk(self, model: keras.Model, outside: Key) -> None:
        """All calls in a model, and in those inside it."""
        model = getattr(model, "_functional", None) or model  # a Sequential holds one
        if not hasattr(model, "_nodes_by_depth"):
            raise _Unknown
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                if isinstance(node.operation, keras.Model):
                    self.descend(node, outside)
                else:
                    self.add(node, outside)

    def descend(self, node: Any, outside: Key) -> None:
        """A model that is called like a layer: its tensors get the call's id before their own."""
        model = getattr(node.operation, "_functional", None) or node.operation
        inside = (*outside, id(node))
        (argument,) = node.arguments.args
        if isinstance(argument, dict):
            pairs = [(model._inputs_struct[name], tensor) for name, tensor in argument.items() if tensor is not None]
        else:
            pairs = list(zip(model.inputs, tree.flatten(argument), strict=True))
        given = [id(tensor) for tensor, _ in pairs]
        for tensor in model.inputs:
            if id(tensor) not in given:  # optional
                key = (*inside, id(tensor))
                self.shapes[key], self.stretches[key], self.spatial[key], self.reaches[key] = None, 0, False, 0
        self.aliases |= {(*inside, id(inner)): (*outside, id(outer)) for inner, outer in pairs}
        self.walk(node.operation, inside)
        results = zip(node.outputs, model.outputs, strict=True)
        self.aliases |= {(*outside, id(outer)): (*inside, id(inner)) for outer, inner in results}

    def add(self, node: Any, outside: Key) -> None:
        """A call of a layer: to which stretch it belongs, its shapes, and how far it looks."""
        layer = node.operation
        inputs = tuple(self.resolve((*outside, id(tensor))) for tensor in node.input_tensors)
        outputs = tuple((*outside, id(tensor)) for tensor in node.outputs)
        maps = [key for key in inputs if self.spatial[key]]
        whole = bool(maps) and looks_at_all(layer)
        look = 0 if whole or not maps else reach(layer)
        if look is None or (whole and len(maps) > 1):
            raise _Unknown
        self.steps.append(
            Step(
                node,
                inputs,
                outputs,
                max((self.stretches[key] for key in inputs), default=0) + whole,
                bool(maps) and not isinstance(layer, GLOBAL_POOLINGS),
            )
        )
        step = self.steps[-1]
        symbols = {id(t): self.shapes[key] for t, key in zip(node.input_tensors, inputs, strict=True)}
        args, kwargs = node.arguments.fill_in(symbols)
        results = tree.flatten(layer.compute_output_spec(*args, **kwargs))
        placed = [key for key in maps if key in self.strides]
        stride = max((self.strides[key] for key in placed), default=1)
        before = max((self.reaches[key] for key in maps if self.stretches[key] == step.stretch), default=0)
        for key, result in zip(outputs, results, strict=True):
            self.shapes[key], self.stretches[key], self.spatial[key] = result, step.stretch, step.spatial
            self.reaches[key] = before + look * stride if step.spatial else 0
            if len(result.shape) == 4 and step.spatial:
                self.strides[key] = max(1, round(SIDE / result.shape[1]))  # padding changes it little
            else:
                self.spatial[key] = False

    def needed(self, picture: Key) -> list[Step]:
        """The steps on the way to the picture. What attention says of the whole map must not be among them."""
        wanted, steps = {picture}, []
        for step in reversed(self.steps):
            if wanted & set(step.outputs):
                steps.append(step)
                wanted |= set(step.inputs)
                if isinstance(step.layer, own.CAM) and step.outputs[1] in wanted:
                    raise _Unknown
        return steps[::-1]


class Tile:
    """A rectangle of the picture: what is computed, and the core of it that no other tile computes."""

    def __init__(self, rows: Span, columns: Span) -> None:
        self.spans = rows, columns

    def place(self, stride: int) -> Core:
        """Where the tile lies in a whole map of this stride."""
        return _slices(stride, [(start, stop) for start, stop, _, _ in self.spans])

    def core(self, stride: int) -> Core:
        """Where its core lies in a whole map."""
        return _slices(stride, [(low, high) for _, _, low, high in self.spans])

    def inner(self, stride: int) -> Core:
        """Where its core lies in the tile."""
        return _slices(stride, [(low - start, high - start) for start, _, low, high in self.spans])


def _slices(stride: int, sides: Sequence[tuple[int, int]]) -> Core:
    (top, bottom), (left, right) = sides
    return slice(top // stride, bottom // stride), slice(left // stride, right // stride)


def run(plan: Plan, inputs: Mapping[str, np.ndarray | None]) -> np.ndarray:
    """The picture, [1, H, W, 3], that a network makes of its inputs by name: "image" [1, H, W, 3], and what it takes
    beside it."""
    return _Run(plan, inputs).picture()


def worth_it(height: int, width: int) -> bool:
    """Whether a picture is large enough."""
    return height * width > (WHOLE_ON_JAX if keras.backend.backend() == "jax" else WHOLE)


class _Run:
    """A picture on its way through a network.

    Attributes:
      tensors: whole maps, as NumPy arrays [1, h, w, C], and vectors, as far as some step to come needs them.
      strides: of the maps, those of dropout's draws included.
    """

    def __init__(self, plan: Plan, inputs: Mapping[str, np.ndarray | None]) -> None:
        self.plan, self.room = plan, _Room()
        image = inputs["image"]
        assert image is not None
        self.height, self.width = image.shape[1:3]
        self.tensors: dict[Key, Any] = {key: inputs.get(name) for name, key in plan.inputs.items()}
        maps = {key: value for key, value in self.tensors.items() if value is not None and value.ndim == 4}
        self.strides = plan.strides | {key: self.height // value.shape[1] for key, value in maps.items()}

    def picture(self) -> np.ndarray:
        """Stretch after stretch."""
        for stretch in self.plan.stretches:
            for step in stretch.vectors:
                self.tensors |= self.vector(step)
            tiles = self.tiles(stretch)
            statistics = {id(step): self.statistics(step, tiles) for step in stretch.maps if looks_at_all(step.layer)}
            for key in stretch.kept:
                side = self.height // self.strides[key], self.width // self.strides[key]
                self.tensors[key] = self.room.array((1, *side, self.plan.channels[key]), self.plan.dtypes[key])
            for tile in tiles:
                go_on()
                self.fill(stretch, tile, statistics)
            for key in stretch.done:
                self.room.free(self.tensors.pop(key, None))
        return np.asarray(self.tensors[self.plan.output])

    def tiles(self, stretch: Stretch) -> list[Tile]:
        """The tiles in which a stretch is computed."""
        even = keras.backend.backend() != "jax"
        rows, columns = (
            spans(side, stretch.core, stretch.margin, stretch.unit, even) for side in (self.height, self.width)
        )
        return [Tile(*sides) for sides in itertools.product(rows, columns)]

    def vector(self, step: Step) -> dict[Key, Tensor]:
        """What a step makes of vectors, or a global pooling of a whole map."""
        if isinstance(step.layer, GLOBAL_POOLINGS):
            x, keep = self.tensors[step.inputs[0]], bool(step.layer.keepdims)
            is_mean = isinstance(step.layer, layers.GlobalAveragePooling2D)
            pooled = np.mean(x, (1, 2), np.float64, keepdims=keep) if is_mean else np.max(x, (1, 2), keepdims=keep)
            return {step.outputs[0]: ops.convert_to_tensor(pooled.astype(x.dtype))}
        return step(self.tensors)

    def statistics(self, step: Step, tiles: Sequence[Tile]) -> Statistics:
        """The means that a normalization asks for, round by round."""
        (source,) = (key for key in step.inputs if key in self.strides)
        stride = self.strides[source]
        statistics = Statistics(math.prod(self.tensors[source].shape[1:3]))
        while True:
            for tile in tiles:
                go_on()
                with statistics.of(tile.inner(stride)):
                    step(self.cut(step.inputs, tile))
            if not statistics.settle():
                return statistics

    def cut(self, keys: Iterable[Key], tile: Tile) -> dict[Key, Tensor | None]:
        """The tile of these tensors, as far as they are there; vectors are whole in each."""
        result = {}
        for key in keys:
            if key in self.tensors:
                value = self.tensors[key]
                is_map = value is not None and key in self.strides
                result[key] = ops.convert_to_tensor(value[:, *tile.place(self.strides[key])]) if is_map else value
        return result

    def fill(self, stretch: Stretch, tile: Tile, statistics: Mapping[int, Statistics]) -> None:
        """Compute a tile of a stretch, and put its core into the maps that are kept."""
        uses = Counter(key for step in stretch.maps for key in step.inputs)
        uses.update(stretch.kept)
        tensors = self.cut(uses, tile)
        for step in stretch.maps:
            with statistics[id(step)].of(tile.inner(1)) if id(step) in statistics else nullcontext():
                tensors |= step(tensors)
            uses.subtract(step.inputs)
            for key in (*step.inputs, *step.outputs):
                if not uses[key]:
                    tensors.pop(key, None)
        for key in stretch.kept:
            result, stride = np.asarray(ops.convert_to_numpy(tensors[key])), self.strides[key]
            self.tensors[key][:, *tile.core(stride)] = result[:, *tile.inner(stride)]


class _Room:
    """Where maps are kept: in memory, or where they are large in files without a name, which go with the process."""

    def __init__(self) -> None:
        self.used = 0

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """An array to fill."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if self.used + size > IN_MEMORY:
            with tempfile.TemporaryFile(prefix="kgan-") as file:
                if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash when it is written to
                    os.posix_fallocate(file.fileno(), 0, size)
                return np.memmap(file, dtype, "w+", shape=shape)
        self.used += size
        return np.empty(shape, dtype)

    def free(self, array: np.ndarray | None) -> None:
        """An array is no longer needed."""
        if type(array) is np.ndarray:
            self.used -= array.nbytes
