"""Tensors by name in a file of PyTorch, of safetensors, or of TensorFlow 1, read one by one when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from kgan import state_dict
from kgan.errors import UserError
from kgan.importing import safetensors
from kgan.quiet import quiet

# What wrappers of PyTorch put before every name of a network: DataParallel, torch.compile.
WRAPPERS = ("module.", "_orig_mod.")
# What an optimizer of PyTorch keeps of each variable: optimizer.state.0.exp_avg.
_OPTIMIZER = re.compile(r"(.+\.)?state\.\d+\.\w+")
# Parts of names in StyleGAN's pickles.
STYLEGAN = ("dnnlib", "torch_utils.persistence", "training.networks")
_TENSORFLOW = re.compile(r"(.+)\.(index|meta|data-\d{5}-of-\d{5})")


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its shape, and what reads it."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Tensors:
    """Those of one network, or of one file.

    Attributes:
      file: where they lie.
      prefix: what their names begin with in the file and not here.
      stored: the tensors by name.
      optimizers: how many others of the file are an optimizer's, of PyTorch, which are left out.
    """

    file: Path
    prefix: str
    stored: dict[str, Stored]
    optimizers: int = 0

    def __contains__(self, name: str) -> bool:
        return name in self.stored

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def shape(self, name: str, rank: int = 4) -> tuple[int, ...]:
        """The shape of a tensor that says how wide a network is; a `UserError` where there is none of this rank."""
        if name not in self.stored:
            raise UserError(f"{self.file} has no tensor {self.prefix}{name}, which networks of its kind have.")
        shape = self.stored[name].shape
        if len(shape) != rank or not all(shape):
            raise UserError(
                f"{self.file}: the tensor {self.prefix}{name} is {_sides(shape)}, and should have {rank} sides."
            )
        return shape

    def read(self, name: str) -> np.ndarray:
        """The numbers of a tensor; a `UserError` where some are not finite."""
        array = self.stored[name].read()
        if not (np.issubdtype(array.dtype, np.number) and np.isfinite(array).all()):
            raise UserError(f"{self.file}: the tensor {self.prefix}{name} holds what is no finite number.")
        return array

    def below(self, prefix: str) -> Tensors:
        """Those whose names begin so, without it, and without what wrappers put behind it."""
        stored = {name.removeprefix(prefix): each for name, each in self.stored.items() if name.startswith(prefix)}
        tensors = Tensors(self.file, self.prefix + prefix, stored, self.optimizers)
        wrapper = next((each for each in WRAPPERS if stored and all(name.startswith(each) for name in stored)), None)
        return tensors.below(wrapper) if wrapper else tensors

    def unboxed(self) -> Tensors | None:
        """Those below the one key that holds all: {"state_dict": {...}, "epoch": 3}; None where there are several."""
        keys = {name.partition(".")[0] for name in self}
        inner = self.below(f"{keys.pop()}.") if len(keys) == 1 else None
        return inner if inner and inner.stored else None


def read(path: str | Path) -> Tensors:
    """The tensors of a file, of whichever form.

    Args:
      path: a .pth, .pt, .ckpt or .safetensors file; of a TensorFlow checkpoint the beginning that its files share,
        one of them, or the folder that holds them.

    Raises:
      UserError: there is no such file, it is damaged or in no form that is read, or it would have to be executed.
    """
    path = Path(path).expanduser()
    if prefix := _tensorflow_prefix(path):
        return _read_tensorflow(prefix)
    if path.is_dir():
        raise UserError(f"{path} is a folder without a TensorFlow checkpoint: name the file to import.")
    if path.is_file() and (name := _TENSORFLOW.fullmatch(path.name)):
        raise UserError(f"{path} is a part of a TensorFlow checkpoint, whose {name[1]}.index is not beside it.")
    if path.suffix == ".safetensors" and path.is_file():
        arrays = safetensors.read(path)
    else:
        try:
            arrays = state_dict.read(path)
        except UserError as error:
            if any(name in str(error) for name in STYLEGAN):
                raise UserError(
                    f"{path} is a pickle of StyleGAN's, which holds code, and loading it would execute that; its "
                    "licence is non-commercial too. Train StyleGAN anew with kgan: kgan train --config=stylegan_ffhq."
                ) from error
            raise
    stored = {name: Stored(each.shape, partial(np.asarray, each)) for name, each in arrays.items()}
    kept = {name: each for name, each in stored.items() if not _OPTIMIZER.fullmatch(name)}
    if not kept:
        raise UserError(f"{path} holds an optimizer alone, and no network.")
    return Tensors(path, "", kept, len(stored) - len(kept)).below("")


def _tensorflow_prefix(path: Path) -> Path | None:
    """What the names of a TensorFlow checkpoint's files begin with; None where `path` leads to none."""
    if path.is_dir():
        prefixes = sorted(path.glob("*.index"), key=lambda file: (step_of(file.name) or 0, file.name))
        return prefixes[-1].with_suffix("") if prefixes else None
    name = _TENSORFLOW.fullmatch(path.name)
    prefix = path.with_name(name[1]) if name else path
    return prefix if prefix.with_name(f"{prefix.name}.index").is_file() else None


def _read_tensorflow(prefix: Path) -> Tensors:
    with quiet():
        import tensorflow as tf

    data = list(prefix.parent.glob(f"{prefix.name}.data-*"))
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        sizes = {name: prod(shape) * dtypes[name].size for name, shape in shapes.items()}
    except Exception as error:  # TensorFlow raises errors of many classes
        raise UserError(f"{prefix} cannot be read: it is damaged, or no checkpoint of TensorFlow ({error}).") from error
    if sum(sizes.values()) > sum(file.stat().st_size for file in data):
        largest = max(sizes, key=lambda name: sizes[name])
        raise UserError(f"{prefix} cannot be read: its tensors, such as {largest}, are larger than its files.")

    def stored(name: str) -> Stored:
        def read() -> np.ndarray:
            try:
                return np.asarray(reader.get_tensor(name))
            except Exception as error:
                raise UserError(f"{prefix}: the tensor {name} cannot be read: it is damaged ({error}).") from error

        return Stored(tuple(shapes[name]), read)

    return Tensors(prefix, "", {name: stored(name) for name in sorted(shapes)})


def step_of(name: str) -> int | None:
    """The steps that a checkpoint's name counts, such as UGATIT.model-1000 or 200000-G.ckpt; None where it has none."""
    numbers = re.findall(r"\d+", name.removesuffix(".index"))
    return int(numbers[-1]) if numbers else None


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
