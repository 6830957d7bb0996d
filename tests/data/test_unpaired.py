"""Data: any picture in, a function of (seed, step) out."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops
from PIL import Image

from kgan.data import Reader, Unpaired, sources
from kgan.data.sources import Order, PictureStore, crop_and_flip, folder
from kgan.errors import Remark, UserError
from kgan.pictures import film, images
from kgan.settings import free_paths


def picture(path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB", seed: int = 0, **options: object) -> None:
    """A random picture, size as (width, height)."""
    random = np.random.default_rng(seed)
    noise = Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8)).convert(mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise.save(path, **options)  # type: ignore[arg-type]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Seven pictures of a, five of b: formats, modes and sizes mixed."""
    for i, (suffix, mode) in enumerate(
        [("jpg", "RGB"), ("jpg", "L"), ("png", "RGBA"), ("png", "P"), ("webp", "RGB"), ("png", "LA"), ("jpg", "CMYK")]
    ):
        picture(tmp_path / "trainA" / f"{i}.{suffix}", (30 + i, 50 - i), mode, seed=i)
    for i in range(5):
        picture(tmp_path / "trainB" / f"{i}.png", (20, 20), seed=10 + i)
    return tmp_path


def open_reader(root: Path, **changes: object) -> Reader:
    return Unpaired(root=str(root), **changes).open(size=16, batch_size=3, batches=2, seed=5)  # type: ignore[arg-type]


def assert_same(batches: tuple, others: tuple) -> None:
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name], err_msg=name)


def test_batches_have_the_promised_shapes(folders: Path) -> None:
    batches = open_reader(folders).step(0)
    assert len(batches) == 2
    assert batches[0]["a"].shape == (3, 18, 18, 3) and batches[0]["a"].dtype == np.uint8  # 16 * 286 / 256
    assert batches[0]["a_offset"].shape == (3, 2) and batches[0]["a_offset"].max() <= 2
    prepared = open_reader(folders).prepare(batches[0])
    assert prepared.keys() == {"a", "b"}
    assert tuple(prepared["a"].shape) == (3, 16, 16, 3)
    values = ops.convert_to_numpy(prepared["a"])
    assert values.min() >= -1 and values.max() <= 1 and values.std() > 0.1


def test_a_step_depends_on_seed_and_number_alone(folders: Path) -> None:
    straight = open_reader(folders)
    run = [straight.step(i) for i in range(8)]
    assert_same(open_reader(folders).step(7), run[7])  # began elsewhere
    assert_same(straight.step(2), run[2])  # went back
    other = Unpaired(root=str(folders)).open(16, 3, 2, seed=6).step(7)
    assert any((other[0][name] != run[7][0][name]).any() for name in other[0])


def test_streamed_and_kept_pictures_are_the_same(folders: Path) -> None:
    kept, streamed = open_reader(folders, memory="keep"), open_reader(folders, memory="stream")
    for step in (0, 1, 5, 3):
        assert_same(kept.step(step), streamed.step(step))


def test_every_picture_once_an_epoch_and_another_order_in_the_next() -> None:
    order = Order(count=10, seed=1, stream=0)
    epochs = order(0, 30).reshape(3, 10)
    for epoch in epochs:
        assert sorted(epoch) == list(range(10))
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()
    np.testing.assert_array_equal(Order(10, 1, 0)(7, 9), epochs.reshape(-1)[7:16])  # across the border, from nowhere
    assert (Order(10, 1, 1)(0, 10) != epochs[0]).any()  # the domains are shuffled apart


def test_augmentation_is_fresh_in_every_epoch(folders: Path) -> None:
    straight = open_reader(folders)
    seen = [straight.step(i) for i in range(40)]
    offsets = np.concatenate([batch["a_offset"] for step in seen for batch in step])
    flips = np.concatenate([batch["a_flip"] for step in seen for batch in step])
    assert {tuple(offset) for offset in offsets} == {(i, j) for i in range(3) for j in range(3)}
    assert 0.35 < flips.mean() < 0.65  # 240 fair draws lie within 0.1 of a half but once in 500
    assert open_reader(folders, flip=False).step(0)[0]["a_flip"].sum() == 0


def test_crop_and_flip_by_hand() -> None:
    pictures = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    offset, flip = np.array([[0, 1], [2, 2]], np.int32), np.array([0, 1], np.int32)
    result = ops.convert_to_numpy(crop_and_flip(*map(ops.convert_to_tensor, (pictures, offset, flip)), 2))
    expected = np.stack([pictures[0, 0:2, 1:3], pictures[1, 2:4, 2:4][:, ::-1]])
    np.testing.assert_allclose(result, expected / 127.5 - 1, atol=1e-6)


