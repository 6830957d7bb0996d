"""Typed settings: fields with a closed set of words, and the sentence for a word outside it."""

from __future__ import annotations

import dataclasses
from typing import Any

from kgan.errors import UserError


def choice(default: str, *others: str) -> Any:
    """A dataclass field of type str that takes one of these words. (Flags cannot override a Literal.)"""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


def check_choices(settings: Any, where: str) -> None:
    """A `UserError` where a field of the dataclass `settings`, called `where` by the user, has no such word."""
    for field in dataclasses.fields(settings):
        choices, value = field.metadata.get("choices"), getattr(settings, field.name)
        if choices and value not in choices:
            raise UserError(f"{where}.{field.name} is one of {', '.join(choices)}, not {value!r}.")
