"""Cards: what holds no card is told by file, field and remedy; what differs from its card is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgan import files
from kgan.errors import UserError
from kgan.filters import card as cards
from kgan.filters import included, loading
from kgan.filters.card import Card
from kgan.labels import Group, Labels, LabelSet

LABELS = Labels((LabelSet("set", (Group("hue", ("red", "blue")),)),))
SIDE = "a whole number from 1 to 8192"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    for about in (
        Card(),
        Card(
            name="ü", size=(32, 64), labels=LABELS, crop="face", batch_norm="moving", dropout=True, sha256=("a" * 64,)
        ),
        Card(training={"validation": {"kid": 1.5, "step": 3}}, export={"sha256": "0" * 64}),
    ):
        about.write(tmp_path / "filter.keras")
        assert cards.read(tmp_path / "filter.keras") == about
    assert cards.read(tmp_path / "other.keras") is None


@pytest.mark.parametrize("path", sorted(included.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_included_cards_are_cards(path: Path) -> None:
    (model,) = (each for each in included.FOLDER.glob(f"{path.stem}.*") if each.suffix in (".keras", ".tflite"))
    about = cards.checked(model)
    assert about is not None and about.export["sha256"] == cards.digest(model)[1]


WRONG = [
    *[(field, value, f"{field} should be a text") for field in ("name", "system") for value in (None, 3, ["x"])],
    *[
        (field, value, f"{field} should be {SIDE}")
        for field in ("image_size", "multiple", "smallest")
        for value in (0, -4, 10**9, 256.0, "256", None, True, [256], {})
    ],
    *[
        ("size", value, rf"size should be null or \[height, width\], each {SIDE}")
        for value in (256, [256], [0, 0], [256, "256"], [1, 2, 3], [-1, 8], [1e3, 8], [10**12, 8], "ab", {}, True)
    ],
    *[("kind", value, 'kind should be "filter" or "generator"') for value in ("video", None, 1, [], {})],
    *[("crop", value, 'crop should be "face" or "center" or "none"') for value in ("faces", None, 0, [], True)],
    *[("batch_norm", value, 'batch_norm should be "", "batch" or "moving"') for value in ("mean", None, 0, False)],
    *[("dropout", value, "dropout should be true or false") for value in (0, 1, "false", None)],
    *[("range", v, r"range should be \[-1\.0, 1\.0\]") for v in ([0, 1], [0, 255], [], None, 1, [True, True], "-11")],
    *[("training", value, "training should be an object") for value in (None, [], 3, "x")],
    *[("training", {"validation": v}, "training should be an object, its") for v in (3, {"kid": "low"}, {"fid": 3})],
    *[("export", value, "export should be an object") for value in (None, [], {"sha256": 3}, {"sha256": "abc"})],
    *[("sha256", value, "sha256 should be a list of digests") for value in (None, "a" * 64, ["abc"], [3], {})],
    *[
        ("labels", value, r'labels should be null or \{"sets"')
        for value in (
            *(0, [1], "red", {"sets": 1}, {"optional": True}, {"sets": [], "optional": False}),
            {"sets": [{"name": "set", "groups": []}], "optional": False},
            {
                "sets": [{"name": "set", "groups": [{"name": "hue", "values": "red", "flags": False}]}],
                "optional": False,
            },
            {"sets": [{"name": "set", "groups": [{"name": "hue", "values": [1], "flags": False}]}], "optional": False},
            {"sets": [{"name": 1, "groups": [{"name": "hue", "values": ["a"], "flags": 0}]}], "optional": False},
        )
    ],
    ("mutliple", 8, r'it has the field "mutliple"; did you mean multiple\?'),
    ("password", 8, 'it has the field "password"; there are name, system, kind'),
]


@pytest.mark.parametrize(("field", "value", "said"), WRONG, ids=[f"{f}={json.dumps(v)[:30]}" for f, v, _ in WRONG])
def test_fields_of_another_kind_are_named(field: str, value: Any, said: str, tmp_path: Path) -> None:
    values = json.loads(json.dumps(dataclasses.asdict(Card())))
    (tmp_path / "filter.json").write_text(json.dumps({**values, field: value}))
    with pytest.raises(UserError, match=rf"filter\.json is not a kgan card: .*{said}.*Mend it, or remove it"):
        cards.read(tmp_path / "filter.keras")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'"x"', b"3", b"\xff\xfe{}", b"[" * 100_000, b"{" + b" " * 2**22 + b"}", b"9" * 5000],
)
def test_what_is_no_card_at_all(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "filter.json").write_bytes(text)
    with pytest.raises(UserError, match=r"filter\.json is not a kgan card: .*Mend it, or remove it"):
        cards.read(tmp_path / "filter.keras")


def test_labels_that_could_not_be_asked_for(tmp_path: Path) -> None:
    values = {"sets": [{"name": "s", "groups": [{"name": "a=b", "values": ["x"], "flags": False}]}], "optional": False}
    (tmp_path / "filter.json").write_text(json.dumps({"labels": values}))
    with pytest.raises(UserError, match=r"filter\.json is not a kgan card: 'a=b' cannot be a label"):
        cards.read(tmp_path / "filter.keras")


def test_a_file_that_differs_from_its_card_is_refused(tmp_path: Path) -> None:
    """Of 400 single flips in a .tflite, 83 gave another picture in silence."""
    name = "onesided_selfie2anime_dynamic_wi8_afp32"
    path = tmp_path / f"{name}.tflite"
    shutil.copy(included.FOLDER / f"{name}.json", tmp_path)
    data = (included.FOLDER / f"{name}.tflite").read_bytes()
    path.write_bytes(data)
    picture = np.zeros((8, 8, 3), np.uint8)
    alone = loading.load(path)(picture)
    for place in np.random.default_rng(0).integers(0, len(data), 40):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(place % 8)
        path.write_bytes(flipped)
        with pytest.raises(
            UserError, match=r"\.tflite is not the file that its card .*\.json was written with: .*Copy"
        ):
            loading.load(path)
    path.write_bytes(data)
    np.testing.assert_array_equal(loading.load(path)(picture), alone)


def test_the_card_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    shutil.copy(included.find("onesided_selfie2anime"), path)
    shutil.copy(included.find("pix2pix_facades").with_suffix(".json"), path.with_suffix(".json"))
    with pytest.raises(UserError, match=r"mine\.json was written with: .*or is of another model.*Or remove the card"):
        loading.load(path)
    path.with_suffix(".json").unlink()
    assert loading.load(path).multiple == 4
    # A card of version 0.1.0 that a training wrote has no digest.
    Card(name="old", multiple=4).write(path)
    assert loading.load(path).card.name == "old"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_between_a_model_and_its_card_leaves_a_pair(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the first, second or third file is moved to its place."""
    path, place, calls = tmp_path / "model.keras", files.place, []
    cards.write_both(path, Card(name="first"), lambda file: file.write_bytes(b"1"))

    def killed(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == step:
            raise KeyboardInterrupt
        place(source, target)

    monkeypatch.setattr(files, "place", killed)
    with pytest.raises(KeyboardInterrupt):
        cards.write_both(path, Card(name="second"), lambda file: file.write_bytes(b"2"))
    about = cards.checked(path)
    assert about is not None
    assert (path.read_bytes(), about.name) == {1: (b"1", "first"), 2: (b"1", "second"), 3: (b"2", "second")}[step]
    monkeypatch.undo()
    cards.write_both(path, Card(name="third"), lambda file: file.write_bytes(b"3"))
    about = cards.checked(path)
    assert about is not None and (path.read_bytes(), about.name, len(about.sha256)) == (b"3", "third", 1)
    path.write_bytes(b"2")
    with pytest.raises(UserError, match="is not the file"):
        cards.checked(path)


def test_the_digest_of_a_folder_leaves_its_card_out(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    before = cards.digest(tmp_path)
    Card().write(tmp_path)
    assert cards.digest(tmp_path) == before
    (tmp_path / "saved_model.pb").write_bytes(b"y")
    assert cards.digest(tmp_path) != before
