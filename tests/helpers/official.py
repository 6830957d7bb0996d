"""The official networks in NumPy, written from their own code: channels first, names and shapes as their checkpoints.

Each network is a pair of functions: one draws all its tensors at random, the other computes what it makes of pictures.
Everything is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]


# --- parts ---------------------------------------------------------------------------------------------------------


class Drawn(dict[str, np.ndarray]):
    """Tensors by name, drawn one after the other."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = np.random.default_rng(seed)

    def normal(self, name: str, *shape: int, mean: float = 0.0, deviation: float = 1.0) -> None:
        self[name] = self._random.normal(mean, deviation, shape).astype("f4")

    def conv(self, name: str, inputs: int, outputs: int, size: int, bias: bool = True, weight: str = "weight") -> None:
        self.normal(f"{name}.{weight}", outputs, inputs, size, size, deviation=(inputs * size * size) ** -0.5)
        if bias:
            self.normal(f"{name}.bias", outputs, deviation=0.3)

    def transposed(self, name: str, inputs: int, outputs: int, size: int, bias: bool = True) -> None:
        self.normal(f"{name}.weight", inputs, outputs, size, size, deviation=(inputs * size) ** -0.5)
        if bias:
            self.normal(f"{name}.bias", outputs, deviation=0.3)

    def linear(self, name: str, inputs: int, outputs: int, weight: str = "weight") -> None:
        self.normal(f"{name}.{weight}", outputs, inputs, deviation=inputs**-0.5)

    def affine(self, name: str, width: int, running: bool = True) -> None:
        self.normal(f"{name}.weight", width, mean=1.0, deviation=0.2)
        self.normal(f"{name}.bias", width, deviation=0.2)
        if running:
            self.running(name, width)

    def running(self, name: str, width: int) -> None:
        self.normal(f"{name}.running_mean", width, deviation=0.3)
        self[f"{name}.running_var"] = self._random.uniform(0.5, 2, width).astype("f4")
        self[f"{name}.num_batches_tracked"] = np.array(7)

    def spectral(self, name: str, *shape: int, bias: bool = True) -> None:
        rows, columns = shape[0], int(np.prod(shape[1:]))
        self.normal(f"{name}.weight_orig", *shape, deviation=columns**-0.5)
        matrix = self[f"{name}.weight_orig"].reshape(rows, -1)
        u, _, v = np.linalg.svd(matrix + 0.2 * self._random.normal(size=matrix.shape) * columns**-0.5, False)
        self[f"{name}.weight_u"], self[f"{name}.weight_v"] = u[:, 0].astype("f4"), v[0].astype("f4")
        if bias:
            self.normal(f"{name}.bias", rows, deviation=0.3)


def conv2d(x: np.ndarray, weight: np.ndarray, bias: Any = None, stride: int = 1, padding: int = 0) -> np.ndarray:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    size = weight.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("nihwkl,oikl->nohw", windows, weight, optimize=True)
    return y if bias is None else y + bias[:, None, None]


def conv_transpose2d(x: np.ndarray, weight: np.ndarray, bias: Any = None, output_padding: int = 0) -> np.ndarray:
    """Stride 2, padding 1: each pixel adds its kernel, two steps further for each; then a border is cut."""
    n, _, height, width = x.shape
    outputs, size = weight.shape[1:3]
    y = np.zeros((n, outputs, 2 * height + size - 2 + output_padding, 2 * width + size - 2 + output_padding))
    for i in range(size):
        for j in range(size):
            spread = np.einsum("nihw,io->nohw", x, weight[:, :, i, j], optimize=True)
            y[:, :, i : i + 2 * height : 2, j : j + 2 * width : 2] += spread
    y = y[:, :, 1 : 1 + 2 * height, 1 : 1 + 2 * width]
    return y if bias is None else y + bias[:, None, None]


def reflected(x: np.ndarray, padding: int, after: int | None = None) -> np.ndarray:
    sides = (padding, padding if after is None else after)
    return np.pad(x, ((0, 0), (0, 0), sides, sides), mode="reflect")


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def leaky(x: np.ndarray, slope: float = 0.2) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def normed(x: np.ndarray, axes: tuple[int, ...], ddof: int = 0) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True, ddof=ddof) + 1e-5)


def column(vector: np.ndarray) -> np.ndarray:
    return vector.reshape(-1, 1, 1)


