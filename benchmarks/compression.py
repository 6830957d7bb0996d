"""What training for compression gains over compressing afterwards, for a student of `kgan.systems.distillation`.

  pip install 'kgan[compress]'
  python -m benchmarks.compression --model=runs/student/student.keras --train=photos/trainA --test=photos/testA

tensorflow-model-optimization trains with weights and activations that are rounded (quantization-aware training), or of
which half become zero (pruning), or which take 16 values a layer (clustering), here towards what the student itself
draws. It knows networks of tf_keras only, so the network for phones is built a second time of tf_keras' layers, with
batch normalization folded into the convolutions and the weights carried by name. One row a file: bytes, bytes after
deflate as in a download, and PSNR against the student in float32 on the test pictures, at peak 2. The first rows are
kgan's own recipes. In a process of its own: importing the package makes tf.keras mean tf_keras.
"""

from __future__ import annotations

import os
import tempfile
import types
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from kgan import commands
from kgan.commands import DEFINE_path, shared
from kgan.errors import UserError
from kgan.filters.loading import keras_runner, load_keras
from kgan.layers import BatchNormalization
from kgan.litert import Model
from kgan.networks import phone
from kgan.pictures import folders, images
from kgan.quiet import quiet

MODEL = shared(DEFINE_path, "model", "The student: a .keras file of norm=batch.")
TRAIN = shared(DEFINE_path, "train", "A folder of pictures to train and to calibrate on.")
TEST = shared(DEFINE_path, "test", "A folder of other pictures to measure on.")
SIZE = shared(flags.DEFINE_integer, "size", "Pixels a side. Default: 128.")
STEPS = shared(flags.DEFINE_integer, "steps", "Steps of 4 pictures for each method. Default: 300.")

Weights = dict[str, tuple[np.ndarray, np.ndarray]]  # kernel and bias of each convolution


def main() -> None:
    commands.require(MODEL, TRAIN, TEST)
    print(f"{'':32} {'bytes':>9} {'deflated':>9} {'PSNR':>8}")
    for name, size, deflated, decibels in rows(
        Path(MODEL.value), TRAIN.value, TEST.value, SIZE.value or 128, STEPS.value or 300
    ):
        print(f"{name:32} {size:9,} {deflated:9,} {decibels:5.1f} dB", flush=True)


def rows(model: Path, pictures: str, test: str, size: int, steps: int) -> Iterator[tuple[str, int, int, float]]:
    """Name, bytes, deflated bytes and PSNR of each file.

    Raises:
      UserError: the package is missing, or the model is no student for phones with batch normalization.
    """
    tfmot, tf_keras = packages()
    student = load_keras(model)
    draw, weights = keras_runner(student), folded(student)
    train, check = inputs(pictures, 200, size), inputs(test, 12, size)
    targets, expected = (np.concatenate([draw(each[None]) for each in part]) for part in (train, check))

    def row(name: str, data: bytes) -> tuple[str, int, int, float]:
        return name, len(data), len(zlib.compress(data, 9)), decibels(data, check, expected)

    from kgan.export import recipes, tflite

    calibration = [{"image": each[None]} for each in train[:100]]
    for name in ("float32", "dynamic_wi8_afp32", "static_convs", "static_wi8_ai8"):
        yield row(f"afterwards: {name}", tflite.convert(student, (size, size), recipes.get(name), calibration))
    for name, compress in (("quantization-aware", quantization_aware), ("pruned", pruned), ("clustered", clustered)):
        network = twin(tf_keras, weights, (size, size))
        drawn = network.predict(check, batch_size=4, verbose=0)
        if (error := float(np.abs(drawn - expected).max())) > 1e-4:
            raise UserError(f"{model} and its copy of tf_keras differ by {error:.2g}: it is no student for phones.")
        yield row(f"trained: {name}", compress(tfmot, tf_keras, network, train, targets, steps))


def packages() -> tuple[Any, Any]:
    """tensorflow-model-optimization and tf_keras; a `UserError` that says how to get them."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        with quiet():
            import tensorflow_model_optimization as tfmot
            import tf_keras
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install 'kgan[compress]'.") from error
    return tfmot, tf_keras


def inputs(folder: str, count: int, size: int) -> np.ndarray:
    """The first `count` pictures of a folder, float32 [N, size, size, 3] in [-1, 1]."""
    paths = folders.look(Path(folder)).pictures[:count]
    return np.stack([images.to_float(images.resize(images.read(path), (size, size))) for path in paths])


def decibels(data: bytes, pictures: np.ndarray, expected: np.ndarray) -> float:
    """PSNR at peak 2 over all pictures of a `.tflite` of one picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(data)
        network = Model(path)
        index = network.inputs[0]["index"]
        drawn = np.concatenate([next(iter(network({index: each[None]}).values())) for each in pictures])
    return float(10 * np.log10(4 / np.mean(np.square(drawn - expected))))


def folded(student: Any) -> Weights:
    """Kernel and bias of each convolution by name, with the batch normalization that follows it inside.

    Raises:
      UserError: it has none, or its statistics are not those of the training.
    """
    norms = {layer.name: layer for layer in student.layers if isinstance(layer, BatchNormalization)}
    if not norms or any(norm.at_test != "moving" for norm in norms.values()):
        raise UserError(f"{student.name} is no student for phones with system.norm=batch, whose norms can be folded.")
    weights: Weights = {}
    for layer in student.layers:
        if not layer.name.endswith("_conv"):
            continue
        kernel, *bias = (np.asarray(weight) for weight in layer.get_weights())
        if norm := norms.get(f"{layer.name.removesuffix('_conv')}_norm"):
            gamma, beta, mean, variance = norm.get_weights()
            factor = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = kernel * factor, [beta - mean * factor]
        weights[layer.name] = kernel, bias[0]
    return weights


