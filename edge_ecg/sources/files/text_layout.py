"""How a text file is laid out: its comments, its separator, the names and units of its columns.

# edge-ecg recording          comments begin with # or %; "name: value", "name = value", "name:= value"
# fs_hz: 256
sample,ecg_mv                 names, or none
0,0.112                       rows; a second row without a number holds units
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...errors import DataError

COMMENT = ("#", "%")
OWN_FORMAT = "edge-ecg recording"
_METADATA = re.compile(r"([^:=]+?)\s*(?::=|:|=)\s*(.*)")
_DECIMAL_COMMA = re.compile(r"^[-+]?\d+,\d+$")
_NOTHING = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Where the rows begin and what their columns are; ``separator`` None means white space."""

    separator: str | None
    decimal_comma: bool
    names: tuple[str, ...]
    units: tuple[str, ...]
    metadata: Mapping[str, str]
    own_format: bool
    first_row: int
    """Lines before the first row."""

    def split(self, line: str) -> list[str]:
        """The fields of a line, without quotes and space around them."""
        return split_fields(line, self.separator)

    def number(self, field: str) -> float:
        """A field as a number, NaN where it says that there is none; ValueError for anything else."""
        if field.lower() in _NOTHING:
            return math.nan
        return float(field.replace(",", ".") if self.decimal_comma else field)


def split_fields(line: str, separator: str | None) -> list[str]:
    """Cut a line at ``separator`` (None: white space) and take quotes and space off the fields."""
    return [field.strip().strip('"').strip() for field in line.rstrip("\r\n").split(separator)]


def _without_last_empty(fields: list[str]) -> list[str]:
    """Many programs end every row with a separator."""
    return fields[:-1] if len(fields) > 1 and not fields[-1] else fields


def find_layout(path: Path, lines: Sequence[str], separator: str | None) -> TextLayout:
    """Work out the layout from a file's first lines; ``separator`` overrides what they say.

    Raises
    ------
    DataError
        When there is no row with a number in it.

    """
    comments: list[str] = []
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith(COMMENT):
            comments.append(text.lstrip("#% ").strip())
        elif text.strip('"').lower().startswith("sep="):
            separator = separator or text.strip('"')[4:5] or "\t"
        elif text:
            rows.append((number, line))
        if len(rows) == 4:
            break
    # Excel's `"sep=<TAB>"` loses its tab to strip(); the rows still have theirs.
    separator = separator or _separator([line for _, line in rows])
    # A number that stands alone could be 0,5: only with another separator is the comma a decimal one.
    decimal_comma = separator not in (None, ",") and any(
        _DECIMAL_COMMA.match(field) for _, line in rows for field in split_fields(line, separator)
    )
    layout = TextLayout(
        separator, decimal_comma, (), (), _metadata(comments), OWN_FORMAT in "\n".join(comments[:1]), 0
    )
    titles: list[list[str]] = []
    for number, line in rows:
        fields = layout.split(line)
        if any(is_value(layout, field) for field in fields):
            return _named(layout, titles, comments, number, len(_without_last_empty(fields)))
        titles.append(_without_last_empty(fields))
    raise DataError(
        f"{path.name} holds no row of numbers." if rows else f"{path.name} holds no sample.",
        why=f"It begins with {rows[0][1].strip()[:60]!r}."
        if rows
        else "It is empty, or holds comments only.",
        remedy="Give a file with one sample a line; docs/files.md shows the formats.",
    )


def is_value(layout: TextLayout, field: str) -> bool:
    """Whether a field is a number or a point in time (and so belongs to a row, not to a title)."""
    try:
        return math.isfinite(layout.number(field)) or field.lower() == "nan"
    except ValueError:
        return parse_time(field) is not None


def parse_time(field: str) -> datetime | None:
    """An ISO 8601 date and time; None when the field is not one."""
    if len(field) < 10 or not field[:4].isdecimal():
        return None
    try:
        return datetime.fromisoformat(field)
    except ValueError:
        return None


def _separator(lines: Sequence[str]) -> str | None:
    for candidate in ("\t", ";", ","):
        if lines and candidate in lines[-1].rstrip("\r\n"):
            return candidate
    return None


def _metadata(comments: Sequence[str]) -> dict[str, str]:
    found = {}
    for comment in comments:
        match = _METADATA.fullmatch(comment)
        if match:
            found[match[1].strip().lower()] = match[2].strip()
    return found


def _named(
    layout: TextLayout, titles: Sequence[list[str]], comments: Sequence[str], first_row: int, width: int
) -> TextLayout:
    """Give the columns the names of the first title row, else of a comment with as many words, else none."""
    names = titles[0] if titles else []
    units = titles[1] if len(titles) > 1 else []
    if layout.separator is None and width == 1:
        names = [" ".join(names)] if names else []
    if not names:
        labels = layout.metadata.get("labels", "")
        for comment in (labels, *reversed(comments)):
            words = [word.strip() for word in comment.split(layout.separator)] if comment else []
            if len(words) == width and all(words) and not any(is_value(layout, word) for word in words):
                names = words
                break
    names = [*names, *(f"column {index}" for index in range(len(names), width))]
    return TextLayout(
        layout.separator,
        layout.decimal_comma,
        tuple(names),
        tuple(units),
        layout.metadata,
        layout.own_format,
        first_row,
    )