class Norms:
    """What stands between convolutions: an instance norm, or a batch norm by the batch's or by running statistics."""

    def __init__(self, weights: Weights, kind: str) -> None:
        self.weights, self.kind = weights, kind

    def __call__(self, x: np.ndarray, name: str) -> np.ndarray:
        w = self.weights
        if self.kind == "instance":
            return normed(x, (2, 3))
        if self.kind == "affine":
            x = normed(x, (2, 3))
        elif self.kind == "batch":
            x = normed(x, (0, 2, 3))
        else:
            x = (x - column(w[f"{name}.running_mean"])) / np.sqrt(column(w[f"{name}.running_var"]) + 1e-5)
        return x * column(w[f"{name}.weight"]) + column(w[f"{name}.bias"])


# --- pytorch-CycleGAN-and-pix2pix ----------------------------------------------------------------------------------


def draw_resnet(
    seed: int, f: int, blocks: int, batch: bool = False, dropout: bool = False, running: bool = False
) -> Weights:
    w, bias = Drawn(seed), not batch

    def norm(name: str, width: int) -> None:
        if batch:
            w.affine(name, width)
        elif running:
            w.running(name, width)

    w.conv("model.1", 3, f, 7, bias), norm("model.2", f)
    w.conv("model.4", f, 2 * f, 3, bias), norm("model.5", 2 * f)
    w.conv("model.7", 2 * f, 4 * f, 3, bias), norm("model.8", 4 * f)
    for i in range(10, 10 + blocks):
        for place in (1, 6 if dropout else 5):
            w.conv(f"model.{i}.conv_block.{place}", 4 * f, 4 * f, 3, bias)
            norm(f"model.{i}.conv_block.{place + 1}", 4 * f)
    up = 10 + blocks
    w.transposed(f"model.{up}", 4 * f, 2 * f, 3, bias), norm(f"model.{up + 1}", 2 * f)
    w.transposed(f"model.{up + 3}", 2 * f, f, 3, bias), norm(f"model.{up + 4}", f)
    w.conv(f"model.{up + 7}", f, 3, 7)
    return w


def resnet(w: Weights, x: np.ndarray, kind: str = "instance") -> np.ndarray:
    norm = Norms(w, kind)

    def conv(x: np.ndarray, name: str, **how: int) -> np.ndarray:
        return conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **how)

    x = relu(norm(conv(reflected(x, 3), "model.1"), "model.2"))
    x = relu(norm(conv(x, "model.4", stride=2, padding=1), "model.5"))
    x = relu(norm(conv(x, "model.7", stride=2, padding=1), "model.8"))
    i = 10
    while f"model.{i}.conv_block.1.weight" in w:
        block = f"model.{i}.conv_block"
        second = 6 if f"{block}.6.weight" in w and w[f"{block}.6.weight"].ndim == 4 else 5
        y = relu(norm(conv(reflected(x, 1), f"{block}.1"), f"{block}.2"))
        x = x + norm(conv(reflected(y, 1), f"{block}.{second}"), f"{block}.{second + 1}")
        i += 1
    for place in (i, i + 3):
        x = conv_transpose2d(x, w[f"model.{place}.weight"], w.get(f"model.{place}.bias"), output_padding=1)
        x = relu(norm(x, f"model.{place + 1}"))
    return np.tanh(conv(reflected(x, 3), f"model.{i + 7}"))


def draw_unet(seed: int, f: int, depth: int, batch: bool = True, inputs: int = 3, outputs: int = 3) -> Weights:
    w, bias = Drawn(seed), not batch

    def norm(name: str, width: int) -> None:
        if batch:
            w.affine(name, width)

    def block(prefix: str, outer: int, inner: int, level: int) -> None:
        """A block within blocks, the innermost one at level depth - 1."""
        w.conv(f"{prefix}.1", outer, inner, 4, bias)
        if level == depth - 1:
            w.transposed(f"{prefix}.3", inner, outer, 4, bias), norm(f"{prefix}.4", outer)
            return
        norm(f"{prefix}.2", inner)
        block(f"{prefix}.3.model", inner, min(2 * inner, 8 * f), level + 1)
        w.transposed(f"{prefix}.5", 2 * inner, outer, 4, bias), norm(f"{prefix}.6", outer)

    w.conv("model.model.0", inputs, f, 4, bias)
    block("model.model.1.model", f, 2 * f, 1)
    w.transposed("model.model.3", 2 * f, outputs, 4)
    return w


