"""Settings: words, bounds, and the sentence for what cannot be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kgan.errors import UserError
from kgan.settings import Checks, choice


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
