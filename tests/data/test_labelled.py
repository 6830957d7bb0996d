"""Labelled pictures: every layout, several sets at once, targets, and what is wrong with a table before training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kgan.data import Labelled, Labelling
from kgan.data.labelled import LabelledReader
from kgan.errors import UserError
from kgan.labels import Group, LabelSet
from kgan.pictures import emoji


def flat(path: Path, level: int) -> None:
    """A picture of one grey, by which it is known again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (level, level, level)).save(path)


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


HAIR, EYES = ("black", "blonde", "red"), ("blue", "red")


@pytest.fixture
def anime(tmp_path: Path) -> Path:
    """i.png is grey i, with hair i % 3 and eyes i % 2, for i from 0 to 11; the eyes of 4.png are unknown."""
    rows = [f"{i}.png,{HAIR[i % 3]},{'' if i == 4 else EYES[i % 2]}" for i in range(12)]
    write(tmp_path / "anime" / "labels.csv", "file,hair,eyes", *rows)
    for i in range(12):
        flat(tmp_path / "anime" / "images" / f"{i}.png", i)
    return tmp_path


@pytest.fixture
def both(anime: Path) -> Path:
    """And ten faces, grey 100 to 109, of two genders; 109 is for tests."""
    write(
        anime / "faces" / "labels.csv",
        "file,gender",
        *[f"{i}.png,{('female', 'male')[i % 2]}" for i in range(100, 110)],
    )
    for i in range(100, 110):
        flat(anime / "faces" / "images" / f"{i}.png", i)
    return anime


def open_reader(
    root: Path, *folders: str, batch_size: int = 6, batches: int = 1, seed: int = 5, **changes: Any
) -> LabelledReader:
    sets = tuple(Labelling(folder) for folder in folders)
    return Labelled(root=str(root), sets=sets, enlarge=1.0, **changes).open(16, batch_size, batches, seed)


def greys(batch: dict[str, np.ndarray]) -> list[int]:
    return batch["image"][:, 0, 0, 0].tolist()


def of_anime(grey: int) -> list[int]:
    """The label that the table gives it."""
    return [*(np.arange(3) == grey % 3), *((np.arange(2) == grey % 2) & (grey != 4))]


# --- one set -----------------------------------------------------------------------------------------------------


def test_labels_belong_to_their_pictures(anime: Path) -> None:
    reader = open_reader(anime, "anime")
    assert reader.labels.sets == (LabelSet("anime", (Group("hair", HAIR), Group("eyes", EYES))),)
    seen: list[int] = []
    for step in range(11):
        (batch,) = reader.step(step)
        assert {name: array.shape for name, array in batch.items()} == {
            "image": (6, 16, 16, 3),
            "image_offset": (6, 2),
            "image_flip": (6,),
            "label": (6, 5),
            "known": (6, 5),
            "target": (6, 5),
            "target_known": (6, 5),
        }
        assert batch["label"].tolist() == [of_anime(grey) for grey in greys(batch)]
        assert batch["known"].tolist() == [[1, 1, 1, *[grey != 4] * 2] for grey in greys(batch)]
        seen += greys(batch)
    assert sorted(set(seen)) == [i for i in range(12) if i != 9]  # every tenth row is a test picture
    assert {seen.count(grey) for grey in seen} == {6}  # all equally often


def test_targets_are_the_batch_s_labels_in_another_order(anime: Path) -> None:
    reader = open_reader(anime, "anime")
    orders = set()
    for step in range(20):
        (batch,) = reader.step(step)
        rows = [tuple(np.concatenate(pair)) for pair in zip(batch["label"], batch["known"], strict=True)]
        targets = [tuple(np.concatenate(pair)) for pair in zip(batch["target"], batch["target_known"], strict=True)]
        assert sorted(rows) == sorted(targets)
        orders.add(rows == targets)
    assert False in orders


def test_a_batch_depends_on_seed_and_number_alone(anime: Path) -> None:
    straight = open_reader(anime, "anime", label_dropout=0.5)
    run = [straight.step(i)[0] for i in range(4)]
    for name, array in open_reader(anime, "anime", label_dropout=0.5).step(3)[0].items():
        np.testing.assert_array_equal(array, run[3][name])
    other = open_reader(anime, "anime", label_dropout=0.5, seed=6).step(3)[0]
    assert (other["target"] != run[3]["target"]).any() or (other["image"] != run[3]["image"]).any()


