"""`kgan pack`: pictures get smaller and no fewer than they must, the settings stay, and the folder trains by itself."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import pkgutil
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import status
from helpers.steps import schedule, train_eagerly
from PIL import Image

import kgan.configs
from kgan.carry import MB, archive, pieces
from kgan.carry.copies import WAYS, Copies, Way, weight
from kgan.commands import pack as command
from kgan.configs import onesided_finetune
from kgan.data import Data, Labelled, Labelling, Paired, Unlabelled, Unpaired
from kgan.errors import UserError
from kgan.filters import included
from kgan.pictures import images
from kgan.pretrained import weights
from kgan.systems import cyclegan, distillation, stargan, ugatit
from kgan.training import Config, Training, checkpoint

NEEDS_JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
AMPLE = 100_000_000
CONFIGS = [module.name for module in pkgutil.iter_modules(kgan.configs.__path__)]
SMALL = {"image_size": 16, "filters": 2, "discriminator_filters": 2, "discriminator_layers": 2, "residual_blocks": 1}


def draw(path: Path, width: int = 60, height: int = 40, seed: int = 0) -> Path:
    """Noise, of which a JPEG takes about as much as a PNG where both have as many pixels."""
    pixels = np.random.default_rng([seed, *path.stem.encode()]).integers(0, 256, (height, width, 3), np.uint8)
    images.write(path, pixels)
    return path


def copied(data: Data, folder: Path, room: int = AMPLE, as_they_are: bool = False, size: int = 16) -> Copies:
    """Copies in `folder` for a training at `size`; `data.enlarge` adds nothing."""
    copies = Copies(data, data.open(size, 1, 1, 0))
    copies.fill(folder, room, as_they_are)
    return copies


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def shape(path: Path) -> tuple[int, ...]:
    return images.read(path).shape[:2]


@pytest.fixture
def unpaired(tmp_path: Path) -> Path:
    """Two training pictures and a test picture of A and of B, 60 x 40."""
    for folder in ("trainA", "trainB", "testA", "testB"):
        for name in "xy" if folder.startswith("train") else "z":
            draw(tmp_path / "home" / folder / f"{name}.png")
    return tmp_path / "home"


# --- single pictures ---------------------------------------------------------------------------------------------


def test_a_picture_gets_the_size_that_the_training_loads(unpaired: Path, tmp_path: Path) -> None:
    draw(unpaired / "trainA/tall.jpeg", 20, 50)
    draw(unpaired / "trainA/small.png", 18, 90)
    copied(Unpaired(root=str(unpaired)), tmp_path / "data")  # 16 px, enlarged by 286 / 256: 18
    kept = {"trainA/x.jpg", "trainA/y.jpg", "trainA/tall.jpeg", "trainA/small.png", "trainB/x.jpg", "trainB/y.jpg"}
    assert names(tmp_path / "data") == kept | {"testA/z.jpg", "testB/z.jpg"}
    assert shape(tmp_path / "data/trainA/x.jpg") == (18, 27)
    assert shape(tmp_path / "data/trainA/tall.jpeg") == (45, 18)
    assert Image.open(tmp_path / "data/trainA/x.jpg").format == "JPEG"
    assert (tmp_path / "data/trainA/small.png").read_bytes() == (unpaired / "trainA/small.png").read_bytes()


def test_what_would_not_get_smaller_or_cannot_be_read_stays_as_it_is(unpaired: Path, tmp_path: Path) -> None:
    plain = images.encode(np.zeros((30, 30, 3), np.uint8))  # fewer bytes than a JPEG's header
    (unpaired / "trainA/plain.png").write_bytes(plain)
    (unpaired / "trainB/broken.jpg").write_bytes(b"not a picture")
    draw(unpaired / "trainB/x.jpg")  # x.png would get this name
    with pytest.warns(UserWarning, match=r"broken\.jpg"):
        copied(Unpaired(root=str(unpaired)), tmp_path / "data")
    for name in ("trainA/plain.png", "trainB/broken.jpg", "trainB/x.jpg", "trainB/x.png"):
        assert (tmp_path / "data" / name).read_bytes() == (unpaired / name).read_bytes()


def test_a_copy_is_upright(unpaired: Path, tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 255  # the left half, which stands above when turned by 90 degrees
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(unpaired / "trainA/turned.jpg", quality=100, exif=exif)
    copied(Unpaired(root=str(unpaired)), tmp_path / "data")
    turned = images.read(tmp_path / "data/trainA/turned.jpg")
    assert turned.shape == (27, 18, 3) and turned[:10].mean() > 250 and turned[-10:].mean() < 5


def test_halves_side_by_side_are_made_smaller_each_for_itself(tmp_path: Path) -> None:
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 50, (40, 100, 3), np.uint8)
        pixels[:, 50:] += 200
        images.write(tmp_path / f"home/train/{i}.png", pixels)
    copied(Paired(root=str(tmp_path / "home"), enlarge=1.0), tmp_path / "data")
    picture = images.read(tmp_path / "data/train/2.jpg").astype(int)
    assert picture.shape == (16, 40, 3)
    for column, half in ((19, pixels[:, :50]), (20, pixels[:, 50:])):  # which did not run into each other
        expected = images.resize(np.ascontiguousarray(half), (16, 20))[:, column % 20]
        assert np.abs(picture[:, column] - expected).mean() < 5


def test_pictures_outside_of_the_root_are_refused(unpaired: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for folder in ("../home/trainA", str(unpaired / "trainA")):
        with pytest.raises(UserError, match=r"x.png does not lie in data.root=.*inner"):
            copied(Unpaired(root=str(unpaired / "../inner"), train_a=folder, train_b=folder), tmp_path / "data")


# --- how many ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of 48 px, and 6 test pictures."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(66):
        draw(folder / ("test" if i >= 60 else "") / f"{i:02d}.png", 48, 48)
    return folder


def needed(data: Data, way: Way, folder: Path, size: int = 16) -> int:
    """Bytes of all copies in a tar, made this way."""
    shutil.rmtree(folder, ignore_errors=True)
    Copies(data, data.open(size, 1, 1, 0))._copy(folder, way, 1.0)
    return weight(folder, folder.parent)


def test_quality_falls_before_pictures_are_left_out(faces: Path, tmp_path: Path) -> None:
    data = Unlabelled(root=str(faces))
    sizes = [needed(data, way, tmp_path / "trial", 48) for way in WAYS]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 4
    ways = ["as they are", *(f"66 of them now JPEG of quality {quality}, 48 px" for quality in (92, 86, 80))]
    for size, way in zip(sizes, ways, strict=True):
        summary = Copies(data, data.open(48, 1, 1, 0)).fill(tmp_path / "data", size, as_they_are=False)
        assert summary == f"66 pictures ({way})"
        assert weight(tmp_path / "data", tmp_path) == size and len(names(tmp_path / "data")) == 66


def test_where_there_is_room_a_small_picture_stays_as_it_is(faces: Path, tmp_path: Path) -> None:
    copied(Unlabelled(root=str(faces)), tmp_path / "data", size=48)
    assert names(tmp_path / "data") == names(faces)
    for name in names(faces):
        assert (tmp_path / "data" / name).read_bytes() == (faces / name).read_bytes()


def test_evenly_spaced_training_pictures_stay_and_all_test_pictures(faces: Path, tmp_path: Path) -> None:
    data = Unlabelled(root=str(faces))
    room = needed(data, WAYS[-1], tmp_path / "trial", 48) * 2 // 3
    summary = Copies(data, data.open(48, 1, 1, 0)).fill(tmp_path / "data", room, as_they_are=False)
    kept = sorted(int(Path(name).stem) for name in names(tmp_path / "data") if not name.startswith("test/"))
    assert 0.9 * room < weight(tmp_path / "data", tmp_path) <= room
    assert 20 < len(kept) < 45 and np.diff(kept).max() - np.diff(kept).min() == 1
    assert len(names(tmp_path / "data/test")) == 6
    assert summary.startswith(f"{len(kept) + 6} of 66 pictures")


def test_both_files_of_a_pair_stay_or_go(tmp_path: Path) -> None:
    for i in range(40):
        draw(tmp_path / f"home/train/A/{i:02d}.png", 16, 16)
        draw(tmp_path / f"home/train/B/{i:02d}.jpg", 16, 16)
    data = Paired(root=str(tmp_path / "home"), layout="folders")
    room = needed(data, WAYS[-1], tmp_path / "trial") // 2
    copied(data, tmp_path / "data", room)
    left, right = ({Path(name).stem for name in names(tmp_path / "data/train" / side)} for side in "AB")
    assert left == right and 10 < len(left) < 40


# --- labelled ones -----------------------------------------------------------------------------------------------


def labelled(root: Path, layout: str) -> Labelled:
    """50 pictures, every third of them 1 and the others 0, in one of the layouts that say nothing of a split."""
    ones = [i % 3 == 0 for i in range(50)]
    for i, one in enumerate(ones):
        folder = {"folders": f"class_{int(one)}"}.get(layout, "images")
        draw(root / folder / f"{i:02d}.jpg", 16, 16)
    if layout == "csv":
        rows = [f"{i:02d}.jpg, {int(one)} ," + ("c" if i % 2 else "d") for i, one in enumerate(ones)]
        (root / "labels.csv").write_text("\n".join(["file,one,letter", *rows]))
    elif layout == "celeba":
        rows = [f"{i:02d}.jpg {1 if one else -1:3d} -1 " for i, one in enumerate(ones)]
        (root / "list_attr_celeba.txt").write_text("\n".join(["50", "One Never ", *rows, ""]))
    return Labelled(root=str(root), sets=(Labelling(layout=layout, groups=("One",) if layout == "celeba" else ()),))


def answers(data: Labelled) -> dict[str, dict[str, Any]]:
    """By half, "train" or "test": what the labels say of each picture, by the name of its file."""
    (pictures,) = data._read().values()
    return {
        half: dict(zip([path.stem for path in source.items], rows, strict=True))
        for half, source, rows in (
            ("train", pictures.train, pictures.train_answers),
            ("test", pictures.test, pictures.test_answers),
        )
    }


@pytest.mark.parametrize("layout", ["csv", "celeba", "folders"])
def test_labels_and_test_pictures_stay_what_they_are(tmp_path: Path, layout: str) -> None:
    data = labelled(tmp_path / "home", layout)
    copied(data, tmp_path / "whole")
    assert names(tmp_path / "whole") == names(tmp_path / "home")
    table = {"csv": "labels.csv", "celeba": "list_attr_celeba.txt"}.get(layout, "class_1/00.jpg")
    assert (tmp_path / "whole" / table).read_bytes() == (tmp_path / "home" / table).read_bytes()

    room = needed(data, WAYS[-1], tmp_path / "trial") * 2 // 3
    copied(data, tmp_path / "data", room)
    home, there = answers(data), answers(dataclasses.replace(data, root=str(tmp_path / "data")))
    assert 15 < len(there["train"]) < len(home["train"]) - 5
    assert there["train"].items() <= home["train"].items()  # the same labels, and no test picture among them
    if layout == "celeba":  # whose rule makes a tenth of them test pictures
        assert there["test"].items() <= home["test"].items()
        assert len(there["test"]) == (len(there["train"]) + len(there["test"])) // 10 > 1
    else:
        assert there["test"] == home["test"]


def test_of_several_sets_each_keeps_its_own(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        labelled(tmp_path / "home" / folder, "csv")
    sets = (Labelling(folder="one", groups=("one",)), Labelling(folder="two", groups=("letter",)))
    data = Labelled(root=str(tmp_path / "home"), sets=sets)
    copied(data, tmp_path / "data", needed(data, WAYS[-1], tmp_path / "trial") * 2 // 3)
    for folder in ("one", "two"):
        rows = (tmp_path / "data" / folder / "labels.csv").read_text().splitlines()[1:]
        home = (tmp_path / "home" / folder / "labels.csv").read_text().replace(" ", "")
        assert 20 < len(rows) < 45 and all(",".join(row.split(",")[:3]) in home for row in rows)
        assert {row.split(",")[0] for row in rows} == names(tmp_path / "data" / folder / "images")


def test_a_table_follows_new_names_and_keeps_its_split(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "d.jpg"):
        draw(tmp_path / "home/images" / name)
    rows = ["file,split,word,note", 'a.png,test,y,"1, 2"', "b.png,train,z,", "c.png,train,y,", "d.jpg,train,,"]
    (tmp_path / "home/labels.csv").write_text("\n".join(rows))
    copied(Labelled(root=str(tmp_path / "home"), sets=(Labelling(groups=("word",)),)), tmp_path / "data")
    assert (tmp_path / "data/labels.csv").read_text() == "\n".join(rows).replace(".png", ".jpg") + "\n"


def test_a_class_without_test_pictures_shows_a_training_picture(tmp_path: Path) -> None:
    for i in range(30):
        draw(tmp_path / f"home/many/{i:02d}.png", 16, 16)
    for i in range(5):
        draw(tmp_path / f"home/few/{i}.png", 16, 16)
    data = Labelled(root=str(tmp_path / "home"), sets=(Labelling(layout="folders"),))
    copied(data, tmp_path / "data", needed(data, WAYS[-1], tmp_path / "trial") * 2 // 3)
    assert sorted(Path(name).stem for name in names(tmp_path / "data/test/many")) == ["09", "19", "29"]
    assert len(names(tmp_path / "data/test/few")) == 1
    assert names(tmp_path / "data/test/few") <= names(tmp_path / "data/train/few")


def test_a_table_outside_of_its_folder_is_refused(tmp_path: Path) -> None:
    data = labelled(tmp_path / "home", "csv")
    (tmp_path / "home/labels.csv").rename(tmp_path / "labels.csv")
    for table in ("../labels.csv", str(tmp_path / "labels.csv")):
        data.sets[0].table = table
        with pytest.raises(UserError, match="does not lie in"):
            copied(data, tmp_path / "data")


def test_labels_that_would_vanish_are_an_error(tmp_path: Path) -> None:
    for i in range(100):
        draw(tmp_path / f"home/images/{i:02d}.jpg", 16, 16)
    rows = [f"{i:02d}.jpg,{'rare' if i == 2 else 'xy'[i % 2]},{'test' if i < 1 else 'train'}" for i in range(100)]
    (tmp_path / "home/labels.csv").write_text("\n".join(["file,kind,split", *rows]))
    config, base = experiment(Labelled(root=str(tmp_path / "home"))), pack_size(tmp_path)
    config.system = stargan.Settings(image_size=16, discriminator_layers=2)
    archive.pack(config, tmp_path / "x.tar", base + 1)
    with pytest.raises(UserError, match=r"Some labels do not occur .*raise --limit_mb"):
        archive.pack(config, tmp_path / "y.tar", base + 0.05)
    assert not (tmp_path / "y.tar").exists()


# --- settings ----------------------------------------------------------------------------------------------------


def settings(text: str) -> Any:
    module: dict[str, Any] = {}
    exec(text, module)
    return module["get_config"]()


@pytest.mark.parametrize("name", CONFIGS)
def test_settings_come_back_exactly(name: str) -> None:
    config = importlib.import_module(f"kgan.configs.{name}").get_config()
    again = settings(archive.source(config))
    assert dataclasses.asdict(again) == dataclasses.asdict(config) and again == config
    assert repr(again) == repr(config)  # 1 is not 1.0, and a tuple no list


def test_changed_settings_come_back_too() -> None:
    sets = (Labelling("a'b", groups=("hair=x|y", 'eyes "')), Labelling(table="t"))
    config = experiment(Labelled(root="~/ü", sets=sets, enlarge=1e-7))
    config.training.init_from = "C:\\old"
    assert settings(archive.source(config)) == config
    config.data = Labelled(sets=())
    assert settings(archive.source(config)) == config


def test_settings_of_classes_that_are_not_ours_are_refused() -> None:
    @dataclasses.dataclass
    class Mine(cyclegan.Settings):
        pass

    config = dataclasses.replace(experiment(Unpaired(root="x")), system=Mine())
    with pytest.raises(UserError, match="hold a Mine that is not kgan's own"):
        archive.source(config)


# --- archives ----------------------------------------------------------------------------------------------------


def experiment(data: Data) -> Any:
    return Config("tiny one", cyclegan.Settings(**SMALL, pool=2, ema=0.9), data, schedule(log_every=1))


def pack_size(folder: Path) -> float:
    """Of an archive without pictures, in MB."""
    archive.pack(experiment(Unpaired(root="emoji:fluent3d:google")), folder / "empty.tar")
    return (folder / "empty.tar").stat().st_size / 1e6


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder)  # our own: Python 3.11.2 has no filter
    (top,) = folder.iterdir()
    return top


def packed_config(top: Path) -> Any:
    """As its `config.py` says, read from outside of the folder."""
    config = settings((top / "config.py").read_text(encoding="utf-8"))
    config.data.root = str(top / config.data.root)
    return config


def test_an_archive_of_embedded_pictures(tmp_path: Path) -> None:
    summary = archive.pack(experiment(Unpaired(root="emoji:fluent3d:google")), tmp_path / "out/x.tar")
    assert summary.endswith("MB with a new run and no pictures but the embedded ones.")
    top = unpacked(tmp_path / "out/x.tar", tmp_path / "there")
    assert top.name == "tiny_one" and weight(top, top.parent) == (tmp_path / "out/x.tar").stat().st_size
    assert {path.name for path in top.iterdir()} == {"kgan", "config.py", "README.txt"}
    assert settings((top / "config.py").read_text()) == experiment(Unpaired(root="emoji:fluent3d:google"))
    assert {"export/__init__.py", "configs/stargan_emoji.py", "assets/emoji.zip"} <= names(top / "kgan")
    assert not list(top.rglob("__pycache__"))
    assert "tar xf x.tar && cd tiny_one\n    KERAS_BACKEND=jax python -m kgan train" in (top / "README.txt").read_text()
    with tarfile.open(tmp_path / "out/x.tar") as tar:
        assert {(member.uid, member.uname) for member in tar} == {(0, "")}


def test_too_much_for_the_limit_says_by_how_much(unpaired: Path, tmp_path: Path) -> None:
    config = experiment(Unpaired(root=str(unpaired)))
    for i in range(200):
        draw(unpaired / f"testA/more{i}.jpg", 18, 18)
    size = pack_size(tmp_path)
    with pytest.raises(
        UserError,
        match=r"206 pictures .* is 0\.[12] MB larger .* data of 0\.[23] MB, kgan of 9\.\d MB\. Raise --limit_mb\.$",
    ):
        archive.pack(config, tmp_path / "x.tar", size + 0.1)
    assert not (tmp_path / "x.tar").exists()
    archive.pack(config, tmp_path / "x.tar", size + 0.4)
    with pytest.raises(UserError, match=r"is a folder: name the archive"):
        archive.pack(config, tmp_path, 60)


def test_packed_again_nothing_changes(unpaired: Path, tmp_path: Path) -> None:
    config = experiment(Unpaired(root=str(unpaired)))
    assert "6 of them now JPEG of quality 92, 18 px" in archive.pack(config, tmp_path / "x.tar")
    once = unpacked(tmp_path / "x.tar", tmp_path / "once")
    assert "6 pictures (as they are)" in archive.pack(packed_config(once), tmp_path / "y.tar")
    twice = unpacked(tmp_path / "y.tar", tmp_path / "twice")
    assert names(once) == names(twice) and len(names(once / "data")) == 6
    for name in names(once):
        assert (once / name).read_bytes() == (twice / name).read_bytes() or name == "README.txt"


def test_what_else_a_training_reads(unpaired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inception.npz").write_bytes(b"weights")
    monkeypatch.setattr(weights, "present", lambda name: True)
    monkeypatch.setattr(weights, "find", lambda name, sha256: tmp_path / "inception.npz")
    config = experiment(Unpaired(root=str(unpaired)))
    config.training.evaluate_every = 2
    archive.pack(config, tmp_path / "x.tar")
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    assert (top / "weights/fid_inception_2015.npz").read_bytes() == b"weights"
    assert not (top / "weights/lpips_vgg16.npz").exists()
    assert "    KGAN_WEIGHTS=weights KERAS_BACKEND=jax python -m kgan train" in (top / "README.txt").read_text()


def test_the_network_that_a_student_is_compared_by_travels(
    unpaired: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vgg16.npz").write_bytes(b"weights")
    monkeypatch.setattr(weights, "find", lambda name, sha256: tmp_path / "vgg16.npz")
    config = experiment(Unpaired(root=str(unpaired)))
    config.system = distillation.Settings(image_size=16, teacher="onesided_selfie2anime", features="vgg16")
    archive.pack(config, tmp_path / "x.tar")
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    assert [path.name for path in (top / "weights").iterdir()] == ["lpips_vgg16.npz"]


def test_the_generators_that_a_new_run_begins_with_travel(unpaired: Path, tmp_path: Path) -> None:
    """Those that it asks for and no more; and where it could not begin with them, it is told now."""
    config, run = experiment(Unpaired(root=str(unpaired))), tmp_path / "run"
    run.mkdir()
    config.training.init_from = str(run)
    with pytest.raises(UserError, match="there is no generator in that folder"):
        archive.pack(config, tmp_path / "x.tar")
    for name, generator in config.system.create(1, 0).generators().items():
        generator.save(run / f"{name}.keras")
    shutil.copy(run / "generator_ab.keras", run / "best_generator_ab.keras")
    shutil.copy(run / "generator_ab.keras", run / "another.keras")
    archive.pack(config, tmp_path / "x.tar")
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    assert names(top / "init_from") == {"generator_ab.keras", "generator_ba.keras"}
    assert packed_config(top).training.init_from == "init_from"
    config.training.init_from = "onesided_selfie2anime"
    with pytest.raises(UserError, match="is one generator, and 2 are to begin"):
        archive.pack(config, tmp_path / "x.tar")


def test_an_included_filter_that_a_new_run_begins_with_travels(unpaired: Path, tmp_path: Path) -> None:
    config = onesided_finetune.get_config().replace("data", root=str(unpaired))
    config = config.replace("training", evaluate_every=0)
    archive.pack(config, tmp_path / "x.tar")
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    assert packed_config(top).training.init_from == "init_from"
    packed = top / "init_from/generator_ab.keras"
    assert packed.read_bytes() == included.find("onesided_selfie2anime").read_bytes()


def test_imported_networks_travel(unpaired: Path, tmp_path: Path) -> None:
    """They say of which settings they are, and of no others: all else is the training's own."""
    config = experiment(Unpaired(root=str(unpaired)))
    about = {
        "kgan": "0",
        "config": {"system": {"filters": config.system.filters}},
        "imported": {"from": "200_net", "code": "CycleGAN", "system": "cyclegan"},
    }
    workdir = tmp_path / "run"
    workdir.mkdir()
    checkpoint.save(workdir, 0, {"step": np.array(0, np.int32)}, about, keep=0)
    archive.pack(config, tmp_path / "x.tar", workdir=workdir)
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    packed, here = (checkpoint.newest(each) for each in (top / "run", workdir))
    assert packed is not None and here is not None and packed.read_bytes() == here.read_bytes()
    with pytest.raises(UserError, match=r"imported from other networks: system\.filters was 2 and is 4"):
        archive.pack(config.replace("system", filters=4), tmp_path / "x.tar", workdir=workdir)


