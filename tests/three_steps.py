"""Three steps of a tiny system in float64, for tests/test_engine.py: run in a process of its own, since a process has
one backend and one number of devices.

    KERAS_BACKEND=jax python tests/three_steps.py DEVICES OBJECTIVE OUTPUT.npz
"""

import json
import os
import sys
import zlib

DEVICES, OBJECTIVE, OUTPUT = int(sys.argv[1]), sys.argv[2], sys.argv[3]
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
from kgan.systems import ugatit

keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")

SETTINGS = ugatit.Settings(
    light=True,
    image_size=32,
    filters=4,
    residual_blocks=1,
    discriminator_layers=4,
    adversarial=OBJECTIVE,
    ema=0.9,
)
BATCH = 4


def set_start(system: ugatit.UGATIT) -> None:
    """The same weights whatever the backend: each from its own path."""
    for path, variable in system.state().items():
        attribute = path.split("/")[0]
        if attribute not in system.networks():
            continue
        values = 0.1 * np.random.default_rng(zlib.crc32(path.encode())).normal(size=variable.shape)
        variable.assign(values + 0.8 if path.endswith(("gamma", "rho")) else values)
    system.ema_generator_ab.set_weights(system.generator_ab.get_weights())
    system.ema_generator_ba.set_weights(system.generator_ba.get_weights())


def main() -> None:
    random = np.random.default_rng(0)
    size = SETTINGS.image_size

    def batch() -> dict[str, np.ndarray]:
        return {name: random.uniform(-1, 1, (BATCH, size, size, 3)) for name in "ab"}

    shapes = {n: (BATCH, 1, 1, 1) if n % 2 == 0 else (BATCH, size, size, 3) for n in range(4)}
    draws = {n: np.random.default_rng(50 + n).uniform(size=shape) for n, shape in shapes.items()}
    with engine.scope(DEVICES):
        system = SETTINGS.create(steps=100, seed=0)
        set_start(system)
        state = system.state()
        before = {f"before {path}": value for path, value in zip(state, engine.read(list(state.values())), strict=True)}
        step = engine.Compiled(system, system.train_step, DEVICES)
        with engine.injected(draws):
            losses = [engine.to_host(step((batch(), batch()))) for _ in range(3)]
        after = dict(zip(state, engine.read(list(state.values())), strict=True))
    np.savez(OUTPUT, losses=json.dumps([{k: float(v) for k, v in row.items()} for row in losses]), **before, **after)


main()
