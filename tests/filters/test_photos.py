"""`kgan translate`: crops, whole photos, tiles and folders, with filters that need no network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import status
from PIL import Image

from kgan.commands import translate as command
from kgan.errors import UserError
from kgan.filters.card import Card
from kgan.filters.loading import Filter
from kgan.filters.photos import translate, translate_files
from kgan.labels import Group, Labels, LabelSet
from kgan.pictures import faces, film, images


def toy(run: Callable[[np.ndarray], np.ndarray] = np.negative, **card: object) -> Filter:
    """A filter that inverts colours, or does what `run` does."""
    return Filter(run, Card(**card))  # type: ignore[arg-type]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def no_face(image: np.ndarray) -> list[faces.Face]:
    return []


def two_faces(image: np.ndarray) -> list[faces.Face]:
    """Two faces side by side, whatever the picture shows, the right one first."""
    height, width = image.shape[:2]
    at = [(0.75 * width, 0.4 * height), (0.25 * width, 0.3 * height)]
    points = ((0.0, 0.0), (1.0, 0.0), *[(0.0, 0.0)] * 4)
    return [faces.Face((x, y, x, y), 1.0, points) for x, y in at]


@pytest.fixture(scope="module")
def astronaut(shared: Path) -> Path:
    path = shared / "data/photos/skimage_astronaut.jpg"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return path


# One picture.


@pytest.mark.parametrize("shape", [(64, 64), (1, 1), (3, 200), (123, 77)])
def test_a_filter_of_any_size_takes_the_whole_photo(shape: tuple[int, int]) -> None:
    (result,) = translate(toy(multiple=4), picture(*shape))
    np.testing.assert_array_equal(result, 255 - picture(*shape))


def test_large_photos_are_done_in_tiles_that_fit_exactly() -> None:
    seen: list[tuple[int, ...]] = []

    def unchanged(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels.shape)
        return pixels

    image = picture(150, 331)
    (result,) = translate(toy(unchanged), image, tile=100)
    np.testing.assert_array_equal(result, image)
    assert set(seen) == {(1, 100, 100, 3)} and len(seen) == 2 * 5
    seen.clear()
    translate(toy(unchanged), image, tile=331)
    assert seen == [(1, 152, 332, 3)]


def test_a_filter_of_one_size_gets_the_photo_fitted_into_it() -> None:
    y, x = np.mgrid[:120, :240]
    image = np.stack([x, y, y], axis=-1).astype(np.uint8)
    seen = []

    def unchanged(pixels: np.ndarray) -> np.ndarray:
        seen.append(images.to_uint8(pixels[0]))
        return pixels

    (result,) = translate(toy(unchanged, size=(64, 64)), image)
    assert seen[0].shape == (64, 64, 3)
    np.testing.assert_array_equal(result, images.resize(image, (32, 64)))
    np.testing.assert_array_equal(seen[0][32:], result[::-1])  # filled up with its reflection


def test_center_takes_the_middle_square_at_the_size_of_the_training() -> None:
    image = picture(40, 60)
    (result,) = translate(toy(crop="center", image_size=40), image)
    np.testing.assert_array_equal(result, 255 - image[:, 10:50])
    assert translate(toy(crop="center", image_size=40), image, size=20)[0].shape == (20, 20, 3)
    assert translate(toy(crop="face", size=(32, 32)), image, crop="center")[0].shape == (32, 32, 3)


def test_each_face_is_a_picture_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "find", two_faces)
    monkeypatch.setattr(faces, "crop", lambda image, face, size: np.full((size, size, 3), int(face.box[0]), np.uint8))
    results = translate(toy(crop="face", image_size=8), picture(10, 100))
    assert [result[0, 0, 0] for result in results] == [255 - 75, 255 - 25]
    assert {result.shape for result in results} == {(8, 8, 3)}


def test_settings_that_do_not_fit_are_refused() -> None:
    any_size, fixed = toy(crop="face"), toy(crop="face", size=(256, 256))
    for picture_filter, settings, said in [
        (any_size, {"crop": "square"}, "--crop=square is unknown"),
        (any_size, {"crop": "center", "paste": True}, "needs --crop=face, not --crop=center"),
        (toy(), {"paste": True}, "needs --crop=face, not --crop=none"),
        (any_size, {"crop": "none", "size": 64}, "--size is the side of a crop"),
        (any_size, {"size": 0}, "--size=0 is no size"),
        (any_size, {"tile": 8}, "--tile=8 is too small"),
        (fixed, {"size": 128}, "accepts 256 x 256 pixels only"),
        (any_size, {}, "No face was found. --crop=center"),
    ]:
        with pytest.raises(UserError, match=said):
            translate(picture_filter, np.zeros((50, 50, 3), np.uint8), **settings)  # type: ignore[arg-type]


# Labels.


def labelled(**card: object) -> Filter:
    """Red or blue: a filter that adds the label's numbers to the first and the third channel."""
    labels = Labels((LabelSet("set", (Group("hue", ("red", "blue")),)),))

    def run(pixels: np.ndarray, label: np.ndarray) -> np.ndarray:
        return pixels + np.stack([label[:, 0], 0 * label[:, 0], label[:, 1]], -1)[:, None, None]

    return Filter(run, Card(labels=labels, **card), label_size=2)  # type: ignore[arg-type]


