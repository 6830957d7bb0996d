"""The embedded pictures: whole, aligned between vendors, true to the originals, and laid out in four shapes."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgan.errors import UserError
from kgan.pictures import emoji, images


def test_asset_is_one_small_file_with_attribution() -> None:
    assert emoji.ASSET.stat().st_size <= 4_000_000
    with zipfile.ZipFile(emoji.ASSET) as archive:
        assert sorted(archive.namelist()) == ["fluent3d.webp", "google.webp", "index.csv", "twitter.webp"]
    attribution = emoji.ASSET.with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    for credit in ("Microsoft", "MIT License", "Noto", "Apache License", "Twemoji", "CC BY 4.0"):
        assert credit in attribution


@pytest.mark.parametrize(("split", "count"), [("train", 728), ("test", 83), ("all", 811)])
def test_load_gives_each_split(split: str, count: int) -> None:
    assert len(emoji.names(split)) == count
    pictures = emoji.load("google", split)
    assert pictures.shape == (count, 64, 64, 3)
    assert pictures.dtype == np.uint8


def test_splits_divide_the_whole_in_order() -> None:
    index = emoji.index()
    assert [one.code for one in index] == sorted({one.code for one in index})
    is_test = np.array([one.split == "test" for one in index])
    for vendor in emoji.VENDORS:
        whole = emoji.load(vendor)
        assert np.array_equal(whole[is_test], emoji.load(vendor, "test"))
        assert np.array_equal(whole[~is_test], emoji.load(vendor, "train"))


def test_a_row_is_the_same_emoji_for_every_vendor() -> None:
    tomato = emoji.names().index("tomato")
    for vendor in emoji.VENDORS:
        red, green, blue = emoji.load(vendor)[tomato, 40, 32].astype(int)
        assert red > 150 and red > green + 80 and red > blue + 80


def test_background_is_white() -> None:
    corners = np.stack([emoji.load(vendor)[:, 0, 0] for vendor in emoji.VENDORS])
    assert np.median(corners) == 255


def test_pictures_are_those_of_the_originals(shared: Path) -> None:
    for vendor in emoji.VENDORS:
        pairs = zip(emoji.index("test"), emoji.load(vendor, "test"), strict=True)
        for one, picture in pairs:
            original = images.read(shared / "data/emoji" / vendor / f"{one.code}.png")
            difference = picture.astype(float) - original
            assert 10 * np.log10(255**2 / np.mean(difference**2)) > 22, (vendor, one)


def files(folder: Path) -> dict[str, int]:
    """The folders below `folder` and how many pictures lie in each."""
    counts: dict[str, int] = {}
    for path in folder.rglob("*.png"):
        name = path.parent.relative_to(folder).as_posix()
        counts[name] = counts.get(name, 0) + 1
    return counts


def test_unpack_unpaired(tmp_path: Path) -> None:
    folder = emoji.unpack(tmp_path / "set", "unpaired")
    assert files(folder) == {"trainA": 728, "trainB": 728, "testA": 83, "testB": 83}
    first = images.find(folder / "testA")[0]
    assert np.array_equal(images.read(first), emoji.load("fluent3d", "test")[0])
    assert np.array_equal(images.read(folder / "testB" / first.name), emoji.load("twitter", "test")[0])


def test_unpack_paired(tmp_path: Path) -> None:
    folder = emoji.unpack(tmp_path / "set", "paired", a="google", b="fluent3d")
    assert files(folder) == {"train/A": 728, "train/B": 728, "test/A": 83, "test/B": 83}
    for split in ("train", "test"):
        names = [[path.name for path in images.find(folder / split / domain)] for domain in "AB"]
        assert names[0] == names[1]
    assert np.array_equal(images.read(images.find(folder / "train/A")[7]), emoji.load("google", "train")[7])


def test_unpack_labelled(tmp_path: Path) -> None:
    folder = emoji.unpack(tmp_path / "set", "labelled")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert files(folder) == {"images": 3 * 811}
    assert {row["file"] for row in rows} == {path.name for path in images.find(folder / "images")}
    assert [sum(row["vendor"] == vendor for row in rows) for vendor in emoji.VENDORS] == [811, 811, 811]
    assert sum(row["split"] == "test" for row in rows) == 3 * 83


def test_unpack_single(tmp_path: Path) -> None:
    folder = emoji.unpack(tmp_path / "deep" / "set", "single", a="twitter")
    assert files(folder) == {"images": 811}
    assert np.array_equal(images.read(images.find(folder / "images")[3]), emoji.load("twitter")[3])
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_unpack_into_an_empty_folder_but_no_other(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    emoji.unpack(tmp_path / "empty", "single")
    with pytest.raises(UserError, match="exists already"):
        emoji.unpack(tmp_path / "empty", "single")


def test_mistakes_name_the_choices(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'apple'.*fluent3d, google, twitter"):
        emoji.load("apple")
    with pytest.raises(UserError, match=r"'val'.*train, test, all"):
        emoji.names("val")
    with pytest.raises(UserError, match=r"'triples'.*unpaired, paired"):
        emoji.unpack(tmp_path / "set", "triples")
    with pytest.raises(UserError, match="'apple'"):
        emoji.unpack(tmp_path / "set", "single", a="apple")
    assert list(tmp_path.iterdir()) == []


def test_pack_composites_on_white_and_repeats_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    rows = ["code,split,short_name,category"]
    for n in range(18):  # more than one row of the sheet
        rows.append(f"{n:04x},{'test' if n == 17 else 'train'},name{n},None")
        for k, vendor in enumerate(emoji.VENDORS):
            picture = np.zeros((64, 64, 4), np.uint8)
            picture[16:48, 16:48] = (10 * n, 100 * k, 0, 255)
            (source / vendor).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(source / vendor / f"{n:04x}.png")
    (source / "index.csv").write_text("\n".join(rows) + "\n")
    for name in ("one.zip", "two.zip"):
        emoji.pack(source, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()

    monkeypatch.setattr(emoji, "ASSET", tmp_path / "one.zip")
    assert emoji.names("test") == ["name17"]
    google = emoji.load("google").astype(int)
    assert google.shape == (18, 64, 64, 3)
    for n in range(18):
        assert np.abs(google[n, 2, 2] - 255).max() <= 3
        assert np.abs(google[n, 32, 32] - (10 * n, 100, 0)).max() <= 6

    (source / "index.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n")
    with pytest.raises(UserError, match="sorted by code"):
        emoji.pack(source, tmp_path / "three.zip")
