"""kgan.export.operations: what phones can run. Real files with foreign operations are in test_verify."""

from __future__ import annotations

import pytest

from kgan.errors import UserError
from kgan.export.operations import MAXIMUM_RANK, contents, obstacles


def test_what_is_allowed_has_no_obstacles() -> None:
    assert obstacles({"CONV_2D": 11, "TANH": 1}, MAXIMUM_RANK) == ()


def test_each_obstacle_is_a_clause() -> None:
    foreign, rank = obstacles({"CONV_2D": 1, "MIRROR_PAD": 2, "FlexErf": 1}, 5)
    assert foreign.startswith("it holds FlexErf, MIRROR_PAD, for which phones have no fast kernel")
    assert foreign.endswith("kgan.layers.ReflectionPadding2D pads without it")
    assert rank == "it holds a tensor of 5 dimensions, and GPUs take 4"
    (erf,) = obstacles({"FlexErf": 1}, 4)
    assert "Reflection" not in erf


def test_what_is_no_tflite_is_a_users_error() -> None:
    with pytest.raises(UserError, match="damaged"):
        contents(b"not a filter at all")
