"""What kgan's step is compared with: the steps of CycleGAN and U-GAT-IT as one would write them down first.

Networks, losses and draws are kgan's own; every picture goes through a network on its own, and every fake is made where
it is used, as U-GAT-IT's official code does.
"""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import alone

if TYPE_CHECKING:
    import keras

    from kgan import engine
    from kgan.systems.cyclegan import CycleGAN
    from kgan.systems.ugatit import UGATIT
    from kgan.types import Tensor

CASES = (("cyclegan_selfie2anime", 1), ("cyclegan_selfie2anime", 4), ("ugatit_light_selfie2anime_64", 1))
COLUMNS = {
    "config": "",
    "engine": "",
    "step": "",
    "precision": "",
    "batch": "d",
    "images/s": ".2f",
    "times": ".2f",
    "tensors GiB": ".2f",
    "of straightforward": ".2f",
}
STEPS = (("straightforward", "float32"), ("kgan", "float32"), ("kgan", "mixed_bfloat16"))


def rows(cases: Any = CASES, changes: Mapping[str, Any] | None = None, seconds: float = 10.0) -> Iterator[dict]:
    """Three for each engine and case, measured in turns within one process; see `measure`."""

    def of(engine: str) -> Iterator[dict]:
        for config, batch in cases:
            arguments = {"config": config, "batch": batch, "changes": changes or {}, "seconds": seconds}
            yield from alone.run("straightforward", engine, **arguments)

    return alone.under_both(of)


