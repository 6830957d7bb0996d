"""Three steps of tiny systems in float64, for test_engine.py: run in a process of its own, since a process has one
backend and one number of devices.

    KERAS_BACKEND=jax python tests/engine/three_steps.py DEVICES FOLDER CASE ...

writes FOLDER/CASE.npz for each case: losses, and the state before and after.
"""

import dataclasses
import json
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEVICES, FOLDER, NAMES = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["JAX_ENABLE_X64"] = "1"
# Hardly optimized code compiles in a third of the time, and three steps are soon done.
os.environ["XLA_FLAGS"] = (
    f"--xla_force_host_platform_device_count={DEVICES} "
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import keras
import numpy as np
from keras.src.backend.common import dtypes

dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows float64 in some operations on JAX
if keras.backend.backend() == "tensorflow" and DEVICES > 1:
    import tensorflow as tf

    logical = [tf.config.LogicalDeviceConfiguration()] * DEVICES
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
if keras.backend.backend() == "jax":
    sys.modules["tensorflow"] = None  # type: ignore[assignment]

from kgan import engine
from kgan.augmentation import DRAWS
from kgan.labels import Group, Labels, LabelSet
from kgan.systems import cyclegan, distillation, onesided, pix2pix, stargan, stylegan, ugatit
from kgan.systems.system import Stage, System

keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")

BATCH, SIZE = 4, 32


@dataclasses.dataclass
class Case:
    """A system, one of its batches, and the draws of its steps by name (the same in all three steps)."""

    settings: Any
    batch: Callable[[np.random.Generator], dict[str, np.ndarray]]
    draws: dict[str, tuple[int, ...]]
    labels: Any = None
    spread: float = 0.1  # of the starting weights
    at_once: bool = False  # all three in one call


def two_domains(random: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: random.uniform(-1, 1, (BATCH, SIZE, SIZE, 3)) for name in "ab"}


def a_ugatit(objective: str) -> Case:
    settings = ugatit.Settings(
        light=True,
        image_size=SIZE,
        filters=4,
        residual_blocks=1,
        discriminator_layers=4,
        adversarial=objective,
        separate_batches=objective != "lsgan",
        ema=0.9,
    )
    points = dict.fromkeys(("penalty_a", "penalty_b"), (BATCH, 1, 1, 1))
    return Case(settings, two_domains, points | dict.fromkeys(("noise_a", "noise_b"), (BATCH, SIZE, SIZE, 3)))


def a_cyclegan(objective: str, augment: bool = False) -> Case:
    """Its pools are full after the first two images, and swap from then on."""
    small = {"filters": 4, "discriminator_filters": 4, "residual_blocks": 1, "discriminator_layers": 2, "pool": 2}
    settings = cyclegan.Settings(image_size=SIZE, adversarial=objective, ema=0.9, augment=augment, **small)
    draws = dict.fromkeys(("pool_a", "pool_b"), (BATCH, 2)) | dict.fromkeys(
        ("penalty_a", "penalty_b"), (BATCH, 1, 1, 1)
    )
    seen = ("adversarial_ab", "adversarial_ba", "real_a", "fake_a", "real_b", "fake_b")
    return Case(settings, two_domains, draws | {f"augment_{name}": (BATCH, DRAWS) for name in seen})


def a_onesided(**changes: Any) -> Case:
    """Every term, with Lite0 itself."""
    small = {"filters": 4, "residual_blocks": 1, "patch_filters": 4, "patch_layers": (2, 3), "grow_at": ()}
    draws = {f"augment_{name}": (BATCH, DRAWS) for name in ("real_b", "fake_b")}
    weights = {"identity_weight": 5.0, "match_weight": 1.0, "line_weight": 1.0, "ink_weight": 1.0}
    shares = {"lighter_weight": 0.5, "calm_weight": 0.25}
    settings = onesided.Settings(image_size=SIZE, ema=0.9, colour_cells=4, **weights, **shares, **small, **changes)
    return Case(settings, two_domains, draws)


def a_student(norm: str = "batch") -> Case:
    """Every term, on Lite0, towards a teacher whose weights are the same on any engine."""
    image = keras.Input((None, None, 3), name="image")
    bent = keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name="bent")
    teacher = keras.Model(image, {"image": bent(image)})
    teacher.set_weights([np.random.default_rng(1).normal(size=variable.shape) for variable in teacher.weights])
    teacher.save(FOLDER / f"teacher_{norm}.keras")
    settings = distillation.Settings(
        teacher=str(FOLDER / f"teacher_{norm}.keras"),
        image_size=SIZE,
        filters=4,
        residual_blocks=1,
        norm=norm,
        gram_weight=1.0,
        variation_weight=1.0,
        channel_weight=1.0,
        channel_layers=("block1_add=bent",),
        ema=0.9,
    )
    return Case(settings, two_domains, {})


def a_pix2pix(**changes: Any) -> Case:
    """Batch statistics over both replicas, and one layer of dropout, on maps of 2 x 2 pixels."""
    small = {"filters": 4, "depth": 5, "dropout": "paper", "discriminator_filters": 4, "discriminator_layers": 2}
    settings = pix2pix.Settings(image_size=SIZE, ema=0.9, **small, **changes)
    return Case(settings, two_domains, {"up5_dropout_draws": (BATCH, 2, 2, 32), "penalty": (BATCH, 1, 1, 1)})


