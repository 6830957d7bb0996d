"""Labels: words to vectors and every way to get them wrong."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from kgan.errors import UserError
from kgan.labels import Group, Labels, LabelSet

HAIR, EYES = Group("hair", ("black", "blonde", "red")), Group("eyes", ("blue", "red"))
ANIME = LabelSet("anime", (HAIR, EYES))
FACES = LabelSet("faces", (Group("gender", ("female", "male")),))
CELEBA = LabelSet("celeba", (Group("hair", ("Black_Hair", "Blond_Hair"), flags=True), Group("Male", ("yes",), True)))
ONE, TWO = Labels((ANIME,)), Labels((ANIME, FACES))


def test_one_set_by_hand() -> None:
    assert (ONE.classes, ONE.width) == (5, 5)
    assert ONE.vector("hair=blonde,eyes=red").tolist() == [0, 1, 0, 0, 1]
    assert ONE.vector(" eyes = blue , hair = red ").tolist() == [0, 0, 1, 1, 0]
    assert ONE.vector("hair=red,eyes=red").dtype == np.float32
    assert [(p.group.name, p.set, p.slice) for p in ONE.places()] == [
        ("hair", 0, slice(0, 3)),
        ("eyes", 0, slice(3, 5)),
    ]


def test_several_sets_add_their_mask() -> None:
    """As the official code: [c1, c2, mask], of which the classifier has c1 and c2."""
    assert (TWO.classes, TWO.width) == (7, 9)
    assert TWO.vector("hair=black,eyes=blue").tolist() == [1, 0, 0, 1, 0, 0, 0, 1, 0]
    assert TWO.vector("gender=male").tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 1]
    official = Labels(
        (LabelSet("celeba", (Group("a", tuple("abcde"), True),)), LabelSet("rafd", (Group("b", tuple("12345678")),)))
    )
    assert (official.classes, official.width) == (13, 15)


def test_flags_are_chosen_like_words_or_by_yes_and_no() -> None:
    labels = Labels((CELEBA,))
    assert labels.vector("hair=Blond_Hair,Male=yes").tolist() == [0, 1, 1]
    assert labels.vector("hair=Black_Hair,Male=no").tolist() == [1, 0, 0]


def test_a_group_may_be_left_out_where_the_generator_learned_it() -> None:
    assert dataclasses.replace(TWO, optional=True).vector("eyes=red").tolist() == [0, 0, 0, 0, 1, 0, 0, 1, 0]
    with pytest.raises(UserError, match=r"^hair must be named too: .* as in hair=black,eyes=blue\.$"):
        TWO.vector("eyes=red")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "blonde",
            r"^'blonde' is no label: write hair=black,eyes=blue\. There are hair \(black, blonde, red\) and eyes",
        ),
        ("", "^'' is no label"),
        ("hair=red,", "^'' is no label"),
        ("fur=red,eyes=red", r"^There is no label group 'fur': there are hair \(black, blonde, red\) and eyes"),
        ("hair=blond,eyes=red", r"^hair is never 'blond': it is black, blonde or red\. Did you mean blonde\?$"),
        ("hair=", r"^hair is never '': it is black, blonde or red\.$"),
        ("hair=red,hair=black", "^hair is named twice in 'hair=red,hair=black'"),
        ("hair=red,gender=male", "^hair belongs to anime and gender to faces: name labels of one set at a time"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TWO.vector(text)


def test_a_group_of_several_sets_needs_its_set() -> None:
    labels = Labels((FACES, dataclasses.replace(FACES, name="more")))
    assert labels.vector("more.gender=male").tolist() == [0, 0, 0, 1, 0, 1]
    with pytest.raises(UserError, match=r"Several sets have gender: write faces\.gender or more\.gender"):
        labels.vector("gender=male")


@pytest.mark.parametrize("word", ["", "light,brown", "a=b"])
def test_words_that_could_not_be_read_again(word: str) -> None:
    with pytest.raises(UserError, match="cannot be a label of 'hair': it is empty or holds , or ="):
        Labels((LabelSet("set", (Group("hair", ("red", word)),)),))


def test_examples_hold_every_value() -> None:
    examples = TWO.examples()
    assert len(examples) == 3 + 2
    assert [row.tolist() for row in examples[:3]] == [
        TWO.vector(text).tolist() for text in ("hair=black,eyes=blue", "hair=blonde,eyes=red", "hair=red,eyes=blue")
    ]
    assert np.stack(examples).any(axis=0).all()
    flags = np.stack(Labels((CELEBA,)).examples())
    assert flags.tolist() == [[1, 0, 1], [0, 1, 0]]


def test_every_domain_of_a_sheet() -> None:
    """A picture keeps its other groups; one of another set borrows them from the next that has some."""
    own = np.stack([TWO.vector("hair=red,eyes=blue"), TWO.vector("gender=male"), TWO.vector("hair=black,eyes=red")])
    domains = TWO.domains(own)
    assert list(domains) == ["black", "blonde", "hair red", "blue", "eyes red", "female", "male"]
    assert [row.tolist() for row in domains["blonde"]] == [
        TWO.vector(text).tolist() for text in ("hair=blonde,eyes=blue", "hair=blonde,eyes=red", "hair=blonde,eyes=red")
    ]
    assert (domains["female"] == TWO.vector("gender=female")).all()
    flags = Labels((CELEBA,))
    turned = flags.domains(np.array([[1, 0, 1], [0, 1, 0]], np.float32))
    assert turned["not Male"].tolist() == [[1, 0, 0], [0, 1, 1]]
    assert turned["Blond_Hair"].tolist() == [[0, 1, 1], [0, 1, 0]]


def test_json_and_back() -> None:
    labels = Labels((CELEBA, FACES), optional=True)
    assert Labels.from_json(json.loads(json.dumps(dataclasses.asdict(labels)))) == labels
