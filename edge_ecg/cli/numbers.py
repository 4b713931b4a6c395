"""Numbers on a command line; what does not fit is told in words, where argparse would name a function."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def above_zero(text: str) -> float:
    """Return a number above 0 and below 86400, as seconds and milliseconds are."""
    value = _number(text)
    if not 0 < value < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 86400")
    return value


def zero_or_above(text: str) -> float:
    """Return a number from 0 to below 86400."""
    value = _number(text)
    if not 0 <= value < 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 86400")
    return value


def seconds(text: str) -> float:
    """Return a number above 0, however large."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return value


def seconds_or_none(text: str) -> float:
    """Return 0 or a number above it, however large."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or a number above it, not {text!r}")
    return value


def whole(minimum: int, maximum: int = 1_000_000) -> Callable[[str], int]:
    """Return what takes whole numbers from ``minimum`` to ``maximum``."""

    def check(text: str) -> int:
        if not text.isdecimal() or not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return check


def _number(text: str) -> float:
    """Return the number that a text is, or one that no range holds."""
    try:
        return float(text)
    except ValueError:
        return math.nan
