"""pix2pix leaves Keras: batch statistics of the only picture, no dropout, and a card that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kgan.errors import UserError
from kgan.export import export
from kgan.filters import card, loading
from kgan.pictures import emoji, images
from kgan.systems.pix2pix import Settings

TINY: dict[str, Any] = {"image_size": 32, "filters": 2, "depth": 5, "dropout": "paper", "discriminator_layers": 2}


@pytest.mark.parametrize(
    "statistics, task",
    [
        ("batch", "colorize"),
        ("moving", "translate"),
        pytest.param("batch", "translate", marks=pytest.mark.slow),
        pytest.param("moving", "colorize", marks=pytest.mark.slow),
    ],
)
def test_the_exported_file_holds_the_statistics_that_its_card_names(tmp_path: Path, statistics: str, task: str) -> None:
    system = Settings(**TINY, test_statistics=statistics, task=task).create(steps=200, seed=0)
    pictures = [images.resize(picture, (32, 32)) for picture in emoji.load("google", "test")[:3]]
    batch = {name: ops.convert_to_tensor(images.to_float(np.stack(pictures))) for name in "ab"}
    for _ in range(3):
        system.train_step((batch,))
    path = tmp_path / "generator.keras"
    system.generators()["generator"].save(path)
    card.Card(image_size=32, multiple=32, smallest=32, batch_norm=system.batch_norm, dropout=True).write(path)

    measurements = export(path, tmp_path / "out", pictures, recipes=["float32"])
    assert not any(measurement.problems for measurement in measurements)
    exported = loading.load(tmp_path / "out" / "generator_float32.tflite")
    assert exported.card.batch_norm == statistics and not exported.card.dropout

    # A picture is drawn alone, whatever else is asked for at the same time.
    served = tf.saved_model.load(str(tmp_path / "out" / "generator_saved_model")).signatures["serving_default"]
    both = served(image=tf.constant(np.stack([images.to_float(picture) for picture in pictures[:2]])))["image"]
    np.testing.assert_allclose(both[0], exported(images.to_float(pictures[0])), atol=1e-4)

    # Training mode without draws is the official test without its dropout: statistics of the batch at hand.
    network = system.generators()["generator"]
    draws = {tensor.name: None for tensor in network.inputs[1:]}
    for picture in pictures:
        x = ops.convert_to_tensor(images.to_float(picture)[None])
        official = ops.convert_to_numpy(network({"image": x, **draws}, training=True)["image"])[0]
        close = np.abs(exported(images.to_float(picture)) - official).max() < 1e-3
        assert close == (statistics == "batch")


def test_the_card_of_another_filter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "generator.keras"
    Settings(**TINY).create(steps=200, seed=0).generators()["generator"].save(path)
    card.Card(image_size=32, multiple=32, smallest=32, batch_norm="moving").write(path)
    with pytest.raises(UserError, match="says batch_norm 'moving', but the network uses 'batch'"):
        export(path, tmp_path / "out", list(emoji.load("google", "test")[:1]))


def test_without_a_card_the_halvings_say_what_sizes_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "generator.keras"
    Settings(**TINY).create(steps=200, seed=0).generators()["generator"].save(path)
    assert loading.load(path)(np.zeros((20, 40, 3), np.uint8)).shape == (20, 40, 3)


def test_a_keras_filter_drops_out_where_its_card_says_so(tmp_path: Path) -> None:
    system = Settings(**TINY).create(steps=200, seed=0)
    picture = images.resize(emoji.load("google", "test")[0], (32, 32))
    results = {}
    for dropout in (True, False):
        path = tmp_path / f"{dropout}.keras"
        system.generators()["generator"].save(path)
        card.Card(image_size=32, multiple=32, smallest=32, dropout=dropout).write(path)
        results[dropout] = [loading.load(path)(images.to_float(picture)) for _ in range(2)]
    np.testing.assert_array_equal(*results[True])
    assert np.abs(results[True][0] - results[False][0]).max() > 1e-6
