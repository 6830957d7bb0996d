"""CycleGAN of junyanz/pytorch-CycleGAN-and-pix2pix: ResNets or U-Nets with instance norm, a file for each network.

There D_A judges what G_A draws, domain B; here discriminator_a judges domain A.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from kgan.importing import resnet_unet
from kgan.importing.files import Tensors
from kgan.importing.sources import Shown, Source, Wishes, parts_of
from kgan.importing.tables import Network
from kgan.systems import cyclegan

TITLE = "CycleGAN of pytorch-CycleGAN-and-pix2pix"
ROLES = {"G_A": "generator_ab", "G_B": "generator_ba", "D_A": "discriminator_b", "D_B": "discriminator_a"}


def open_files(files: list[Tensors], wishes: Wishes) -> Source | None:
    """Its networks, whose norm is an instance norm without weights; None where one has another, or drops out."""
    bodies = [(part, resnet_unet.read(part.tensors)) for part in parts_of(files, ROLES)]
    shown = Shown()
    if not bodies:
        return None
    for part, body in bodies:
        if body is None or body.batch or body.dropout or body.inputs != 3 or body.outputs not in (1, 3):
            return None
        shown.add(part.tensors, **body.settings)
    settings = dataclasses.replace(cyclegan.Settings(), **shown)
    settings.image_size = wishes.image_size or (2**settings.depth if settings.generator == "unet" else 256)

    networks = []
    for part, body in bodies:
        assert body is not None
        builders = {"generator": cyclegan.build_generator, "discriminator": cyclegan.build_discriminator}
        attribute = ROLES.get(part.role, body.side)
        build = partial(builders[body.side], settings, name=attribute)
        networks.append(Network(attribute, body.title, part.tensors, body.table, build, body.ignored))
    smallest = 8 if settings.generator == "resnet" else settings.multiple
    facts = {"system": "cyclegan", "multiple": settings.multiple, "smallest": smallest}
    return Source(
        TITLE,
        settings,
        shown,
        networks,
        facts,
        whole=tuple(ROLES.values()),
        config="cyclegan_horse2zebra",
        preset=cyclegan.Settings(),
    )