def test_every_way_to_take_a_photo_keeps_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "find", two_faces)
    monkeypatch.setattr(faces, "crop", lambda image, face, size: np.zeros((size, size, 3), np.uint8))
    monkeypatch.setattr(faces, "blend", lambda image, result, face: result)
    black = np.zeros((100, 140, 3), np.uint8)
    any_size = labelled(crop="face", image_size=16)
    for picture_filter, settings in [
        (any_size, {}),
        (any_size, {"paste": True}),
        (any_size, {"crop": "center"}),
        (any_size, {"crop": "none"}),
        (any_size, {"crop": "none", "tile": 64}),
        (labelled(size=(32, 32)), {}),
    ]:
        for label in ("hue=blue", [0, 1]):
            for result in translate(picture_filter, black, label=label, **settings):  # type: ignore[arg-type]
                assert (result == [0, 0, 128]).all(), settings
    with pytest.raises(UserError, match="The filter filter needs a label, such as hue=red"):
        translate(any_size, black)


def test_a_wrong_label_is_told_before_any_picture_is_read(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"")
    for picture_filter, label, said in [
        (labelled(), "hue=green", "hue is never 'green': it is red or blue"),
        (labelled(), None, r"There are hue \(red, blue\)"),
        (toy(), "hue=red", "The filter filter takes no label"),
    ]:
        with pytest.raises(UserError, match=said):
            translate_files(picture_filter, tmp_path / "broken.png", tmp_path / "out.png", label=label)


# Real faces.


def test_the_astronaut_s_face_is_cut_out_and_blended_back(astronaut: Path) -> None:
    photo = images.read(astronaut)
    (face,) = faces.find(photo)
    inverter = toy(crop="face", image_size=64)
    (cut,) = translate(inverter, photo)
    np.testing.assert_array_equal(cut, 255 - faces.crop(photo, face, 64))
    (pasted,) = translate(inverter, photo, paste=True)
    changed = np.argwhere((pasted != photo).any(axis=-1))
    assert pasted.shape == photo.shape
    assert 0.3 * face.side < np.abs(changed - face.center[::-1]).max() < 1.1 * face.side
    x, y = map(int, face.points[2])
    assert np.abs(pasted[y, x].astype(int) + photo[y, x] - 255).max() < 40  # the tip of the nose is inverted


def test_two_people_in_one_photo(astronaut: Path, tmp_path: Path) -> None:
    person = images.read(astronaut)
    images.write(tmp_path / "pair.png", np.concatenate([person, person[:, ::-1]], axis=1))
    inverter = toy(crop="face", image_size=32)
    summary = translate_files(inverter, tmp_path / "pair.png", tmp_path / "out")
    assert [path.name for path in summary.written] == ["pair_1.png", "pair_2.png"]
    assert {images.read(path).shape for path in summary.written} == {(32, 32, 3)}
    summary = translate_files(inverter, tmp_path / "pair.png", tmp_path / "both.png", paste=True)
    before, after = images.read(tmp_path / "pair.png"), images.read(summary.written[0])
    changed = (before != after).any(axis=(0, 2))
    assert changed[:512].any() and changed[512:].any() and not changed[500:524].any()


