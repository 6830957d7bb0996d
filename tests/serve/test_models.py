"""kgan.serve.models: what is taken for a model, and versions that come and go under load."""

from __future__ import annotations

import io
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from helpers.served import FILTER, Client, listening, wait_for, write_half_plus_two
from PIL import Image

from kgan import files
from kgan.errors import UserError
from kgan.filters import included
from kgan.filters.loading import load
from kgan.pictures import images
from kgan.serve.app import Server
from kgan.serve.describe import describe
from kgan.serve.errors import Status
from kgan.serve.limits import Limits
from kgan.serve.models import Models, Source, in_folder
from kgan.serve.signatures import of_saved_model


def copy_tflite(to: Path, name: str = FILTER) -> Path:
    """The included .tflite of a filter, and its card, as `to` and beside it."""
    source = included.tflite(name)
    assert source is not None
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, to)
    shutil.copy(source.with_suffix(".json"), to.with_suffix(".json"))
    return to


def test_a_folder_is_read_by_names_and_numbers(tmp_path: Path) -> None:
    for path in (
        "a/1/saved_model.pb",
        "a/2/saved_model.pb",
        "a/2/model.tflite",
        "a/x/saved_model.pb",
        "b/7/model.tflite",
        "c.tflite",
        "d.keras",
        "d.tflite",
        "e.txt",
        "f_saved_model/saved_model.pb",
        ".hidden.keras",
        "g/1/e.txt",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert in_folder(tmp_path) == {
        "a": {1: Source(tmp_path / "a/1"), 2: Source(tmp_path / "a/2", tmp_path / "a/2/model.tflite")},
        "b": {7: Source(tmp_path / "b/7/model.tflite", tmp_path / "b/7/model.tflite")},
        "c": {1: Source(tmp_path / "c.tflite", tmp_path / "c.tflite")},
        "d": {1: Source(tmp_path / "d.keras", tmp_path / "d.tflite")},
        "f_saved_model": {1: Source(tmp_path / "f_saved_model")},
    }


def ask(models: Models, value: float) -> tuple[int, float]:
    """The version that answers, and what half_plus_two makes of a number."""
    with models.lease("half") as version:
        signature = version.signature("")
        return version.number, float(version.predict(signature, {"x": np.float32(value)}).outputs["y"])


def test_the_newest_version_answers_and_the_former_is_unloaded(tmp_path: Path) -> None:
    write_half_plus_two(tmp_path / "half/1", plus=1)
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    assert ask(models, 2) == (1, 2)
    with models.lease("half") as former:
        with files.replacing(tmp_path / "half/10") as temporary:
            write_half_plus_two(temporary, plus=10)
        models.refresh()
        assert ask(models, 2) == (10, 11)
        assert former.predict(former.signature(""), {"x": np.float32(2)}).outputs["y"] == 2  # still at work
    wait_for(lambda: not former.batcher._thread.is_alive())
    assert [(state.version, state.state) for state in models.states("half")] == [(10, "AVAILABLE"), (1, "END")]
    shutil.rmtree(tmp_path / "half/10")
    models.refresh()
    assert ask(models, 2) == (1, 2)
    shutil.rmtree(tmp_path / "half")
    models.refresh()
    with pytest.raises(Status, match="Servable not found"):
        ask(models, 2)
    models.close()


def test_a_version_that_cannot_be_loaded_is_named_and_the_former_answers(tmp_path: Path) -> None:
    write_half_plus_two(tmp_path / "half/1", plus=1)
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    (tmp_path / "half/2").mkdir()
    (tmp_path / "half/2/saved_model.pb").write_bytes(b"damaged")
    for _ in range(2):
        models.refresh()
        assert ask(models, 2) == (1, 2)
    newest, former = models.states("half")
    assert (newest.version, newest.state, newest.code) == (2, "END", "UNKNOWN") and "cannot be loaded" in newest.message
    assert former.state == "AVAILABLE"
    assert list(models.failures()) == ["half/2"]
    shutil.rmtree(tmp_path / "half/2")
    models.refresh()
    assert not models.failures() and [state.version for state in models.states("half")] == [1]
    models.close()


def test_a_filter_that_cannot_be_loaded_is_not_listed_and_the_others_are(tmp_path: Path) -> None:
    copy_tflite(tmp_path / "anime.tflite")
    copy_tflite(tmp_path / "carded.tflite").with_suffix(".json").write_text("{")
    copy_tflite(tmp_path / "damaged.tflite").write_bytes(b"damaged")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    assert list(models.newest()) == ["anime"]
    assert models.failures().keys() == {"carded/1", "damaged/1"}
    models.close()


def test_a_file_that_is_replaced_is_loaded_again(tmp_path: Path) -> None:
    other = "stargan_animefaces_utkface"
    path = copy_tflite(tmp_path / "anime.tflite")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    with models.lease("anime") as former:
        models.refresh()
        with models.lease("anime") as same:
            assert same is former
    copy_tflite(tmp_path / "new/anime.tflite", other).rename(path)
    models.refresh()  # its card is not there yet: the former answers
    assert models.failures().keys() == {"anime/1"} and models.newest()["anime"][1].labels is None
    (tmp_path / "new/anime.json").rename(path.with_suffix(".json"))
    models.refresh()
    assert not models.failures()
    with models.lease("anime") as version:
        assert version.card and version.card.labels and version.picture_filter and version.picture_filter.label_size
    assert [(state.version, state.state) for state in models.states("anime")] == [(1, "AVAILABLE")]
    models.close()


def test_a_file_that_is_written_over_ends_nothing(tmp_path: Path, portrait: np.ndarray) -> None:
    path = copy_tflite(tmp_path / "anime.tflite")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    data = path.read_bytes()
    with models.lease("anime") as version, path.open("r+b") as file:
        assert version.picture_filter
        before = version.picture_filter(portrait[:128, :128])
        file.truncate(1000)  # as `cp` does first
        np.testing.assert_array_equal(version.picture_filter(portrait[:128, :128]), before)
        models.refresh()
        assert "anime/1" in models.failures()
        file.seek(0)
        file.write(data)
    models.refresh()
    assert not models.failures()
    models.close()


def test_a_tflite_beside_a_model_comes_and_goes(tmp_path: Path) -> None:
    model = included.find(FILTER)
    for path in (model, model.with_suffix(".json")):
        shutil.copy(path, tmp_path / f"anime{path.suffix}")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()

    def offered() -> tuple[object, object]:
        entry = describe("anime", *models.newest()["anime"])
        return entry["model"], entry["bytes"]

    assert offered() == (None, None)
    shutil.copy(included.tflite(FILTER) or "", tmp_path / "anime.tflite")
    models.refresh()
    assert offered() == ("/v1/filters/anime/model", (tmp_path / "anime.tflite").stat().st_size)
    (tmp_path / "anime.tflite").unlink()
    assert offered() == (None, None)  # before the folder is looked at again
    with listening(Server(models)) as address:
        assert Client(address).get("/v1/filters/anime/model").status_code == 404
    models.refresh()
    assert models.newest()["anime"][0].tflite is None
    models.close()


def test_the_picture_follows_the_model(tmp_path: Path) -> None:
    models = Models(lambda: in_folder(tmp_path))
    copy_tflite(tmp_path / "anime.tflite")
    models.refresh()
    with listening(Server(models)) as address:

        def picture() -> bytes:
            return Client(address).get("/v1/filters/anime/picture").content

        anime = picture()
        assert picture() == anime
        copy_tflite(tmp_path / "anime.tflite", "stargan_animefaces_utkface")
        assert picture() == anime  # until the folder is looked at
        models.refresh()
        assert picture() != anime
        Image.new("RGB", (160, 160), (255, 0, 0)).save(tmp_path / "anime.png")
        red = images.decode(picture())
        assert red.shape == (160, 160, 3) and red[..., 0].mean() > 240 and red[..., 1].mean() < 15
    models.close()


def test_a_version_that_cannot_be_looked_into_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_tflite(tmp_path / "anime/1/model.tflite")
    copy_tflite(tmp_path / "anime/2/model.tflite")
    is_file = Path.is_file

    def looked(path: Path) -> bool:
        if path.parent == tmp_path / "anime/2":
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", looked)
    one, two = tmp_path / "anime/1/model.tflite", tmp_path / "anime/2"
    assert in_folder(tmp_path) == {"anime": {1: Source(one, one), 2: Source(two)}}


def test_what_cannot_be_looked_into_is_named_and_the_rest_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_tflite(tmp_path / "anime.tflite")
    (tmp_path / "aaa.keras").symlink_to("nowhere")
    (tmp_path / "lost+found").mkdir()
    look = Path.iterdir

    def iterdir(path: Path) -> Any:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)  # the super-user may look into everything
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    assert list(models.newest()) == ["anime"]
    assert models.failures().keys() == {"aaa/1", "lost+found/1"}
    assert "No such file" in models.failures()["aaa/1"]
    (tmp_path / "aaa.keras").unlink()
    models.refresh()
    assert models.failures().keys() == {"lost+found/1"}
    models.close()


