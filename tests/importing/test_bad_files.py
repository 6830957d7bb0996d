"""What is damaged, hostile or of another kind is refused in one sentence, nothing is executed and nothing written."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import official, pickles
from helpers.pickles import Call, Name
from helpers.tensors import write_safetensors, write_tensorflow

from kgan.commands.imports import labels_of
from kgan.errors import UserError
from kgan.importing import filters, recognize
from kgan.importing.files import read
from kgan.importing.sources import Wishes

RESNET = official.draw_resnet(0, 2, 6)


def refused(*paths: Path, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        recognize.open_checkpoint(paths, **options)
    text = str(error.value)
    assert "\n" not in text and str(paths[0]) in text
    return text


def saved(path: Path, **changes: Any) -> Path:
    """A generator's state dict with other tensors; None for one that is left out."""
    return pickles.save(path, {name: array for name, array in (RESNET | changes).items() if array is not None})


# --- tensors that do not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.4.weight": None}, "the tensor model.4.weight of a ResNet of 6 blocks, .* is missing"),
        ({"model.12.conv_block.5.bias": None}, r"the tensor model.12.conv_block.5.bias of a .* is missing"),
        (
            {"model.9.filt": np.ones(3, "f4")},
            "has the tensor model.9.filt, which a ResNet of 6 .* does not have",
        ),
        (
            {"model.4.weight": np.ones((4, 2, 4, 4), "f4")},
            r"model.4.weight of a ResNet .* is \[4, 2, 4, 4\], and should be \[4, 2, 3, 3\]",
        ),
        ({"model.1.weight": np.ones(5, "f4")}, "the tensor model.1.weight is 5, and should have 4 sides"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = saved(tmp_path / "net.pth", **changes)
    with pytest.raises(UserError, match=message) as error:
        recognize.open_checkpoint([path])
    assert str(path) in str(error.value)


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    weight = RESNET["model.4.weight"].copy()
    weight[0, 0, 0, 0] = np.nan
    source = recognize.open_checkpoint([saved(tmp_path / "net.pth", **{"model.4.weight": weight})])
    with pytest.raises(UserError, match=r"net.pth: the tensor model.4.weight holds what is no finite number"):
        filters.write(source, tmp_path / "out.keras", "net.pth")
    paths = [saved(tmp_path / "net_G_A.pth"), saved(tmp_path / "net_G_B.pth", **{"model.4.weight": weight})]
    with pytest.raises(UserError, match=r"net_G_B.pth: the tensor model.4.weight holds"):
        filters.write(recognize.open_checkpoint(paths), tmp_path / "out.keras", "net")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pth", "net_G_A.pth", "net_G_B.pth"]


def test_widths_that_the_file_does_not_hold_allocate_nothing(tmp_path: Path) -> None:
    """A first layer of 20,000 filters, 11 MB, is the sign of a network of 200 GB."""
    path = saved(tmp_path / "net.pth", **{"model.1.weight": np.ones((20_000, 3, 7, 7), "f2")})
    tracemalloc.start()
    assert "model.1.bias" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 3 * path.stat().st_size
    tracemalloc.stop()


# --- other kinds ---------------------------------------------------------------------------------------------------


def test_a_network_of_another_kind(tmp_path: Path) -> None:
    text = refused(pickles.save(tmp_path / "vgg.pth", {"features.0.weight": np.ones((2, 3, 3, 3), "f4")}))
    assert "features.0.weight" in text and "U-GAT-IT of UGATIT-pytorch (ugatit_pytorch)" in text


def test_as_overrides(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "net.pth", RESNET)
    source = recognize.open_checkpoint([path], kind="pix2pix")
    assert source.card["system"] == "pix2pix" and source.settings.norm == "instance"
    assert "is no StarGAN of yunjey/stargan: it has tensors such as model.1.weight" in refused(path, kind="stargan")
    with pytest.raises(UserError, match=r"--as=unit is no kind of checkpoint: there are cyclegan, pix2pix, stargan, "):
        recognize.open_checkpoint([path], kind="unit")


def test_files_whose_names_do_not_say_what_they_hold(tmp_path: Path) -> None:
    first, second = (pickles.save(tmp_path / f"{name}.pth", RESNET) for name in ("a", "b"))
    assert "must end in what they hold" in refused(first, second)


def test_channels_that_are_no_picture(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "net.pth", official.draw_unet(0, 2, 5, inputs=4))
    assert "takes pictures of 4 channels and draws 3" in refused(path)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(image_size=10), "--size=10 is not possible"),
        (Wishes(image_size=100_000), "up to 8192"),
        (Wishes(moving=True), "--eval changes nothing in these networks of CycleGAN"),
        (Wishes(dropout=True), "--dropout changes nothing"),
        (Wishes(labels=labels_of(["a,b"])), "--labels changes nothing"),
    ],
)
def test_wishes_that_cannot_be_or_change_nothing(tmp_path: Path, wishes: Wishes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        recognize.open_checkpoint([pickles.save(tmp_path / "net.pth", RESNET)], wishes)


def test_a_size_that_the_networks_do_not_fit(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "genA2B.pt", official.draw_ugatit(0, 2, 4, 8))
    with pytest.raises(UserError, match="--size=256 is not possible: networks in the file fit 32 px alone"):
        recognize.open_checkpoint([path], Wishes(image_size=256))


def test_an_optimizer_alone(tmp_path: Path) -> None:
    state = {"state": {"0": {"exp_avg": np.ones(3, "f4")}}}
    assert "holds an optimizer alone, and no network" in refused(pickles.save(tmp_path / "optimizer.pt", state))


def test_a_u_net_whose_first_block_lacks_its_convolution(tmp_path: Path) -> None:
    arrays = official.draw_unet(0, 2, 5)
    del arrays["model.model.1.model.1.weight"]
    assert "no U-Net that kgan builds" in refused(pickles.save(tmp_path / "net.pth", arrays))


def test_a_part_of_a_tensorflow_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "UGATIT.model-1.data-00000-of-00001"
    path.write_bytes(b"numbers")
    assert "whose UGATIT.model-1.index is not beside it" in refused(path)


def test_a_network_without_norms(tmp_path: Path) -> None:
    arrays = {name: array for name, array in RESNET.items() if not name.endswith("bias") or name == "model.23.bias"}
    assert "--norm=none" in refused(pickles.save(tmp_path / "net.pth", arrays))


def test_labels_without_names(tmp_path: Path) -> None:
    path = pickles.save(tmp_path / "200000-G.ckpt", official.draw_stargan(0, 2, 5))
    assert "takes labels of 5 numbers" in refused(path)


def test_stylegans_pickle_is_refused_with_the_reason(tmp_path: Path) -> None:
    content = (Call(Name("dnnlib.tflib.network", "Network"), (), {"version": 4}, new=True),)
    path = tmp_path / "karras2019stylegan-ffhq.pkl"
    path.write_bytes(pickles.pickled(content))
    text = refused(path)
    assert "loading it would execute that" in text and "non-commercial" in text


def test_what_a_pickle_calls_is_not_executed(tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps({"model.1.weight": Call()}))
    assert "is not executed here" in refused(path)
    assert not (tmp_path / "executed").exists()


# --- safetensors ---------------------------------------------------------------------------------------------------


def written(path: Path, entries: Any, data: bytes = b"\0" * 16) -> Path:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(start: int, end: int, *shape: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "there are no tensors in it"),
        ({"a": entry(0, 16, 4), "b": entry(8, 16, 2)}, "tensor b does not begin where the one before ends"),
        ({"a": entry(0, 8, 2)}, "goes on behind its last tensor"),
        ({"a": entry(4, 16, 3)}, "tensor a does not begin"),
        ({"a": entry(0, 32, 8)}, "tensor a has another size than it should, or the file ends"),
        ({"a": entry(0, 16, 5)}, "tensor a has another size"),
        ({"a": entry(0, 16, 2**62, 2**62)}, "tensor a has another size"),
        ({"a": entry(0, 16, -4)}, "tensor a has no shape"),
        ({"a": entry(0, 16, 4, dtype="Q4")}, "tensor a has the type Q4, which is not read"),
        (b'{"a": 1, "a": 2}', "it has a twice"),
        (b"[" * 100_000, "it is damaged"),
        (b"\xff\xfe", "it is damaged"),
        ([1, 2], "it is damaged"),
    ],
)
def test_damaged_safetensors(tmp_path: Path, entries: Any, message: str) -> None:
    assert message in refused(written(tmp_path / "net.safetensors", entries))


