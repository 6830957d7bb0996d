"""The demo: its page by hand, and the whole of it in a few steps."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kgan.commands import demo, demo_page
from kgan.export.verify import Measurement
from kgan.pictures import emoji

LOG = [
    {"step": 50, "adversarial": 1.0, "l1": 8.0, "discriminator": 0.5, "learning_rate": 1e-4},
    {"step": 100, "adversarial": 3.0, "l1": 4.0, "discriminator": 0.5, "learning_rate": 1e-4},
]


@pytest.fixture
def page(tmp_path: Path) -> str:
    """Of two emoji, two lines of a log, and two files, one of which was refused."""
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in LOG))
    grey, colour = (np.full((4, 4, 3), value, np.uint8) for value in (128, 200))
    good = Measurement("a_float16.tflite", "serving_default", 2_500_000, "", 8, 60.0, psnr=77.25)
    bad = Measurement("a_dynamic.tflite", "serving_default", 1_000_000, "", 8, 40.0, psnr=30.0, problems=("30 < 40",))
    triple = (grey, colour, colour)
    return demo_page.page([triple, triple], ["hotdog", "man_walking"], log, [good, bad], "2 < 3 steps.")


def test_the_page_shows_every_emoji_and_loads_nothing(page: str) -> None:
    assert page.count("<img ") == 6 and page.count('src="data:image/webp;base64,') == 6
    assert "man walking" in page and "2 &lt; 3 steps." in page
    assert not re.search(r'(src|href)="(https?:)?//', page) and "<script" not in page


def test_the_curves_begin_at_zero(page: str) -> None:
    """l1 from 8 at half of the steps to 4 at their end: the top of the picture, and the middle of its height."""
    curves = re.findall(r'<polyline points="([^"]+)"', page)
    assert curves == ["160.0,6.0 314.0,60.0", "160.0,78.0 314.0,6.0", "160.0,6.0 314.0,6.0"]
    assert "0 to 8; at last 4, after 100 steps" in page


def test_a_refused_file_is_named_without_a_link(page: str) -> None:
    assert 'href="exported/a_float16.tflite"' in page and "77.2 dB" in page
    assert 'href="exported/a_dynamic.tflite"' not in page and "refused: 30 &lt; 40" in page


def test_a_training_too_short_to_log_has_no_curves(tmp_path: Path) -> None:
    assert "<polyline" not in demo_page.page([], [], tmp_path / "log.jsonl", [], "")


def test_a_grey_picture_keeps_the_lightness() -> None:
    """White, black and middle grey stay; pure green (L* 87.7) becomes the grey of that lightness, 220."""
    row = np.array([[[255, 255, 255], [0, 0, 0], [119, 119, 119], [0, 255, 0]]], np.uint8)
    np.testing.assert_allclose(demo.grey(row)[0, :, 0], [255, 0, 119, 220], atol=1)
    assert np.ptp(demo.grey(row), axis=-1).max() <= 1


def test_distance_in_grey_levels() -> None:
    black, grey = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 10, np.uint8)
    assert demo.distance([black, grey], [grey, grey]) == 5.0


@pytest.mark.slow
def test_the_demo_runs(tmp_path: Path) -> None:
    code = [sys.executable, "-m", "kgan", "demo", f"--output={tmp_path}", "--steps=2"]
    done = subprocess.run(code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "index.html").read_text()
    assert page.count("<figure>") >= len(emoji.names("test"))
    for target in re.findall(r'href="([^"]+)"', page):
        assert (tmp_path / target).exists(), target
    assert (tmp_path / "before_after.png").is_file()