def measure(config: str, batch: int, changes: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """One row for each of STEPS, of at least three rounds of all.

    Returns:
      images/s: of each domain, at the median step;
      times: the straightforward step's time by that of its neighbour, median;
      tensors GiB: what the step has alive at once, as the engine counts it;
      of straightforward: the same as a share of the straightforward step's.
    """
    from kgan import engine, precision

    experiment = importlib.import_module(f"kgan.configs.{config}").get_config()
    settings = dataclasses.replace(experiment.system, **changes)
    random, size = np.random.default_rng(0), settings.image_size

    def batches() -> list[engine.Batches]:
        shape = (batch, size, size, 3)
        step = [{name: random.uniform(-1, 1, shape).astype("f4") for name in "ab"} for _ in range(2)]
        return [tuple(step[: settings.batches_per_step])] * engine.steps_per_call()

    steps, tensors = [], []
    for kind, name in STEPS:
        with precision.policy(name):
            system = settings.create(1000, 0)
            step = engine.Compiled(system, plain(system) if kind == "straightforward" else system.train_step)
            tensors.append(step.cost(*batches()).tensors)
            engine.to_host(step(*batches()))
        steps.append(step)

    times: list[list[float]] = []
    while len(times) < 3 or sum(map(sum, times)) < seconds:
        times.append([])
        for step in steps:
            inputs, start = batches(), time.perf_counter()
            engine.to_host(step(*inputs))
            times[-1].append((time.perf_counter() - start) / len(inputs))
    return [
        {
            "config": config,
            "step": kind,
            "precision": name,
            "batch": batch,
            "images/s": batch / median(row[i] for row in times),
            "times": median(row[0] / row[i] for row in times),
            "tensors GiB": tensors[i] / 2**30,
            "of straightforward": tensors[i] / tensors[0],
        }
        for i, (kind, name) in enumerate(STEPS)
    ]


def plain(system: CycleGAN | UGATIT) -> Callable[[engine.Batches], engine.Terms]:
    """A straightforward `train_step` on the networks and optimizers of kgan's CycleGAN or U-GAT-IT."""
    from kgan.systems.cyclegan import CycleGAN

    if isinstance(system, CycleGAN):
        return lambda batches: cyclegan(system, batches)
    return lambda batches: ugatit(system, batches)


def cyclegan(system: CycleGAN, batches: engine.Batches) -> engine.Terms:
    """G's update, then D's on fakes that are made again, by the generators of now."""
    from kgan.losses import l1

    settings, objective = system.settings, system.objective
    real_a, real_b = batches[0]["a"], batches[0]["b"]

    def to_a(x: Tensor) -> Tensor:
        return system.generator_ba(x, training=True)["image"]

    def to_b(x: Tensor) -> Tensor:
        return system.generator_ab(x, training=True)["image"]

    def generator_losses() -> tuple[engine.Terms, tuple]:
        fake_a, fake_b = to_a(real_b), to_b(real_a)
        return {
            "adversarial_ab": objective.generator(system.discriminator_b(fake_b, training=True)),
            "adversarial_ba": objective.generator(system.discriminator_a(fake_a, training=True)),
            "cycle_a": settings.cycle_weight_a * l1(to_a(fake_b), real_a),
            "cycle_b": settings.cycle_weight_b * l1(to_b(fake_a), real_b),
            "identity_a": settings.identity_weight * settings.cycle_weight_a * l1(to_a(real_a), real_a),
            "identity_b": settings.identity_weight * settings.cycle_weight_b * l1(to_b(real_b), real_b),
        }, ()

    def discriminator_losses() -> tuple[engine.Terms, tuple]:
        def judge(discriminator: keras.Model, real: Tensor, fake: Tensor) -> Tensor:
            real_logits, fake_logits = discriminator(real, training=True), discriminator(fake, training=True)
            return settings.discriminator_weight * objective.discriminator(real_logits, fake_logits)

        return {
            "discriminator_a": judge(system.discriminator_a, real_a, to_a(real_b)),
            "discriminator_b": judge(system.discriminator_b, real_b, to_b(real_a)),
        }, ()

    terms, _ = system.minimize(system.generator_optimizer, system.generator_variables(), generator_losses)
    more, _ = system.minimize(system.discriminator_optimizer, system.discriminator_variables(), discriminator_losses)
    _end(system)
    return {**terms, **more}


def ugatit(system: UGATIT, batches: engine.Batches) -> engine.Terms:
    """The discriminators' update, then the generators', each on fakes of its own."""
    from kgan.losses import binary_cross_entropy, l1, l2

    settings, objective = system.settings, system.objective
    weight = settings.adversarial_weight

    def ab(x: Tensor) -> dict[str, Tensor]:
        return system.generator_ab(x, training=True)

    def ba(x: Tensor) -> dict[str, Tensor]:
        return system.generator_ba(x, training=True)

    def judge(discriminators: tuple[keras.Model, ...], real: Tensor, fake: Tensor) -> Tensor:
        loss = 0.0
        for discriminator in discriminators:
            of_real, of_fake = discriminator(real, training=True), discriminator(fake, training=True)
            loss = loss + objective.discriminator(of_real["logits"], of_fake["logits"])
            loss = loss + objective.discriminator(of_real["cam_logits"], of_fake["cam_logits"])
        return weight * loss

    def fool(discriminators: tuple[keras.Model, ...], fake: Tensor) -> Tensor:
        loss = 0.0
        for discriminator in discriminators:
            output = discriminator(fake, training=True)
            loss = loss + objective.generator(output["logits"]) + objective.generator(output["cam_logits"])
        return weight * loss

    def discriminator_losses() -> tuple[engine.Terms, tuple]:
        real_a, real_b = batches[0]["a"], batches[0]["b"]
        return {
            "discriminator_a": judge(system.discriminators_a, real_a, ba(real_b)["image"]),
            "discriminator_b": judge(system.discriminators_b, real_b, ab(real_a)["image"]),
            "l2_discriminators": settings.l2 * l2(system._decayed(system.discriminator_variables())),
        }, ()

    def generator_losses() -> tuple[engine.Terms, tuple]:
        real_a, real_b = batches[-1]["a"], batches[-1]["b"]
        to_b, to_a, same_a, same_b = ab(real_a), ba(real_b), ba(real_a), ab(real_b)
        cam_ab = binary_cross_entropy(to_b["cam_logits"], True) + binary_cross_entropy(same_b["cam_logits"], False)
        cam_ba = binary_cross_entropy(to_a["cam_logits"], True) + binary_cross_entropy(same_a["cam_logits"], False)
        return {
            "adversarial_ab": fool(system.discriminators_b, to_b["image"]),
            "adversarial_ba": fool(system.discriminators_a, to_a["image"]),
            "cycle_a": settings.cycle_weight * l1(ba(to_b["image"])["image"], real_a),
            "cycle_b": settings.cycle_weight * l1(ab(to_a["image"])["image"], real_b),
            "identity_a": settings.identity_weight * l1(same_a["image"], real_a),
            "identity_b": settings.identity_weight * l1(same_b["image"], real_b),
            "cam_ab": settings.cam_weight * cam_ab,
            "cam_ba": settings.cam_weight * cam_ba,
            "l2_generators": settings.l2 * l2(system._decayed(system.generator_variables())),
        }, ()

    terms, _ = system.minimize(system.discriminator_optimizer, system.discriminator_variables(), discriminator_losses)
    more, _ = system.minimize(system.generator_optimizer, system.generator_variables(), generator_losses)
    _end(system)
    return {**terms, **more}


def _end(system: CycleGAN | UGATIT) -> None:
    """Move the averaged generators, and count the step."""
    from kgan.systems.system import average

    if system.settings.ema:
        average(system.ema_generator_ab, system.generator_ab, system.settings.ema, system.step)
        average(system.ema_generator_ba, system.generator_ba, system.settings.ema, system.step)
    system.step.assign_add(1)
