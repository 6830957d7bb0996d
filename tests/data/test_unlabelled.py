"""One stream of pictures."""

from pathlib import Path

import numpy as np
import pytest

from kgan.data import Unlabelled
from kgan.errors import UserError
from kgan.pictures import emoji, images


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five of 16 px, whose first pixel says which."""
    for i in range(5):
        images.write(tmp_path / f"{i}.png", np.full((16, 16, 3), 10 * i, np.uint8))
    return tmp_path


def test_a_folder(pictures: Path) -> None:
    reader = Unlabelled(root=str(pictures), flip=False).open(16, 5, 1, seed=0)
    (batch,) = reader.step(0)
    assert batch["image"].shape == (5, 16, 16, 3)  # not enlarged: nothing is cut off
    assert sorted(batch["image"][:, 0, 0, 0]) == [0, 10, 20, 30, 40] and not batch["image_flip"].any()
    assert reader.prepare(batch).keys() == {"image"} and reader.fingerprint()["image"]["pictures"] == 5
    assert reader.labels is None
    assert reader.validation(9)["image"].shape == (5, 16, 16, 3)  # its own, where there is no folder of tests


def test_a_folder_inside_the_root_and_tests_of_its_own(pictures: Path) -> None:
    for name in ("images", "held"):
        (pictures / name).mkdir()
    for i in range(2):
        images.write(pictures / "images" / f"{i}.png", np.full((16, 16, 3), 100, np.uint8))
    images.write(pictures / "held" / "1.png", np.full((16, 16, 3), 255, np.uint8))
    reader = Unlabelled(root=str(pictures), train="images", test="held").open(16, 2, 1, seed=0)
    assert (reader.step(0)[0]["image"] == 100).all()
    assert (reader.validation(4)["image"] == 1).all()


def test_the_embedded_emoji() -> None:
    reader = Unlabelled(root="emoji:twitter").open(32, 3, 1, seed=0)
    assert reader.fingerprint()["image"]["pictures"] == len(emoji.names("train"))
    assert len(reader.validation(1000)["image"]) == len(emoji.names("test"))
    with pytest.raises(UserError, match="1 of the vendors are wanted, as in emoji:"):
        Unlabelled(root="emoji:twitter:google").open(32, 3, 1, seed=0)


def test_where_earlier_batches_had_other_sizes(pictures: Path) -> None:
    """Three steps of 4 pictures came before: from then on, 2 a step from the twelfth."""
    reader = Unlabelled(root=str(pictures)).open(16, 2, 1, seed=3)
    straight = reader.orders["image"](0, 20)
    reader.begin(3, 12)
    assert [reader.position(number) for number in (3, 4, 7)] == [12, 14, 20]
    np.testing.assert_array_equal(reader.indices("image", 4), straight[14:16])


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        Unlabelled(root=str(tmp_path / "nowhere")).open(16, 1, 1, 0)
