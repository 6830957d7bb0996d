"""The networks that systems share: receptive fields, torch's alignment, and what the official weights compute."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kgan import engine
from kgan.blocks import Initial, transposed
from kgan.layers import InstanceNormalization
from kgan.networks import patch_discriminator, resnet, unet


def no_norm(x: Any, name: str) -> Any:
    return x


def instance_norm(x: Any, name: str) -> Any:
    return InstanceNormalization(center=False, scale=False, name=name)(x)


@pytest.mark.parametrize("layers, field", [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_the_field_of_a_logit(layers: int, field: int) -> None:
    image = keras.Input((None, None, 1))
    model = keras.Model(image, patch_discriminator(image, 1, layers, initial=Initial(0), norm=no_norm))
    for weight in model.trainable_variables:
        weight.assign(ops.ones(weight.shape))  # so that nothing cancels
    x = ops.ones((1, 320, 320, 1))
    middle = model(x).shape[1] // 2
    gradient = engine.input_gradients(lambda x: model(x)[:, middle, middle], x)
    rows, columns = (np.flatnonzero(ops.convert_to_numpy(gradient).any(axis)) for axis in ((0, 2, 3), (0, 1, 3)))
    assert rows[-1] - rows[0] + 1 == columns[-1] - columns[0] + 1 == field


@pytest.mark.parametrize("layers, side", [(1, 126), (2, 62), (3, 30), (0, 256)])
def test_the_map_at_256_pixels(layers: int, side: int) -> None:
    image = keras.Input((256, 256, 3))
    assert patch_discriminator(image, 2, layers, initial=Initial(0), norm=no_norm).shape == (None, side, side, 1)


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_a_transposed_convolution_lies_where_torch_puts_it(kernel_size: int) -> None:
    """Pixel i of the input is spread over the pixels 2 i - 1, 2 i, 2 i + 1 (and 2 i + 2 with a kernel of 4)."""
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, transposed(inputs, 1, kernel_size, name="up", initial=Initial(0)))
    kernel = np.outer(np.arange(1, kernel_size + 1), np.ones(kernel_size)).astype(np.float32)
    model.get_layer("up").set_weights([kernel[:, :, None, None], np.zeros(1)])
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 1, 1] = 1
    found = ops.convert_to_numpy(model(x))[0, :, 2, 0]
    expected = np.zeros(8)
    expected[1 : 1 + kernel_size] = np.arange(1, kernel_size + 1)
    np.testing.assert_array_equal(found, expected)


def test_the_unet_halves_to_one_pixel_and_sees_every_size_twice() -> None:
    image = keras.Input((32, 32, 3), name="image")
    x, draws = unet(image, 3, 2, 5, initial=Initial(0), norm=instance_norm)
    model = keras.Model([image, *draws], x)
    assert model.get_layer("down5_conv").output.shape == (None, 1, 1, 16)
    assert [model.get_layer(f"up{i}_skip").output.shape[1:] for i in (5, 4, 3, 2)] == [
        (2, 2, 32),
        (4, 4, 16),
        (8, 8, 8),
        (16, 16, 4),
    ]
    assert model.output_shape == (None, 32, 32, 3)
    names = [layer.name for layer in model.layers]
    assert "down1_norm" not in names and "down5_norm" not in names and "up5_norm" in names


@pytest.mark.parametrize(
    "depth, start, layers", [(8, 2, [7, 6, 5]), (8, 1, [8, 7, 6]), (7, 2, [6, 5]), (7, 1, [7, 6, 5]), (8, 0, [])]
)
def test_which_doublings_drop_out(depth: int, start: int, layers: list[int]) -> None:
    """PyTorch's second to fourth of eight, Lua's first to third; only where the map is eight times as wide."""
    image = keras.Input((None, None, 3), name="image")
    _, draws = unet(image, 3, 1, depth, initial=Initial(0), norm=no_norm, dropout_from=start)
    assert [tensor.name for tensor in draws] == [f"up{i}_dropout_draws" for i in layers]


def test_resizing_cannot_draw_a_checkerboard() -> None:
    """From a flat map, a transposed convolution of 3 draws a grid: its pixels have 1, 2 or 4 sources."""
    flat = np.ones((1, 96, 96, 3), np.float32)  # large enough to be flat in the middle, whatever the borders do

    def spread(upsampling: str) -> float:
        image = keras.Input((None, None, 3))
        x, _ = resnet(image, 3, 4, 1, initial=Initial(0, "pytorch"), norm=no_norm, upsampling=upsampling)
        pixels = ops.convert_to_numpy(keras.Model(image, x)(flat))[0, 44:52, 44:52]
        return float(pixels.std(axis=(0, 1)).max() / np.abs(pixels).mean())

    assert spread("resize") < 1e-5 < 1e-2 < spread("transposed")


def safetensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors by name: eight bytes of length, a JSON header, raw little-endian data."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[start:], np.float32)[
            entry["data_offsets"][0] // 4 : entry["data_offsets"][1] // 4
        ].reshape(entry["shape"])
        for name, entry in header.items()
    }


def test_official_weights_give_the_official_picture(shared: Path) -> None:
    """A ResNet-9 of the PyTorch code with its own input and output, square and not."""
    folder = shared / "data" / "checkpoints"
    tensors = safetensors(folder / "cyclegan_resnet_9.safetensors")
    image = keras.Input((None, None, 3), name="image")
    x, _ = resnet(image, 3, 8, 9, initial=Initial(0), norm=instance_norm)
    model = keras.Model(image, x)
    order = sorted(
        {name.rpartition(".")[0] for name in tensors}, key=lambda name: list(map(int, re.findall(r"\d+", name)))
    )
    layers = [layer for layer in model.layers if layer.weights]
    for layer, name in zip(layers, order, strict=True):
        layer.set_weights([tensors[f"{name}.weight"].transpose(2, 3, 1, 0), tensors[f"{name}.bias"]])
    with np.load(folder / "cyclegan_resnet_9.npz") as expected:
        for given, wanted in (("input", "image"), ("input_rect", "image_rect")):
            np.testing.assert_allclose(model(expected[given]), expected[wanted], atol=1e-4)
