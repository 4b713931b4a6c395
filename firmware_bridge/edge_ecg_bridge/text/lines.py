"""Cutting bytes into lines, and reading one line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_MAX_LINE = 256
_WHOLE = re.compile(rb"\d+")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PARTING = re.compile(rb"[,;\t ]+")
_ENDING = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a sample (None where an electrode is off) with the board's time, if it gives one."""

    value: float | None
    stamp: float | None = None
    lead_off: bool = False
    whole: bool = True


def parse_line(text: bytes, *, timed: bool | None = None) -> Line | None:
    """Read one line without its ending; None when it is not one of ours.

    ``timed`` says whether the first of several columns is time; None for "if there are several".
    """
    fields = _PARTING.split(text.strip())
    if fields == [b"!"]:
        return Line(None, lead_off=True)
    if not 1 <= len(fields) <= 3 or (timed and len(fields) < 2):
        return None
    stamp = None
    if timed or (timed is None and len(fields) > 1):
        if not _WHOLE.fullmatch(fields[0]):
            return None
        stamp = float(fields[0])
        fields = fields[1:]
    flag = fields[1] if len(fields) > 1 else b"0"
    if flag not in (b"0", b"1", b"!") or len(fields) > 2:
        return None
    if fields[0] == b"!":
        return Line(None, stamp, lead_off=True)
    if not _NUMBER.fullmatch(fields[0]):
        return None
    value = float(fields[0])
    if not math.isfinite(value):
        return None
    return Line(value, stamp, flag != b"0", _WHOLE.fullmatch(fields[0]) is not None)


class LineSplitter:
    """Cuts a byte stream into lines; never holds more than one line of 256 bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._overlong = False
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole by now, without empty ones and the first, which may be cut."""
        *lines, self._rest = _ENDING.split(self._rest + data)
        if lines and (self._overlong or not self._begun):
            lines[0] = b"?" if self._overlong else b""
            self._overlong = False
        self._begun = self._begun or bool(lines)
        if len(self._rest) > _MAX_LINE:
            self._rest, self._overlong = b"", True
        return [line if len(line) <= _MAX_LINE else b"?" for line in lines if line]
