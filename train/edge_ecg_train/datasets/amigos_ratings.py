"""AMIGOS's self-assessments: the workbook SelfAsessment.xlsx (the owners' spelling)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import openpyxl

from edge_ecg.errors import DataError

FIELDS = (
    *("arousal", "valence", "dominance", "liking", "familiarity"),
    *("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness"),
)
"""What people rated, in the order of the owners' arrays: five scales from 1 to 9, seven feelings 0 or 1."""

_HEADING_WITHIN_ROWS = 5

Values = dict[str, float | str]


@dataclass(slots=True)
class Ratings:
    """Ratings by person and video, and by person and place in the order of presentation.

    A place that two sheets use for different videos is kept as None: it tells nothing.
    """

    by_video: dict[tuple[int, str], Values] = field(default_factory=dict)
    by_place: dict[tuple[int, int], Values | None] = field(default_factory=dict)

    def of(self, person: int, video: str | None, place: int) -> Values:
        """Ratings of a video, or, where videos have no names, of the one shown at a place; empty for none."""
        if video is not None:
            return self.by_video.get((person, video), {})
        return self.by_place.get((person, place)) or {}


def video_name(value: object) -> str:
    """Name of a video without the quotes that the workbook puts around it: ``10``, ``N1``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().strip("'\"").strip().upper()


def read_ratings(path: Path) -> Ratings:
    """Read all sheets of the workbook.

    A sheet has a row with UserID, VideoID and Rep_Index; the names of the ratings stand in the same row or,
    below a heading, in the next one. They stand there twice: what people felt before the first video, and
    after each. The second ones are taken.

    Raises
    ------
    DataError
        When the file is missing, is no workbook, or no sheet has these columns.

    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # openpyxl warns of Excel's decorations that it leaves out.
            warnings.simplefilter("ignore")
            sheets = [list(sheet.iter_rows(values_only=True)) for sheet in openpyxl.load_workbook(file)]
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except Exception as error:  # openpyxl, zipfile and an XML parser: no end to what damaged bytes may raise
        raise DataError(
            f"{path.name} is damaged.",
            why=f"It is no whole workbook: {error or type(error).__name__}.",
            remedy="Get the file again.",
        ) from None
    ratings = Ratings()
    for rows in sheets:
        _read_sheet(rows, ratings)
    if not ratings.by_video:
        raise DataError(
            f"{path.name} has no ratings.",
            why="No sheet has the columns UserID, VideoID, Rep_Index, arousal and valence.",
            remedy="Get the file again.",
        )
    return ratings


def _read_sheet(rows: Sequence[Sequence[object]], ratings: Ratings) -> None:
    names = [[str(cell).strip().lower() for cell in row] for row in rows[: _HEADING_WITHIN_ROWS + 1]]
    head = next((n for n, row in enumerate(names[:_HEADING_WITHIN_ROWS]) if "userid" in row), None)
    if head is None:
        return
    columns = {name: column for column, name in enumerate(names[head])}
    first = head + 1
    if "arousal" not in columns and first < len(names) and "arousal" in names[first]:
        columns |= {name: column for column, name in enumerate(names[first])}
        first += 1
    if not {"userid", "videoid", "rep_index", "arousal", "valence"} <= columns.keys():
        return
    for row in rows[first:]:
        person, place = row[columns["userid"]], row[columns["rep_index"]]
        if not isinstance(person, int | float):
            continue
        values: Values = {}
        for name in FIELDS:
            cell = row[columns[name]] if name in columns else None
            if isinstance(cell, int | float):
                values[name] = float(cell)
        ratings.by_video[int(person), video_name(row[columns["videoid"]])] = values
        if isinstance(place, int | float):
            key = int(person), int(place)
            ratings.by_place[key] = None if key in ratings.by_place else values
