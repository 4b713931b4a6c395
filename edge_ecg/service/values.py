"""What a value in the configuration may be: each kind checks one, and says in words what it wants."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import EdgeEcgError, UsageError

Value = str | int | float
Check = Callable[[object], Value]
"""Takes what TOML gave and returns what is meant; ValueError, with a sentence, where that makes no sense."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: how it is checked, and what a person is told that it is."""

    wants: str
    check: Check


def one_of(*choices: str) -> Kind:
    """One of some words."""

    def check(value: object) -> str:
        if value not in choices or not isinstance(value, str):
            raise ValueError(_not(value, f"one of {_words(choices)}"))
        return value

    return Kind(f"one of {_words(choices)}", check)


def number(minimum: float, maximum: float, unit: str) -> Kind:
    """A number with or without a fraction, from ``minimum`` to ``maximum``."""
    wants = f"{minimum:g} to {maximum:g} {unit}"

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(_not(value, f"a number, {wants}"))
        if not math.isfinite(value) or not minimum <= value <= maximum:
            raise ValueError(_not(value, f"a number, {wants}"))
        return float(value)

    return Kind(wants, check)


def whole(minimum: int, maximum: int, unit: str) -> Kind:
    """A whole number from ``minimum`` to ``maximum``."""
    wants = f"{minimum} to {maximum} {unit}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError(_not(value, f"a whole number, {wants}"))
        return value

    return Kind(wants, check)


def one_number_of(*choices: int) -> Kind:
    """One of some whole numbers."""
    wants = f"{' or '.join(map(str, choices))}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value not in choices:
            raise ValueError(_not(value, wants))
        return value

    return Kind(wants, check)


def _absolute_path(value: object) -> str:
    text = _text(value, "a path")
    if not Path(text).is_absolute():
        raise ValueError(f"{text!r} is no whole path: it must begin with /.")
    return text


def _address(value: object) -> str:
    from ..sources.address import SERIAL, parse_address
    from ..sources.registry import OPENERS
    from ..sources.spelling import require_openable

    text = _text(value, "an address")
    try:
        address = parse_address(text)
    except EdgeEcgError as error:
        raise ValueError(str(error)) from None
    if address.scheme not in OPENERS:
        raise ValueError(
            f"{text!r} begins with an unknown scheme, {address.scheme!r}: give /dev/..., bt:, ble:, lsl:, "
            "socket://, rfc2217://, file: or sim:."
        )
    if address.scheme in (SERIAL, "file") and not Path(address.target).is_absolute():
        raise ValueError(f"{text!r} names no whole path: a service has no folder of its own to start from.")
    try:
        require_openable(address)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text


def _device(value: object) -> str:
    from ..sources.kinds import require_kind

    try:
        return require_kind(_text(value, "a kind of device"))
    except EdgeEcgError as error:
        raise ValueError(str(error).replace("--device", "`device`")) from None


def _engine(value: object) -> str:
    from ..engines.registry import engine_names

    text = _text(value, "an engine")
    if text not in engine_names():
        raise ValueError(_not(text, f"one of {_words(engine_names())}"))
    return text


PATH = Kind("a whole path", _absolute_path)
ADDRESS = Kind("an address, as `edge-ecg devices` prints it", _address)
DEVICE = Kind("a kind of device, such as shimmer3 or text", _device)
ENGINE = Kind("auto, litert, onnx, or in full such as litert-int8", _engine)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(_not(value, f"{what}, in quotes"))
    # What could break out of a line of the unit, the log or the journal.
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError(f"{value!r} holds a control character.")
    return value


def _words(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _not(value: object, wants: str) -> str:
    shown = repr(value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} is not {wants}."
