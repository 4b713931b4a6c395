"""Marks in a recording: moments that somebody named, kept beside it as ``NAME.marks.csv`` (docs/records.md).

    t_s,label
    0.0,rest
    125.4,stress

``t_s`` counts seconds from the recording's first sample. Any format of recording may have such a file; the
annotations of an EDF+ file are marks without one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError

HEADER = ("t_s", "label")
_LONGEST_LABEL = 500


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name."""

    at_s: float
    label: str


def marks_path(recording: Path) -> Path:
    """Where the marks of a recording stand: ``rest.marks.csv`` beside ``rest.csv``."""
    return recording.with_name(f"{recording.stem}.marks.csv")


def mark_line(fields: Iterable[object]) -> str:
    """One line of the file, with its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def read_marks(recording: Path) -> list[Mark]:
    """Return the marks beside a recording in the order of time; none where there is no such file.

    Raises
    ------
    DataError
        When the file cannot be read, or a line of it is no mark.

    """
    path = marks_path(recording)
    try:
        # A long label may be quoted over several lines: csv wants the line ends as they are.
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"The marks {path} cannot be read.", why=f"{error}.", remedy="Mend the file or move it away."
        ) from error
    marks = [_mark(path, number, row) for number, row in rows if tuple(row) != HEADER]
    return sorted(marks, key=lambda mark: mark.at_s)


def label_at(marks: Sequence[Mark], start_s: float, end_s: float) -> str | None:
    """Return the name of the stretch between two marks that wholly holds ``start_s`` to ``end_s``.

    ``marks`` are in the order of time. None before the first mark, and where a mark lies within.
    """
    label = None
    for mark in marks:
        if mark.at_s <= start_s:
            label = mark.label
        elif mark.at_s < end_s:
            return None
    return label


def _mark(path: Path, number: int, row: Sequence[str]) -> Mark:
    try:
        at_s, label = float(row[0]), row[1].strip()
        if not (math.isfinite(at_s) and 0 < len(label) <= _LONGEST_LABEL):
            raise ValueError
    except (ValueError, IndexError) as error:
        raise DataError(
            f"Line {number} of {path} is no mark.",
            why=f"It reads {','.join(row)[:60]!r}.",
            remedy="Each line is a time in seconds, a comma and a name: 125.4,stress",
        ) from error
    return Mark(at_s, label)
