"""Faces: the detector's arithmetic by hand, crops and blends on synthetic pictures, and real photos where they lie."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgan.pictures import faces, images
from kgan.pictures.faces import Face


def face_at(x: float, y: float, side: float, angle: float = 0, score: float = 0.9) -> Face:
    """A face with its box's centre at (x, y), its eyes half a side apart on a line through the centre."""
    along = np.array([math.cos(angle), math.sin(angle)]) * side / 4
    eyes = ((x - along[0], y - along[1]), (x + along[0], y + along[1]))
    return Face((x - side / 2, y - side / 2, x + side / 2, y + side / 2), score, (*eyes, *[(x, y)] * 4))


@pytest.fixture(scope="module")
def astronaut(shared: Path) -> np.ndarray:
    path = shared / "data/photos/skimage_astronaut.jpg"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return images.read(path)


def test_anchors_by_hand() -> None:
    anchors = faces.anchors()
    assert anchors.shape == (896, 2)
    np.testing.assert_allclose(anchors[[0, 1]], [[1 / 32, 1 / 32]] * 2)  # two each
    np.testing.assert_allclose(anchors[2], [3 / 32, 1 / 32])  # then to the right
    np.testing.assert_allclose(anchors[32], [1 / 32, 3 / 32])  # then the next row
    np.testing.assert_allclose(anchors[512:518], [[1 / 16, 1 / 16]] * 6)
    np.testing.assert_allclose(anchors[-1], [15 / 16, 15 / 16])


def test_detect_decodes_boxes_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    regressors, logits = np.zeros((896, 16), np.float32), np.full(896, -1000, np.float32)
    regressors[32, :6] = 4, 2, 16, 8, -4, 0  # anchor (4, 12) of 128 pixels; the first eye 4 to the left of it
    logits[32] = 2
    monkeypatch.setattr(faces, "_run", lambda square: (regressors, logits))
    # 256 x 128 pixels are shrunk by 2 to 128 x 64, with 32 black rows above: y 12 lies above the picture.
    (face,) = faces.detect(np.zeros((128, 256, 3), np.uint8))
    assert face.box == pytest.approx((0, -44, 32, -28))
    assert face.points[0] == pytest.approx((0, -40))
    assert face.score == pytest.approx(1 / (1 + math.exp(-2)))


def test_a_score_below_the_threshold_is_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = np.ones((896, 16), np.float32), np.full(896, 1.0, np.float32)  # sigmoid(1) = 0.73
    monkeypatch.setattr(faces, "_run", lambda square: outputs)
    assert faces.detect(np.zeros((128, 128, 3), np.uint8)) == []


def test_overlap_by_hand() -> None:
    one, half, apart = face_at(2, 2, 4), face_at(4, 2, 4), face_at(6, 2, 4)
    assert faces.overlap(one, one) == 1
    assert faces.overlap(one, half) == pytest.approx(8 / 24)
    assert faces.overlap(one, apart) == 0


def test_overlapping_boxes_merge_to_the_weighted_mean() -> None:
    merged = faces.merge(
        [face_at(10, 10, 10, score=0.8), face_at(50, 50, 10, score=0.85), face_at(12, 10, 10, score=0.9)]
    )
    assert [face.score for face in merged] == [0.9, 0.85]
    assert merged[0].center == pytest.approx(((0.8 * 10 + 0.9 * 12) / 1.7, 10))
    assert merged[0].points[2] == pytest.approx(merged[0].center)
    assert faces.merge([]) == []


def test_crop_is_the_square_around_the_box() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    face = face_at(60, 50, 40)  # 1.55 sides: 62 pixels from 29, 19
    np.testing.assert_array_equal(faces.crop(image, face, 62), image[19:81, 29:91])


def test_crop_reflects_what_lies_outside() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    cut = faces.crop(image, face_at(21, 50, 40), 62)  # starts 10 pixels left of the picture
    np.testing.assert_array_equal(cut[:, 10:], image[19:81, :52])
    np.testing.assert_array_equal(cut[:, :10], image[19:81, :10][:, ::-1])


def test_crop_turns_the_eyes_level() -> None:
    y, x = np.mgrid[:200, :200] + 0.5
    face = face_at(100, 100, 60, angle=math.radians(30))
    across = (x - 100) * -math.sin(face.angle) + (y - 100) * math.cos(face.angle)  # below the line through the eyes
    image = np.repeat(np.clip(128 + across * 2, 0, 255)[..., None], 3, axis=-1).astype(np.uint8)
    cut = faces.crop(image, face, 64).astype(int)
    assert np.ptp(cut, axis=1).max() <= 2  # each row of one shade
    assert (np.diff(cut[:, 32, 0]) > 0).all()


