"""Imported networks as `.keras` files, generators with the card that every filter has."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras

from kgan import __version__, files
from kgan.filters import card as cards
from kgan.filters.card import Card
from kgan.filters.loading import card_of, load_keras
from kgan.importing.sources import Source
from kgan.importing.tables import Network
from kgan.precision import float32_copy, timeless

KERAS = (".keras", ".h5", ".hdf5")


def copy(path: str | Path, output: str | Path) -> Path:
    """Write a filter that is a Keras model already, also of tf.keras 2, or with layers of TensorFlow Addons.

    Raises:
      UserError: as `kgan.load`.
    """
    model, output = load_keras(Path(path).expanduser()), Path(output).expanduser()
    own = cards.checked(Path(path).expanduser()) or card_of(model, output.stem)
    cards.write_both(output, own, lambda temporary: _save(float32_copy(model), temporary))
    return output


def remark(source: Source) -> str:
    """What the card says that one should know, as a sentence; "" where there is nothing."""
    if source.card.get("batch_norm") == "batch":
        return (
            " Its batch norm uses the statistics of the picture at hand, as published; --eval uses the averages of the "
            "training."
        )
    return ""


def write(source: Source, output: str | Path, origin: str) -> list[Path]:
    """Write the networks of a checkpoint; returns where.

    The generator, or the one from a to b of two, is `output`; the other one and discriminators, where there are no
    generators, lie beside it under names that end in what they are: anime.keras and anime_ba.keras.

    Args:
      origin: the name of the file that was imported, for the card.
    """
    output = Path(output).expanduser()
    networks = source.generators or list(source.networks)
    paths = [output, *(_beside(output, network) for network in networks[1:])]
    models = [network.model() for network in networks]  # all of them before one is written
    for network, model, path in zip(networks, models, paths, strict=True):
        if network in source.generators:
            finished = source.finish(model)
            about = card(source, network, path.stem, origin)
            cards.write_both(path, about, functools.partial(_save, finished))
        else:
            with files.replacing(path) as temporary:
                _save(model, temporary)
    return paths


def _save(model: keras.Model, path: Path) -> None:
    model.save(path)
    timeless(path)


def card(source: Source, network: Network, name: str, origin: str) -> Card:
    """The card of an imported generator."""
    facts: dict[str, Any] = {
        "imported": {"from": origin, "code": source.title, "network": network.title, "settings": source.shown},
        "kgan": __version__,
        "keras": keras.__version__,
    }
    return Card(name=name, image_size=source.settings.image_size, training=facts, **source.card)


def _beside(output: Path, network: Network) -> Path:
    """anime.keras to anime_ba.keras, and anime_ab.keras too."""
    ending = network.attribute.removeprefix("generator_")
    return output.with_name(f"{output.stem.removesuffix('_ab')}_{ending}.keras")
