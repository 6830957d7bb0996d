"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix (models/networks.py), which CycleGAN and pix2pix share.

Each is known by a tensor that no other has; a small class reads its sizes, and a table says where its tensors belong.
With a batch norm, convolutions that it follows have no bias; with an instance norm, which has no weights, all have one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kgan.errors import UserError
from kgan.importing.files import Tensors
from kgan.importing.tables import Table, batch_norm, conv, transposed

# What their instance norms of 2018 kept, and what counts a batch norm's batches: no version reads them.
UNUSED = ("running_mean", "running_var", "num_batches_tracked")
COUNTER = ("num_batches_tracked",)


@dataclass(frozen=True)
class Body:
    """What its tensors say of a network.

    Attributes:
      kind: "resnet", "unet" or "discriminator".
      filters: width of the first layer.
      inputs, outputs: channels.
      depth: residual blocks of a ResNet, halvings of a U-Net, strided layers of a PatchGAN, 0 of a PixelGAN.
      batch: whether its norm is a batch norm.
      use_bias: whether convolutions that a norm follows have a bias.
      dropout: whether the blocks of a ResNet drop out; in a U-Net nothing shows it.
    """

    kind: str
    filters: int
    inputs: int
    outputs: int
    depth: int
    batch: bool
    use_bias: bool
    dropout: bool = False

    @property
    def ignored(self) -> tuple[str, ...]:
        return COUNTER if self.batch else UNUSED

    @property
    def side(self) -> str:
        return "discriminator" if self.kind == "discriminator" else "generator"

    @property
    def title(self) -> str:
        if not self.depth:
            return f"PixelGAN, {self.filters} filters, {self.norm}"
        size = {
            "resnet": "ResNet of {} blocks",
            "unet": "U-Net of {} halvings",
            "discriminator": "PatchGAN of {} layers",
        }
        dropout = " and dropout" if self.dropout else ""
        return f"{size[self.kind].format(self.depth)}, {self.filters} filters, {self.norm}{dropout}"

    @property
    def settings(self) -> dict[str, object]:
        """The settings of CycleGAN and of pix2pix that say the same."""
        if self.kind == "discriminator":
            return {"discriminator_filters": self.filters, "discriminator_layers": self.depth}
        depth = "residual_blocks" if self.kind == "resnet" else "depth"
        return {"generator": self.kind, "filters": self.filters, depth: self.depth}

    @property
    def table(self) -> Table:
        tables = {"resnet": resnet_table, "unet": unet_table, "discriminator": discriminator_table}
        return tables[self.kind](self)

    @property
    def norm(self) -> str:
        return "batch norm" if self.batch else "instance norm"

    def norms(self, layer: str, name: str, width: int) -> Table:
        """Rows of a norm: none for an instance norm."""
        return batch_norm(layer, name, width) if self.batch else []


def read(tensors: Tensors) -> Body | None:
    """What a network is; None where it is none of these."""
    for known, of in ((is_resnet, resnet), (is_unet, unet), (is_discriminator, discriminator)):
        if known(tensors):
            return of(tensors)
    return None


# --- ResNet --------------------------------------------------------------------------------------------------------


def is_resnet(tensors: Tensors) -> bool:
    return any(re.match(r"model\.\d+\.conv_block\.", name) for name in tensors)


def resnet(tensors: Tensors) -> Body:
    """ResnetGenerator: blocks are model.10 to model.18 where there are nine."""
    filters, inputs, *_ = tensors.shape("model.1.weight")
    blocks = len({match[1] for name in tensors if (match := re.match(r"model\.(\d+)\.conv_block\.", name))})
    outputs = tensors.shape(f"model.{17 + blocks}.weight")[0]
    batch, use_bias = "model.2.weight" in tensors, "model.1.bias" in tensors
    if not batch and not use_bias:
        raise UserError(f"{tensors.file} was trained with --norm=none, without any norm, which kgan does not build.")
    return Body(
        "resnet", filters, inputs, outputs, blocks, batch, use_bias, "model.10.conv_block.5.weight" not in tensors
    )


def resnet_table(body: Body) -> Table:
    """From `kgan.networks.resnet` to the Sequential of ResnetGenerator."""
    f, bias, norm = body.filters, body.use_bias, body.norms
    table = conv("stem_conv", "model.1", body.inputs, f, 7, bias) + norm("stem_norm", "model.2", f)
    table += conv("down1_conv", "model.4", f, 2 * f, 3, bias) + norm("down1_norm", "model.5", 2 * f)
    table += conv("down2_conv", "model.7", 2 * f, 4 * f, 3, bias) + norm("down2_norm", "model.8", 4 * f)
    second = 6 if body.dropout else 5
    for i in range(body.depth):
        block, name = f"block{i + 1}", f"model.{10 + i}.conv_block"
        table += conv(f"{block}_conv1", f"{name}.1", 4 * f, 4 * f, 3, bias)
        table += norm(f"{block}_norm1", f"{name}.2", 4 * f)
        table += conv(f"{block}_conv2", f"{name}.{second}", 4 * f, 4 * f, 3, bias)
        table += norm(f"{block}_norm2", f"{name}.{second + 1}", 4 * f)
    up = 10 + body.depth
    table += transposed("up1_conv", f"model.{up}", 4 * f, 2 * f, 3, bias) + norm("up1_norm", f"model.{up + 1}", 2 * f)
    table += transposed("up2_conv", f"model.{up + 3}", 2 * f, f, 3, bias) + norm("up2_norm", f"model.{up + 4}", f)
    return table + conv("image_conv", f"model.{up + 7}", f, body.outputs, 7)


