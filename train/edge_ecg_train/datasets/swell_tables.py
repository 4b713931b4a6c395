"""The spreadsheets of SWELL-KW: the condition of each block of each person, and the answers about it."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import openpyxl

from edge_ecg.errors import DataError

from .base import Value

BEHAVIOUR = "Behavioral-features - per minute.xlsx"
OVERVIEW = "SWELL-KW - overview available data.xlsx"
CONDITIONS = ("N", "T", "I")
_RELAXATION = "R"
# Column of the questionnaire: field. "_rc" columns are recoded by the owners so that high is high.
_RATINGS = {
    "Valence_rc": "valence",
    "Arousal_rc": "arousal",
    "Dominance": "dominance",
    "Stress": "stress_rating",
    "MentalEffort": "mental_effort",
    "Frustration": "frustration",
}
_PERSON, _BLOCK, _CONDITION = "PP", "Blok", "Condition"


@dataclass(slots=True)
class Block:
    """One block of one person: its condition (N, T or I; empty when unknown) and the mean of each rating."""

    condition: str = ""
    ratings: dict[str, float] = field(default_factory=dict)

    def values(self, number: int) -> dict[str, Value]:
        """The fields of an annotation."""
        known: dict[str, Value] = {"block": float(number), **self.ratings}
        return {**known, "condition": self.condition} if self.condition else known


Blocks = Mapping[tuple[int, int], Block]
"""(person, block number) to block."""


def read_blocks(paths: Mapping[str, Path]) -> Blocks:
    """Read the conditions and ratings from the tables that are there.

    Parameters
    ----------
    paths:
        :data:`BEHAVIOUR` and :data:`OVERVIEW` to the files found; one is enough for conditions, the first
        has the ratings, too.

    Raises
    ------
    DataError
        When there is none, one cannot be read or lacks its columns, or they contradict each other or
        themselves.

    """
    if not paths:
        raise DataError(
            f"The conditions of SWELL-KW are unknown: neither {BEHAVIOUR} nor {OVERVIEW} is there.",
            why="The number in a recording's name is the block, and blocks 2 and 3 came in changing order.",
            remedy="Put one of them beside the folder of recordings.",
        )
    blocks: dict[tuple[int, int], Block] = {}
    if BEHAVIOUR in paths:
        _read_behaviour(paths[BEHAVIOUR], blocks)
    if OVERVIEW in paths:
        _read_overview(paths[OVERVIEW], blocks)
    return blocks


def _read_behaviour(path: Path, blocks: dict[tuple[int, int], Block]) -> None:
    """One row a minute; the questionnaire's answers stand in each row of a block."""
    rows = _rows(path, "SWELLdata")
    header = [str(cell or "").strip() for cell in next(rows, ())]
    absent = [name for name in (_PERSON, _BLOCK, _CONDITION) if name not in header]
    if absent:
        raise _wrong(path, f"Its first sheet has no column {', '.join(absent)}.")
    person, block, condition = (header.index(name) for name in (_PERSON, _BLOCK, _CONDITION))
    ratings = {header.index(column): name for column, name in _RATINGS.items() if column in header}
    answers: dict[tuple[int, int], dict[str, list[float]]] = {}
    for line, row in enumerate(rows, start=2):
        key = _key(row[person], row[block])
        if key is None:
            continue
        found = str(row[condition] or "").strip().upper()[:1]
        if found == _RELAXATION or not found:
            continue
        _set_condition(path, line, blocks.setdefault(key, Block()), found)
        for index, name in ratings.items():
            value = _number(row[index])
            if value is not None:
                answers.setdefault(key, {}).setdefault(name, []).append(value)
    for key, lists in answers.items():
        blocks[key].ratings = {name: math.fsum(values) / len(values) for name, values in lists.items()}


def _read_overview(path: Path, blocks: dict[tuple[int, int], Block]) -> None:
    """Its third sheet: person, block, condition in the first three columns."""
    for line, row in enumerate(_rows(path, "Sheet3"), start=1):
        cells = (*row, None, None, None)[:3]
        key = _key(cells[0], cells[1])
        condition = str(cells[2] or "").strip().upper()[:1]
        if key is not None and condition in CONDITIONS:
            _set_condition(path, line, blocks.setdefault(key, Block()), condition)


def _set_condition(path: Path, line: int, block: Block, condition: str) -> None:
    if condition not in CONDITIONS:
        raise _wrong(path, f"Row {line} has the condition {condition!r}; N, T, I and R are known.")
    if block.condition not in ("", condition):
        raise _wrong(path, f"Row {line} calls a block {condition} that was {block.condition} before.")
    block.condition = condition


def _rows(path: Path, sheet: str) -> Iterator[tuple[object, ...]]:
    """Rows of the named sheet, or of the first one."""
    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and extensions that do not concern the values.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                found = book[sheet] if sheet in book.sheetnames else book[book.sheetnames[0]]
                rows = [tuple(row) for row in found.iter_rows(values_only=True)]
            finally:
                book.close()
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, SyntaxError) as error:
        raise _wrong(path, f"{error}.") from None
    except Exception as error:  # openpyxl raises its own kinds for a damaged book
        if type(error).__module__.startswith("openpyxl"):
            raise _wrong(path, f"{error}.") from None
        raise
    return iter(rows)


def _key(person: object, block: object) -> tuple[int, int] | None:
    """(person, block) of cells such as PP12 and 3; None for a header or an empty row."""
    number = _number(str(person).strip().upper().removeprefix("PP")) if person is not None else None
    which = _number(block)
    return None if number is None or which is None else (int(number), int(which))


def _number(cell: object) -> float | None:
    try:
        value = float(str(cell))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _wrong(path: Path, why: str) -> DataError:
    return DataError(f"{path.name} cannot be used.", why=why, remedy="Get the file again.")