def test_crop_shrinks_with_antialiasing() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, ::2] = 255
    cut = faces.crop(image, face_at(200, 200, 200), 31)
    assert np.abs(cut.astype(int) - 127).max() <= 4


@pytest.mark.parametrize("angle", [0, 25, -70])
def test_blending_an_unchanged_crop_changes_next_to_nothing(angle: float) -> None:
    y, x = np.mgrid[:150, :200]
    image = np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)
    face = face_at(100, 70, 60, math.radians(angle))
    for size in (48, 93, 256):
        blended = faces.blend(image, faces.crop(image, face, size), face)
        assert np.abs(blended.astype(int) - image).max() <= 2


def test_blend_is_full_in_the_middle_soft_at_the_edge_and_nothing_outside() -> None:
    photo = np.zeros((200, 200, 3), np.uint8)
    face = face_at(100, 100, 80)  # 124 pixels from 38 to 162
    blended = faces.blend(photo, np.full((64, 64, 3), 250, np.uint8), face)[..., 0].astype(int)
    assert (photo == 0).all()  # not changed in place
    assert (blended[75:125, 75:125] == 250).all()
    blended[38:162, 38:162], inside = 0, blended[38:162, 38:162].copy()
    assert (blended == 0).all()
    middle = inside[62]
    assert middle[0] <= 3 and middle[-1] <= 3 and np.abs(np.diff(middle)).max() <= 20


def test_blend_at_the_picture_s_corner() -> None:
    photo = np.zeros((50, 60, 3), np.uint8)
    blended = faces.blend(photo, np.full((32, 32, 3), 250, np.uint8), face_at(4, 4, 40, angle=0.3))
    assert blended.shape == photo.shape
    assert blended[4, 4, 0] == 250 and blended[-1, -1, 0] == 0


def test_no_face_in_plain_pictures() -> None:
    assert faces.find(np.full((300, 200, 3), 128, np.uint8)) == []
    assert faces.find(np.zeros((1, 1, 3), np.uint8)) == []
    assert faces.find(np.zeros((2, 500, 3), np.uint8)) == []


def test_tensorflow_stays_out() -> None:
    code = "import sys, kgan.pictures.faces; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_astronaut(astronaut: np.ndarray) -> None:
    (coarse,) = faces.merge(faces.detect(astronaut))
    assert coarse.score == pytest.approx(0.92, abs=0.01)
    (face,) = faces.find(astronaut)
    assert face.score > 0.9
    assert face.center == pytest.approx((225, 126), abs=4)
    assert face.side == pytest.approx(100, abs=5)
    assert face.points[0][0] < face.points[1][0]  # the eyes from left to right
    assert math.degrees(face.angle) == pytest.approx(4, abs=3)
    again = faces.find(np.asarray(Image.fromarray(faces.crop(astronaut, face, 256))))[0]
    assert again.side == pytest.approx(256 / faces.CROP, rel=0.15)
    assert abs(math.degrees(again.angle)) < 4


def test_a_small_face_in_a_large_photo_is_found_in_tiles(astronaut: np.ndarray) -> None:
    photo = np.full((1200, 1600, 3), 200, np.uint8)
    photo[500:1012, 900:1412] = astronaut
    assert faces.detect(photo) == []
    (face,) = faces.find(photo)
    (alone,) = faces.find(astronaut)
    assert face.center == pytest.approx((900 + alone.center[0], 500 + alone.center[1]), abs=8)
    assert face.side == pytest.approx(alone.side, rel=0.15)


def test_two_faces(astronaut: np.ndarray) -> None:
    small = images.resize(astronaut, (400, 400))
    photo = np.full((512, 912, 3), 200, np.uint8)
    photo[:400, :400], photo[:, 400:] = small, astronaut
    large, less = faces.find(photo)
    assert large.center[0] > 400 > less.center[0]
    assert large.side > less.side


def test_a_cat_is_no_face(shared: Path) -> None:
    path = shared / "data/photos/skimage_chelsea.jpg"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    assert faces.find(images.read(path)) == []


def test_selfies_lie_in_their_pictures_as_crops_are_cut(shared: Path) -> None:
    folder = shared / "data/selfie2anime/testA"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    found = [faces.find(images.read(path)) for path in images.find(folder)]
    assert sum(bool(each) for each in found) >= 98
    largest = [each[0] for each in found if each]
    np.testing.assert_allclose(np.mean([face.center for face in largest], axis=0) / 128, [0.49, 0.49], atol=0.01)
    assert np.mean([face.side for face in largest]) / 128 == pytest.approx(1 / faces.CROP, abs=0.01)