def unet(w: Weights, x: np.ndarray, kind: str = "batch") -> np.ndarray:
    norm = Norms(w, kind)

    def down(x: np.ndarray, name: str) -> np.ndarray:
        return conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), 2, 1)

    def up(x: np.ndarray, name: str) -> np.ndarray:
        return conv_transpose2d(relu(x), w[f"{name}.weight"], w.get(f"{name}.bias"))

    def block(x: np.ndarray, prefix: str) -> np.ndarray:
        x = leaky(x)  # in place: the skip carries it too
        y = down(x, f"{prefix}.1")
        if f"{prefix}.3.weight" in w:
            return np.concatenate([x, norm(up(y, f"{prefix}.3"), f"{prefix}.4")], 1)
        y = block(norm(y, f"{prefix}.2"), f"{prefix}.3.model")
        return np.concatenate([x, norm(up(y, f"{prefix}.5"), f"{prefix}.6")], 1)

    return np.tanh(up(block(down(x, "model.model.0"), "model.model.1.model"), "model.model.3"))


def draw_patch(seed: int, f: int, layers: int = 3, batch: bool = False, inputs: int = 3) -> Weights:
    w = Drawn(seed)
    w.conv("model.0", inputs, f, 4)
    width = f
    for i in range(1, layers + 1):
        before, width = width, f * min(2**i, 8)
        w.conv(f"model.{3 * i - 1}", before, width, 4, not batch)
        if batch:
            w.affine(f"model.{3 * i}", width)
    w.conv(f"model.{3 * layers + 2}", width, 1, 4)
    return w


def patch(w: Weights, x: np.ndarray, kind: str = "instance") -> np.ndarray:
    norm = Norms(w, kind)
    places = sorted(int(name.split(".")[1]) for name, each in w.items() if each.ndim == 4)
    for place in places[:-1]:
        stride = 1 if place == places[-2] else 2
        x = conv2d(x, w[f"model.{place}.weight"], w.get(f"model.{place}.bias"), stride, 1)
        x = leaky(norm(x, f"model.{place + 1}") if place else x)
    return conv2d(x, w[f"model.{places[-1]}.weight"], w[f"model.{places[-1]}.bias"], 1, 1)


def draw_pixel(seed: int, f: int, batch: bool = False, inputs: int = 3) -> Weights:
    w = Drawn(seed)
    w.conv("net.0", inputs, f, 1), w.conv("net.2", f, 2 * f, 1, not batch), w.conv("net.5", 2 * f, 1, 1, not batch)
    if batch:
        w.affine("net.3", 2 * f)
    return w


def pixel(w: Weights, x: np.ndarray, kind: str = "instance") -> np.ndarray:
    x = leaky(conv2d(x, w["net.0.weight"], w["net.0.bias"]))
    x = leaky(Norms(w, kind)(conv2d(x, w["net.2.weight"], w.get("net.2.bias")), "net.3"))
    return conv2d(x, w["net.5.weight"], w.get("net.5.bias"))


# --- StarGAN -------------------------------------------------------------------------------------------------------


def draw_stargan(seed: int, f: int, labels: int, blocks: int = 6) -> Weights:
    w = Drawn(seed)
    w.conv("main.0", 3 + labels, f, 7, False), w.affine("main.1", f)
    w.conv("main.3", f, 2 * f, 4, False), w.affine("main.4", 2 * f)
    w.conv("main.6", 2 * f, 4 * f, 4, False), w.affine("main.7", 4 * f)
    for i in range(9, 9 + blocks):
        w.conv(f"main.{i}.main.0", 4 * f, 4 * f, 3, False), w.affine(f"main.{i}.main.1", 4 * f)
        w.conv(f"main.{i}.main.3", 4 * f, 4 * f, 3, False), w.affine(f"main.{i}.main.4", 4 * f)
    i = 9 + blocks
    w.transposed(f"main.{i}", 4 * f, 2 * f, 4, False), w.affine(f"main.{i + 1}", 2 * f)
    w.transposed(f"main.{i + 3}", 2 * f, f, 4, False), w.affine(f"main.{i + 4}", f)
    w.conv(f"main.{i + 6}", f, 3, 7, False)
    return w


