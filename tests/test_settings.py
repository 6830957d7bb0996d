"""Settings: words, bounds, and the sentence for what cannot be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kgan.errors import UserError
from kgan.settings import Checks, check_kinds, choice
from kgan.systems import stylegan
from kgan.systems.onesided import Settings


@dataclasses.dataclass
class Oven:
    """Settings of something."""

    fuel: str = choice("wood", "gas")
    trays: int = 2
    leak: float = 0.0
    door: float = 1.0


def check(**changes: Any) -> None:
    checks = Checks(Oven(**changes), "kitchen.oven")
    checks.at_least(1, "trays")
    checks.not_negative("leak")
    checks.share("leak")
    checks.within(0, 1, "door")


def test_bounds_may_be_reached() -> None:
    check()
    check(fuel="gas", trays=1, leak=0.999, door=0.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fuel": "coal"}, "kitchen.oven.fuel is one of wood, gas, not 'coal'."),
        ({"trays": 0}, "kitchen.oven.trays must be at least 1, got 0."),
        ({"leak": -0.5}, "kitchen.oven.leak must not be negative, got -0.5."),
        ({"leak": 1.0}, "kitchen.oven.leak must be at least 0 and less than 1, got 1.0."),
        ({"leak": float("nan")}, "kitchen.oven.leak must not be negative, got nan."),
        ({"door": 1.5}, "kitchen.oven.door must lie between 0 and 1, got 1.5."),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        check(**changes)
    assert str(caught.value) == sentence


def test_each_value_of_a_tuple_has_its_kind() -> None:
    for value in ((), (3,), [3, 4]):
        check_kinds(Settings(grow_at=value))  # type: ignore[arg-type]
    check_kinds(stylegan.Settings(learning_rates=(1, 1, 1, 1, 1, 1.5, 2, 3)))  # a whole number is a number
    for value, sentence in (
        (("",), "Each of grow_at is a whole number, not ''; () is a tuple of none."),  # --config.system.grow_at=
        ((1.5,), "Each of grow_at is a whole number, not 1.5."),
        ((True,), "Each of grow_at is a whole number, not True."),
        (3, "grow_at is a tuple, not 3."),
    ):
        with pytest.raises(UserError) as caught:
            check_kinds(Settings(grow_at=value))  # type: ignore[arg-type]
        assert str(caught.value) == sentence
