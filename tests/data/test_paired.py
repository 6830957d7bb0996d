"""Pairs: cut and mirrored together, whatever their layout; what has no partner is named."""

from pathlib import Path

import numpy as np
import pytest
from keras import ops

from kgan.data import Paired, Reader
from kgan.data.paired import split
from kgan.errors import UserError
from kgan.pictures import images


def numbered(value: int, width: int = 24) -> np.ndarray:
    """Red is the picture's number, green grows to the right."""
    image = np.zeros((24, width, 3), np.uint8)
    image[..., 0] = value
    image[..., 1] = np.linspace(0, 250, width).astype(np.uint8)
    return image


@pytest.fixture
def sides(tmp_path: Path) -> Path:
    """Six pairs side by side, the right half 100 brighter in red; one of them to test on."""
    for i in range(6):
        pair = np.concatenate([numbered(10 * i), numbered(10 * i + 100)], axis=1)
        images.write(tmp_path / ("test" if i == 5 else "train") / f"{i}.png", pair)
    return tmp_path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """The same in two folders, B twice as large."""
    for i in range(6):
        split = tmp_path / ("test" if i == 5 else "train")
        images.write(split / "A" / f"{i}.png", numbered(10 * i))
        images.write(split / "B" / f"{i}.png", images.resize(numbered(10 * i + 100), (48, 48)))
    return tmp_path


def open_reader(root: Path, **changes: object) -> Reader:
    return Paired(root=str(root), **changes).open(size=16, batch_size=3, batches=1, seed=5)  # type: ignore[arg-type]


def prepared(reader: Reader, step: int) -> tuple[np.ndarray, np.ndarray]:
    """a and b of a step in uint8's range."""
    batch = reader.prepare(reader.step(step)[0])
    a, b = ((ops.convert_to_numpy(batch[name]) + 1) * 127.5 for name in "ab")
    return a, b


@pytest.mark.parametrize("layout", ["side_by_side", "folders"])
def test_pairs_stay_pairs(request: pytest.FixtureRequest, layout: str) -> None:
    root = request.getfixturevalue({"side_by_side": "sides"}.get(layout, layout))
    reader = open_reader(root, layout=layout, enlarge=1.5)
    flipped = set()
    for step in range(8):
        a, b = prepared(reader, step)
        np.testing.assert_allclose(b[..., 0] - a[..., 0], 100, atol=1.5)
        np.testing.assert_allclose(b[..., 1], a[..., 1], atol=8)  # the same columns, mirrored or not
        flipped |= set((a[:, 0, 0, 1] > a[:, 0, -1, 1]).tolist())
    assert flipped == {False, True}


def test_the_direction_swaps_them(sides: Path) -> None:
    (a, b), (other_a, other_b) = (prepared(open_reader(sides, direction=direction), 0) for direction in ("ab", "ba"))
    np.testing.assert_array_equal(a, other_b)
    np.testing.assert_array_equal(b, other_a)
    samples = open_reader(sides, direction="ba").samples(2)
    assert samples["a"].shape == (2, 16, 16, 3)
    np.testing.assert_allclose((samples["a"][0, ..., 0] + 1) * 127.5, 150, atol=1)  # the sixth pair's right half


def test_an_embedded_pair_is_the_same_emoji() -> None:
    reader = Paired(root="emoji:google:twitter", enlarge=1.0, flip=False).open(64, 4, 1, 0)
    a, b = prepared(reader, 0)
    from kgan.pictures import emoji

    google, twitter = (emoji.load(vendor, "train").astype(int) for vendor in ("google", "twitter"))
    for one, other in zip(a, b, strict=True):
        number = int(np.argmin(np.abs(google - np.round(one)).sum(axis=(1, 2, 3))))
        np.testing.assert_allclose(other, twitter[number], atol=0.01)


def test_a_single_picture_is_its_own_pair(tmp_path: Path) -> None:
    for i in range(3):
        images.write(tmp_path / "train" / f"{i}.png", numbered(10 * i))
    a, b = prepared(open_reader(tmp_path, layout="single"), 0)
    np.testing.assert_array_equal(a, b)


def test_what_has_no_partner_is_named(folders: Path) -> None:
    (folders / "train" / "B" / "3.png").unlink()
    images.write(folders / "train" / "B" / "extra.png", numbered(1))
    with pytest.raises(UserError, match=r"5 pictures in .*A and 5 in .*B .*A/3\.png, .*B/extra\.png have no partner"):
        open_reader(folders, layout="folders")
    (folders / "train" / "B" / "extra.png").unlink()
    with pytest.raises(UserError, match=r"5 pictures in .*A and 4 in .*B .*A/3\.png has no partner: add or remove"):
        open_reader(folders, layout="folders")


