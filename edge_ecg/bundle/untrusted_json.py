"""Parsing JSON that may come from anywhere: bounded in size, depth and numbers, with no second meaning.

Python's objects take up to forty times the space of the text (``[[],[],...]``), so the bound of the text
bounds the memory: half a MiB of it becomes 20 MiB at most.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_BYTES = 512 * 1024
MAX_DEPTH = 32
_MAX_DIGITS = 18  # every such number fits 64 bits


class JsonError(ValueError):
    """A text that is not JSON within these bounds; the message says why not."""


def parse_json(encoded: bytes) -> object:
    """Return plain JSON values.

    Raises
    ------
    JsonError
        When the text is larger than ``MAX_BYTES``, no UTF-8 or no JSON, has a key twice in one object, a
        number that is not finite or has more than 18 digits before the point, half of a surrogate pair, or
        more than ``MAX_DEPTH`` levels.

    """
    if len(encoded) > MAX_BYTES:
        raise JsonError(f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        value = json.loads(
            encoded.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_int,
            parse_float=_float,
        )
    except RecursionError:
        raise JsonError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise JsonError(str(error)) from error
    _check(value)
    return value


def _check(value: object) -> None:
    left = [(value, 0)]
    while left:
        one, depth = left.pop()
        if depth > MAX_DEPTH:
            raise JsonError(f"it is nested more than {MAX_DEPTH} levels deep")
        if isinstance(one, dict):
            left.extend((key, depth) for key in one)
            left.extend((child, depth + 1) for child in one.values())
        elif isinstance(one, list):
            left.extend((child, depth + 1) for child in one)
        elif isinstance(one, str):
            _check_text(one)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise JsonError("a text in it is not Unicode") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise JsonError(f"{name} is not a JSON number")


def _int(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise JsonError(f"a number has more than {_MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonError("a number is too large")
    return value
