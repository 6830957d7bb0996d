"""Animations: every frame, its time, how often it plays; and TIFFs of pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgan.errors import UserError
from kgan.pictures import film, images

TIMES = [100, 200, 300]


def frames(count: int = 3) -> list[np.ndarray]:
    return [np.full((16, 24, 3), 60 * (n + 1), np.uint8) for n in range(count)]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng", ".avif"])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_an_animation_comes_back_with_its_times(tmp_path: Path, suffix: str, plays: int) -> None:
    path = tmp_path / f"a{suffix}"
    film.write_animation(path, frames(), TIMES, plays)
    animation = film.animation(path)
    assert animation and len(animation.frames) == 3 and not animation.paged
    assert animation.plays == plays or suffix == ".avif"  # which has no number of them
    for (frame, duration), expected, time in zip(animation, frames(), TIMES, strict=True):
        assert duration == time
        assert np.abs(frame.astype(int) - expected).max() <= 4


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_transparent_frames_do_not_show_those_before(tmp_path: Path, suffix: str) -> None:
    clear = [np.zeros((16, 16, 4), np.uint8) for _ in range(3)]
    for n, frame in enumerate(clear):
        frame[:, 4 * n : 4 * n + 4] = (200, 50, 50, 255)
        frame[5, 4 * n + 2] = 0
    film.write_animation(tmp_path / f"a{suffix}", clear, TIMES, 0)
    animation = film.animation(tmp_path / f"a{suffix}")
    assert animation
    for (frame, _), expected in zip(animation, clear, strict=True):
        np.testing.assert_array_equal(frame[..., 3], expected[..., 3])


def test_single_pictures_are_no_animations(tmp_path: Path) -> None:
    for name in ("a.png", "a.gif", "a.webp", "a.tif", "a.jpg"):
        images.write(tmp_path / name, frames()[0])
        assert film.animation(tmp_path / name) is None
    first, second = (Image.fromarray(frame) for frame in frames(2))
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[second])  # a photo of a phone, with a depth map behind
    (tmp_path / "a.mpo").rename(tmp_path / "phone.jpg")
    assert film.animation(tmp_path / "phone.jpg") is None


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    film.write_animation(tmp_path / "a.tiff", frames(), TIMES, 0)
    pages = film.animation(tmp_path / "a.tiff")
    assert pages and pages.paged
    np.testing.assert_array_equal([frame for frame, _ in pages], frames())
    pages.check(".tif")
    with pytest.raises(UserError, match=r"a\.tiff has 3 pages, which a \.png cannot hold: name a \.tif or \.tiff"):
        pages.check(".png")


def test_films_and_floods_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"clip\.mp4 is a film, and films are not read: ffmpeg -i clip\.mp4"):
        film.animation(tmp_path / "clip.mp4")
    film.write_animation(tmp_path / "a.gif", frames(), TIMES, 0)
    monkeypatch.setattr(film, "FRAMES", 0.04)  # times 24,000 pixels; three frames have 1152
    with pytest.raises(UserError, match="3 frames of 24 x 16 pixels, more than"):
        film.animation(tmp_path / "a.gif", most=0.024)  # a side of 24 pixels is allowed
