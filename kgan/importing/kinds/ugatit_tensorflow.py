"""U-GAT-IT of taki0112/UGATIT, the code of the paper's figures: TensorFlow 1's variables, with Adam's averages.

Its generator_B draws domain B, and is generator_ab here. Kernels and flattened maps lie as Keras has them. Whether it
was trained with --smoothing, as it is unless told otherwise, shows in no variable, but ends the folder's name.
"""

from __future__ import annotations

import re
from functools import partial

from kgan.errors import UserError
from kgan.importing.files import Tensors
from kgan.importing.sources import Shown, Source, Wishes
from kgan.importing.tables import Entry, Network, Table, flattened_side, same
from kgan.systems import ugatit

TITLE = "U-GAT-IT of taki0112/UGATIT"
SCOPES = {
    "generator_B": "generator_ab",
    "generator_A": "generator_ba",
    "discriminator_A/global": "discriminator_a_global",
    "discriminator_B/global": "discriminator_b_global",
    "discriminator_A/local": "discriminator_a_local",
    "discriminator_B/local": "discriminator_b_local",
}
MOMENTS = ("/Adam", "/Adam_1")
COUNTERS = re.compile(r"beta[12]_power(_1)?")  # Adam's, each a power of beta


def open_files(files: list[Tensors], wishes: Wishes) -> Source | None:
    """Its networks; None where the files are no such checkpoint."""
    if len(files) > 1 or "generator_B/conv/conv2d/kernel" not in files[0]:
        return None
    (whole,) = files
    stray = [name for name in whole if not name.startswith(tuple(f"{scope}/" for scope in SCOPES))]
    if unknown := next((name for name in stray if not COUNTERS.fullmatch(name)), None):
        raise UserError(f"{whole.file} has the tensor {unknown}, which belongs to none of its networks.")
    settings, shown, networks = ugatit.Settings(), Shown(), []
    for scope, attribute in SCOPES.items():
        tensors = whole.below(f"{scope}/")
        if not tensors.stored:
            continue
        if scope.startswith("generator"):
            filters, blocks, side = _generator(tensors)
            shown.add(tensors, filters=filters, residual_blocks=blocks, light=not side)
            if side:
                shown.add(tensors, image_size=4 * side)
            title = f"{'full' if side else 'light'} generator of {blocks} blocks, {filters} filters"
            table = generator_table(filters, blocks, side)
            build = partial(ugatit.build_generator, settings, name=attribute)
        else:
            filters, layers, spectral = _discriminator(tensors)
            n_dis = layers + 2 * attribute.endswith("local")
            shown.add(tensors, filters=filters, discriminator_layers=n_dis, spectral=spectral)
            title = f"discriminator of {layers} convolutions, {filters} filters"
            table = discriminator_table(filters, layers, spectral)
            build = partial(ugatit.build_discriminator, settings, layers, name=attribute)
        networks.append(Network(attribute, title, tensors, table, build, MOMENTS))
    shown["rho_smoothing"] = 0.1 if _smooth(whole) else 0.0
    shown.set_in(settings)
    if settings.light:
        settings.image_size = wishes.image_size or settings.image_size
    size = None if settings.light else (settings.image_size, settings.image_size)
    moments = MOMENTS if any(name.endswith(MOMENTS) for name in whole) else None
    return Source(
        TITLE,
        settings,
        shown,
        networks,
        {"system": "ugatit", "size": size},
        moments=moments,
        whole=tuple(SCOPES.values()),
        config="ugatit_light_selfie2anime",
        preset=ugatit.Settings(light=True),
    )


def _smooth(tensors: Tensors) -> bool:
    """False where the folder has the official code's name of settings, and it does not end in _smoothing."""
    folder = tensors.file.parent.name
    return not re.match(r"UGATIT.*resblock.*dis_", folder) or folder.endswith("_smoothing")


def _generator(tensors: Tensors) -> tuple[int, int, int]:
    """Filters, blocks, and the side of the map that the full one flattens; 0 for a light one."""
    filters = tensors.shape("conv/conv2d/kernel")[3]
    blocks = len({name.partition("/")[0] for name in tensors if name.startswith("adaptive_resblock")})
    side = flattened_side(tensors, "MLP/linear_0/dense/kernel", 0, 4 * filters)
    return filters, blocks, 0 if side == 1 else side


