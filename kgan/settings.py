"""Typed settings: fields that take one of some words, fields that may change, and the sentences for what cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from kgan.errors import UserError


def choice(default: str, *others: str) -> Any:
    """A dataclass field of type str that takes one of these words. (Flags cannot override a Literal.)"""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


def free(default: Any) -> Any:
    """A dataclass field that may change between two sittings of one run; its default may be a `choice`."""
    field = default if isinstance(default, dataclasses.Field) else dataclasses.field(default=default)
    return dataclasses.field(default=field.default, metadata={**field.metadata, "free": True})


def fields(settings: Any, path: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every field of a dataclass and of the dataclasses in it, by its path: "training.steps", "data.sets[0].table"."""
    for field in dataclasses.fields(settings):
        name, value = f"{path}{field.name}", getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from fields(value, f"{name}.")
        elif isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
            for i, each in enumerate(value):
                yield from fields(each, f"{name}[{i}].")
        else:
            yield name, field


def free_paths(settings: Any, path: str = "") -> set[str]:
    """The paths of all fields that are `free`."""
    return {name for name, field in fields(settings, path) if field.metadata.get("free")}


class Checks:
    """Checks of the fields of a dataclass, each a `UserError` that names the field and its value.

    Making one checks the words of all fields that are a `choice`.

    Args:
      settings: an instance of the dataclass.
      where: what the user calls it, such as "system": fields are named system.filters.
    """

    def __init__(self, settings: Any, where: str) -> None:
        self._settings, self._where = settings, where
        for field in dataclasses.fields(settings):
            choices, value = field.metadata.get("choices"), getattr(settings, field.name)
            if choices and value not in choices:
                raise UserError(f"{where}.{field.name} is one of {', '.join(choices)}, not {value!r}.")

    def at_least(self, least: int, *names: str) -> None:
        """Each of these fields is `least` or more."""
        for name in names:
            self._require(getattr(self._settings, name) >= least, name, f"must be at least {least}")

    def not_negative(self, *names: str) -> None:
        """Each of these fields is 0 or more."""
        for name in names:
            self._require(getattr(self._settings, name) >= 0, name, "must not be negative")

    def within(self, low: float, high: float, *names: str) -> None:
        """Each of these fields lies between `low` and `high`, both of which it may have."""
        for name in names:
            self._require(low <= getattr(self._settings, name) <= high, name, f"must lie between {low} and {high}")

    def share(self, *names: str) -> None:
        """Each of these fields is 0 or more and less than 1: the decay of an average, or what a dropout leaves out."""
        for name in names:
            self._require(0 <= getattr(self._settings, name) < 1, name, "must be at least 0 and less than 1")

    def _require(self, holds: bool, name: str, sentence: str) -> None:
        if not holds:
            raise UserError(f"{self._where}.{name} {sentence}, got {getattr(self._settings, name)}.")