def test_exif_rotation_and_transparency_are_undone(tmp_path: Path) -> None:
    upright = Image.new("RGB", (20, 40), "red")
    upright.paste("blue", (0, 0, 20, 20))  # blue above red
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    upright.rotate(90, expand=True).save(tmp_path / "a.jpg", exif=exif, quality=95)
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "b.png")
    rotated, clear = PictureStore(folder(tmp_path), 16, "crop", keep=True).take(np.array([0, 1]))
    assert rotated[2, 8, 2] > 200 and rotated[13, 8, 0] > 200  # blue above, red below
    assert (clear == 255).all()


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 400, dtype=np.uint8)
    smooth = np.stack(np.broadcast_arrays(ramp[:300, None], ramp[None], ramp[None, ::-1]), -1)  # [300, 400, 3]
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(smooth).save(tmp_path / "b.png")
    assert images.read(tmp_path / "a.jpg", least=60).shape == (75, 100, 3)  # at a quarter; an eighth were too small
    assert images.read(tmp_path / "a.jpg", least=160).shape == (300, 400, 3)
    assert images.read(tmp_path / "b.png", least=60).shape == (300, 400, 3)
    small, whole = PictureStore(folder(tmp_path), 30, "crop", keep=True).take(np.array([0, 1])).astype(int)
    assert np.abs(small - whole).max() <= 4


def test_fit_crops_the_centre_or_stretches(tmp_path: Path) -> None:
    for name in "ab":
        wide = Image.new("RGB", (60, 20), "white")
        wide.paste("black", (20, 0, 40, 20))
        wide.save(tmp_path / f"{name}.png")
    first = np.array([0])
    assert PictureStore(folder(tmp_path), 12, "crop", keep=True).take(first).max() == 0
    stretched = PictureStore(folder(tmp_path), 12, "stretch", keep=True).take(first)[0]
    assert stretched[6, 0, 0] > 250 and stretched[6, 6, 0] < 5 and stretched[6, 11, 0] > 250


def test_an_unreadable_file_is_named_once_and_left_out(folders: Path) -> None:
    (folders / "trainB" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folders / "trainB" / "notes.txt").write_text("not looked at")
    with pytest.warns(UserWarning, match=r"1 of 6 pictures are left out: .*broken\.jpg cannot be read") as caught:
        reader = open_reader(folders)
    assert len(caught) == 1
    assert len(reader.train["b"]) == 5


def test_a_file_that_breaks_later_is_replaced_by_its_neighbour(folders: Path) -> None:
    streamed = open_reader(folders, memory="stream")
    (folders / "trainB" / "2.png").write_bytes(b"gone bad")
    with pytest.warns(UserWarning, match=r"2\.png cannot be read as a picture.* Its neighbour takes its place"):
        pictures = streamed.train["b"].take(np.array([2, 3]))
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_missing_and_empty_folders_are_errors_that_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no folder .*trainA: a folder with \.jpg"):
        open_reader(tmp_path)
    picture(tmp_path / "trainA" / "one.png")
    picture(tmp_path / "trainB" / "one.png")
    with pytest.raises(UserError, match=r"trainA holds 1 usable pictures and at least 2 are needed"):
        open_reader(tmp_path)
    with pytest.raises(UserError, match=r"data\.root is not set"):
        Unpaired().open(16, 1, 1, 0)
    with pytest.raises(UserError, match=r"emoji:fluent3d: 2 of the vendors are wanted"):
        Unpaired(root="emoji:fluent3d").open(16, 1, 1, 0)
    with pytest.raises(UserError, match=r"data\.fit is one of crop, stretch, not 'pad'"):
        Unpaired(root=str(tmp_path), fit="pad").open(16, 1, 1, 0)


def test_samples_are_whole_test_pictures_or_training_ones(folders: Path) -> None:
    assert open_reader(folders).samples(2)["a"].shape == (2, 16, 16, 3)
    for i in range(3):
        picture(folders / "testA" / f"{i}.png", (16, 16), seed=70 + i)
    samples = open_reader(folders).samples(4)
    expected = np.asarray(Image.open(folders / "testA" / "0.png"), np.float32) / 127.5 - 1
    np.testing.assert_allclose(samples["a"][0], expected, atol=1e-6)
    np.testing.assert_array_equal(samples["a"][3], samples["a"][0])  # fewer than asked for: from the start again


