"""Every kind of network computes what the official code computes, on weights drawn at random and odd picture sizes.

The other side is tests/helpers/official.py: the official networks in NumPy, written from their own code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import official, pickles
from helpers.tensors import write_safetensors, write_tensorflow

from kgan.importing import recognize
from kgan.importing.sources import Source, Wishes
from kgan.labels import Group, Labels, LabelSet

FIVE = Labels((LabelSet("celeba", tuple(Group(name, ("yes",)) for name in ("a", "b", "c", "d", "e"))),), True)


def picture(height: int, width: int, channels: int = 3, batch: int = 2) -> np.ndarray:
    return np.random.default_rng(height).uniform(-1, 1, (batch, height, width, channels)).astype("f4")


def first(x: np.ndarray) -> np.ndarray:
    """Channels first."""
    return x.transpose(0, 3, 1, 2).astype("f8")


def last(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1)


def assert_close(actual: Any, expected: np.ndarray) -> None:
    actual = keras.ops.convert_to_numpy(actual)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(expected).max() > 0.01


def opened(path: Path, **wishes: Any) -> Source:
    return recognize.open_checkpoint([path], Wishes(**wishes))


def model_in(path: Path, **wishes: Any) -> keras.Model:
    (network,) = opened(path, **wishes).networks
    return network.model()


def image(model: keras.Model, x: np.ndarray) -> Any:
    if len(model.inputs) > 1:
        x = {tensor.name: x if tensor.name == "image" else None for tensor in model.inputs}  # type: ignore[assignment]
    return model(x, training=False)["image"]


# --- CycleGAN and pix2pix ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "running", "legacy"), [(6, False, False), (9, True, True)])
def test_resnet_with_instance_norm(tmp_path: Path, blocks: int, running: bool, legacy: bool) -> None:
    """`running`: the extra statistics of 2018, which no version reads."""
    weights = official.draw_resnet(0, 3, blocks, running=running)
    source = opened(pickles.save(tmp_path / "latest_net_G_B.pth", weights, legacy))
    (network,) = source.networks
    assert (network.attribute, source.card["system"]) == ("generator_ba", "cyclegan")
    assert f"{blocks} blocks" in network.title
    for x in (picture(32, 32), picture(16, 24)):
        assert_close(image(network.model(), x), last(official.resnet(weights, first(x))))


@pytest.mark.parametrize("moving", [False, True], ids=["train", "eval"])
@pytest.mark.parametrize("dropout", [False, True])
def test_resnet_with_batch_norm(tmp_path: Path, dropout: bool, moving: bool) -> None:
    weights = official.draw_resnet(1, 2, 6, batch=True, dropout=dropout)
    source = opened(write_safetensors(tmp_path / "net.safetensors", weights), moving=moving)
    assert source.card["batch_norm"] == ("moving" if moving else "batch")
    assert source.card["dropout"] is False and source.settings.dropout == ("pytorch" if dropout else "none")
    for x in (picture(32, 32), picture(16, 24)):
        expected = official.resnet(weights, first(x), "running" if moving else "batch")
        assert_close(image(source.networks[0].model(), x), last(expected))


def test_resnet_with_instance_norm_and_dropout(tmp_path: Path) -> None:
    weights, x = official.draw_resnet(1, 2, 6, dropout=True), picture(16, 24)
    source = opened(pickles.save(tmp_path / "latest_net_G_A.pth", weights))
    assert (source.settings.norm, source.settings.dropout, source.card["system"]) == ("instance", "pytorch", "pix2pix")
    assert_close(image(source.networks[0].model(), x), last(official.resnet(weights, first(x))))


KINDS = ("batch", "running", "instance")
DEEP = [pytest.param(kind, depth, marks=pytest.mark.slow) for kind in KINDS for depth in (7, 8)]


@pytest.mark.parametrize(("kind", "depth"), [*((kind, 5) for kind in KINDS), *DEEP])
def test_unet(tmp_path: Path, kind: str, depth: int) -> None:
    """A bottleneck of one pixel and instance norm is all zeros, in both."""
    weights = official.draw_unet(2, 2, depth, batch=kind != "instance")
    source = opened(pickles.save(tmp_path / "latest_net_G.pth", weights), moving=kind == "running")
    assert source.card["system"] == ("cyclegan" if kind == "instance" else "pix2pix")
    assert source.card["multiple"] == source.card["smallest"] == 2**depth and source.settings.image_size == 2**depth
    model = source.networks[0].model()
    side = 2**depth if depth > 5 else 64
    for x in (picture(side, side), picture(side, side + 2**depth, batch=1)):
        assert_close(image(model, x), last(official.unet(weights, first(x), kind)))


def test_colorization(tmp_path: Path) -> None:
    weights = official.draw_unet(3, 2, 5, inputs=1, outputs=2)
    source = opened(pickles.save(tmp_path / "latest_net_G.pth", weights))
    model, x = source.networks[0].model(), picture(32, 64, 1)
    assert_close(image(model, x), last(official.unet(weights, first(x))))
    assert source.finish(model).output["image"].shape[-1] == 3


@pytest.mark.parametrize(("layers", "inputs", "batch"), [(3, 3, False), (3, 6, True), (2, 3, False), (4, 6, True)])
def test_patchgan(tmp_path: Path, layers: int, inputs: int, batch: bool) -> None:
    weights = official.draw_patch(4, 3, layers, batch, inputs)
    model = model_in(pickles.save(tmp_path / "latest_net_D.pth", weights))
    for x in (picture(64, 64, inputs), picture(64, 96, inputs)):
        expected = official.patch(weights, first(x), "batch" if batch else "instance")
        assert_close(model(x, training=False), last(expected))


@pytest.mark.parametrize("batch", [False, True])
def test_pixelgan(tmp_path: Path, batch: bool) -> None:
    weights = official.draw_pixel(5, 4, batch, 6 if batch else 3)
    model, x = model_in(pickles.save(tmp_path / "latest_net_D.pth", weights)), picture(16, 24, 6 if batch else 3)
    assert_close(model(x, training=False), last(official.pixel(weights, first(x), "batch" if batch else "instance")))


def test_wrappers_before_every_name(tmp_path: Path) -> None:
    """DataParallel's and torch.compile's."""
    weights = official.draw_resnet(6, 2, 6)
    wrapped = {f"module._orig_mod.{name}": array for name, array in weights.items()}
    model, x = model_in(pickles.save(tmp_path / "net.pth", wrapped)), picture(16, 24)
    assert_close(image(model, x), last(official.resnet(weights, first(x))))


OPTIMIZER = {"state": {"0": {"exp_avg": np.ones((2, 3), "f4")}}}


@pytest.mark.parametrize("box", ["state_dict", "model"])
@pytest.mark.parametrize(
    ("weights", "title"),
    [
        (official.draw_resnet(6, 2, 6), "ResNet of 6 blocks"),
        (official.draw_unet(6, 2, 5), "U-Net of 5 halvings"),
        (official.draw_patch(6, 2, batch=True, inputs=6), "PatchGAN of 3 layers"),
        (official.draw_pixel(6, 2), "PixelGAN"),
        (official.draw_ugatit(6, 2, 4), "light generator of 4 blocks"),
    ],
)
def test_a_state_dict_in_a_box(tmp_path: Path, box: str, weights: official.Weights, title: str) -> None:
    """As trainings of one's own save it: beside the optimizer's state, which is left out; behind DataParallel."""
    wrapped = {f"module.{name}": array for name, array in weights.items()}
    for name, each in (("plain", weights), ("wrapped", wrapped)):
        source = opened(pickles.save(tmp_path / f"{name}.pth", {box: each, "optimizer": OPTIMIZER}))
        (network,) = source.networks
        assert title in network.title and network.tensors.optimizers == 1
        assert network.weights().keys() == {entry.variable for entry in network.table}


# --- StarGAN -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moving", [False, True], ids=["train", "eval"])
def test_stargan(tmp_path: Path, moving: bool) -> None:
    weights = official.draw_stargan(7, 3, 5)
    path = pickles.save(tmp_path / "200000-G.ckpt", weights, legacy=True)
    model = model_in(path, labels=FIVE, moving=moving)
    label = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 1]], "f4")
    for x in (picture(32, 32), picture(16, 24)):
        expected = official.stargan(weights, first(x), label, "running" if moving else "affine")
        assert_close(model({"image": x, "label": label}, training=False)["image"], last(expected))


@pytest.mark.parametrize(("layers", "side"), [(3, 2), (4, 4)])
def test_stargans_discriminator(tmp_path: Path, layers: int, side: int) -> None:
    weights = official.draw_stargan_discriminator(8, 3, 5, layers, side)
    source = opened(pickles.save(tmp_path / "200000-D.ckpt", weights))
    assert source.settings.image_size == side * 2**layers
    x = picture(side * 2**layers, side * 2**layers)
    outputs, (logits, classes) = source.networks[0].model()(x), official.stargan_discriminator(weights, first(x))
    assert_close(outputs["logits"], last(logits))
    assert_close(outputs["class_logits"], classes)


# --- U-GAT-IT ------------------------------------------------------------------------------------------------------


def compare(model: keras.Model, expected: Callable[..., dict[str, np.ndarray]], *sizes: tuple[int, int]) -> None:
    for size in sizes:
        x = picture(*size)
        outputs = model(x, training=False)
        for name, array in expected(first(x)).items():
            assert_close(outputs[name], last(array) if array.ndim == 4 else array)


def pytorch_networks(side: int = 0) -> dict[str, official.Weights]:
    return {
        "genA2B": official.draw_ugatit(9, 2, 4, side),
        "genB2A": official.draw_ugatit(10, 2, 4, side),
        "disGA": official.draw_ugatit_discriminator(11, 2, 6),
        "disGB": official.draw_ugatit_discriminator(12, 2, 6),
        "disLA": official.draw_ugatit_discriminator(13, 2, 4),
        "disLB": official.draw_ugatit_discriminator(14, 2, 4),
    }


ATTRIBUTES = {
    "generator_ab": "genA2B",
    "generator_ba": "genB2A",
    "discriminator_a_global": "disGA",
    "discriminator_b_global": "disGB",
    "discriminator_a_local": "disLA",
    "discriminator_b_local": "disLB",
}


@pytest.mark.parametrize("side", [0, pytest.param(8, marks=pytest.mark.slow)], ids=["light", "full"])
def test_all_six_of_ugatit_pytorch(tmp_path: Path, side: int) -> None:
    networks = pytorch_networks(side)
    source = opened(pickles.save(tmp_path / "selfie2anime_params_0100000.pt", networks))
    assert source.settings.light is not side and source.settings.discriminator_layers == 6
    assert source.card["size"] == ((32, 32) if side else None)
    assert {network.attribute for network in source.networks} == set(ATTRIBUTES)
    for network in source.networks:
        weights = networks[ATTRIBUTES[network.attribute]]
        if network.attribute.startswith("generator"):
            sizes = [(32, 32)] if side else [(32, 32), (16, 24)]
            compare(network.model(), lambda x, w=weights: official.ugatit(w, x), *sizes)
        else:
            sizes = [(128, 128), (96, 160)]
            compare(network.model(), lambda x, w=weights: official.ugatit_discriminator(w, x), *sizes)


def test_six_networks_behind_data_parallel(tmp_path: Path) -> None:
    networks = {
        role: {f"module.{name}": array for name, array in weights.items()}
        for role, weights in pytorch_networks().items()
    }
    source = opened(pickles.save(tmp_path / "params.pt", {"state": networks, "G_optim": OPTIMIZER}))
    assert {network.attribute for network in source.networks} == set(ATTRIBUTES)
    assert source.networks[0].tensors.prefix == "state.genA2B.module."


def test_spectral_norms_from_before_v_was_stored(tmp_path: Path) -> None:
    """Then each forward iterated, also in eval mode."""
    weights = official.draw_ugatit_discriminator(15, 2, 4)
    old = {name: array for name, array in weights.items() if not name.endswith("weight_v")}
    for name in [name for name in weights if name.endswith("weight_v")]:
        kernel = weights[name.replace("weight_v", "weight_orig")]
        matrix = kernel.reshape(len(kernel), -1)
        v = weights[name.replace("weight_v", "weight_u")] @ matrix
        weights[name] = v / np.linalg.norm(v)
        u = matrix @ weights[name]
        weights[name.replace("weight_v", "weight_u")] = u / np.linalg.norm(u)
    model = model_in(pickles.save(tmp_path / "disLA.pt", old))
    compare(model, lambda x: official.ugatit_discriminator(weights, x), (32, 48))


def tensorflow_variables(side: int = 0) -> dict[str, np.ndarray]:
    networks = {
        "generator_B": official.draw_ugatit_tf(20, 2, 4, side),
        "generator_A": official.draw_ugatit_tf(21, 2, 4, side),
        **{f"discriminator_{d}/global": official.draw_ugatit_tf_discriminator(22, 2, 6) for d in "AB"},
        **{f"discriminator_{d}/local": official.draw_ugatit_tf_discriminator(23, 2, 4) for d in "AB"},
    }
    return {f"{scope}/{name}": array for scope, weights in networks.items() for name, array in weights.items()}


@pytest.mark.parametrize("side", [0, pytest.param(8, marks=pytest.mark.slow)], ids=["light", "full"])
def test_ugatit_of_tensorflow(tmp_path: Path, side: int) -> None:
    variables = tensorflow_variables(side)
    folder = tmp_path / "UGATIT_selfie2anime_lsgan_4resblock_6dis_1_1_10_10_1000_sn_smoothing"
    write_tensorflow(folder / "UGATIT.model-1000", variables)
    source = opened(folder / "UGATIT.model-1000.index")
    assert source.settings.light is not side and source.settings.rho_smoothing == 0.1
    assert [network.attribute for network in source.networks] == list(ATTRIBUTES)
    scopes = ["generator_B", "generator_A", *(f"discriminator_{d}/{s}" for s in ("global", "local") for d in "AB")]
    for network, scope in zip(source.networks, scopes, strict=True):
        weights = {n.removeprefix(f"{scope}/"): a for n, a in variables.items() if n.startswith(f"{scope}/")}
        if scope.startswith("generator"):
            sizes = [(32, 32)] if side else [(32, 32), (16, 24)]
            compare(network.model(), lambda x, w=weights: official.ugatit_tf(w, x), *sizes)
        else:
            sizes = [(128, 128), (96, 160)]
            compare(network.model(), lambda x, w=weights: official.ugatit_tf_discriminator(w, x), *sizes)


def test_a_folder_without_smoothing_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "UGATIT_light_cats_lsgan_4resblock_6dis_1_1_10_10_1000_sn"
    variables = tensorflow_variables()
    write_tensorflow(folder / "UGATIT_light.model-7", variables)
    source = opened(folder)
    assert source.settings.rho_smoothing == 0.0
    weights = {n.removeprefix("generator_B/"): a for n, a in variables.items() if n.startswith("generator_B/")}
    compare(source.networks[0].model(), lambda x: official.ugatit_tf(weights, x, 0.0), (16, 24))


# --- the sample ----------------------------------------------------------------------------------------------------

SAMPLES = Path(__file__).resolve().parents[2] / "../shared/data/checkpoints"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample of the official code lies in the project's data")
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_the_sample_of_the_official_code(suffix: str) -> None:
    model = model_in(SAMPLES / f"cyclegan_resnet_9.{suffix}")
    with np.load(SAMPLES / "cyclegan_resnet_9.npz") as arrays:
        for end in ("", "_rect"):
            assert_close(image(model, arrays[f"input{end}"]), arrays[f"image{end}"])
