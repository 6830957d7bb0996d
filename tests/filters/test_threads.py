"""Filters, generators and the face finder called by many threads: each gets the answer to its own question."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import small_generator

from kgan.export import export
from kgan.filters import generators, loading
from kgan.filters.card import Card
from kgan.layers import InstanceNormalization
from kgan.pictures import emoji, faces, images
from kgan.quiet import quiet

THREADS, CALLS = 8, 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("threads")
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(InstanceNormalization()(x))
    keras.Model(image, {"image": x}).save(folder / "any.keras")
    Card(image_size=32, multiple=1, smallest=8).write(folder / "any.keras")
    export(folder / "any.keras", folder, list(emoji.load("fluent3d", "test")[:1]), recipes=["float32"])
    return folder


def assert_each_gets_its_own(answer: Callable[[Any], Any], questions: list[Any]) -> None:
    alone = [answer(question) for question in questions]
    assert any(not np.array_equal(alone[0], other) for other in alone[1:])
    start = threading.Barrier(THREADS)

    def client(number: int) -> list[bool]:
        start.wait()
        order = np.random.default_rng(number).integers(len(questions), size=CALLS // THREADS)
        return [bool(np.array_equal(answer(questions[i]), alone[i])) for i in order]

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(itertools.chain(*pool.map(client, range(THREADS))))
    assert len(results) == CALLS and all(results)


@pytest.mark.parametrize("name", ["any.keras", "any_float32.tflite", "any_saved_model", "included"])
def test_filters(folder: Path, name: str) -> None:
    included = name == "included"
    loaded = loading.load_for_photos("stargan_animefaces_utkface" if included else folder / name)
    loaded = loaded.with_label(loaded.card.labels.examples()[0]) if loaded.card.labels else loaded
    pictures = list(emoji.load("google", "test")[:10])
    # Of an included filter, those of one size go through its .tflite, and the others through its .keras.
    assert_each_gets_its_own(loaded, pictures if not included else [*pictures[:9], pictures[9][:32]])


def test_the_face_finder() -> None:
    squares = [np.tile(images.to_float(picture), (2, 2, 1)) for picture in emoji.load("fluent3d", "test")[:8]]
    assert_each_gets_its_own(lambda square: faces._run(square)[0], squares)


def test_generators(tmp_path: Path) -> None:
    generator = generators.load(small_generator.written(tmp_path))
    assert_each_gets_its_own(generator, [[0], [1], [2, 3]])


def test_loading_at_once_leaves_the_streams_as_they_were(folder: Path) -> None:
    before = sys.stdout, sys.stderr
    with ThreadPoolExecutor(THREADS) as pool:
        names = ["any.keras", "any_float32.tflite"] * 4
        sizes = list(pool.map(lambda name: loading.load(folder / name).size, names))
    assert sizes == [None, (32, 32)] * 4
    assert (sys.stdout, sys.stderr) == before


def test_the_last_one_out_of_quiet_switches_the_light_on_again(capfd: pytest.CaptureFixture[str]) -> None:
    inside, out = threading.Event(), threading.Event()

    def other() -> None:
        with quiet():
            inside.set()
            out.wait(10)

    thread = threading.Thread(target=other)
    with quiet():
        thread.start()
        inside.wait(10)
    print("not seen")
    out.set()
    thread.join()
    print("seen")
    assert capfd.readouterr().out == "seen\n"