def stargan(w: Weights, x: np.ndarray, label: np.ndarray, kind: str = "affine") -> np.ndarray:
    norm = Norms(w, kind)
    x = np.concatenate([x, np.broadcast_to(label[:, :, None, None], (*label.shape, *x.shape[2:]))], 1)
    x = relu(norm(conv2d(x, w["main.0.weight"], padding=3), "main.1"))
    x = relu(norm(conv2d(x, w["main.3.weight"], None, 2, 1), "main.4"))
    x = relu(norm(conv2d(x, w["main.6.weight"], None, 2, 1), "main.7"))
    i = 9
    while f"main.{i}.main.0.weight" in w:
        y = relu(norm(conv2d(x, w[f"main.{i}.main.0.weight"], padding=1), f"main.{i}.main.1"))
        x = x + norm(conv2d(y, w[f"main.{i}.main.3.weight"], padding=1), f"main.{i}.main.4")
        i += 1
    for place in (i, i + 3):
        x = relu(norm(conv_transpose2d(x, w[f"main.{place}.weight"]), f"main.{place + 1}"))
    return np.tanh(conv2d(x, w[f"main.{i + 6}.weight"], padding=3))


def draw_stargan_discriminator(seed: int, f: int, labels: int, layers: int, side: int) -> Weights:
    w = Drawn(seed)
    w.conv("main.0", 3, f, 4)
    for i in range(1, layers):
        w.conv(f"main.{2 * i}", f * 2 ** (i - 1), f * 2**i, 4)
    last = f * 2 ** (layers - 1)
    w.conv("conv1", last, 1, 3, False), w.conv("conv2", last, labels, side, False)
    return w