def test_a_length_beyond_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    assert f"should be {2**60} bytes long" in refused(path)


def test_bfloat16(tmp_path: Path) -> None:
    path = written(tmp_path / "net.safetensors", {"a": entry(0, 4, 2, dtype="BF16")}, b"\x80\x3f\x20\xc0")
    np.testing.assert_array_equal(read(path).read("a"), [1, -2.5])


# --- fuzz ----------------------------------------------------------------------------------------------------------


def zipped(folder: Path) -> Path:
    return pickles.save(folder / "net.pth", RESNET)


def legacy(folder: Path) -> Path:
    return pickles.save(folder / "net.pth", RESNET, legacy=True)


def safe(folder: Path) -> Path:
    return write_safetensors(folder / "net.safetensors", RESNET)


def tensorflow_index(folder: Path) -> Path:
    weights = {f"generator_B/{name}": array for name, array in official.draw_ugatit_tf(0, 2, 4).items()}
    return write_tensorflow(folder / "UGATIT.model-1", weights).with_name("UGATIT.model-1.index")


def tensorflow_data(folder: Path) -> Path:
    return tensorflow_index(folder).with_name("UGATIT.model-1.data-00000-of-00001")


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, cut, doubled or moved, where there is most to break: half of the times near an end."""
    array = bytearray(data)
    near = int(random.integers(1, 4000)) if random.random() < 0.5 else len(array)
    place = lambda: int(random.integers(0, min(near, len(array)))) * int(random.choice([1, -1]))  # noqa: E731
    match random.integers(4):
        case 0:
            return bytes(array[: int(random.integers(0, len(array)))])
        case 1:
            start = place() % len(array)
            return bytes(array[:start] + array[start : start + 50] + array[start:])
        case _:
            for _ in range(int(random.integers(1, 9))):
                array[place()] = int(random.integers(256))
            return bytes(array)


def survives(write: Any, folder: Path, count: int) -> None:
    path = write(folder)
    data = path.read_bytes()
    before = sorted(each.name for each in folder.iterdir())
    outcomes = set()
    for seed in range(count):
        path.write_bytes(mutated(data, np.random.default_rng(seed)))
        try:
            source = recognize.open_checkpoint([path], Wishes())
            for network in source.networks:
                network.weights()
            outcomes.add("read")
        except UserError as error:
            assert str(path.parent) in str(error) and len(str(error)) < 3000, (seed, error)
            outcomes.add("refused")
    assert "refused" in outcomes and sorted(each.name for each in folder.iterdir()) == before


FORMS = (zipped, legacy, safe, tensorflow_index, tensorflow_data)


@pytest.mark.parametrize("write", FORMS)
def test_mutated_files_are_refused_in_a_sentence(write: Any, tmp_path: Path) -> None:
    survives(write, tmp_path, 30)


@pytest.mark.slow
@pytest.mark.parametrize("write", FORMS)
def test_two_thousand_mutated_files(write: Any, tmp_path: Path) -> None:
    tracemalloc.start()
    survives(write, tmp_path, 2000)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_a_zip_bomb(tmp_path: Path) -> None:
    arrays = {"model.1.weight": np.zeros((64, 3, 7, 7), "f4")}
    content = pickles.ordered(pickles.tensors(arrays))
    path = pickles.write_zip(
        tmp_path / "net.pth", content, {"0": arrays["model.1.weight"].tobytes()}, zipfile.ZIP_DEFLATED
    )
    assert "is compressed, or larger than the file" in refused(path)