def test_prepared_batches_keep_their_labels(anime: Path) -> None:
    reader = open_reader(anime, "anime")
    (batch,) = reader.step(0)
    prepared = reader.prepare(batch)
    assert list(prepared) == ["image", "label", "known", "target", "target_known"]
    np.testing.assert_allclose(np.asarray(prepared["image"])[:, 3, 3, 1], np.array(greys(batch)) / 127.5 - 1, atol=1e-6)


def test_dropout_leaves_groups_out_of_targets_but_never_all(anime: Path) -> None:
    reader = open_reader(anime, "anime", label_dropout=0.5)
    assert reader.labels.optional and not open_reader(anime, "anime").labels.optional
    known = np.concatenate([reader.step(i)[0]["target_known"] for i in range(100)])
    targets = np.concatenate([reader.step(i)[0]["target"] for i in range(100)])
    assert (targets <= known).all() and known.any(1).all()
    # Of two known groups 1/4 keeps both, 1/4 loses one, 1/4 the other, and 1/4 would lose both and is spared.
    assert 0.68 < known[:, 0].mean() < 0.82
    assert known[:, :3].min(1).tolist() == known[:, :3].max(1).tolist()  # a group goes as a whole
    assert all(reader.step(i)[0]["known"][:, :3].all() for i in range(20))  # the pictures' own stay


def test_a_validation_batch_asks_for_the_neighbour_s_labels(both: Path) -> None:
    lines = (both / "anime" / "labels.csv").read_text().splitlines()
    split = ["split", *["test" if i in (3, 7, 8) else "train" for i in range(12)]]
    write(both / "anime" / "labels.csv", *[f"{line},{word}" for line, word in zip(lines, split, strict=True)])
    reader = open_reader(both, "anime", "faces")
    shown = reader.validation(6)
    assert np.round((shown["image"][:, 0, 0, 0] + 1) * 127.5).tolist() == [3, 109, 7, 8]  # of faces there is one
    assert shown["label"][:, :5].tolist() == [of_anime(3), [0] * 5, of_anime(7), of_anime(8)]
    assert shown["target"][:, :5].tolist() == [of_anime(7), [0] * 5, of_anime(8), of_anime(3)]
    assert reader.validation(1)["image"].shape == (1, 16, 16, 3)
    assert reader.samples(6)["target"].shape == (6, 9)