def generator_table(f: int, blocks: int, side: int) -> Table:
    """From `kgan.systems.ugatit.build_generator` to the scopes of UGATIT.generator."""
    c = 4 * f
    table = _conv("stem_conv", "conv", 3, f, 7) + _norm("stem_norm", "ins_norm", f)
    table += _conv("down1_conv", "conv_0", f, 2 * f, 3) + _norm("down1_norm", "ins_norm_0", 2 * f)
    table += _conv("down2_conv", "conv_1", 2 * f, c, 3) + _norm("down2_norm", "ins_norm_1", c)
    for i in range(blocks):
        for n in (1, 2):
            table += _conv(f"encoder{i + 1}_conv{n}", f"resblock_{i}/res{n}/conv_0", c, c, 3)
            table += _norm(f"encoder{i + 1}_norm{n}", f"resblock_{i}/res{n}/instance_norm", c)
    table += same("cam/kernel", "CAM_logit/kernel", c, 1) + same("cam/bias", "CAM_logit/bias", 1)
    table += _conv("attention_conv", "conv_1x1", 2 * c, c, 1)
    table += _dense("style_dense1", "MLP/linear_0", c * max(side, 1) ** 2, c) + _dense(
        "style_dense2", "MLP/linear_1", c, c
    )
    table += _dense("gamma", "MLP/gamma", c, c) + _dense("beta", "MLP/beta", c, c)
    for i in range(blocks):
        for n in (1, 2):
            layer, scope = f"decoder{i + 1}_adalin", f"adaptive_resblock{i}/res{n}"
            table += _conv(f"{layer}_conv{n}", f"{scope}/conv_0", c, c, 3)
            table += same(f"{layer}_norm{n}/rho", f"{scope}/instance_layer_norm/rho", c)
    for i, width in enumerate((2 * f, f)):
        table += _conv(f"up{i + 1}_conv", f"up_conv_{i}", 2 * width, width, 3)
        for variable in ("rho", "gamma", "beta"):
            table += same(f"up{i + 1}_lin/{variable}", f"layer_ins_norm_{i}/{variable}", width)
    return table + _conv("image_conv", "G_logit", f, 3, 7)


def _discriminator(tensors: Tensors) -> tuple[int, int, bool]:
    """Filters, convolutions before the attention, and whether they are spectrally normalized."""
    spectral = "conv_0/kernel" in tensors
    name = "kernel" if spectral else "conv2d/kernel"
    filters, layers = tensors.shape(f"conv_0/{name}")[3], 2
    while f"conv_{layers - 1}/{name}" in tensors:
        layers += 1
    return filters, layers, spectral


def discriminator_table(f: int, layers: int, spectral: bool) -> Table:
    """From `kgan.systems.ugatit.build_discriminator` to discriminator_global and discriminator_local."""
    rows = _spectral_conv if spectral else _conv
    last = f * 2 ** (layers - 1)
    table = rows("conv1", "conv_0", 3, f, 4)
    for i in range(1, layers):
        scope = f"conv_{i}" if i < layers - 1 else "conv_last"
        table += rows(f"conv{i + 1}", scope, f * 2 ** (i - 1), f * 2**i, 4)
    table += same("cam/kernel", "CAM_logit/kernel", last, 1) + same("cam/bias", "CAM_logit/bias", 1)
    table += [*same("cam/u", "CAM_logit/u", 1, 1), _v("cam/v")] if spectral else []
    return table + _conv("attention_conv", "conv_1x1", 2 * last, last, 1) + rows("logits", "D_logit", last, 1, 4)


def _conv(layer: str, scope: str, inputs: int, outputs: int, size: int) -> Table:
    """ops.conv without spectral normalization."""
    kernel = same(f"{layer}/kernel", f"{scope}/conv2d/kernel", size, size, inputs, outputs)
    return kernel + same(f"{layer}/bias", f"{scope}/conv2d/bias", outputs)


def _spectral_conv(layer: str, scope: str, inputs: int, outputs: int, size: int) -> Table:
    """ops.conv with it; v is computed from u there."""
    inner = f"{layer}_sn/{layer}"
    table = same(f"{inner}/kernel", f"{scope}/kernel", size, size, inputs, outputs)
    table += same(f"{inner}/bias", f"{scope}/bias", outputs)
    return [*table, *same(f"{layer}_sn/u", f"{scope}/u", 1, outputs), _v(f"{layer}_sn/v")]


def _v(variable: str) -> Entry:
    """A variable that no file has."""
    return Entry(variable, "", (), lambda array: array, optional=True)


def _dense(layer: str, scope: str, inputs: int, outputs: int) -> Table:
    """ops.fully_connected."""
    kernel = same(f"{layer}/kernel", f"{scope}/dense/kernel", inputs, outputs)
    return kernel + same(f"{layer}/bias", f"{scope}/dense/bias", outputs)


def _norm(layer: str, scope: str, width: int) -> Table:
    """contrib's instance_norm."""
    return same(f"{layer}/gamma", f"{scope}/gamma", width) + same(f"{layer}/beta", f"{scope}/beta", width)