def test_a_students_teacher_travels(unpaired: Path, tmp_path: Path) -> None:
    """Also one that comes with kgan, whose filters an archive lacks; it is the same by its sha256."""
    settings = distillation.Settings(teacher="onesided_selfie2anime", image_size=16, filters=2)
    config = Config("student", settings, Unpaired(root=str(unpaired)), Training(steps=1, batch_size=1))
    archive.pack(config, tmp_path / "x.tar")
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    assert names(top / "teacher") == {"onesided_selfie2anime.keras", "onesided_selfie2anime.json"}
    packed = packed_config(top).system
    assert packed.teacher == "teacher/onesided_selfie2anime.keras"
    here = dataclasses.replace(packed, teacher=str(top / packed.teacher))
    assert here.resolved() == here and here.teacher_sha256 == settings.resolved().teacher_sha256 != ""


def test_long_names_are_room_too(tmp_path: Path) -> None:
    """In a tar a name of more than 100 characters takes another 1,024 bytes."""
    for folder in ("trainA", "trainB"):
        for i in range(8):
            draw(tmp_path / "home" / folder / f"{i:064x}.png", seed=i)
    config = dataclasses.replace(experiment(Unpaired(root=str(tmp_path / "home"))), name="n" * 40)
    archive.pack(config, tmp_path / "x.tar")
    size = (tmp_path / "x.tar").stat().st_size
    summary = archive.pack(config, tmp_path / "x.tar", (size - tarfile.RECORDSIZE) / MB)
    assert "16 pictures" in summary and (tmp_path / "x.tar").stat().st_size < size


