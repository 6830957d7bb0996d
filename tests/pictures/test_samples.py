"""The pictures that files are verified and calibrated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.pictures import images, samples


def test_a_picture_that_cannot_be_read_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for level in range(20):
        images.write(tmp_path / f"{level:02}.png", np.full((4, 4, 3), level, np.uint8))
    (tmp_path / "00.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    pictures = samples.of_folder(tmp_path, 8)
    assert [picture[0, 0, 0] for picture in pictures] == [2, 5, 7, 10, 12, 15, 17]  # each 20/8th, without the first
    assert len(samples.of_folder(tmp_path, 200)) == 19
    output = capsys.readouterr()
    assert output.out.count("20 pictures. Left out: 1 .txt (notes.txt).") == 2
    assert output.err.count("00.png cannot be read as a picture") == 2


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no pictures"):
        samples.of_folder(tmp_path, 8)


def test_emoji_are_spread() -> None:
    first, second = samples.of_emoji(2)
    assert first.shape == second.shape and (first != second).any()
    assert samples.spread(10, 3) == [0, 3, 6] and samples.spread(2, 3) == [0, 1] and samples.spread(0, 3) == []
