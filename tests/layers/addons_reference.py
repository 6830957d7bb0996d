"""Saves small networks of the real TensorFlow Addons, with what they compute, for test_addons.py.

    python tests/layers/addons_reference.py FOLDER [CASE ...]

Needs the extra `addons` (Python 3.11) and a process of its own: tf.keras has to be tf_keras from the start. Writes, for
each case, addons_CASE.keras, addons_CASE.h5 and addons_CASE.npz with `x`, `y` (inference), `y_training` (one call
with training=True, after saving) and every weight after that call by its name. The files in tests/golden are those of

    python tests/layers/addons_reference.py tests/golden filter
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf
import tf_keras

sys.modules["keras.src.engine"] = tf_keras.src.engine  # where TensorFlow Addons looks for Keras 2
import tensorflow_addons as tfa  # noqa: E402

keras = tf.keras
SIDE = 6


def _filter() -> Any:
    """All three layers, trained a little: kernels and `sn_u` as a real run leaves them."""
    x = inputs = keras.layers.Input((None, None, 3))
    x = tfa.layers.SpectralNormalization(keras.layers.Conv2D(4, 3, padding="same"), name="sn_conv")(x)
    x = tfa.layers.InstanceNormalization(name="instance")(x)
    x = keras.layers.LeakyReLU(0.2)(x)
    x = tfa.layers.SpectralNormalization(
        keras.layers.Conv2DTranspose(6, 4, 2, padding="same", use_bias=False), power_iterations=2, name="sn_transpose"
    )(x)
    x = tfa.layers.GroupNormalization(groups=3, epsilon=1e-5, gamma_regularizer="l2", name="group")(x)
    x = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(x)
    return keras.Model(inputs, x)


def _standard() -> Any:
    """Layers of Keras whose settings tf.keras 2 wrote in a way of its own."""
    x = inputs = keras.layers.Input((SIDE, SIDE, 3))
    part = keras.layers.Input((None, None, 4))
    x = keras.layers.Conv2DTranspose(4, 4, 2, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer="ones")(x)
    x = keras.Model(part, keras.layers.DepthwiseConv2D(3)(part))(x)
    x = keras.layers.Add()([x, INSTANCE()(keras.layers.Conv2D(4, 1)(x))])
    x = keras.layers.SeparableConv2D(2, 3)(x)
    return keras.Model(inputs, keras.layers.ReLU(negative_slope=0.1)(x))


def _alone(layer: Any, *shape: int | None) -> Any:
    inputs = keras.layers.Input(shape)
    return keras.Model(inputs, layer(inputs))


def _sequence() -> Any:
    return keras.Sequential(
        [
            keras.layers.Input((SIDE, SIDE, 3)),
            tfa.layers.SpectralNormalization(keras.layers.Conv2D(4, 3)),
            tfa.layers.InstanceNormalization(),
            keras.layers.Flatten(),
            tfa.layers.SpectralNormalization(keras.layers.Dense(2)),
        ]
    )


def _half() -> Any:
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = _filter()
    keras.mixed_precision.set_global_policy("float32")
    return model


def _embedding() -> Any:
    return _alone(tfa.layers.SpectralNormalization(keras.layers.Embedding(5, 4)), 3)


INSTANCE, GROUP = tfa.layers.InstanceNormalization, tfa.layers.GroupNormalization
CASES = {
    "filter": _filter,
    "sequence": _sequence,
    "half": _half,
    "standard": _standard,
    "embedding": _embedding,
    "instance_nchw": lambda: _alone(INSTANCE(axis=1), 4, None, None),
    "instance_plain": lambda: _alone(INSTANCE(center=False, scale=False, epsilon=1e-6), None, None, 4),
    "instance_volume": lambda: _alone(INSTANCE(axis=4), 2, 3, 4, 5),
    "instance_sequence": lambda: _alone(INSTANCE(), 7, 4),
    "instance_vector": lambda: _alone(INSTANCE(), 4),
    "group_nchw": lambda: _alone(GROUP(2, axis=1, center=False), 4, None, None),
    "group_rows": lambda: _alone(GROUP(2, axis=-3, scale=False), 4, 5, 3),
    "group_middle": lambda: _alone(GROUP(2, axis=2, beta_constraint="non_neg"), 3, 4, 5),
    "group_one": lambda: _alone(GROUP(1), 5, 5, 4),
    "group_each": lambda: _alone(GROUP(4), 5, 5, 4),
    "group_vector": lambda: _alone(GROUP(2), 8),
}


def _write(folder: Path, case: str) -> None:
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    generator = np.random.default_rng(7)
    model = CASES[case]()
    shape = [size or SIDE for size in model.input_shape[1:]]
    x = generator.normal(0.3, 2.0, (2, *shape)).astype("float32")
    if case == "embedding":
        x = generator.integers(0, 5, (2, *shape)).astype("float32")
    for variable in model.weights:
        if variable.name.split("/")[-1].startswith(("gamma", "beta", "bias")):
            variable.assign(generator.normal(0.5, 1.0, variable.shape))
    target = generator.normal(size=model.compute_output_shape((2, *shape))).astype("float32")
    if case == "filter":  # by hand: a compiled model's file also holds its optimizer
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x, training=True) - target) ** 2)
            for variable, gradient in zip(
                model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True
            ):
                variable.assign_sub(0.1 * gradient)
    elif case == "sequence":
        model.compile(keras.optimizers.Adam(0.01), "mse")
        model.fit(x, target, epochs=3, verbose=0)
    model.save(folder / f"addons_{case}.keras")
    model.save(folder / f"addons_{case}.h5", include_optimizer=False)
    y = model(x, training=False).numpy()
    y_training = model(x, training=True).numpy()
    weights = {variable.name: variable.numpy() for variable in model.weights}
    np.savez_compressed(folder / f"addons_{case}.npz", x=x, y=y, y_training=y_training, **weights)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    for name in sys.argv[2:] or CASES:
        _write(Path(sys.argv[1]), name)