# --- U-Net ---------------------------------------------------------------------------------------------------------


def is_unet(tensors: Tensors) -> bool:
    return "model.model.0.weight" in tensors and any(name.startswith("model.model.1.model.") for name in tensors)


def _level(i: int) -> str:
    """Where the i-th block from outside (from 1) lies in the blocks around it."""
    return "model.model.1" + ".model.3" * (i - 1) + ".model"


def unet(tensors: Tensors) -> Body:
    """UnetGenerator: blocks within blocks."""
    filters, inputs, *_ = tensors.shape("model.model.0.weight")
    outputs = tensors.shape("model.model.3.weight")[1]
    depth = 1
    while f"{_level(depth)}.1.weight" in tensors:
        depth += 1
    batch, use_bias = "model.model.1.model.2.weight" in tensors, "model.model.0.bias" in tensors
    if depth < 3 or (not batch and not use_bias):
        raise UserError(
            f"{tensors.file} is no U-Net that kgan builds: it has {depth} halvings, and "
            f"{'a' if batch or use_bias else 'no'} norm."
        )
    return Body("unet", filters, inputs, outputs, depth, batch, use_bias)


def unet_table(body: Body) -> Table:
    """From `kgan.networks.unet` to UnetGenerator, from outside to inside."""
    widths = [body.filters * min(2**i, 8) for i in range(body.depth)]
    bias, norm = body.use_bias, body.norms
    table = conv("down1_conv", "model.model.0", body.inputs, widths[0], 4, bias)
    for i in range(1, body.depth):
        name, width, outer, n = _level(i), widths[i], widths[i - 1], i + 1
        table += conv(f"down{n}_conv", f"{name}.1", outer, width, 4, bias)
        if n < body.depth:
            table += norm(f"down{n}_norm", f"{name}.2", width)
            table += transposed(f"up{n}_conv", f"{name}.5", 2 * width, outer, 4, bias)
            table += norm(f"up{n}_norm", f"{name}.6", outer)
        else:
            table += transposed(f"up{n}_conv", f"{name}.3", width, outer, 4, bias)
            table += norm(f"up{n}_norm", f"{name}.4", outer)
    return table + transposed("image_conv", "model.model.3", 2 * widths[0], body.outputs, 4)


# --- discriminators ------------------------------------------------------------------------------------------------


def is_discriminator(tensors: Tensors) -> bool:
    return ("net.0.weight" in tensors and "net.5.weight" in tensors) or (
        "model.0.weight" in tensors and "model.2.weight" in tensors and not is_resnet(tensors)
    )


def discriminator(tensors: Tensors) -> Body:
    """NLayerDiscriminator: its convolutions are model.0, 2, 5, 8, ...; or PixelDiscriminator."""
    if "net.0.weight" in tensors:
        filters, inputs, *_ = tensors.shape("net.0.weight")
        return Body("discriminator", filters, inputs, 1, 0, "net.3.weight" in tensors, "net.2.bias" in tensors)
    filters, inputs, *_ = tensors.shape("model.0.weight")
    layers = 0
    while f"model.{5 + 3 * layers}.weight" in tensors:
        layers += 1
    return Body("discriminator", filters, inputs, 1, layers, "model.3.weight" in tensors, "model.2.bias" in tensors)


def discriminator_table(body: Body) -> Table:
    """From `kgan.networks.patch_discriminator` to either."""
    f, bias, norm = body.filters, body.use_bias, body.norms
    if not body.depth:
        table = conv("conv1", "net.0", body.inputs, f, 1) + conv("conv2", "net.2", f, 2 * f, 1, bias)
        return table + norm("conv2_norm", "net.3", 2 * f) + conv("logits", "net.5", 2 * f, 1, 1, bias)
    widths = [f * min(2**i, 8) for i in range(body.depth + 1)]
    table = conv("conv1", "model.0", body.inputs, f, 4)
    for i in range(1, body.depth + 1):
        place = 3 * i - 1
        table += conv(f"conv{i + 1}", f"model.{place}", widths[i - 1], widths[i], 4, bias)
        table += norm(f"conv{i + 1}_norm", f"model.{place + 1}", widths[i])
    return table + conv("logits", f"model.{3 * body.depth + 2}", widths[-1], 1, 4)