def stargan_discriminator(w: Weights, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i = 0
    while f"main.{i}.weight" in w:
        x = leaky(conv2d(x, w[f"main.{i}.weight"], w[f"main.{i}.bias"], 2, 1), 0.01)
        i += 2
    return conv2d(x, w["conv1.weight"], padding=1), conv2d(x, w["conv2.weight"])[:, :, 0, 0]


# --- UGATIT-pytorch ------------------------------------------------------------------------------------------------


def draw_ugatit(seed: int, f: int, blocks: int, side: int = 0) -> Weights:
    """`side`: of the map that the full generator flattens, 0 for the light one."""
    w, c = Drawn(seed), 4 * f
    w.conv("DownBlock.1", 3, f, 7, False), w.conv("DownBlock.5", f, 2 * f, 3, False)
    w.conv("DownBlock.9", 2 * f, c, 3, False)
    for i in range(blocks):
        w.conv(f"DownBlock.{12 + i}.conv_block.1", c, c, 3, False)
        w.conv(f"DownBlock.{12 + i}.conv_block.5", c, c, 3, False)
        for n in (1, 2):
            w.conv(f"UpBlock1_{i + 1}.conv{n}", c, c, 3, False)
            w[f"UpBlock1_{i + 1}.norm{n}.rho"] = np.random.default_rng(i).uniform(0, 1, (1, c, 1, 1)).astype("f4")
    w.linear("gap_fc", c, 1), w.linear("gmp_fc", c, 1), w.conv("conv1x1", 2 * c, c, 1)
    w.linear("FC.0", c * (side * side or 1), c)
    for name in ("FC.2", "gamma", "beta"):
        w.linear(name, c, c)
    for place, width in ((2, 2 * f), (7, f)):
        w.conv(f"UpBlock2.{place}", 2 * width, width, 3, False)
        w.normal(f"UpBlock2.{place + 1}.gamma", 1, width, 1, 1, mean=1.0, deviation=0.2)
        w.normal(f"UpBlock2.{place + 1}.beta", 1, width, 1, 1, deviation=0.2)
        w[f"UpBlock2.{place + 1}.rho"] = np.random.default_rng(place).uniform(0, 1, (1, width, 1, 1)).astype("f4")
    w.conv("UpBlock2.11", f, 3, 7, False)
    return w


def lin(x: np.ndarray, rho: np.ndarray, ddof: int) -> np.ndarray:
    return rho * normed(x, (2, 3), ddof) + (1 - rho) * normed(x, (1, 2, 3), ddof)


def attended(x: np.ndarray, average: np.ndarray, maximum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both pooled maps [N, C]."""
    return np.einsum("nchw,oc->nchw", x, average), np.einsum("nchw,oc->nchw", x, maximum)


def ugatit(w: Weights, x: np.ndarray) -> dict[str, np.ndarray]:
    x = relu(normed(conv2d(reflected(x, 3), w["DownBlock.1.weight"]), (2, 3)))
    for place in (5, 9):
        x = relu(normed(conv2d(reflected(x, 1), w[f"DownBlock.{place}.weight"], stride=2), (2, 3)))
    i = 12
    while f"DownBlock.{i}.conv_block.1.weight" in w:
        y = relu(normed(conv2d(reflected(x, 1), w[f"DownBlock.{i}.conv_block.1.weight"]), (2, 3)))
        x = x + normed(conv2d(reflected(y, 1), w[f"DownBlock.{i}.conv_block.5.weight"]), (2, 3))
        i += 1
    average, maximum = w["gap_fc.weight"], w["gmp_fc.weight"]
    cam = np.concatenate([x.mean((2, 3)) @ average.T, x.max((2, 3)) @ maximum.T], 1)
    x = np.concatenate(attended(x, average, maximum), 1)
    x = relu(conv2d(x, w["conv1x1.weight"], w["conv1x1.bias"]))
    heatmap = x.sum(1, keepdims=True)
    light = w["FC.0.weight"].shape[1] == x.shape[1]
    y = x.mean((2, 3)) if light else x.reshape(len(x), -1)
    y = relu(relu(y @ w["FC.0.weight"].T) @ w["FC.2.weight"].T)
    gamma, beta = (y @ w["gamma.weight"].T)[:, :, None, None], (y @ w["beta.weight"].T)[:, :, None, None]
    i = 1
    while f"UpBlock1_{i}.conv1.weight" in w:
        y = conv2d(reflected(x, 1), w[f"UpBlock1_{i}.conv1.weight"])
        y = relu(gamma * lin(y, w[f"UpBlock1_{i}.norm1.rho"], 1) + beta)
        y = conv2d(reflected(y, 1), w[f"UpBlock1_{i}.conv2.weight"])
        x = x + gamma * lin(y, w[f"UpBlock1_{i}.norm2.rho"], 1) + beta
        i += 1
    for place in (2, 7):
        x = x.repeat(2, 2).repeat(2, 3)
        x = lin(conv2d(reflected(x, 1), w[f"UpBlock2.{place}.weight"]), w[f"UpBlock2.{place + 1}.rho"], 1)
        x = relu(x * w[f"UpBlock2.{place + 1}.gamma"] + w[f"UpBlock2.{place + 1}.beta"])
    return {"image": np.tanh(conv2d(reflected(x, 3), w["UpBlock2.11.weight"])), "cam_logits": cam, "heatmap": heatmap}


def draw_ugatit_discriminator(seed: int, f: int, layers: int) -> Weights:
    """`layers`: convolutions before the attention, two fewer than its n_layers... counted with the last one."""
    w = Drawn(seed)
    w.spectral("model.1", f, 3, 4, 4)
    for i in range(1, layers):
        w.spectral(f"model.{3 * i + 1}", f * 2**i, f * 2 ** (i - 1), 4, 4)
    last = f * 2 ** (layers - 1)
    w.spectral("gap_fc", 1, last, bias=False), w.spectral("gmp_fc", 1, last, bias=False)
    w.conv("conv1x1", 2 * last, last, 1)
    w.spectral("conv", 1, last, 4, 4, bias=False)
    return w


def ugatit_discriminator(w: Weights, x: np.ndarray) -> dict[str, np.ndarray]:
    """In eval mode: sigma = u W v of the state."""

    def weight(name: str) -> np.ndarray:
        matrix = w[f"{name}.weight_orig"]
        return matrix / (w[f"{name}.weight_u"] @ matrix.reshape(len(matrix), -1) @ w[f"{name}.weight_v"])

    places = sorted(int(name.split(".")[1]) for name in w if name.startswith("model.") and name.endswith("_orig"))
    for place in places:
        stride = 1 if place == places[-1] else 2
        x = leaky(conv2d(reflected(x, 1), weight(f"model.{place}"), w[f"model.{place}.bias"], stride))
    cam = np.concatenate([x.mean((2, 3)) @ weight("gap_fc").T, x.max((2, 3)) @ weight("gmp_fc").T], 1)
    x = np.concatenate(attended(x, w["gap_fc.weight_orig"], w["gmp_fc.weight_orig"]), 1)
    x = leaky(conv2d(x, w["conv1x1.weight"], w["conv1x1.bias"]))
    logits = conv2d(reflected(x, 1), weight("conv"))
    return {"logits": logits, "cam_logits": cam, "heatmap": x.sum(1, keepdims=True)}


# --- taki0112/UGATIT, channels last as its variables ---------------------------------------------------------------


class Variables(Drawn):
    """TensorFlow's, by scope."""

    def kernel(self, scope: str, inputs: int, outputs: int, size: int, name: str = "conv2d/kernel") -> None:
        self.normal(f"{scope}/{name}", size, size, inputs, outputs, deviation=(inputs * size * size) ** -0.5)
        self.normal(f"{scope}/{name.replace('kernel', 'bias')}", outputs, deviation=0.3)

    def dense(self, scope: str, inputs: int, outputs: int, name: str = "dense/kernel") -> None:
        self.normal(f"{scope}/{name}", inputs, outputs, deviation=inputs**-0.5)
        self.normal(f"{scope}/{name.replace('kernel', 'bias')}", outputs, deviation=0.3)

    def scale(self, scope: str, width: int) -> None:
        self.normal(f"{scope}/gamma", width, mean=1.0, deviation=0.2)
        self.normal(f"{scope}/beta", width, deviation=0.2)

    def rho(self, scope: str, width: int) -> None:
        self[f"{scope}/rho"] = self._random.uniform(0, 1, width).astype("f4")


def draw_ugatit_tf(seed: int, f: int, blocks: int, side: int = 0) -> Weights:
    w, c = Variables(seed), 4 * f
    w.kernel("conv", 3, f, 7), w.scale("ins_norm", f)
    for i, width in enumerate((f, 2 * f)):
        w.kernel(f"conv_{i}", width, 2 * width, 3), w.scale(f"ins_norm_{i}", 2 * width)
    for i in range(blocks):
        for n in (1, 2):
            w.kernel(f"resblock_{i}/res{n}/conv_0", c, c, 3), w.scale(f"resblock_{i}/res{n}/instance_norm", c)
            w.kernel(f"adaptive_resblock{i}/res{n}/conv_0", c, c, 3)
            w.rho(f"adaptive_resblock{i}/res{n}/instance_layer_norm", c)
    w.dense("CAM_logit", c, 1, "kernel"), w.kernel("conv_1x1", 2 * c, c, 1)
    w.dense("MLP/linear_0", c * (side * side or 1), c)
    for name in ("linear_1", "gamma", "beta"):
        w.dense(f"MLP/{name}", c, c)
    for i, width in enumerate((2 * f, f)):
        w.kernel(f"up_conv_{i}", 2 * width, width, 3), w.scale(f"layer_ins_norm_{i}", width)
        w.rho(f"layer_ins_norm_{i}", width)
    w.kernel("G_logit", f, 3, 7)
    return w


def _tf_conv(w: Weights, x: np.ndarray, scope: str, weight: Any = None, **how: int) -> np.ndarray:
    name = f"{scope}/conv2d/kernel" if f"{scope}/conv2d/kernel" in w else f"{scope}/kernel"
    kernel = w[name] if weight is None else weight
    return conv2d(x, kernel.transpose(3, 2, 0, 1), w[name.replace("kernel", "bias")], **how)


def ugatit_tf(w: Weights, x: np.ndarray, smoothing: float = 0.1) -> dict[str, np.ndarray]:
    def affine(x: np.ndarray, scope: str) -> np.ndarray:
        return x * column(w[f"{scope}/gamma"]) + column(w[f"{scope}/beta"])

    x = relu(affine(normed(_tf_conv(w, reflected(x, 3), "conv"), (2, 3)), "ins_norm"))
    for i in (0, 1):
        x = relu(affine(normed(_tf_conv(w, reflected(x, 1), f"conv_{i}", stride=2), (2, 3)), f"ins_norm_{i}"))
    i = 0
    while f"resblock_{i}/res1/conv_0/conv2d/kernel" in w:
        y = x
        for n in (1, 2):
            y = normed(_tf_conv(w, reflected(y, 1), f"resblock_{i}/res{n}/conv_0"), (2, 3))
            y = affine(y, f"resblock_{i}/res{n}/instance_norm")
            y = relu(y) if n == 1 else y
        x, i = x + y, i + 1
    kernel, bias = w["CAM_logit/kernel"], w["CAM_logit/bias"]
    cam = np.concatenate([x.mean((2, 3)) @ kernel, x.max((2, 3)) @ kernel], 1) + bias
    x = np.concatenate(attended(x, (kernel + bias).T, (kernel + bias).T), 1)
    x = relu(_tf_conv(w, x, "conv_1x1"))
    heatmap = x.sum(1, keepdims=True)
    light = len(w["MLP/linear_0/dense/kernel"]) == x.shape[1]
    y = x.mean((2, 3)) if light else x.transpose(0, 2, 3, 1).reshape(len(x), -1)
    dense: Callable[[np.ndarray, str], np.ndarray] = lambda y, n: (  # noqa: E731
        y @ w[f"MLP/{n}/dense/kernel"] + w[f"MLP/{n}/dense/bias"]
    )
    y = relu(dense(relu(dense(y, "linear_0")), "linear_1"))
    gamma, beta = dense(y, "gamma")[:, :, None, None], dense(y, "beta")[:, :, None, None]
    i = 0
    while f"adaptive_resblock{i}/res1/conv_0/conv2d/kernel" in w:
        y = x
        for n in (1, 2):
            y = _tf_conv(w, reflected(y, 1), f"adaptive_resblock{i}/res{n}/conv_0")
            rho = np.clip(w[f"adaptive_resblock{i}/res{n}/instance_layer_norm/rho"] - smoothing, 0, 1)
            y = gamma * lin(y, column(rho), 0) + beta
            y = relu(y) if n == 1 else y
        x, i = x + y, i + 1
    for i in (0, 1):
        x = _tf_conv(w, reflected(x.repeat(2, 2).repeat(2, 3), 1), f"up_conv_{i}")
        x = relu(affine(lin(x, column(w[f"layer_ins_norm_{i}/rho"]), 0), f"layer_ins_norm_{i}"))
    return {"image": np.tanh(_tf_conv(w, reflected(x, 3), "G_logit")), "cam_logits": cam, "heatmap": heatmap}


def draw_ugatit_tf_discriminator(seed: int, f: int, layers: int) -> Weights:
    w = Variables(seed)
    for i in range(layers):
        scope = "conv_last" if i == layers - 1 else f"conv_{i}"
        inputs = f * 2 ** (i - 1) if i else 3
        w.kernel(scope, inputs, f * 2**i, 4, "kernel"), w.normal(f"{scope}/u", 1, f * 2**i)
    last = f * 2 ** (layers - 1)
    w.dense("CAM_logit", last, 1, "kernel"), w.normal("CAM_logit/u", 1, 1)
    w.kernel("conv_1x1", 2 * last, last, 1)
    w.kernel("D_logit", last, 1, 4, "kernel"), w.normal("D_logit/u", 1, 1)
    return w


def ugatit_tf_discriminator(w: Weights, x: np.ndarray) -> dict[str, np.ndarray]:
    """Each forward iterates once from u."""

    def weight(scope: str) -> np.ndarray:
        kernel, u = w[f"{scope}/kernel"].astype("f8"), w[f"{scope}/u"]
        matrix = kernel.reshape(-1, kernel.shape[-1])
        v = u @ matrix.T
        v /= np.linalg.norm(v)
        u = v @ matrix
        u /= np.linalg.norm(u)
        return kernel / (v @ matrix @ u.T).item()

    i = 0
    while f"conv_{i}/kernel" in w:
        x = leaky(_tf_conv(w, reflected(x, 1), f"conv_{i}", weight(f"conv_{i}"), stride=2))
        i += 1
    x = leaky(_tf_conv(w, reflected(x, 1, 2), "conv_last", weight("conv_last")))
    kernel, bias = weight("CAM_logit"), w["CAM_logit/bias"]
    cam = np.concatenate([x.mean((2, 3)) @ kernel, x.max((2, 3)) @ kernel], 1) + bias
    x = np.concatenate(attended(x, (kernel + bias).T, (kernel + bias).T), 1)
    x = leaky(_tf_conv(w, x, "conv_1x1"))
    logits = _tf_conv(w, reflected(x, 1, 2), "D_logit", weight("D_logit"))
    return {"logits": logits, "cam_logits": cam, "heatmap": x.sum(1, keepdims=True)}
