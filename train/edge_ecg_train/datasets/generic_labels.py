"""``labels.csv`` of one's own recordings: a row for each stretch of a recording, with what is known of it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ecg.errors import DataError

from .base import Value
from .label_rules import Rule

NAME = "labels.csv"
REQUIRED = ("file", "subject")
# How to open a file; given once is enough for all of its rows.
OPENING = {"channel": "channel", "fs_hz": "fs", "unit": "unit"}
KNOWN = (*REQUIRED, "session", "start_s", "end_s", *OPENING)
_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row: which stretch of which file (an end of infinity is the recording's), and its values."""

    line: int
    file: str
    subject: str
    session: str
    start_s: float
    end_s: float
    opening: Mapping[str, str]
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class File:
    """All rows of one file."""

    name: str
    subject: str
    session: str
    opening: Mapping[str, str]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """A whole table. ``words`` and ``numbers`` are its value columns by what they hold."""

    path: Path
    files: tuple[File, ...]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()

    def rules(self, given: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """The given rules, and one for each column of words that none of them names.

        Raises
        ------
        DataError
            When a rule names a column that is not there.

        """
        columns = (*self.words, *self.numbers)
        for rule in given:
            if rule.field not in columns:
                raise DataError(
                    f"The rule for {rule.task} names the column {rule.field!r}; {self.path} has none.",
                    why=f"Its columns of values are {', '.join(columns) or 'none'}.",
                    remedy="Mend the name in tasks.toml, or add the column.",
                )
        named = {name for rule in given for name in (rule.field, rule.task)}
        own = [
            Rule(column, column, classes, classes=tuple((word,) for word in classes))
            for column, classes in self.words.items()
            if column not in named and 2 <= len(classes) <= _MOST_CLASSES
        ]
        return (*given, *own)


def read_labels(path: Path) -> Labels:
    """Read ``labels.csv``: UTF-8, with a heading; commas or semicolons.

    Raises
    ------
    DataError
        When it cannot be read or a cell makes no sense; names the line.

    """
    lines = _lines(path)
    if not lines:
        raise _wrong(path, 1, "It is empty.")
    header_line, header = lines[0]
    names = [cell.strip() for cell in header]
    absent = [name for name in REQUIRED if name not in names]
    if absent:
        raise _wrong(path, header_line, f"There is no column {', '.join(absent)}; it has {', '.join(names)}.")
    if len(set(names)) < len(names) or "" in names:
        raise _wrong(path, header_line, "Each column needs a name of its own.")
    cells = []
    for line, row in lines[1:]:
        if len(row) != len(names):
            raise _wrong(path, line, f"It has {len(row)} cells; the heading has {len(names)}.")
        cells.append((line, dict(zip(names, (cell.strip() for cell in row), strict=True))))
    values = [name for name in names if name not in KNOWN]
    numbers = tuple(name for name in values if all(_is_number(row[name]) for _, row in cells if row[name]))
    words = {
        name: tuple(sorted({row[name] for _, row in cells if row[name]}))
        for name in values
        if name not in numbers
    }
    rows = [_row(path, line, row, values, numbers) for line, row in cells]
    if not rows:
        raise _wrong(path, header_line, "There is no row below the heading.")
    return Labels(path, _files(path, rows), words, numbers)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            heading = file.readline()
            file.seek(0)
            separator = ";" if heading.count(";") > heading.count(",") else ","
            reader = csv.reader(file, delimiter=separator, strict=True)
            return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="See docs/data.md for an example.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as a table.", why=f"{error}.", remedy="Save it as CSV in UTF-8."
        ) from None


def _row(path: Path, line: int, row: Mapping[str, str], values: list[str], numbers: tuple[str, ...]) -> Row:
    for name in REQUIRED:
        if not row[name]:
            raise _wrong(path, line, f"{name} is empty.")
    start_s = _seconds(path, line, row, "start_s", 0.0)
    end_s = _seconds(path, line, row, "end_s", math.inf)
    if not 0.0 <= start_s < end_s:
        raise _wrong(path, line, f"start_s is {start_s:g} and end_s is {end_s:g}.")
    known: dict[str, Value] = {}
    for name in values:
        if row[name]:
            known[name] = float(row[name]) if name in numbers else row[name]
    return Row(
        line=line,
        file=row["file"],
        subject=row["subject"],
        session=row.get("session", "") or Path(row["file"]).stem or row["file"],
        start_s=start_s,
        end_s=end_s,
        opening={name: row[name] for name in OPENING if row.get(name)},
        values=known,
    )


def _files(path: Path, rows: list[Row]) -> tuple[File, ...]:
    """Group the rows by file; a file is one session of one person, and no other file is the same one."""
    grouped: dict[str, list[Row]] = {}
    sessions: dict[tuple[str, str], str] = {}
    for row in rows:
        first = grouped.setdefault(row.file, [row])[0]
        if row is not first:
            if (row.subject, row.session) != (first.subject, first.session):
                why = f"{row.file} is {row.subject} {row.session} here and {first.subject} {first.session}"
                raise _wrong(path, row.line, f"{why} in line {first.line}.")
            if row.opening and row.opening != first.opening:
                why = f"{', '.join(OPENING)} of {row.file} differ from line {first.line}."
                raise _wrong(path, row.line, why)
            grouped[row.file].append(row)
        other = sessions.setdefault((row.subject, row.session), row.file)
        if other != row.file:
            raise _wrong(
                path, row.line, f"{row.subject} has the session {row.session} in {other} and in {row.file}."
            )
    return tuple(
        File(name, of[0].subject, of[0].session, of[0].opening, tuple(of)) for name, of in grouped.items()
    )


def _seconds(path: Path, line: int, row: Mapping[str, str], name: str, default: float) -> float:
    text = row.get(name, "")
    if not text:
        return default
    if not _is_number(text):
        raise _wrong(path, line, f"{name} is {text[:40]!r}; a number of seconds is expected.")
    return float(text)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _wrong(path: Path, line: int, why: str) -> DataError:
    return DataError(
        f"{path}, line {line}, makes no sense.", why=why, remedy="See docs/data.md for an example."
    )
