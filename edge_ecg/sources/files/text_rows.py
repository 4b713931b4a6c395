"""Rows of text to columns of numbers: fast where all is well, line by line where something is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...samples import FloatArray
from .text_layout import COMMENT, TextLayout, parse_time


class RowReader:
    """Reads the columns ``columns`` (by index) of rows laid out as ``layout`` says.

    Points in time (ISO 8601) are read as seconds since 1970, so that a time column may hold either.
    """

    def __init__(self, path: Path, layout: TextLayout, columns: Sequence[int]) -> None:
        self._path = path
        self._layout = layout
        self._columns = list(columns)

    def read(self, first_line: int, lines: Sequence[str]) -> FloatArray:
        """Return (rows, columns) float64; NaN where a field is empty or says so.

        An unfinished last line is left out: a recorder that lost its power leaves one, and its last number
        may lack digits.

        Raises
        ------
        DataError
            When a row is not what the layout says; names the line.

        """
        cut_off = bool(lines) and not lines[-1].endswith(("\n", "\r")) and self._layout.own_format
        whole = lines[:-1] if cut_off else lines
        rows = [line for line in whole if line.strip() and not line.startswith(COMMENT)]
        if not rows:
            return np.empty((0, len(self._columns)))
        if not self._layout.decimal_comma:
            try:
                return np.loadtxt(
                    rows,
                    dtype=np.float64,
                    comments=None,
                    delimiter=self._layout.separator,
                    usecols=self._columns,
                    ndmin=2,
                )
            except ValueError:
                pass  # an empty field, quotes, a point in time or damage: the slow way tells which
        return self._one_by_one(first_line, whole)

    def _one_by_one(self, first_line: int, lines: Sequence[str]) -> FloatArray:
        rows = []
        for number, line in enumerate(lines, first_line):
            if not line.strip() or line.startswith(COMMENT):
                continue
            fields = self._layout.split(line)
            try:
                rows.append([self._value(fields[column]) for column in self._columns])
            except (ValueError, IndexError):
                if not line.endswith("\n"):
                    break
                raise DataError(
                    f"Line {number} of {self._path.name} is not a row of this table.",
                    why=f"It reads {line.strip()[:60]!r}.",
                    remedy=f"Mend or remove the line (sed -n {number}p '{self._path}' shows it).",
                ) from None
        return np.array(rows, dtype=np.float64).reshape(-1, len(self._columns))

    def _value(self, field: str) -> float:
        try:
            return self._layout.number(field)
        except ValueError:
            moment = parse_time(field)
            if moment is None:
                raise
            # Without a zone any will do, as long as no change to summer time cuts the recording.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