class Zeros:
    """In place of `kgan.blocks.Initial`: the weights come from a student."""

    def kernel(self) -> str:
        return "zeros"


def twin(tf_keras: Any, weights: Weights, size: tuple[int, int]) -> Any:
    """The network for phones of tf_keras' layers, [B, *size, 3] to the same, without normalization."""

    class DepthToSpace(tf_keras.layers.Layer):
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            return tf.nn.depth_to_space(x, 2)

    layers = types.SimpleNamespace(
        Conv2D=tf_keras.layers.Conv2D,
        ReLU=tf_keras.layers.ReLU,
        Add=tf_keras.layers.Add,
        NearestUpsampling2D=lambda name: tf_keras.layers.UpSampling2D(2, name=name),
        DepthToSpace2D=DepthToSpace,
        AveragePooling2D=tf_keras.layers.AveragePooling2D,
        Concatenate=tf_keras.layers.Concatenate,
        tanh=lambda x: tf_keras.layers.Activation("tanh", name="image_tanh")(x),
    )
    filters = weights["stem_conv"][0].shape[-1]
    blocks = sum(name.startswith("block") and name.endswith("_1_conv") for name in weights)
    image = tf_keras.Input((*size, 3), name="image")
    initial: Any = Zeros()
    x = phone(image, 3, filters, blocks, initial=initial, norm=lambda x, name: x, layers=layers)
    network = tf_keras.Model(image, x)
    for name, values in weights.items():
        network.get_layer(name).set_weights(values)
    return network


# --- the methods -------------------------------------------------------------------------------------------------


def fit(tf_keras: Any, network: Any, x: np.ndarray, y: np.ndarray, steps: int, *callbacks: Any) -> None:
    """Train towards `y` for so many steps of 4 pictures, by |difference|."""
    rate = tf_keras.optimizers.schedules.CosineDecay(2e-4, steps)
    network.compile(tf_keras.optimizers.Adam(rate), loss="mae")
    order = np.random.default_rng(0).integers(0, len(x), steps * 4)
    network.fit(x[order], y[order], batch_size=4, epochs=1, verbose=0, callbacks=list(callbacks))


def converted(network: Any) -> bytes:
    """The bytes of a `.tflite` for one picture: 8 bits of weights, and of activations that know their ranges."""
    import tensorflow as tf

    shape = (1, *network.input_shape[1:])
    function = tf.function(lambda x: network(x, training=False), input_signature=[tf.TensorSpec(shape)])
    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


def quantization_aware(tfmot: Any, tf_keras: Any, network: Any, x: np.ndarray, y: np.ndarray, steps: int) -> bytes:
    """Weights and activations rounded to 8 bits in every step."""
    tools = tfmot.quantization.keras

    class Float(tfmot.quantization.keras.QuantizeConfig):
        """Of layers that move pixels: their input's range is theirs."""

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
            pass

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            pass

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            return []

        def get_config(self) -> dict[str, Any]:
            return {}

    moving = ("up", "image_pixels", "image_tanh")
    kinds = {type(network.get_layer(name)).__name__: type(network.get_layer(name)) for name in moving}

    def annotated(layer: Any) -> Any:
        return tools.quantize_annotate_layer(layer, Float() if layer.name in moving else None)

    marked = tf_keras.models.clone_model(network, clone_function=annotated)
    marked.set_weights(network.get_weights())
    with tools.quantize_scope({"Float": Float, **kinds}):
        aware = tools.quantize_apply(marked)
    fit(tf_keras, aware, x, y, steps)
    return converted(aware)


def pruned(tfmot: Any, tf_keras: Any, network: Any, x: np.ndarray, y: np.ndarray, steps: int) -> bytes:
    """Half of each convolution's weights go to zero within the first half of the steps."""
    tools = tfmot.sparsity.keras
    schedule = tools.PolynomialDecay(0.0, 0.5, 0, max(1, steps // 2), frequency=max(1, steps // 20))
    thin = each_convolution(tf_keras, network, lambda layer: tools.prune_low_magnitude(layer, schedule))
    fit(tf_keras, thin, x, y, steps, tools.UpdatePruningStep())
    return converted(tools.strip_pruning(thin))


def clustered(tfmot: Any, tf_keras: Any, network: Any, x: np.ndarray, y: np.ndarray, steps: int) -> bytes:
    """Each convolution's weights share 16 values, which are trained."""
    tools = tfmot.clustering.keras
    start = {"number_of_clusters": 16, "cluster_centroids_init": tools.CentroidInitialization.KMEANS_PLUS_PLUS}
    few = each_convolution(tf_keras, network, lambda layer: tools.cluster_weights(layer, **start))
    fit(tf_keras, few, x, y, steps)
    return converted(tools.strip_clustering(few))


def each_convolution(tf_keras: Any, network: Any, wrap: Callable[[Any], Any]) -> Any:
    """The same network and weights with its convolutions wrapped."""

    def changed(layer: Any) -> Any:
        return wrap(layer) if isinstance(layer, tf_keras.layers.Conv2D) else layer

    return tf_keras.models.clone_model(network, clone_function=changed)


if __name__ == "__main__":
    commands.run(main)
