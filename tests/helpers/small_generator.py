"""A generator of noise as small as it can be, for tests of what uses one."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from kgan.filters.card import Card
from kgan.labels import Group, Labels, LabelSet
from kgan.systems.stylegan import Settings

SETTINGS = Settings(
    image_size=16, latent_size=8, mapping_layers=2, mapping_rate=1.0, filters=32, filters_most=8, truncation_cutoff=4
)
LABELS = Labels((LabelSet("pictures", (Group("hair", ("black", "red", "blue")),)),))


def written(folder: Path, labels: Labels | None = None) -> Path:
    """generator.keras as a training leaves it, with its card: six layers, of which truncation touches four."""
    for name, data in _files(labels).items():
        (folder / name).write_bytes(data)
    return folder / "generator.keras"


@functools.cache
def _files(labels: Labels | None) -> dict[str, bytes]:
    """Built once for all tests of a process."""
    system = SETTINGS.create(1, 0, labels)
    random = np.random.default_rng(0)
    for variable in [*system.ema_mapping.trainable_variables, *system.ema_synthesis.trainable_variables]:
        variable.assign(random.normal(size=variable.shape))
    system.truncation.mean.assign(random.normal(size=8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "generator.keras")
        system.generators()["generator"].save(path)
        about = Card(name="tiny", system="stylegan", kind="generator", image_size=16, size=(16, 16), labels=labels)
        about.write(path)
        return {each.name: each.read_bytes() for each in Path(folder).iterdir()}
