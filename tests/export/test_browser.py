"""The browser among the runtimes: LiteRT.js as the wheel carries it, in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.export import verify
from kgan.export.runtimes import Absent, browser, litert
from kgan.filters import card, included


@pytest.fixture(scope="module")
def chromium() -> None:
    try:
        browser.find()
    except Absent as absent:
        pytest.skip(str(absent))


@pytest.mark.usefixtures("chromium")
def test_an_included_filter_draws_the_same_with_its_label() -> None:
    file = included.tflite("stargan_animefaces_utkface")
    assert file
    labels = card.read(file).labels.examples()[:2]  # type: ignore[union-attr]
    rng = np.random.default_rng(0)
    inputs = [{"image": rng.uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32), "label": row[None]} for row in labels]
    *_, psnr = verify.compare(litert.run(file, inputs), browser.run(file, inputs))
    assert psnr > 45  # its sums are rounded to 8 bits layer by layer, and each runtime adds in an order of its own


@pytest.mark.usefixtures("chromium")
def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "damaged.tflite"
    file.write_bytes(b"no model" * 99)
    with pytest.raises(UserError, match=r"LiteRT\.js: "):
        browser.run(file, [])


def test_no_browser_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(browser.VARIABLE, "none-of-this-name")
    with pytest.raises(Absent, match="apt install chromium"):
        browser.find()