# Files.


def test_a_turned_photo_comes_out_upright(tmp_path: Path) -> None:
    stored = np.full((40, 80, 3), 255, np.uint8)
    stored[:, :16] = 0  # the left end as stored: the top once it is turned as orientation 6 says
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    (path,) = translate_files(toy(), tmp_path / "turned.jpg", tmp_path / "out").written
    assert path == tmp_path / "out/turned.jpg"
    with Image.open(path) as result:
        assert result.size == (40, 80) and not result.getexif()
        values = np.asarray(result)
    assert values[:8].min() > 250 and values[24:].max() < 5  # inverted: white above, black below


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1", "CMYK"])
def test_pictures_of_any_mode(mode: str, tmp_path: Path) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    Image.new(mode, (20, 10)).save(tmp_path / f"photo{suffix}")
    (path,) = translate_files(toy(), tmp_path / f"photo{suffix}", tmp_path / "result.png").written
    result = images.read(path)
    assert result.shape == (10, 20, 3)
    # Transparent stays so, and is read as white; the rest of the blank pictures is black, and CMYK's is white.
    assert np.abs(result.astype(int) - (0 if mode == "CMYK" else 255)).max() <= 2


def test_a_folder_keeps_names_and_skips_what_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "photos", tmp_path / "deep/out"
    for name in ("b.png", "a.JPG", "c.webp"):
        images.write(source / name, picture(12, 20))
    (source / "broken.jpg").write_bytes((source / "a.JPG").read_bytes()[:200])
    (source / "notes.txt").write_text("no picture")
    summary = translate_files(toy(), source, output)
    assert sorted(path.name for path in output.iterdir()) == ["a.JPG", "b.png", "c.webp"]
    assert len(summary.written) == 3 and len(summary.skipped) == 1
    assert f"Skipped. {source / 'broken.jpg'} cannot be read" in capsys.readouterr().err
    np.testing.assert_array_equal(images.read(output / "b.png"), 255 - picture(12, 20))


def test_crops_of_pictures_with_similar_names_do_not_overwrite_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "find", lambda image: two_faces(image)[: 2 if len(image) > 20 else 1])
    monkeypatch.setattr(faces, "crop", lambda image, face, size: images.resize(image, (size, size)))
    for name, side in {"me.jpg": 30, "me.png": 10, "me.webp": 10, "me_1.jpg": 10}.items():
        images.write(tmp_path / "photos" / name, picture(side, side))
    summary = translate_files(toy(crop="face", image_size=8), tmp_path / "photos", tmp_path / "out")
    names = ["me_1.png", "me_2.png", "me.png", "me.webp.png", "me_1.jpg.png"]
    assert [path.name for path in summary.written] == names


