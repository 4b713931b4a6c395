"""Reading untrusted JSON: every access says what was expected, where, and what stood there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_VERSION = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})(?![0-9])")

_MAX_TEXT = 500
# What a double holds exactly, so that whoever computes with it need not think of overflow.
_MAX_INTEGER = 2**53


class FieldError(ValueError):
    """A value that is missing or not what its place demands."""


def is_safe_name(name: str) -> bool:
    """Whether a name is a plain relative path: no root, no drive, no ``..``, no hidden part."""
    return len(name) <= 200 and _NAME.fullmatch(name) is not None


def is_model_name(name: str) -> bool:
    """Whether a model's name may be part of a file's name, on any system and in any shell."""
    return _MODEL_NAME.fullmatch(name) is not None


def version_tuple(text: str) -> tuple[int, int, int]:
    """Return (major, minor, patch) of a version such as ``0.1.0``.

    Raises
    ------
    FieldError
        When it is not three numbers.

    """
    match = _VERSION.match(text)
    if match is None:
        raise FieldError(f"{text!r} is not a version such as 0.1.0")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def is_text(value: object) -> bool:
    """Whether a value is a text of one line that can be shown on a screen as it is."""
    # isprintable() excludes line ends, escape sequences and marks that reverse the direction of writing.
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable()


class Fields:
    """One JSON object and where it stands (``manifest.json.input``), for messages."""

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise FieldError(f"{where} must be an object, not {_shown(value)}")
        self._value: dict[str, Any] = value

    def child(self, key: str) -> Fields:
        """Return the object under a key."""
        return Fields(self._get(key), f"{self.where}.{key}")

    def children(self) -> Iterator[tuple[str, Fields]]:
        """Iterate over all values, each of which must be an object."""
        for key, value in self._value.items():
            yield key, Fields(value, f"{self.where}.{key if is_text(key) else _shown(key)}")

    def children_of(self, key: str) -> list[Fields]:
        """Return the values of a list, each of which must be an object."""
        value = self._get(key)
        if not isinstance(value, list):
            raise FieldError(f"{self.where}.{key} must be a list, not {_shown(value)}")
        return [Fields(item, f"{self.where}.{key}[{index}]") for index, item in enumerate(value)]

    def text(self, key: str) -> str:
        """Return a string that is not empty, has one line and can be shown on a screen as it is."""
        value = self._get(key)
        if not is_text(value):
            raise FieldError(f"{self.where}.{key} must be a text of one line, not {_shown(value)}")
        return str(value)

    def any_text(self, key: str) -> str:
        """Return a string that may hold any sign; who shows it takes care of what a terminal would obey."""
        value = self._get(key)
        if not isinstance(value, str):
            raise FieldError(f"{self.where}.{key} must be a text, not {_shown(value)}")
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """Return one of the allowed strings."""
        value = self.text(key)
        if value not in allowed:
            raise FieldError(f"{self.where}.{key} must be one of {', '.join(allowed)}, not {_shown(value)}")
        return value

    def text_list(self, key: str) -> list[str]:
        """Return a list of strings that are not empty."""
        value = self._get(key)
        if not isinstance(value, list) or not all(is_text(item) for item in value):
            raise FieldError(f"{self.where}.{key} must be a list of texts of one line, not {_shown(value)}")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string that is not empty, or None where the key is missing or null."""
        return None if self._value.get(key) is None else self.text(key)

    def optional_text_list(self, key: str) -> list[str]:
        """Return a list of strings that are not empty; no strings where the key is missing."""
        return self.text_list(key) if key in self._value else []

    def texts(self) -> dict[str, str]:
        """Return the whole object, whose values must all be strings."""
        if not all(is_text(key) for key in self._value):
            raise FieldError(f"{self.where} has a key that cannot be printed")
        return {key: self.text(key) for key in self._value}

    def integer(self, key: str, *, above: int | None = None) -> int:
        """Return a whole number."""
        value = self._get(key)
        low = -_MAX_INTEGER if above is None else above + 1
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _MAX_INTEGER:
            bound = "" if above is None else f" above {above}"
            raise FieldError(f"{self.where}.{key} must be a whole number{bound}, not {_shown(value)}")
        return value

    def number(self, key: str, *, above: float | None = None, below: float | None = None) -> float:
        """Return a finite number."""
        value = self._get(key)
        try:
            number = (
                float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
            )
        except OverflowError:
            number = math.inf
        low, high = -math.inf if above is None else above, math.inf if below is None else below
        if not low < number < high:
            bound = "" if above is None else f" above {above:g}"
            bound += "" if below is None else f" and below {below:g}"
            raise FieldError(f"{self.where}.{key} must be a number{bound}, not {_shown(value)}")
        return number

    def optional_number(
        self, key: str, *, above: float | None = None, below: float | None = None
    ) -> float | None:
        """Return a finite number, or None where the key is missing or null."""
        return None if self._value.get(key) is None else self.number(key, above=above, below=below)

    def free(self, key: str) -> Mapping[str, Any]:
        """Return an object of any content; empty where the key is missing."""
        return {} if key not in self._value else self.child(key)._value

    def _get(self, key: str) -> object:
        if key not in self._value:
            raise FieldError(f"{self.where}.{key} is missing")
        return self._value[key]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