def test_a_new_version_under_load_drops_no_request(tmp_path: Path) -> None:
    write_half_plus_two(tmp_path / "half/1", plus=1)
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    models.watch(every=0.05)
    answers: list[Any] = []
    stop = threading.Event()
    with listening(Server(models)) as address:

        def load() -> None:
            client = Client(address)
            while not stop.is_set():
                response = client.post("/v1/models/half:predict", '{"instances": [2]}')
                answers.append((response.status_code, response.json().get("predictions")))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in (2, 3):
            with files.replacing(tmp_path / f"half/{number}") as temporary:
                write_half_plus_two(temporary, plus=number)
            wait_for(lambda number=number: (200, [1.0 + number]) in answers[-10:])  # type: ignore[misc]
        stop.set()
        for thread in threads:
            thread.join()
    models.close()
    assert {status for status, _ in answers} == {200}
    assert {predictions[0] for _, predictions in answers} == {2.0, 3.0, 4.0}


def test_a_tflite_answers_under_the_names_of_a_saved_model(tmp_path: Path, portrait: np.ndarray) -> None:
    path = copy_tflite(tmp_path / "anime/3/model.tflite")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    picture_filter = load(path)
    square = images.resize(portrait, (128, 128))
    with models.lease("anime", 3) as version:
        assert version.signatures.keys() == {"serving_default", "serving_uint8", "serving_bytes"}
        pair = np.stack([square, square[:, ::-1]])
        answer = version.predict(version.signature("serving_uint8"), {"image": pair}).outputs["image"]
        np.testing.assert_array_equal(answer, [picture_filter(image) for image in pair])
        files_ = np.array([images.encode(portrait)], object)
        (data,) = version.predict(version.signature("serving_bytes"), {"image_bytes": files_}).outputs["image_bytes"]
        np.testing.assert_array_equal(images.decode(data), picture_filter(portrait))
        with pytest.raises(Status, match=r"Input image has shape \[1,64,64,3\], and \[\?,128,128,3\] is expected"):
            version.predict(version.signature("serving_uint8"), {"image": pair[:1, :64, :64]})
    models.close()