def test_samples_decode_no_more_than_they_show(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("testA", "testB"):
        for i in range(9):
            picture(folders / name / f"{i}.png", (16, 16))
    (folders / "testB" / "0.png").write_bytes(b"no picture")
    reader = open_reader(folders)
    files: list[str] = []
    read = images.read

    def noting(path: Path, **options: Any) -> np.ndarray:
        files.append(f"{path.parent.name}/{path.name}")
        return read(path, **options)

    monkeypatch.setattr(images, "read", noting)
    with pytest.warns(UserWarning, match=r"0\.png cannot be read"):
        assert reader.samples(2)["b"].shape == (2, 16, 16, 3)
    assert files == ["testA/0.png", "testA/1.png", "testB/0.png", "testB/1.png", "testB/2.png"]


def test_one_test_picture_and_one_row_are_enough(folders: Path) -> None:
    picture(folders / "testA" / "only.png", (16, 16))
    assert open_reader(folders).samples(3)["a"].shape == (3, 16, 16, 3)
    embedded = Unpaired(root="emoji:fluent3d:google").open(size=16, batch_size=1, batches=1, seed=0)
    assert embedded.samples(1)["b"].shape == (1, 16, 16, 3)


def test_a_picture_cut_short_is_left_out_wherever_pictures_are_kept(folders: Path) -> None:
    whole = (folders / "trainA" / "0.jpg").read_bytes()
    (folders / "trainA" / "cut.jpg").write_bytes(whole[: len(whole) // 2])  # its header is sound
    prints = []
    for memory in ("keep", "stream"):
        with pytest.warns(UserWarning, match=r"cut\.jpg cannot be read"):
            prints.append(open_reader(folders, memory=memory).fingerprint())
    assert prints[0] == prints[1]


def test_damaged_exif_data_leave_the_picture_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 40), "red").save(tmp_path / "a.jpg", exif=exif)
    data = (tmp_path / "a.jpg").read_bytes()
    start = data.index(b"Exif\0\0") + 6
    random = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(data)
        for place in random.integers(start, start + 26, 3):
            broken[place] = random.integers(0, 256)
        assert images.decode(bytes(broken)).shape in ((40, 20, 3), (20, 40, 3))


def test_the_fingerprint_sees_names_and_numbers(folders: Path) -> None:
    before = open_reader(folders).fingerprint()
    assert before["a"]["pictures"] == 7
    (folders / "trainA" / "0.jpg").rename(folders / "trainA" / "00.jpg")
    after = open_reader(folders).fingerprint()
    assert after["a"] != before["a"] and after["b"] == before["b"]


def test_the_embedded_set_in_the_unpaired_shape() -> None:
    embedded = Unpaired(root="emoji:fluent3d:google", enlarge=1.0).open(size=64, batch_size=2, batches=1, seed=0)
    assert len(embedded.train["a"]) == len(embedded.train["b"]) > 700
    assert embedded.step(0)[0]["a"].shape == (2, 64, 64, 3)


# What lies in folders.


def test_every_kind_is_trained_on_and_all_else_counted(folders: Path) -> None:
    kinds = ["jfif", "bmp", "tiff", "gif", "avif", "jp2"]
    for kind in kinds:
        picture(folders / "trainA" / f"more.{kind}")
    for name in ("Thumbs.db", "._1.jpg", "photo.heic"):
        (folders / "trainA" / name).write_bytes(b"junk")
    (folders / "trainA" / "__MACOSX").mkdir()
    (folders / "trainA" / "more").mkdir()
    (folders / "trainA" / "gone.png").symlink_to("nowhere")
    os.mkfifo(folders / "trainA" / "pipe.png")
    reader = open_reader(folders)
    assert len(reader.train["a"]) == 13
    lines = reader.summary()
    assert lines[0].startswith(f"{folders / 'trainA'}: 13 pictures, 2 with transparency (laid on white). Left out: ")
    for words in ("3 hidden", "1 .heic (photo.heic; pip", "1 folder (more;", "1 dangling link (gone.png", "1 pipe or"):
        assert words in lines[0]
    assert lines[1] == f"{folders / 'trainB'}: 5 pictures."


def test_animations_and_test_folders_are_counted(folders: Path) -> None:
    frames = [np.full((16, 16, 3), 60 * n, np.uint8) for n in range(3)]
    film.write_animation(folders / "trainA" / "a.gif", frames, [100] * 3, 0)
    picture(folders / "testA" / "0.png")
    (folders / "testA" / "notes.txt").write_text("x")
    lines = open_reader(folders).summary()
    assert "8 pictures, 2 with transparency (laid on white), 1 animated (the first frame alone)." in lines[0]
    assert lines[2] == f"{folders / 'testA'}: 1 picture to test on. Left out: 1 .txt (notes.txt)."


def test_pictures_that_are_enlarged_are_counted(folders: Path) -> None:
    """By their sides as they are stored: how large they are decoded says nothing."""
    for path in (folders / "trainA").iterdir():
        path.unlink()
    for name, size in (("0.jpg", (200, 63)), ("1.jpg", (64, 99)), ("2.png", (300, 200))):
        Image.new("RGB", size).save(folders / "trainA" / name)
    shutil.copytree(folders / "trainA", folders / "trainB", dirs_exist_ok=True)
    for path in (folders / "trainB").iterdir():
        if path.name != "2.png":
            path.unlink()
    Image.new("RGB", (900, 900)).save(folders / "trainB" / "3.jpg")
    reader = open_reader(folders)
    said = "of this training and are enlarged, so that what is drawn will be as soft."
    assert reader.enlarged(63) == []
    assert reader.enlarged(64) == [f"{folders / 'trainA'}: 1 of 3 are smaller than the 64 px {said}"]
    assert reader.enlarged(256) == [
        f"{folders / 'trainA'}: all are smaller than the 256 px {said}",
        f"{folders / 'trainB'}: 1 of 2 are smaller than the 256 px {said}",
    ]
    emoji = Unpaired(root="emoji:google:twitter").open(size=64, batch_size=3, batches=1, seed=0)
    assert (emoji.enlarged(64), len(emoji.enlarged(65))) == ([], 2)


def test_without_test_folders_it_says_what_sheets_show(folders: Path) -> None:
    for name in ("testA", "testB"):
        shutil.rmtree(folders / name, ignore_errors=True)
    said = "none to test on, so that sheets and measures are of training pictures."
    assert [line for line in open_reader(folders).summary() if "to test on" in line] == [
        f"{folders / name}: {said}" for name in ("trainA", "trainB")
    ]


def test_pictures_are_not_shrunk_before_they_are_cut(folders: Path) -> None:
    with pytest.raises(UserError, match=r"data\.enlarge must be at least 1, got 0\.9"):
        open_reader(folders, enlarge=0.9)


def test_larger_pictures_than_allowed_are_left_out(folders: Path) -> None:
    picture(folders / "trainB" / "large.png", (300, 300))
    with pytest.warns(
        Remark, match=r"large\.png has 300 x 300 pixels.* --config\.data\.max_megapixels=1 of kgan train"
    ):
        assert len(open_reader(folders, max_megapixels=0.08).train["b"]) == 5
    assert len(open_reader(folders, max_megapixels=0.3).train["b"]) == 6
    assert "data.max_megapixels" in free_paths(Unpaired(), "data.")  # may change between sittings


def test_a_damaged_file_of_another_kind_than_its_name_is_left_out(folders: Path) -> None:
    data = images.encode(np.zeros((64, 64, 3), np.uint8), ".avif")
    (folders / "trainB" / "photo.jpg").write_bytes(data[: len(data) - 30])
    with pytest.warns(Remark, match=r"1 of 6 pictures are left out: .*photo\.jpg cannot be read"):
        assert len(open_reader(folders).train["b"]) == 5


def test_names_that_are_no_utf_8_have_a_fingerprint(folders: Path) -> None:
    before = open_reader(folders).fingerprint()["b"]
    name = Path(os.fsdecode(os.fsencode(folders) + b"/trainB/caf\xe9.png"))
    picture(name, (20, 20))
    reader = open_reader(folders)
    assert reader.fingerprint()["b"]["pictures"] == 6 and reader.fingerprint()["b"] != before
    json.dumps(reader.fingerprint())


def test_streamed_pictures_that_vanish_one_after_the_other_end_in_a_sentence(folders: Path) -> None:
    streamed = open_reader(folders, memory="stream")
    for path in (folders / "trainB").iterdir():
        if path.name != "4.png":
            path.unlink()
    with pytest.warns(Remark):
        np.testing.assert_array_equal(*streamed.train["b"].take(np.array([1, 4])))
    (folders / "trainB" / "4.png").unlink()
    with pytest.warns(Remark), pytest.raises(UserError, match=r"Not one picture of .*trainB can be read any more"):
        streamed.train["b"].take(np.array([0]))


def test_a_bar_is_shown_where_reading_takes_its_time(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_reader(folders)
    assert "reading" not in capsys.readouterr().err
    monkeypatch.setattr(sources, "PATIENCE", 0)
    open_reader(folders)
    assert f"reading {folders / 'trainA'}" in capsys.readouterr().err


def test_a_folder_called_emoji_is_one_s_own(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders)
    with pytest.raises(UserError, match=r"2 of the vendors are wanted, as in emoji:.*, or the name of a folder"):
        Unpaired(root="emoji").open(16, 1, 1, 0)
    (folders / "emoji").mkdir()
    for name in ("trainA", "trainB"):
        (folders / name).rename(folders / "emoji" / name)
    assert Unpaired(root="emoji").open(16, 1, 1, 0).summary()[0].startswith("emoji/trainA: 7 pictures")
    (line, _) = Unpaired(root="emoji:google:twitter").open(16, 1, 1, 0).summary()
    assert line == "the embedded emoji by google: 728 pictures."