def test_a_workdir_without_a_run_is_no_new_run(unpaired: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere holds no checkpoint: name a run's folder, or leave out --workdir"):
        archive.pack(experiment(Unpaired(root=str(unpaired))), tmp_path / "x.tar", workdir=tmp_path / "nowhere")


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The unpacked first archive, a run with its pictures to the end, and the same after half of its steps."""
    home = tmp_path_factory.mktemp("carried")
    for folder in ("trainA", "trainB"):
        for i in range(5):
            draw(home / f"pictures/{folder}/{i}.png", seed=ord(folder[-1]))
    archive.pack(experiment(Unpaired(root=str(home / "pictures"))), home / "first.tar")
    first = unpacked(home / "first.tar", home / "there")
    straight = train_eagerly(packed_config(first), home / "straight")
    (home / "begun").mkdir()
    shutil.copy(straight / "checkpoint-00000002.npz", home / "begun")
    lines = (straight / "log.jsonl").read_text().splitlines(keepends=True)
    (home / "begun/log.jsonl").write_text("".join(lines[:2]))
    return {"home": home, "first": first, "straight": straight, "begun": home / "begun"}


EAGERLY = (
    "import helpers.steps; from kgan import __main__, engine; engine.Compiled = helpers.steps.Eager; __main__.main()"
)


def there(top: Path, *command: str, backend: str = "tensorflow", eagerly: bool = False) -> str:
    """A command of the unpacked kgan, run inside its folder."""
    quickly = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"  # JAX's compiler
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": quickly}
    program = ["-m", "kgan"]
    if eagerly:
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])  # of the helpers
        program = ["-c", EAGERLY]
    done = subprocess.run(
        [sys.executable, *program, *command], cwd=top, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_run_is_carried_away_goes_on_and_comes_home(carried: dict[str, Path], tmp_path: Path) -> None:
    """To the bit as if it had never moved; with the kgan of the archive, which says another version."""
    summary = archive.pack(packed_config(carried["first"]), tmp_path / "x.tar", workdir=carried["begun"])
    assert "the run after step 2 and 10 pictures (as they are)" in summary
    top = unpacked(tmp_path / "x.tar", tmp_path / "there")
    assert names(top / "run") == {"checkpoint-00000002.npz", "log.jsonl"}
    package = top / "kgan/__init__.py"
    package.write_text(package.read_text().replace('__version__ = "', '__version__ = "packed-'))
    there(top, "train", "--config=config.py", "--workdir=run", eagerly=True)
    there(top, "bring", "--workdir=run", "--output=pieces", "--piece_mb=0.1")
    assert len(names(top / "pieces")) > 2

    pieces.join(top / "pieces", carried["begun"])
    ends = [checkpoint.load(carried[run] / "checkpoint-00000004.npz")[1] for run in ("begun", "straight")]
    assert ends[0]["sha256"] == ends[1]["sha256"] and ends[0]["kgan"].startswith("packed-")
    logged = (carried["begun"] / "log.jsonl").read_text().splitlines()
    assert [line.split(",")[0] for line in logged] == [f'{{"step": {step}' for step in (1, 2, 3, 4)]
    config = packed_config(carried["first"])
    config.training.steps = 5
    train_eagerly(config, carried["begun"])
    assert (carried["begun"] / "checkpoint-00000005.npz").is_file()


@pytest.mark.slow
@NEEDS_JAX
def test_an_archive_trains_under_jax(carried: dict[str, Path], tmp_path: Path) -> None:
    top = Path(shutil.copytree(carried["first"], tmp_path / "there"))
    assert "Finished 4 steps" in there(top, "train", "--config=config.py", "--workdir=run", backend="jax")


def test_a_run_goes_on_with_its_own_settings_and_pictures_only(carried: dict[str, Path], tmp_path: Path) -> None:
    config = packed_config(carried["first"])
    config.data.root = str(carried["home"] / "pictures")  # from which its own were made
    with pytest.raises(
        UserError, match=r"begun began with other pictures: .* .*name their folder as --config.data.root"
    ):
        archive.pack(config, tmp_path / "x.tar", workdir=carried["begun"])
    config = packed_config(carried["first"])
    config.system.filters = 3
    with pytest.raises(UserError, match=r"other settings: system.filters was 2 and is 3"):
        archive.pack(config, tmp_path / "x.tar", workdir=carried["begun"])
    assert not (tmp_path / "x.tar").exists()


def test_the_pictures_of_a_run_are_never_made_fewer(carried: dict[str, Path], tmp_path: Path) -> None:
    config = packed_config(carried["first"])
    assert config.data.root.endswith("data")
    with pytest.raises(UserError, match=r"Even with 10 pictures \(as they are\) .* run of .* leave out --workdir"):
        archive.pack(config, tmp_path / "x.tar", pack_size(tmp_path), workdir=carried["begun"])


def test_the_command(
    unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--config=ugatit_emoji", f"--config.data.root={unpaired}", "--config.system.filters=8"]
    for given, code in (([*arguments, f"--output={tmp_path / 'x.tar'}"], 0), (arguments, 2)):
        monkeypatch.setattr(sys, "argv", ["kgan pack", *given])  # where settings are looked for
        assert status(command, *given) == code
    printed = capsys.readouterr()
    *_, line = printed.out.splitlines()  # after those that count the pictures
    assert line.startswith(f"{tmp_path / 'x.tar'}: ") and printed.out.count("x.tar") == 1
    assert printed.err == "kgan: --output=... is missing. --help explains it.\n"
    config = settings((unpacked(tmp_path / "x.tar", tmp_path / "there") / "config.py").read_text())
    assert isinstance(config.system, ugatit.Settings) and config.system.filters == 8 and config.data.root == "data"


def test_a_table_of_files_in_folders_travels_without_what_systems_leave(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for i in range(6):
        draw(home / f"images/{'ab'[i % 2]}/{i // 2}.png")
    (home / "images/a/._0.png").write_bytes(b"junk")
    (home / "images/__MACOSX").mkdir()
    rows = [f"{i},{'ab'[i % 2]}/{i // 2},{'xy'[i // 2 % 2]}" for i in range(6)]
    (home / "labels.csv").write_text("\n".join([",image_id,hair", *rows]))
    data = Labelled(root=str(home))
    copied(data, tmp_path / "data", as_they_are=False)
    there = dataclasses.replace(data, root=str(tmp_path / "data"))
    assert {name.rpartition(".")[0] for name in names(tmp_path / "data/images")} == {
        f"{side}/{i}" for side in "ab" for i in range(3)
    }
    (before,), (after,) = data._read().values(), there._read().values()
    assert before.train_answers == after.train_answers
    assert [path.stem for path in before.train.items] == [path.stem for path in after.train.items]


def test_label_maps_travel_as_they_are(tmp_path: Path) -> None:
    for side in "AB":
        for i in range(2):
            draw(tmp_path / f"home/train/{side}/{i}.png")
    data = Paired(root=str(tmp_path / "home"), layout="folders", resize="nearest")
    copied(data, tmp_path / "data")
    for name in names(tmp_path / "home"):
        assert (tmp_path / "data" / name).read_bytes() == (tmp_path / "home" / name).read_bytes()