def test_a_broken_test_picture_takes_its_label_with_it(anime: Path) -> None:
    lines = (anime / "anime" / "labels.csv").read_text().splitlines()
    split = ["split", *["test" if i in (2, 3, 7) else "train" for i in range(12)]]
    write(anime / "anime" / "labels.csv", *[f"{line},{word}" for line, word in zip(lines, split, strict=True)])
    (anime / "anime" / "images" / "3.png").write_bytes(b"no picture")
    (anime / "anime" / "images" / "5.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"5\.png cannot be read"):
        reader = open_reader(anime, "anime", batch_size=8)
    with pytest.warns(UserWarning, match=r"3\.png cannot be read"):
        shown = reader.validation(2)
    assert shown["label"].tolist() == [of_anime(2), of_anime(7)]
    for step in range(3):
        (batch,) = reader.step(step)
        assert batch["label"].tolist() == [of_anime(grey) for grey in greys(batch)] and 5 not in greys(batch)


def test_the_fingerprint_sees_labels(anime: Path) -> None:
    before = open_reader(anime, "anime").fingerprint()
    table = anime / "anime" / "labels.csv"
    table.write_text(table.read_text().replace("0.png,black,blue", "0.png,black,red"))
    after = open_reader(anime, "anime").fingerprint()
    assert before["anime"]["sha256"] == after["anime"]["sha256"]
    assert before["anime"]["labels"] != after["anime"]["labels"]


# --- several sets ------------------------------------------------------------------------------------------------


def test_rows_of_two_sets_take_turns(both: Path) -> None:
    reader = open_reader(both, "anime", "faces", batch_size=5)
    seen: list[int] = []
    for step in range(36):
        (batch,) = reader.step(step)
        numbers = greys(batch)
        assert [grey >= 100 for grey in numbers] == [(5 * step + row) % 2 == 1 for row in range(5)]
        assert batch["label"].shape == (5, 9) and batch["known"].shape == (5, 7)
        for grey, label, known, target, target_known in zip(
            numbers, batch["label"], batch["known"], batch["target"], batch["target_known"], strict=True
        ):
            if grey >= 100:
                assert label.tolist() == [0, 0, 0, 0, 0, grey % 2 == 0, grey % 2 == 1, 0, 1]
                assert known.tolist() == target_known.tolist() == [0, 0, 0, 0, 0, 1, 1]
            else:
                assert label.tolist() == [*of_anime(grey), 0, 0, 1, 0]
                assert not known[5:].any() and not target_known[5:].any()
            assert target[7:].tolist() == label[7:].tolist()  # a target is of the same set
        seen += numbers
    # 90 rows each: 11 animes in 8.2 epochs, 9 faces in 10.
    assert {seen.count(grey) for grey in range(100, 109)} == {10}
    assert {seen.count(grey) for grey in range(12) if grey != 9} == {8, 9}


def test_batches_of_two_sets_take_turns(both: Path) -> None:
    reader = open_reader(both, "anime", "faces", batch_size=3, batches=5, turns="batches")
    seen: list[int] = []
    for step in range(6):
        for number, batch in enumerate(reader.step(step)):
            assert {grey >= 100 for grey in greys(batch)} == {(5 * step + number) % 2 == 1}
            seen += greys(batch)
    assert {seen.count(grey) for grey in range(100, 109)} == {5}


def places(reader: LabelledReader, name: str, number: int) -> list[int]:
    """Where the pictures of a batch stand in the endless order of a set of fewer than a hundred."""
    order = reader.orders[name](0, len(reader.train[name])).tolist()
    return [order.index(i) for i in reader.indices(name, number)]


def test_batches_in_turn_go_on_in_order_where_their_size_changes(both: Path) -> None:
    """Batches 0, 1 and 2 of four pictures, 3 to 5 of two, then single ones; the sets take turns all the time."""
    small = open_reader(both, "anime", "faces", batch_size=4, turns="batches")
    assert [places(small, "anime", n) for n in range(3)] == [[0, 1, 2, 3], [], [4, 5, 6, 7]]
    assert [places(small, "faces", n) for n in range(3)] == [[], [0, 1, 2, 3], []]

    middle = open_reader(both, "anime", "faces", batch_size=2, turns="batches")
    middle.begin(3, 12)
    assert [places(middle, "anime", n) for n in (3, 4, 5)] == [[], [8, 9], []]
    assert [places(middle, "faces", n) for n in (3, 4, 5)] == [[4, 5], [], [6, 7]]

    large = open_reader(both, "anime", "faces", batch_size=1, turns="batches")
    large.begin(0, 0)
    large.begin(3, 12)
    large.begin(6, 18)
    assert [places(large, "anime", n) for n in (6, 7)] == [[10], []]
    assert [places(large, "faces", n) for n in (6, 7)] == [[], [8]]


def test_batches_in_turn_without_growth_begin_anywhere(both: Path) -> None:
    """Three batches a step, so that the sets change their places from step to step: the order that it always had."""
    straight = open_reader(both, "anime", "faces", batch_size=2, batches=3, turns="batches")
    later = open_reader(both, "anime", "faces", batch_size=2, batches=3, turns="batches")
    later.begin(1, 2)
    for name in ("anime", "faces"):
        for number in range(3, 9):
            np.testing.assert_array_equal(later.indices(name, number), straight.indices(name, number))
    assert [places(straight, "anime", n) for n in (0, 2, 4)] == [[0, 1], [2, 3], [4, 5]]
    assert [places(straight, "faces", n) for n in (1, 3, 5)] == [[0, 1], [2, 3], [4, 5]]


def test_batches_in_turn_must_reach_the_generator(both: Path) -> None:
    with pytest.raises(UserError, match=r"would never see some of the 2 sets: set data\.turns=rows, or another"):
        open_reader(both, "anime", "faces", batches=4, turns="batches")


# --- other layouts -----------------------------------------------------------------------------------------------


CELEBA = ("Bald", "Black_Hair", "Blond_Hair", "Male")


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    """Forty pictures in CelebA's format: black hair for even numbers, male for those that 3 divides, bald for none."""
    rows = [f"{i:06d}.jpg -1 {1 - i % 2 * 2:2d} {i % 2 * 2 - 1:2d} {1 if i % 3 == 0 else -1:2d}" for i in range(1, 41)]
    write(tmp_path / "list_attr_celeba.txt", "40", " ".join(CELEBA), *rows)
    for i in range(1, 41):
        flat(tmp_path / "images" / f"{i:06d}.jpg", i)
    return tmp_path


def open_celeba(root: Path, *groups: str) -> LabelledReader:
    data = Labelled(root=str(root), sets=(Labelling(layout="celeba", groups=groups),), enlarge=1.0)
    return data.open(16, 6, 1, 0)


def test_celeba_s_attributes(celeba: Path) -> None:
    reader = open_celeba(celeba, "hair=Black_Hair|Blond_Hair", "Male")
    groups = (Group("hair", ("Black_Hair", "Blond_Hair"), flags=True), Group("Male", ("yes",), flags=True))
    assert reader.labels.sets == (LabelSet("pictures", groups),)
    (batch,) = reader.step(0)
    assert batch["known"].all()
    assert batch["label"].tolist() == [[i % 2 == 0, i % 2 == 1, i % 3 == 0] for i in greys(batch)]


def test_celeba_s_test_pictures_are_the_official_ones(celeba: Path) -> None:
    """The official code shuffles the lines with seed 1234 and keeps back the first: 1,999, here a tenth."""
    lines = [f"{i:06d}.jpg" for i in range(1, 41)]
    random.seed(1234)
    random.shuffle(lines)
    reader = open_celeba(celeba, "Male")
    assert {path.name for path in reader.test["pictures"].items} == set(lines[:4])
    assert len(reader.train["pictures"]) == 36


def test_class_folders(tmp_path: Path) -> None:
    for name, first in (("angry", 0), ("happy", 100)):
        for i in range(first, first + 10):
            flat(tmp_path / name / f"{i}.png", i)
    reader = Labelled(root=str(tmp_path), sets=(Labelling(layout="folders"),), enlarge=1.0).open(16, 6, 1, 0)
    assert reader.labels.sets[0].groups == (Group("class", ("angry", "happy")),)
    assert [path.name for path in reader.test["pictures"].items] == ["9.png", "109.png"]
    (batch,) = reader.step(0)
    assert batch["label"].tolist() == [[grey < 100, grey >= 100] for grey in greys(batch)]


def test_class_folders_inside_train_and_test(tmp_path: Path) -> None:
    for half in ("train", "test"):
        for i, name in enumerate(("angry", "happy")):
            flat(tmp_path / half / name / "a.png", i)
    data = Labelled(root=str(tmp_path), sets=(Labelling(layout="folders", groups=("mood",)),))
    reader = data.open(16, 2, 1, 0)
    assert reader.labels.sets[0].groups == (Group("mood", ("angry", "happy")),)
    assert len(reader.train["pictures"]) == len(reader.test["pictures"].items) == 2


def test_the_embedded_emoji() -> None:
    reader = Labelled(root="emoji:google:twitter").open(64, 4, 1, 0)
    assert reader.labels.sets == (LabelSet("pictures", (Group("vendor", ("google", "twitter")),)),)
    assert len(reader.train["pictures"]) == 2 * 728 and len(reader.test["pictures"].items) == 2 * 83
    assert reader._vectors["pictures"][0].sum(0).tolist() == [728, 728]
    np.testing.assert_array_equal(reader.test["pictures"].items[83], emoji.load("twitter", "test")[0])
    assert reader._test_vectors["pictures"][0][83].tolist() == [0, 1]
    assert len(Labelled(root="emoji").open(64, 4, 1, 0).train["pictures"]) == 3 * 728
    with pytest.raises(UserError, match="No emoji by 'apple'"):
        Labelled(root="emoji:apple").open(64, 4, 1, 0)


def test_the_emoji_unpacked_are_the_embedded_ones(tmp_path: Path) -> None:
    root = emoji.unpack(tmp_path / "emoji", "labelled")
    unpacked = Labelled(root=str(root)).open(64, 4, 1, 0)
    embedded = Labelled(root="emoji").open(64, 4, 1, 0)
    assert unpacked.labels == embedded.labels
    assert len(unpacked.train["pictures"]) == len(embedded.train["pictures"])
    np.testing.assert_array_equal(unpacked._vectors["pictures"][0], embedded._vectors["pictures"][0])


def test_a_column_of_zeros_and_ones_is_a_flag(tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", "file,smiling", *[f"{i}.png,{i % 2}" for i in range(4)])
    for i in range(4):
        flat(tmp_path / "images" / f"{i}.png", i)
    reader = Labelled(root=str(tmp_path)).open(16, 4, 1, 0)
    assert reader.labels.sets[0].groups == (Group("smiling", ("yes",), flags=True),)
    (batch,) = reader.step(0)
    assert batch["label"].tolist() == [[grey % 2] for grey in greys(batch)]


# --- what cannot be ----------------------------------------------------------------------------------------------


def refused(root: Path, message: str, *groups: str, layout: str = "csv") -> None:
    with pytest.raises(UserError, match=message):
        Labelled(root=str(root), sets=(Labelling(layout=layout, groups=groups),)).open(16, 2, 1, 0)


def test_a_table_that_does_not_fit_its_pictures(anime: Path) -> None:
    root = anime / "anime"
    table, rows = root / "labels.csv", (root / "labels.csv").read_text()
    table.write_text(rows + "gone.png,red,blue\n")
    refused(root, r"labels\.csv, line 14 labels gone\.png, and there is no picture .*images/gone\.png")
    table.write_text(rows.replace("3.png,black,red\n", "").replace("7.png,blonde,red\n", ""))
    refused(root, r"3\.png, 7\.png in .*images have no row in .*labels\.csv: add it, or move it away")
    table.write_text(rows + "3.png,red,blue\n")
    refused(root, r"line 14 labels 3\.png, which .*labels\.csv, line 5 labels already")
    table.write_text(rows.replace("3.png,black,red", ",black,red"))
    refused(root, r"line 5 labels no file")
    table.write_text(rows.replace("3.png,black,red", "3.png,black"))
    refused(root, r"labels\.csv, line 5: 2 cells, and there are 3 columns")
    table.write_text(rows)
    refused(root, r"labels\.csv has no column 'fur': there are hair, eyes", "hair", "fur")
    refused(root, r"the column hair is no flag, since it holds more than 1 and 0 or -1", "both=hair|eyes")
    refused(root, r"'x=hair' is no group of flags: write hair alone", "x=hair")


def test_tables_without_content(tmp_path: Path) -> None:
    refused(tmp_path, r"There is no file .*labels\.csv: a CSV file with a column 'file'")
    write(tmp_path / "labels.csv", "name,hair", "0.png,red")
    refused(tmp_path, r"labels\.csv has no column 'file': its columns are name, hair")
    write(tmp_path / "labels.csv", "file,hair")
    refused(tmp_path, r"labels\.csv has a header and no rows")
    (tmp_path / "labels.csv").write_text("")
    refused(tmp_path, r"has no column 'file': its columns are none")
    (tmp_path / "labels.csv").write_bytes("file,hair\n0.png,doré".encode("latin-1"))
    refused(tmp_path, r"labels\.csv is no text in UTF-8")
    write(tmp_path / "labels.csv", "file", "0.png")
    refused(tmp_path, r"labels\.csv labels nothing: it has no column beside 'file'")
    write(tmp_path / "labels.csv", "file,hair,split", *[f"{i}.png,red,train" for i in range(2)])
    for i in range(2):
        flat(tmp_path / "images" / f"{i}.png", i)
    refused(tmp_path, "hair is red in all pictures: no choice")
    write(tmp_path / "labels.csv", "file,hair,split", "0.png,red,train", "1.png,blue,test")
    refused(tmp_path, "not one training picture has hair=blue")
    write(tmp_path / "labels.csv", "file,hair,split", "0.png,red,train", "1.png,blue,val")
    refused(tmp_path, r"line 3, column split: it is train or test, not 'val'")


def test_a_damaged_attribute_file(celeba: Path) -> None:
    table = celeba / "list_attr_celeba.txt"
    text = table.read_text()
    refused(celeba, r"list_attr_celeba\.txt has no column 'Old': there are Bald, Black_Hair", "Old", layout="celeba")
    refused(celeba, "not one training picture has Bald", "Bald", layout="celeba")
    table.write_text(text.replace("40\n", "41\n", 1))
    refused(celeba, r"should hold the number of its pictures", "Male", layout="celeba")
    table.write_text(text.replace("000007.jpg -1", "000007.jpg", 1))
    refused(celeba, r"line 9: 000007\.jpg should have 1 or -1 for each of 4 attributes", "Male", layout="celeba")
    table.unlink()
    refused(celeba, r"There is no file .*list_attr_celeba\.txt", "Male", layout="celeba")


def test_class_folders_without_pictures(tmp_path: Path) -> None:
    refused(tmp_path / "none", "There is no folder", layout="folders")
    flat(tmp_path / "angry" / "a.png", 0)
    refused(tmp_path, "holds 1 folder: at least two classes are needed", layout="folders")
    (tmp_path / "happy").mkdir()
    refused(tmp_path, r"happy holds no pictures", layout="folders")


def test_settings_that_cannot_be(both: Path) -> None:
    for data, message in [
        (Labelled(), r"data\.root is not set"),
        (Labelled(root=str(both), sets=()), r"data\.sets is empty"),
        (Labelled(root=str(both), sets=(Labelling("anime"), Labelling("anime"))), "names anime twice"),
        (Labelled(root=str(both), sets=(Labelling("anime", layout="xml"),)), r"data\.sets\[0\]\.layout is one of csv"),
        (
            Labelled(root=str(both), label_dropout=1.0),
            r"data\.label_dropout must be at least 0 and less than 1, got 1\.0",
        ),
        (Labelled(root=str(both), turns="sets"), r"data\.turns is one of rows, batches"),
    ]:
        with pytest.raises(UserError, match=message):
            data.open(16, 2, 1, 0)


def test_real_anime_faces(shared: Path) -> None:
    root = shared / "data" / "animefaces"
    if not root.is_dir():
        pytest.skip(f"needs {root}")
    data = Labelled(root=str(root), sets=(Labelling(groups=("hair", "eyes")),), memory="keep")
    reader = data.open(16, 4, 1, 0)
    assert [len(group.values) for group in reader.labels.sets[0].groups] == [12, 11]
    assert len(reader.train["pictures"]) == 4680 and len(reader.test["pictures"].items) == 520


# --- tables as people have them ----------------------------------------------------------------------------------


def table(root: Path, *lines: str, count: int = 4, suffix: str = ".png") -> LabelledReader:
    """A reader of pictures 0 to count - 1, grey of that level, and of this table."""
    write(root / "labels.csv", *lines)
    for i in range(count):
        flat(root / "images" / f"{i}{suffix}", i)
    return Labelled(root=str(root), enlarge=1.0).open(16, count, 1, 0)


def groups(reader: LabelledReader) -> tuple[Group, ...]:
    return reader.labels.sets[0].groups


def labels(reader: LabelledReader) -> dict[int, list[float]]:
    """By grey level, the picture's label, and -1 where it is not known."""
    (batch,) = reader.step(0)
    return {
        grey: np.where(known > 0, label, -1).tolist()
        for grey, label, known in zip(greys(batch), batch["label"], batch["known"], strict=True)
    }


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_index_of_pandas_is_no_label(tmp_path: Path, name: str) -> None:
    rows = [f"{i},{i}.png,{'ab'[i % 2]}" for i in range(4)]
    assert groups(table(tmp_path, f"{name},file,hair", *rows)) == (Group("hair", ("a", "b")),)


def test_flags_in_the_floats_of_pandas(tmp_path: Path) -> None:
    reader = table(tmp_path, "file,smiling,age", "0.png,1.0,1.0", "1.png,0.0,2.0", "2.png,,3.0", "3.png,1.0,1.0")
    assert groups(reader) == (Group("smiling", ("yes",), flags=True), Group("age", ("1", "2", "3")))
    assert labels(reader) == {0: [1, 1, 0, 0], 1: [0, 0, 1, 0], 2: [-1, 0, 0, 1], 3: [1, 1, 0, 0]}
    reader = table(tmp_path, "file,smiling", "0.png,1.0", "1.png,-1.0", "2.png,1", "3.png,-1")
    assert labels(reader) == {0: [1], 1: [0], 2: [1], 3: [0]}


@pytest.mark.parametrize("word", ["nan", "NaN", "N/A", "NA", "<NA>", "null", "NULL", "None", "#N/A", ""])
def test_words_for_what_is_unknown(tmp_path: Path, word: str) -> None:
    reader = table(tmp_path, "file,hair", "0.png,red", f"1.png,{word}", "2.png,blue", "3.png,red")
    assert labels(reader) == {0: [0, 1], 1: [-1, -1], 2: [1, 0], 3: [0, 1]}


def test_a_split_is_not_guessed_row_by_row(tmp_path: Path) -> None:
    rows = [f"{i}.png,{'ab'[i % 2]},{'test' if i == 1 else '' if i == 2 else 'train'}" for i in range(4)]
    with pytest.raises(UserError, match=r"labels\.csv, line 4, column split: it is train or test, not ''"):
        table(tmp_path, "file,hair,split", *rows)


@pytest.mark.parametrize("name", ["image_id", "filename", "Image", "file_name", "File", "path"])
@pytest.mark.parametrize("suffix", [".png", ""])
def test_kaggle_s_names_of_files(tmp_path: Path, name: str, suffix: str) -> None:
    reader = table(tmp_path, f"{name},hair", *[f"{i}{suffix},{'ab'[i % 2]}" for i in range(4)])
    assert labels(reader) == {i: [1 - i % 2, i % 2] for i in range(4)}


@pytest.mark.parametrize("form", ["{}/{}.png", "images/{}/{}.png", "{}\\{}.png", "./{}/{}.png", "{}/{}"])
def test_files_in_subfolders(tmp_path: Path, form: str) -> None:
    places = [("one", 0), ("one", 1), ("two", 1), ("two", 2)]
    for level, (place, i) in enumerate(places):
        flat(tmp_path / "images" / place / f"{i}.png", level)
    flat(tmp_path / "images" / "unused" / "9.png", 9)
    rows = [f"{form.format(*place)},{'ab'[n % 2]}" for n, place in enumerate(places)]
    write(tmp_path / "labels.csv", "file,hair", *rows)
    reader = Labelled(root=str(tmp_path), enlarge=1.0).open(16, 4, 1, 0)
    assert labels(reader) == {i: [1 - i % 2, i % 2] for i in range(4)}
    write(tmp_path / "labels.csv", "file,hair", "0.png,a", "one/1.png,b", "two/1.png,a", "2.png,b")
    assert labels(Labelled(root=str(tmp_path), enlarge=1.0).open(16, 4, 1, 0))[3] == [0, 1]  # by its name alone
    write(tmp_path / "labels.csv", "file,hair", "one/0.png,a", "1.png,b", "two/1.png,a", "two/2.png,b")
    refused(tmp_path, r"line 3 labels 1\.png, which may be .*one/1\.png or .*two/1\.png: name its folder")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_empty_rows(tmp_path: Path, delimiter: str) -> None:
    rows = ["file,hair,", *[f"{i}.png,{'ab'[i % 2]}," for i in range(4)], ",,"]
    assert groups(table(tmp_path, *[row.replace(",", delimiter) for row in rows])) == (Group("hair", ("a", "b")),)


def test_tables_that_cannot_be_meant_so(tmp_path: Path) -> None:
    for i in range(25):
        flat(tmp_path / "images" / f"{i}.png", i)

    def rows(header: str, form: str) -> None:
        write(tmp_path / "labels.csv", header, *[form.format(i=i, hair="ab"[i % 2], flag=i % 2) for i in range(25)])

    rows("file,hair,hair", "{i}.png,{hair},{hair}")
    refused(tmp_path, r"labels\.csv, line 1: 2 columns are called 'hair'")
    rows("file,,hair", "{i}.png,x,{hair}")
    refused(tmp_path, r"labels\.csv, line 1: column 2 has no name")
    rows("file,hair,mail", "{i}.png,{hair},{i}@x")
    refused(tmp_path, r"column mail: each of its 25 cells is another, so that it labels nothing.*groups=")
    rows("file,smiling", "{i}.png,{flag}")
    text = (tmp_path / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(text.replace("7.png,1", "7.png,0.5", 1))
    refused(tmp_path, r"column smiling, line 9: '0\.5' is no flag, where others are 1 or 0")
    (tmp_path / "labels.csv").write_text(text.replace("7.png,1", '7.png,"1\n2', 1) + "\0")
    refused(tmp_path, "labels.csv")
    rows("face,hair", "{i}.png,{hair}")
    refused(tmp_path, r"has no column 'file': its columns are face, hair\. Name the one that holds")
    rows("file,hair", "{i}.png,{hair}")
    (tmp_path / "images").rename(tmp_path / "faces")
    refused(tmp_path, r"There is no folder .*images: .*--config\.data\.sets\[0\]\.images=NAME")


# --- what lies beside the pictures -------------------------------------------------------------------------------


def junk(folder: Path) -> None:
    """What systems leave in a folder."""
    for name in ("Thumbs.db", "._0.png", ".DS_Store", ".hidden.jpg"):
        (folder / name).write_bytes(b"junk")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        flat(folder / name / "0.png", 0)


def test_hidden_and_system_names_are_no_classes(tmp_path: Path) -> None:
    for name, first in (("angry", 0), ("happy", 100)):
        for i in range(first, first + 10):
            flat(tmp_path / name / f"{i}.png", i)
        junk(tmp_path / name)
    junk(tmp_path)
    flat(tmp_path / "stray.png", 3)
    reader = Labelled(root=str(tmp_path), sets=(Labelling(layout="folders"),), enlarge=1.0).open(16, 6, 1, 0)
    assert groups(reader) == (Group("class", ("angry", "happy")),) and len(reader.train["pictures"]) == 18
    line, test = reader.summary()
    assert test == f"{tmp_path}: 2 pictures to test on."
    assert line.startswith(f"{tmp_path}: 18 pictures. In {tmp_path}: Left out: 6 hidden or system's own, ")
    assert "1 picture outside of the class folders (stray.png)" in line


def test_a_class_of_tests_alone_is_named(tmp_path: Path) -> None:
    for half, names in (("train", "ab"), ("test", "abc")):
        for name in names:
            for i in range(2):
                flat(tmp_path / half / name / f"{i}.png", i)
    reader = Labelled(root=str(tmp_path), sets=(Labelling(layout="folders"),), enlarge=1.0).open(16, 2, 1, 0)
    assert "1 folder of no class in train (c)" in reader.summary()[0]


def test_hidden_and_system_names_need_no_row(anime: Path) -> None:
    junk(anime / "anime" / "images")
    reader = open_reader(anime, "anime")
    assert len(reader.train["anime"]) == 11
    assert f"{anime / 'anime'}: 11 pictures. Left out: 6 hidden or system's own." in reader.summary()


def test_a_folder_called_emoji_is_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the embedded emoji by fluent3d, google, twitter" in Labelled(root="emoji").open(64, 4, 1, 0).summary()[0]
    table(tmp_path / "emoji", "file,hair", *[f"{i}.png,{'ab'[i % 2]}" for i in range(4)])
    reader = Labelled(root="emoji").open(16, 4, 1, 0)
    assert reader.summary() == ["emoji: 4 pictures."]
    assert len(Labelled(root="emoji:google").open(64, 4, 1, 0).train["pictures"]) == 728
