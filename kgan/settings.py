"""Typed settings: fields that take one of some words, fields that may change, and the sentences for what cannot be."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import numbers
import os
import typing
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from kgan.errors import UserError


def choice(default: str, *others: str) -> Any:
    """A dataclass field of type str that takes one of these words. (Flags cannot override a Literal.)"""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


def free(default: Any) -> Any:
    """A dataclass field that may change between two sittings of one run; its default may be a `choice`."""
    field = default if isinstance(default, dataclasses.Field) else dataclasses.field(default=default)
    return dataclasses.field(default=field.default, metadata={**field.metadata, "free": True})


def since(was: Any, default: Any) -> Any:
    """A dataclass field that is newer than some runs, whose default, maybe a `choice`, is not what these computed by.

    Args:
      was: what they computed by, before there was such a field.
    """
    field = default if isinstance(default, dataclasses.Field) else dataclasses.field(default=default)
    return dataclasses.field(default=field.default, metadata={**field.metadata, "was": was})


def fields(settings: Any, path: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Every field of a dataclass and of the dataclasses in it, by its path: "training.steps", "data.sets[0].table"."""
    return ((name, field) for name, field, _ in _values(settings, path))


def _values(settings: Any, path: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """The same, with each value."""
    for field in dataclasses.fields(settings):
        name, value = f"{path}{field.name}", getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from _values(value, f"{name}.")
        elif isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
            for i, each in enumerate(value):
                yield from _values(each, f"{name}[{i}].")
        else:
            yield name, field, value


def nearest(name: str, names: Collection[str]) -> str:
    """The sentence that helps who misspelt one of `names`."""
    near = difflib.get_close_matches(name, names, 1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(names) or 'none below it'}."


def misspelt(settings: Any, path: str = "") -> tuple[str, str] | None:
    """An attribute that was set and is no field, in a dataclass or those in it: its path, and what helps; else None."""
    names = [field.name for field in dataclasses.fields(settings)]
    for name in getattr(settings, "__dict__", {}):
        if name not in names and not isinstance(getattr(type(settings), name, None), functools.cached_property):
            return f"{path}{name}", nearest(name, names)
    for name in names:
        value = getattr(settings, name)
        for i, each in enumerate(value if isinstance(value, tuple | list) else [value]):
            place = f"{path}{name}[{i}]." if isinstance(value, tuple | list) else f"{path}{name}."
            stray = misspelt(each, place) if dataclasses.is_dataclass(each) else None
            if stray:
                return stray
    return None


KINDS = {int: numbers.Integral, float: numbers.Real, str: str, bool: bool}
WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}


def check_kinds(settings: Any) -> None:
    """A `UserError` where a field is misspelt or of another kind, such as steps = "many" or grow_at = (1.5,)."""
    if stray := misspelt(settings):
        raise UserError(f"There is no setting {stray[0]}. {stray[1]}")
    for path, field, value in _values(settings):
        (kind, several), values = _kind(field.type), (value,)
        if several:
            if not isinstance(value, tuple | list):
                raise UserError(f"{path} is a tuple, not {value!r}.")
            values, path = tuple(value), f"Each of {path}"
        for each in values:
            if kind in KINDS and not (isinstance(each, KINDS[kind]) and (kind is bool or not isinstance(each, bool))):
                none = "; () is a tuple of none" if several and each == "" else ""
                raise UserError(f"{path} is {WORDS[kind]}, not {each!r}{none}.")


def _kind(declared: Any) -> tuple[Any, bool]:
    """Of what a field is declared to hold, the type of one value, and whether it holds several: tuple[int, ...]."""
    if typing.get_origin(declared) is tuple and typing.get_args(declared)[1:] == (...,):
        return typing.get_args(declared)[0], True
    return declared, False


def expanded(settings: Any) -> Any:
    """The same dataclass, with the home folder in each text that begins with ~, also in the dataclasses in it."""
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        changes = {field.name: expanded(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
        return dataclasses.replace(settings, **changes)
    if isinstance(settings, tuple):
        return tuple(map(expanded, settings))
    return at_home(settings) if isinstance(settings, str) else settings


def at_home(path: str) -> str:
    """The path with the home folder in the place of ~; that of a user who is not there is a name like any other."""
    home = os.path.expanduser(path)  # noqa: PTH111  # pathlib's raises for users who are not there
    return str(Path.cwd() / home) if home.startswith("~") else home


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