def test_halves_become_folders_of_pairs(sides: Path) -> None:
    split(sides / "train", sides / "as_folders" / "train" / "A", sides / "as_folders" / "train" / "B")
    for one, other in zip(
        prepared(open_reader(sides), 0), prepared(open_reader(sides / "as_folders", layout="folders"), 0), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_two_files_of_one_name_are_no_pair(folders: Path) -> None:
    images.write(folders / "train" / "A" / "1.jpg", numbered(1))
    with pytest.raises(UserError, match=r"A/1\.jpg and .*A/1\.png have the same name but for the suffix"):
        open_reader(folders, layout="folders")


def test_an_odd_width_cannot_be_halved(sides: Path) -> None:
    images.write(sides / "train" / "odd.png", numbered(1, width=25))
    with pytest.warns(UserWarning, match=r"1 of 6 pictures are left out: .*odd\.png is 25 pixels wide"):
        assert len(open_reader(sides).train["pair"]) == 5


def test_a_pair_is_usable_where_both_are(folders: Path) -> None:
    (folders / "train" / "B" / "2.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"1 of 5 pictures are left out: .*B/2\.png cannot be read"):
        reader = open_reader(folders, layout="folders")
    assert len(reader.train["pair"]) == 4
    before = reader.fingerprint()
    images.write(folders / "train" / "B" / "1.png", numbered(7))
    with pytest.warns(UserWarning):
        assert open_reader(folders, layout="folders").fingerprint() != before


def test_pictures_of_another_shape_are_no_pair(folders: Path) -> None:
    picture = images.read(folders / "train" / "B" / "1.png")
    height, width = picture.shape[:2]
    images.write(folders / "train" / "B" / "1.png", images.resize(picture, (2 * height + 1, 2 * width)))  # is one
    images.write(folders / "train" / "B" / "2.png", images.resize(picture, (height, 3 * width // 4)))
    with pytest.warns(UserWarning, match=r"1 of 5 pictures .*A/2\.png and .*B/2\.png are no pair: one has"):
        assert len(open_reader(folders, layout="folders").train["pair"]) == 4


def test_missing_folders_and_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no folder .*train"):
        open_reader(tmp_path)
    with pytest.raises(UserError, match=r"data\.layout is one of side_by_side, folders, single, not 'grid'"):
        open_reader(tmp_path, layout="grid")


COLOURS = {0, 90, 180}


def label_maps(root: Path, side: str) -> None:
    """Pairs in folders of which one side has three colours alone."""
    random = np.random.default_rng(0)
    for i in range(3):
        for name in "AB":
            picture = random.integers(0, 256, (60, 60, 3), np.uint8)
            if name in side:
                picture = random.choice(np.array([*COLOURS], np.uint8), (60, 60, 3))
            images.write(root / "train" / name / f"{i}.png", picture if name == "A" else picture[:50, :50].copy())


@pytest.mark.parametrize(("resize", "side"), [("nearest", "AB"), ("nearest_a", "A"), ("nearest_b", "B")])
def test_label_maps_get_no_new_colours(tmp_path: Path, resize: str, side: str) -> None:
    label_maps(tmp_path, side)
    a, b = prepared(open_reader(tmp_path, layout="folders", resize=resize), 0)
    shown = open_reader(tmp_path, layout="folders", resize=resize).samples(2)
    for name, pixels in (("A", a), ("B", b)):
        sample = (shown[name.lower()] + 1) * 127.5
        for values in (pixels, sample):
            assert (set(np.unique(np.round(values))) <= COLOURS) == (name in side)
    bicubic, _ = prepared(open_reader(tmp_path, layout="folders"), 0)
    assert not set(np.unique(np.round(bicubic))) <= COLOURS


def test_junk_is_no_half_of_a_pair(folders: Path) -> None:
    for side in "AB":
        for name in ("Thumbs.db", f"._{side}.png", ".DS_Store"):
            (folders / "train" / side / name).write_bytes(b"junk")
    (folders / "train" / "A" / "more").mkdir()
    (line, test) = open_reader(folders, layout="folders").summary()
    assert ": 5 pairs. In " in line and "A: Left out: 3 hidden or system's own, 1 folder (more; " in line
    assert test.endswith("1 pair to test on.")