def test_no_face_names_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "find", no_face)
    images.write(tmp_path / "photos/wall.png", picture(10, 10))
    with pytest.raises(UserError, match=r"wall\.png: No face was found\. --crop=center"):
        translate_files(toy(crop="face"), tmp_path / "photos/wall.png", tmp_path / "out")
    with pytest.raises(UserError, match=r"Not one of the 1 pictures .*wall\.png: No face was found"):
        translate_files(toy(crop="face"), tmp_path / "photos", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert translate_files(toy(crop="face"), tmp_path / "photos", tmp_path / "out", crop="center").written


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    photo, photos, empty = tmp_path / "photos/a.png", tmp_path / "photos", tmp_path / "empty"
    images.write(photo, picture(10, 10))
    empty.mkdir()
    for source, output, said in [
        (photo, photo, "overwrite the photo"),
        (photo, photos, "overwrite the photo"),
        (photos, photos, "where the photos lie"),
        (photos, tmp_path / "all.png", "need a folder"),
        (photos, photo, "need a folder"),
        (empty, tmp_path / "out", "holds no pictures"),
        (tmp_path / "missing.jpg", tmp_path / "out", "no file"),
        (photo, tmp_path / "photo.ico", "pictures end in"),
        (photo, tmp_path / "photo.mp4", "pictures end in"),
        (photo, photo / "out", "cannot be written"),
    ]:
        with pytest.raises(UserError, match=said):
            translate_files(toy(), source, output)
    np.testing.assert_array_equal(images.read(photo), picture(10, 10))
    assert [path.name for path in photos.iterdir()] == ["a.png"]


def test_every_picture_of_a_folder_is_translated_and_all_else_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "photos", tmp_path / "out"
    kinds = ["jpg", "jfif", "png", "webp", "bmp", "tiff", "gif", "avif", "tga", "ico"]
    for kind in kinds:
        images.write(source / "a.png", picture(16, 16))
        Image.open(source / "a.png").convert("RGB").save(source / f"{kind}.{kind}")
    (source / "a.png").unlink()
    for name in ("Thumbs.db", "._jpg.jpg", ".DS_Store", "x.heic"):
        (source / name).write_bytes(b"junk")
    (source / "__MACOSX").mkdir()
    (source / "more").mkdir()
    summary = translate_files(toy(), source, output)
    assert not summary.skipped
    expected = {f"{kind}.{kind}" for kind in kinds[:-2]} | {"tga.png", "ico.png"}
    assert {path.name for path in output.iterdir()} == expected
    said = capsys.readouterr().out
    assert f"{source}: 10 pictures. Left out: 4 hidden or system's own" in said and "pip install pillow-heif" in said
    np.testing.assert_array_equal(images.read(output / "bmp.bmp"), 255 - picture(16, 16))


def glass(height: int = 20, width: int = 30) -> np.ndarray:
    """A red rectangle whose visibility grows to the right, on nothing."""
    image = np.zeros((height, width, 4), np.uint8)
    image[4:-4, 4:-4] = (200, 0, 0, 0)
    image[4:-4, 4:-4, 3] = np.linspace(20, 255, width - 8)
    return image


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
def test_transparency_is_put_back(tmp_path: Path, suffix: str) -> None:
    images.write(tmp_path / "a.png", glass())
    (path,) = translate_files(toy(), tmp_path / "a.png", tmp_path / f"b{suffix}").written
    result = images.read(path, transparent=True)
    np.testing.assert_array_equal(result[..., 3], glass()[..., 3])
    shown = result[glass()[..., 3] > 100][:, :3].astype(int)
    assert np.abs(shown - (55, 255, 255)).max() <= (0 if suffix != ".webp" else 3)


def test_the_filter_sees_the_colour_of_the_edge_where_nothing_is() -> None:
    seen: list[np.ndarray] = []

    def noting(pixels: np.ndarray) -> np.ndarray:
        seen.append(images.to_uint8(pixels[0]))
        return pixels

    translate(toy(noting), glass())
    assert (seen[0] == (200, 0, 0)).all()


def test_transparency_is_cut_as_the_colours_are(monkeypatch: pytest.MonkeyPatch) -> None:
    (square,) = translate(toy(crop="center", image_size=20), glass())
    np.testing.assert_array_equal(square[..., 3], glass()[:, 5:25, 3])
    (fitted,) = translate(toy(size=(10, 15)), glass())
    assert fitted.shape == (10, 15, 4)
    monkeypatch.setattr(faces, "find", two_faces)
    monkeypatch.setattr(faces, "crop", lambda image, face, size: images.resize(image, (size, size)))
    cuts = translate(toy(crop="face", image_size=8), glass())
    assert [cut.shape for cut in cuts] == [(8, 8, 4)] * 2
    monkeypatch.setattr(faces, "blend", lambda image, result, face: image)
    (pasted,) = translate(toy(crop="face", image_size=8), glass(), paste=True)
    np.testing.assert_array_equal(pasted[..., 3], glass()[..., 3])


def test_kinds_without_transparency_get_it_on_white(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", np.zeros((8, 8, 4), np.uint8))
    for suffix in (".jpg", ".bmp"):
        (path,) = translate_files(toy(), tmp_path / "a.png", tmp_path / f"b{suffix}").written
        assert images.read(path).min() >= 254


def move(path: Path, alpha: bool = False) -> None:
    """Three frames of 60, 120 and 180 for 100, 200 and 300 ms, twice."""
    frames = [np.full((16, 24, 4 if alpha else 3), 60 * (n + 1), np.uint8) for n in range(3)]
    film.write_animation(path, frames, [100, 200, 300], 2)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_all_frames_of_an_animation_are_filtered(tmp_path: Path, suffix: str) -> None:
    move(tmp_path / "in" / f"a{suffix}")
    for source, target in ((tmp_path / f"in/a{suffix}", tmp_path / f"b{suffix}"), (tmp_path / "in", tmp_path / "out")):
        (path,) = translate_files(toy(), source, target).written
        assert path.suffix == suffix
        animation = film.animation(path)
        assert animation and animation.plays == 2
        for (frame, duration), n in zip(animation, range(3), strict=True):
            assert duration == 100 * (n + 1) and np.abs(frame.astype(int) - (195 - 60 * n)).max() <= 4


def test_a_gif_becomes_a_webp_and_a_cut_square(tmp_path: Path) -> None:
    move(tmp_path / "in/a.gif")
    (path,) = translate_files(toy(), tmp_path / "in/a.gif", tmp_path / "b.webp").written
    animation = film.animation(path)
    assert animation and [duration for _, duration in animation] == [100, 200, 300] and animation.plays == 2
    (path,) = translate_files(toy(crop="center", image_size=16), tmp_path / "in", tmp_path / "out").written
    animation = film.animation(path)
    assert animation and path.name == "a.gif" and {frame.shape[:2] for frame, _ in animation} == {(16, 16)}


def test_what_cannot_move_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move(tmp_path / "a.gif")
    with pytest.raises(UserError, match=r"a\.gif has 3 frames, which a \.jpg cannot hold: name a \.gif or"):
        translate_files(toy(), tmp_path / "a.gif", tmp_path / "b.jpg")
    with pytest.raises(UserError, match="3 frames, of which faces are not cut out: --paste keeps them"):
        translate_files(toy(crop="face"), tmp_path / "a.gif", tmp_path / "b.gif")
    monkeypatch.setattr(faces, "find", no_face)
    with pytest.raises(UserError, match=r"a\.gif: No face was found"):
        translate_files(toy(crop="face"), tmp_path / "a.gif", tmp_path / "b.gif", paste=True)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"clip\.mp4 is a film, .* ffmpeg"):
        translate_files(toy(), tmp_path / "clip.mp4", tmp_path / "b.png")


def test_pages_of_a_tiff_stay_pages(tmp_path: Path) -> None:
    film.write_animation(tmp_path / "a.tif", [picture(8, 8, 1), picture(9, 7, 2)], [0, 0], 0)
    (path,) = translate_files(toy(), tmp_path / "a.tif", tmp_path / "b.tif").written
    pages = film.animation(path)
    assert pages
    for (page, _), expected in zip(pages, (picture(8, 8, 1), picture(9, 7, 2)), strict=True):
        np.testing.assert_array_equal(page, 255 - expected)


def test_whatever_fails_is_one_file_s_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "photos"
    for name, level in (("a.png", 10), ("b.png", 20), ("c.png", 30)):
        images.write(source / name, np.full((8, 8, 3), level, np.uint8))
    avif = images.encode(picture(64, 64), ".avif")
    (source / "d.jpg").write_bytes(avif[: len(avif) // 2])
    (source / ("e" * 248 + ".png")).write_bytes((source / "a.png").read_bytes())  # 252 bytes

    def run(pixels: np.ndarray) -> np.ndarray:
        level = images.to_uint8(pixels).max()
        if level == 20:
            raise RuntimeError("an engine's own\nand its stack")
        if level == 30:
            raise MemoryError
        return pixels

    summary = translate_files(toy(run), source, tmp_path / "out")
    assert sorted(path.name[0] for path in summary.written) == ["a", "e"] and len(summary.skipped) == 3
    said = capsys.readouterr().err
    assert "b.png: RuntimeError: an engine's own\n" in said and "c.png: there is not enough memory for it." in said
    assert "d.jpg cannot be read as a picture" in said


def test_a_mistake_in_a_filter_is_no_file_s_failure(tmp_path: Path) -> None:
    images.write(tmp_path / "photos/a.png", picture(8, 8))

    def run(pixels: np.ndarray) -> np.ndarray:
        raise AttributeError("a bug")

    with pytest.raises(AttributeError, match="a bug"):
        translate_files(toy(run), tmp_path / "photos", tmp_path / "out")


def test_names_that_are_long_or_no_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = os.fsencode(tmp_path / "photos")
    names = [b"a" * 240 + b".png", "ä".encode() * 120 + b".png", b"caf\xe9.png"]
    Path(os.fsdecode(source)).mkdir()
    for name in names:
        Path(os.fsdecode(source + b"/" + name)).write_bytes(images.encode(picture(8, 8)))
    assert len(translate_files(toy(), os.fsdecode(source), tmp_path / "out").written) == 3
    assert {os.fsencode(path.name) for path in (tmp_path / "out").iterdir()} == set(names)
    monkeypatch.setattr(faces, "find", two_faces)
    monkeypatch.setattr(faces, "crop", lambda image, face, size: images.resize(image, (size, size)))
    summary = translate_files(toy(crop="face", image_size=8), os.fsdecode(source), tmp_path / "two")
    assert len(summary.written) == 6 and not list((tmp_path / "two").glob(".*"))


# The command.


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "load_for_photos", lambda path: toy(size=(32, 32)))
    images.write(tmp_path / "a.png", picture(64, 64))
    assert status(command, "--model=x.tflite", f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'b.png'}") == 0
    said = capsys.readouterr().out
    assert "x.tflite accepts 32 x 32 pixels only" in said and f"Wrote {tmp_path / 'b.png'}." in said
    assert images.read(tmp_path / "b.png").shape == (32, 32, 3)


def test_the_command_passes_the_label_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_for_photos", lambda path: labelled())
    images.write(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint8))
    arguments = ["--model=x.keras", f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'b.png'}"]
    assert status(command, *arguments, "--label=hue=red") == 0
    assert (images.read(tmp_path / "b.png") == [128, 0, 0]).all()
    assert status(command, *arguments, "--label=hue=rad") == 2
    assert "kgan: hue is never 'rad': it is red or blue. Did you mean red?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input=a", "--output=b"], "--model=... is missing"),
        (["--model=m", "--input=nowhere", "--output=b"], "There is no file or folder nowhere."),
        (["--model=m.keras", "--input=.", "--output=b"], "There is no model m.keras"),
        (["--crop=round"], "--crop"),
    ],
)
def test_the_command_s_errors_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(command, *arguments) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_the_command_says_names_that_are_no_utf_8_and_allows_large_pictures(tmp_path: Path) -> None:
    """In a process of its own, whose standard output is strict about what it encodes."""
    photo = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    photo.write_bytes(images.encode(picture(40, 60)))
    program = (
        "import sys, numpy as np\n"
        "from kgan import commands\n"
        "from kgan.commands import translate as command\n"
        "from kgan.filters.card import Card\n"
        "from kgan.filters.loading import Filter\n"
        "command.load_for_photos = lambda path: Filter(np.negative, Card())\n"
        "commands.run(command.main)\n"
    )
    arguments = ["--model=m", f"--input={photo}", f"--output={tmp_path / 'out'}"]
    settings = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    for flag, code, said in (
        ("", 0, b"Wrote "),
        ("--max_megapixels=0.05", 2, b"has 60 x 40 pixels, and more than 0.05 megapixels"),
        ("--max_megapixels=0.06", 0, b"Wrote "),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, *filter(None, [flag])], capture_output=True, env=settings
        )
        assert done.returncode == code and said in done.stdout + done.stderr, done
        assert b"Traceback" not in done.stderr