def test_a_label_is_an_input_of_every_signature(tmp_path: Path) -> None:
    copy_tflite(tmp_path / "faces.tflite", "stargan_animefaces_utkface")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    face = np.asarray(Image.radial_gradient("L").resize((64, 64)).convert("RGB"))
    with models.lease("faces") as version:
        assert all("label" in signature.inputs for signature in version.signatures.values())
        assert version.picture_filter is not None and version.picture_filter.card.labels is not None
        labels = [version.picture_filter.card.labels.vector(text) for text in ("hair=blonde", "hair=black")]
        inputs = {"image": np.stack([face, face]), "label": np.stack(labels)}
        answer = version.predict(version.signature("serving_uint8"), inputs).outputs["image"]
        np.testing.assert_array_equal(answer, [version.picture_filter(face, label) for label in labels])
        assert (answer[0] != answer[1]).any()
    models.close()


def test_files_of_a_request_are_bounded_together(tmp_path: Path) -> None:
    copy_tflite(tmp_path / "anime.tflite")
    models = Models(lambda: in_folder(tmp_path))
    models.refresh()
    buffer = io.BytesIO()
    Image.new("L", (4900, 4900)).save(buffer, "PNG")
    with models.lease("anime") as version:
        signature = version.signature("serving_bytes")
        for files_, text in (([buffer.getvalue()] * 2, "25 megapixels together"), ([b"hello"], "none of a known kind")):
            with pytest.raises(Status, match=text) as info:
                version.predict(signature, {"image_bytes": np.array(files_, object)})
            assert info.value.code == "INVALID_ARGUMENT"
        with pytest.raises(Status, match="4 megapixels together"):
            version.predict(signature, {"image_bytes": np.array([buffer.getvalue()], object)}, Limits(megapixels=4))
    models.close()


def test_files_for_a_saved_model_are_bounded_before_tensorflow_decodes_them(tmp_path: Path) -> None:
    module = tf.Module()
    files_ = tf.TensorSpec([None], tf.string, name="image_bytes")
    same = tf.function(lambda image_bytes: {"image_bytes": image_bytes}, input_signature=[files_])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_bytes": same})

    def send(exported: bool, *sides: tuple[int, int]) -> int:
        signature = of_saved_model(tmp_path, exported)["serving_bytes"]
        inputs = {"image_bytes": np.array([images.encode(np.zeros((*each, 3), np.uint8)) for each in sides], object)}
        signature.check(inputs, Limits.megapixels)
        return len(signature.call(inputs)["image_bytes"])

    assert send(True, (2048, 2048)) == 1
    assert send(False, (2049, 2048)) == 1  # a stranger's, whose strings may be anything
    with pytest.raises(UserError, match="4196352 pixels, and this model takes 4194304 at once"):
        send(True, (2049, 2048))
    with pytest.raises(UserError, match="25 megapixels together"):
        send(True, *[(2048, 2048)] * 6)
