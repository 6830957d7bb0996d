"""pix2pix of junyanz/pytorch-CycleGAN-and-pix2pix: U-Nets or ResNets, mostly with batch norm, a file a network.

Its test leaves the networks in training mode: a batch norm takes the statistics of the picture at hand. Whether a U-Net
was trained with dropout, as it is unless told otherwise, its file does not say.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from kgan.errors import UserError
from kgan.importing import resnet_unet
from kgan.importing.files import Tensors
from kgan.importing.sources import Shown, Source, Wishes, parts_of, unchanged
from kgan.importing.tables import Network
from kgan.systems import pix2pix

TITLE = "pix2pix of pytorch-CycleGAN-and-pix2pix"
ROLES = {"G": "generator", "D": "discriminator"}
PRESET = pix2pix.Settings(image_size=128, depth=7, filters=16, discriminator_filters=32)  # of pix2pix_facades
TASKS = {(3, 3): "translate", (1, 2): "colorize"}


def open_files(files: list[Tensors], wishes: Wishes) -> Source | None:
    """Its networks; None where one is no such, a `UserError` where channels are neither RGB nor colorization's."""
    bodies = [(part, resnet_unet.read(part.tensors)) for part in parts_of(files, ROLES)]
    shown = Shown()
    if not bodies:
        return None
    for part, body in bodies:
        if body is None:
            return None
        shown.add(part.tensors, norm="batch" if body.batch else "instance", **body.settings)
        if body.batch:
            shown.add(part.tensors, conv_bias=body.use_bias)
        if body.kind == "resnet":
            shown.add(part.tensors, dropout="pytorch" if body.dropout else "none")
        shown.add(part.tensors, task=_task(part.tensors, body))
    settings = dataclasses.replace(pix2pix.Settings(), **shown)
    settings.test_statistics = "moving" if wishes.moving else "batch"
    settings.test_dropout = wishes.dropout
    settings.image_size = wishes.image_size or (2**settings.depth if settings.generator == "unet" else 256)

    networks = []
    for part, body in bodies:
        assert body is not None
        builders = {"generator": pix2pix.build_generator, "discriminator": pix2pix.build_discriminator}
        build = partial(builders[body.side], settings, name=body.side)
        networks.append(Network(body.side, body.title, part.tensors, body.table, build, body.ignored))
    facts: dict[str, Any] = {"system": "pix2pix", "multiple": settings.multiple}
    facts["smallest"] = 8 if settings.generator == "resnet" else settings.multiple
    facts["batch_norm"] = settings.test_statistics if settings.norm == "batch" else ""
    facts["dropout"] = wishes.dropout and settings.dropout != "none"
    return Source(
        TITLE,
        settings,
        shown,
        networks,
        facts,
        finish=partial(pix2pix.build_colorizer, name="generator") if settings.task == "colorize" else unchanged,
        whole=tuple(ROLES.values()),
        config="pix2pix_facades",
        preset=PRESET,
    )


def _task(tensors: Tensors, body: resnet_unet.Body) -> str:
    """What a network's channels are made for."""
    for channels, task in TASKS.items():
        if body.kind == "discriminator" and body.inputs == sum(channels):
            return task
        if (body.inputs, body.outputs) == channels:
            return task
    raise UserError(
        f"{tensors.file} takes pictures of {body.inputs} channels and draws {body.outputs}: kgan imports networks from "
        "RGB to RGB, and colorization's from lightness to colour."
    )
