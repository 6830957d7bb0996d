"""StarGAN of yunjey/stargan: a generator that takes labels as channels behind the picture's, in a file of its own.

Its generator is never put in eval mode: every picture is normalized by its own statistics, though running ones are
kept. What its labels mean only the command knows that trained it.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import keras

from kgan.errors import UserError
from kgan.importing.files import Tensors
from kgan.importing.sources import Shown, Source, Wishes, parts_of
from kgan.importing.tables import Network, Table, affine, batch_norm, conv, transposed
from kgan.labels import Labels
from kgan.layers import BatchNormalization, InstanceNormalization
from kgan.systems import stargan

TITLE = "StarGAN of yunjey/stargan"
ROLES = {"G": "generator", "D": "discriminator"}
COUNTER = ("num_batches_tracked",)
RUNNING = ("running_mean", "running_var", *COUNTER)


def open_files(files: list[Tensors], wishes: Wishes) -> Source | None:
    """Generator, discriminator, or both; a `UserError` where the generator's labels have no names, or others."""
    settings, shown, networks = stargan.Settings(), Shown(), []
    facts: dict[str, Any] = {"system": "stargan", "multiple": 4, "smallest": 8}
    for _, tensors in parts_of(files, ROLES):
        if "main.0.weight" in tensors and "conv2.weight" in tensors:
            filters, layers, classes, side = _discriminator(tensors)
            image_size = side * 2**layers
            shown.add(tensors, discriminator_filters=filters, discriminator_layers=layers, image_size=image_size)
            table = discriminator_table(filters, layers, classes, side)
            title = f"discriminator of {layers} layers, {filters} filters and {classes} labels"
            build = partial(stargan.build_discriminator, settings, classes)
            networks.append(Network("discriminator", title, tensors, table, build))
        elif "main.0.weight" in tensors and "main.9.main.0.weight" in tensors:
            filters, width, blocks = _generator(tensors)
            shown.add(tensors, filters=filters, residual_blocks=blocks)
            facts |= {"labels": _labels(tensors, width, wishes), "batch_norm": "moving" if wishes.moving else ""}
            table = generator_table(filters, width, blocks, wishes.moving)
            title = f"generator of {blocks} blocks, {filters} filters and {width} labels"
            build = partial(_build, settings, width, wishes.moving)
            ignored = COUNTER if wishes.moving else RUNNING
            networks.append(Network("generator", title, tensors, table, build, ignored))
        else:
            return None
    shown.set_in(settings)
    if "image_size" not in shown:  # a discriminator fits one size alone
        settings.image_size = wishes.image_size or settings.image_size
    if not networks:
        return None
    return Source(
        TITLE,
        settings,
        shown,
        networks,
        facts,
        whole=tuple(ROLES.values()),
        config="stargan_celeba",
        preset=stargan.Settings(),
    )


def _build(settings: stargan.Settings, width: int, moving: bool) -> keras.Model:
    """The generator; with `moving` its norms use running statistics, as the official code's would in eval mode."""
    generator = stargan.build_generator(settings, width)
    if not moving:
        return generator

    def with_statistics(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, InstanceNormalization):
            return BatchNormalization("moving", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(generator, clone_function=with_statistics)


def _labels(tensors: Tensors, width: int, wishes: Wishes) -> Labels:
    """What the user calls the generator's labels; a `UserError` where there are none, or of another number."""
    labels = wishes.labels
    if labels is None:
        raise UserError(
            f"{tensors.file} takes labels of {width} numbers, whose names are not in it: name them in the order of the "
            "training's --selected_attrs, as in --labels=Black_Hair,Blond_Hair,Brown_Hair,Male,Young."
        )
    if labels.width != width:
        raise UserError(
            f"{tensors.file} takes labels of {width} numbers, and --labels names {labels.width}: {labels.describe()}."
        )
    return labels


def _generator(tensors: Tensors) -> tuple[int, int, int]:
    """Filters, labels and blocks."""
    filters, inputs, *_ = tensors.shape("main.0.weight")
    blocks = len({match[1] for name in tensors if (match := re.match(r"main\.(\d+)\.main\.", name))})
    return filters, inputs - 3, blocks


def generator_table(f: int, labels: int, blocks: int, moving: bool) -> Table:
    """From `kgan.systems.stargan.build_generator` to the Sequential of Generator."""
    norm = batch_norm if moving else affine
    table = conv("stem_conv", "main.0", 3 + labels, f, 7, False) + norm("stem_norm", "main.1", f)
    table += conv("down1_conv", "main.3", f, 2 * f, 4, False) + norm("down1_norm", "main.4", 2 * f)
    table += conv("down2_conv", "main.6", 2 * f, 4 * f, 4, False) + norm("down2_norm", "main.7", 4 * f)
    for i in range(blocks):
        block, name = f"block{i + 1}", f"main.{9 + i}.main"
        table += conv(f"{block}_conv1", f"{name}.0", 4 * f, 4 * f, 3, False)
        table += norm(f"{block}_norm1", f"{name}.1", 4 * f)
        table += conv(f"{block}_conv2", f"{name}.3", 4 * f, 4 * f, 3, False)
        table += norm(f"{block}_norm2", f"{name}.4", 4 * f)
    up = 9 + blocks
    table += transposed("up1_conv", f"main.{up}", 4 * f, 2 * f, 4, False) + norm("up1_norm", f"main.{up + 1}", 2 * f)
    table += transposed("up2_conv", f"main.{up + 3}", 2 * f, f, 4, False) + norm("up2_norm", f"main.{up + 4}", f)
    return table + conv("image_conv", f"main.{up + 6}", f, 3, 7, False)


def _discriminator(tensors: Tensors) -> tuple[int, int, int, int]:
    """Filters, layers, labels, and the side of the last map."""
    filters = tensors.shape("main.0.weight")[0]
    layers = 1
    while f"main.{2 * layers}.weight" in tensors:
        layers += 1
    classes, _, side, _ = tensors.shape("conv2.weight")
    return filters, layers, classes, side


def discriminator_table(f: int, layers: int, classes: int, side: int) -> Table:
    """From `kgan.systems.stargan.build_discriminator` to Discriminator."""
    table = conv("conv1", "main.0", 3, f, 4)
    for i in range(1, layers):
        table += conv(f"conv{i + 1}", f"main.{2 * i}", f * 2 ** (i - 1), f * 2**i, 4)
    last = f * 2 ** (layers - 1)
    return table + conv("logits", "conv1", last, 1, 3, False) + conv("class_conv", "conv2", last, classes, side, False)
