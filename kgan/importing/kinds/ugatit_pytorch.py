"""U-GAT-IT of znxlwm/UGATIT-pytorch: six networks in one file, or the state dict of one of them."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from kgan.importing.files import Tensors
from kgan.importing.sources import Shown, Source, Wishes, parts_of
from kgan.importing.tables import (
    Entry,
    Network,
    Table,
    channels,
    conv,
    flattened_side,
    linear,
    linear_of_map,
    spectral_conv,
)
from kgan.systems import ugatit

TITLE = "U-GAT-IT of UGATIT-pytorch"
ROLES = {
    "genA2B": "generator_ab",
    "genB2A": "generator_ba",
    "disGA": "discriminator_a_global",
    "disGB": "discriminator_b_global",
    "disLA": "discriminator_a_local",
    "disLB": "discriminator_b_local",
}


def open_files(files: list[Tensors], wishes: Wishes) -> Source | None:
    """Its networks; None where one is no such."""
    settings, shown, networks = ugatit.Settings.pytorch(), Shown(), []
    for role, tensors in parts_of(files, ROLES):
        if "DownBlock.1.weight" in tensors:
            filters, blocks, side = _generator(tensors)
            shown.add(tensors, filters=filters, residual_blocks=blocks, light=not side)
            if side:
                shown.add(tensors, image_size=4 * side)
            title = f"{'full' if side else 'light'} generator of {blocks} blocks, {filters} filters"
            attribute, table = ROLES.get(role, "generator"), generator_table(filters, blocks, side)
            networks.append(
                Network(attribute, title, tensors, table, partial(ugatit.build_generator, settings, name=attribute))
            )
        elif "model.1.weight_orig" in tensors:
            filters, layers = _discriminator(tensors)
            attribute = ROLES.get(role, "discriminator")
            shown.add(tensors, filters=filters)
            if role:
                shown.add(tensors, discriminator_layers=layers + 2 * attribute.endswith("local"))
            title = f"discriminator of {layers} convolutions, {filters} filters"
            table = discriminator_table(filters, layers)
            build = partial(ugatit.build_discriminator, settings, layers, name=attribute)
            networks.append(Network(attribute, title, tensors, table, build))
        else:
            return None
    shown.set_in(settings)
    if settings.light:
        settings.image_size = wishes.image_size or settings.image_size
    size = None if settings.light else (settings.image_size, settings.image_size)
    if not networks:
        return None
    return Source(
        TITLE,
        settings,
        shown,
        networks,
        {"system": "ugatit", "size": size},
        whole=tuple(ROLES.values()),
        config="ugatit_pytorch_selfie2anime",
        preset=ugatit.Settings.pytorch(light=True),
    )


def _generator(tensors: Tensors) -> tuple[int, int, int]:
    """Filters, blocks, and the side of the map that the full one flattens; 0 for a light one."""
    filters = tensors.shape("DownBlock.1.weight")[0]
    blocks = len({match[1] for name in tensors if (match := re.match(r"UpBlock1_(\d+)\.", name))})
    side = flattened_side(tensors, "FC.0.weight", 1, 4 * filters)
    return filters, blocks, 0 if side == 1 else side


def generator_table(f: int, blocks: int, side: int) -> Table:
    """From `kgan.systems.ugatit.build_generator` to ResnetGenerator, whose convolutions have no bias but conv1x1's."""
    c = 4 * f
    table = conv("stem_conv", "DownBlock.1", 3, f, 7, False)
    table += conv("down1_conv", "DownBlock.5", f, 2 * f, 3, False)
    table += conv("down2_conv", "DownBlock.9", 2 * f, c, 3, False)
    for i in range(blocks):
        table += conv(f"encoder{i + 1}_conv1", f"DownBlock.{12 + i}.conv_block.1", c, c, 3, False)
        table += conv(f"encoder{i + 1}_conv2", f"DownBlock.{12 + i}.conv_block.5", c, c, 3, False)
    table += [Entry("cam/average_kernel", "gap_fc.weight", (1, c), _column)]
    table += [Entry("cam/maximum_kernel", "gmp_fc.weight", (1, c), _column)]
    table += conv("attention_conv", "conv1x1", 2 * c, c, 1)
    table += linear_of_map("style_dense1", "FC.0", side, c, c) if side else linear("style_dense1", "FC.0", c, c)
    table += linear("style_dense2", "FC.2", c, c) + linear("gamma", "gamma", c, c) + linear("beta", "beta", c, c)
    for i in range(1, blocks + 1):
        for n in (1, 2):
            table += conv(f"decoder{i}_adalin_conv{n}", f"UpBlock1_{i}.conv{n}", c, c, 3, False)
            table += channels(f"decoder{i}_adalin_norm{n}", "rho", f"UpBlock1_{i}.norm{n}", c)
    for layer, place, width in (("up1", 2, 2 * f), ("up2", 7, f)):
        table += conv(f"{layer}_conv", f"UpBlock2.{place}", 2 * width, width, 3, False)
        for variable in ("rho", "gamma", "beta"):
            table += channels(f"{layer}_lin", variable, f"UpBlock2.{place + 1}", width)
    return table + conv("image_conv", "UpBlock2.11", f, 3, 7, False)


def _discriminator(tensors: Tensors) -> tuple[int, int]:
    """Filters, and convolutions before the attention: six in the global one, four in the local one."""
    filters = tensors.shape("model.1.weight_orig")[0]
    layers = 1
    while f"model.{3 * layers + 1}.weight_orig" in tensors:
        layers += 1
    return filters, layers


def discriminator_table(f: int, layers: int) -> Table:
    """From `kgan.systems.ugatit.build_discriminator` to Discriminator, whose conv1x1 alone is not normalized."""
    table = spectral_conv("conv1", "model.1", 3, f, 4)
    for i in range(1, layers):
        table += spectral_conv(f"conv{i + 1}", f"model.{3 * i + 1}", f * 2 ** (i - 1), f * 2**i, 4)
    last = f * 2 ** (layers - 1)
    for head, name in (("average", "gap_fc"), ("maximum", "gmp_fc")):
        table += [
            Entry(f"cam/{head}_kernel", f"{name}.weight_orig", (1, last), _column),
            Entry(f"cam/{head}_u", f"{name}.weight_u", (1,), _row),
            Entry(f"cam/{head}_v", f"{name}.weight_v", (last,), _row, optional=True),
        ]
    table += conv("attention_conv", "conv1x1", 2 * last, last, 1)
    return table + spectral_conv("logits", "conv", last, 1, 4, False)


def _column(array: Any) -> Any:
    return array.reshape(-1, 1)


def _row(array: Any) -> Any:
    return array.reshape(1, -1)