def a_stargan(**changes: Any) -> Case:
    """Two labelled sets, one of words and one of flags, mixed in a batch; each batch is of two."""
    labels = Labels(
        (
            LabelSet("words", (Group("hair", ("black", "red", "blue")),)),
            LabelSet("flags", (Group("age", ("young", "old"), flags=True),)),
        )
    )
    known = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]] * (BATCH // 2), float)
    mask = np.array([[1, 0], [0, 1]] * (BATCH // 2), float)

    def batch(random: np.random.Generator) -> dict[str, np.ndarray]:
        hair, age = np.eye(3)[random.integers(0, 3, (2, BATCH))], random.integers(0, 2, (2, BATCH, 2))
        label, target = (
            np.concatenate([np.concatenate(each, -1) * known, mask], -1) for each in zip(hair, age, strict=True)
        )
        image = random.uniform(-1, 1, (BATCH, SIZE, SIZE, 3))
        return {"image": image, "label": label, "known": known, "target": target, "target_known": known}

    small = {"filters": 4, "residual_blocks": 1, "discriminator_filters": 4, "discriminator_layers": 3, "n_critic": 2}
    settings = stargan.Settings(image_size=SIZE, ema=0.9, **small, **changes)
    return Case(settings, batch, dict.fromkeys(("penalty0", "penalty1"), (BATCH, 1, 1, 1)), labels)


def a_stylegan(adversarial: str, size: int = 8, **changes: Any) -> Case:
    """At its last level, whose alpha goes from 0 to 0.4; strided groups would differ between devices."""
    width, layers = 6, stylegan.layers_at(size)
    settings = stylegan.Settings(
        image_size=size,
        latent_size=width,
        mapping_layers=2,
        mapping_rate=1.0,
        filters=16,
        filters_most=6,
        fused_from=8 if adversarial == "r1" else 16,
        adversarial=adversarial,
        minibatch_group=2,
        start_size=size // 2,
        stable_kimg=0.0,
        fade_kimg=0.005,
        repeats=1,
        ema_kimg=0.01,
        **changes,
    )
    draws: dict[str, tuple[int, ...]] = {"penalty": (BATCH, 1, 1, 1)}
    for side in ("discriminator", "generator"):
        draws |= {f"{side}_z": (BATCH, width), f"{side}_other_z": (BATCH, width), f"{side}_mixing": (BATCH, 2)}
        draws |= {f"{side}_noise{i}": (BATCH, 4 << i // 2, 4 << i // 2, 1) for i in range(layers)}
    return Case(settings, lambda random: {"image": random.uniform(-1, 1, (BATCH, size, size, 3))}, draws, spread=1.0)


CASES: dict[str, Callable[[], Case]] = {
    "ugatit": lambda: a_ugatit("lsgan"),
    "ugatit_wgan-gp": lambda: a_ugatit("wgan-gp"),
    "ugatit_dragan": lambda: a_ugatit("dragan"),
    "cyclegan": lambda: a_cyclegan("lsgan"),
    "cyclegan_wgan-gp": lambda: a_cyclegan("wgan-gp"),
    "cyclegan_augment": lambda: a_cyclegan("lsgan", augment=True),
    "cyclegan_at-once": lambda: dataclasses.replace(a_cyclegan("lsgan"), at_once=True),
    "onesided": lambda: a_onesided(augment=False),
    "onesided_batch": lambda: a_onesided(norm="batch"),
    "distillation": a_student,
    "distillation_instance": lambda: a_student("instance"),
    "pix2pix": lambda: a_pix2pix(),
    "pix2pix_colorize": lambda: a_pix2pix(task="colorize"),
    "stargan": lambda: a_stargan(),
    "stargan_features": lambda: a_stargan(feature_weight=1.0),
    "stylegan": lambda: a_stylegan("r1"),
    "stylegan_wgan-gp": lambda: a_stylegan("wgan-gp"),
    "stylegan_features": lambda: a_stylegan("r1", size=32, feature_weight=1.0),
}


def set_start(system: System, spread: float) -> None:
    """The same weights whatever the backend: each from its own path."""
    for path, variable in system.state().items():
        attribute, _, rest = path.partition("/")
        if attribute.removeprefix("ema_") not in system.networks():
            continue
        seed = zlib.crc32(f"{attribute.removeprefix('ema_')}/{rest}".encode())  # an average starts where it follows
        values = spread * np.random.default_rng(seed).normal(size=variable.shape)
        around = 0.8 if path.endswith(("gamma", "rho", "moving_variance")) else 0.0
        variable.assign(values + around)


def run(case: Case, output: Path) -> None:
    random = np.random.default_rng(0)
    draws = {
        name: np.random.default_rng(zlib.crc32(name.encode())).uniform(size=shape) for name, shape in case.draws.items()
    }
    with engine.scope(DEVICES):
        system = case.settings.create(100, 0, case.labels)
        system.enter(Stage(0, 0, case.settings.image_size, BATCH), anew=True)
        set_start(system, case.spread)
        state = system.state()
        before = {f"before {path}": value for path, value in zip(state, engine.read(list(state.values())), strict=True)}
        step = engine.Compiled(system, system.train_step, DEVICES)
        count = case.settings.batches_per_step
        batches = [tuple(case.batch(random) for _ in range(count)) for _ in range(3)]
        with engine.injected(draws):
            if case.at_once:
                together = engine.to_host(step(*batches))
                losses = [{name: values[i] for name, values in together.items()} for i in range(3)]
            else:
                losses = [engine.to_host(step(each)) for each in batches]
        after = dict(zip(state, engine.read(list(state.values())), strict=True))
    np.savez(output, losses=json.dumps([{k: float(v) for k, v in row.items()} for row in losses]), **before, **after)


for name in NAMES:
    run(CASES[name](), FOLDER / f"{name}.npz")
