"""A stretch as lines of text: the curve in Braille dots on a grid of 5 mm, beats above, seconds below.

A dot stands for 0.625 mm of paper both ways, for a character is about twice as high as wide: so at the usual
25 mm/s and 10 mm/mV a box of the grid (0.2 s by 0.5 mV) is four by two characters, and a QRS complex looks as
on paper.
"""

from __future__ import annotations

import math

import numpy as np
from rich.text import Text

from ..samples import BoolArray
from ..signal.quality import Reason
from .braille import DOTS_X, DOTS_Y, Canvas
from .paper import BOX_MM, Paper, fitting_gain
from .trace import Piece, Stretch

MM_PER_DOT = 0.625
AXIS = 6
# The rows above and below the curve: beats and marks; seconds.
FRAME_ROWS = 2
_CURVE, _OFF, _CUT, _GRID, _HOLE = "bold green", "bold red", "bold yellow", "dim", "yellow"


def seconds_across(width: int, paper: Paper) -> float:
    """How many seconds fit into so many columns, the axis left out."""
    return (width - AXIS) * DOTS_X * MM_PER_DOT / paper.mm_per_s


def height_mm(height: int) -> float:
    """How high the paper is in so many rows."""
    return (height - FRAME_ROWS) * DOTS_Y * MM_PER_DOT


def gain_for(stretch: Stretch, height: int) -> float:
    """The gain at which a stretch fits into so many rows."""
    return fitting_gain(stretch.ecg_mv, height_mm(height))


def draw(stretch: Stretch, width: int, height: int, paper: Paper, *, plain: bool = False) -> list[Text]:
    """Draw a stretch from its beginning on, in ``height`` lines of ``width`` characters.

    Parameters
    ----------
    plain:
        Without Braille and other signs beyond ASCII.

    """
    strip = _Strip(stretch, width - AXIS, height - FRAME_ROWS, paper, plain=plain)
    return [strip.above(), *strip.curve(), strip.below()]


class _Strip:
    def __init__(self, stretch: Stretch, columns: int, rows: int, paper: Paper, *, plain: bool) -> None:
        self._stretch = stretch
        self._columns, self._rows = columns, rows
        self._paper = paper
        self._plain = plain
        self._dots_per_s = paper.mm_per_s / MM_PER_DOT
        self._dots_per_mv = paper.mm_per_mv / MM_PER_DOT
        # The line of 0 mV lies on a line of the grid.
        self._zero_row = rows // 2

    def above(self) -> Text:
        """Beats, marks, and where an electrode was off."""
        line, styles = [" "] * self._columns, [""] * self._columns
        for piece in self._stretch.pieces:
            for column in self._columns_of(piece, piece.lead_off):
                line[column], styles[column] = "x", _OFF
        for beat_s in self._stretch.beats_s.tolist():
            self._put(line, styles, beat_s, "v" if self._plain else "▾", "bold")
        for hole in self._stretch.holes:
            self._put(line, styles, hole.from_s, f" {hole.lost_samples} lost", _HOLE)
        for mark in self._stretch.marks:
            # What somebody wrote may hold signs that steer a terminal.
            label = "".join(sign for sign in mark.label if sign.isprintable())[:20]
            self._put(line, styles, mark.at_s, f"|{label}" if self._plain else f"┃{label}", "bold cyan")
        return _line(" " * AXIS, line, styles)

    def curve(self) -> list[Text]:
        """The curve on its grid, with the millivolts at its left."""
        canvas = Canvas(self._columns, self._rows)
        styles = np.full(self._columns, _CURVE, dtype=object)
        middle = (self._zero_row + 0.5) * DOTS_Y
        for piece in self._stretch.pieces:
            canvas.curve(
                (piece.time_s - self._stretch.from_s) * self._dots_per_s,
                middle - piece.ecg_mv * self._dots_per_mv,
            )
            styles[self._columns_of(piece, piece.saturated)] = _CUT
            styles[self._columns_of(piece, piece.lead_off)] = _OFF
        signs = canvas.characters()
        if self._plain:
            signs = [["*" if sign != " " else " " for sign in row] for row in signs]
        holes = self._hole_columns()
        return [self._row(row, signs[row], styles.tolist(), holes) for row in range(self._rows)]

    def below(self) -> Text:
        """A tick and a number at each whole second."""
        line = [" "] * (self._columns + AXIS)
        for second in range(math.ceil(self._stretch.from_s), math.ceil(self._stretch.to_s)):
            column = AXIS + self._column(second)
            label = f"'{second}" if self._plain else f"╵{second}"
            if column + len(label) > len(line):
                label = label[0]
            line[column : column + len(label)] = label
        line[: AXIS - 1] = "   s "
        return Text("".join(line), style="dim")

    def _row(self, row: int, signs: list[str], styles: list[str], holes: set[int]) -> Text:
        styles = list(styles)
        on_line = (row - self._zero_row) % self._box_rows == 0
        for column, sign in enumerate(signs):
            if column in holes:
                signs[column], styles[column] = "/" if self._plain else "░", _HOLE
            elif sign == " " and on_line and self._on_grid(column):
                signs[column], styles[column] = "." if self._plain else "·", _GRID
        return _line(self._label(row), signs, styles)

    @property
    def _box_rows(self) -> int:
        return round(BOX_MM / MM_PER_DOT) // DOTS_Y

    def _label(self, row: int) -> str:
        """Millivolts at every other line of the grid."""
        rows = self._zero_row - row
        if rows % (2 * self._box_rows):
            return " " * AXIS
        return f"{rows * DOTS_Y * MM_PER_DOT / self._paper.mm_per_mv:+.3g} ".rjust(AXIS).replace("+0 ", " 0 ")

    def _on_grid(self, column: int) -> bool:
        """Whether a line of the grid, which stands still on the paper, falls into a column."""
        begin, end = (
            (self._stretch.from_s * self._paper.mm_per_s + (column + side) * DOTS_X * MM_PER_DOT - 1e-9)
            / BOX_MM
            for side in (0, 1)
        )
        return math.floor(begin) != math.floor(end)

    def _column(self, at_s: float) -> int:
        return int((at_s - self._stretch.from_s) * self._dots_per_s + 1e-6) // DOTS_X

    def _columns_of(self, piece: Piece, flags: BoolArray) -> list[int]:
        columns = {self._column(at_s) for at_s in piece.time_s[flags].tolist()}
        return sorted(column for column in columns if 0 <= column < self._columns)

    def _hole_columns(self) -> set[int]:
        """All columns that a hole touches: it is never too short to be seen."""
        found: set[int] = set()
        for hole in self._stretch.holes:
            first, last = self._column(hole.from_s), self._column(hole.to_s)
            found.update(range(max(first, 0), min(max(last, first + 1), self._columns)))
        return found

    def _put(self, line: list[str], styles: list[str], at_s: float, label: str, style: str) -> None:
        column = self._column(at_s)
        for offset, sign in enumerate(label):
            if 0 <= column + offset < len(line):
                line[column + offset], styles[column + offset] = sign, style


def _line(label: str, signs: list[str], styles: list[str]) -> Text:
    """One line, with neighbours of the same style together."""
    text = Text()
    text.append(label, "dim")
    begin = 0
    for end in range(1, len(signs) + 1):
        if end == len(signs) or styles[end] != styles[begin]:
            text.append("".join(signs[begin:end]), styles[begin])
            begin = end
    return text


def status(heart_rate_bpm: float | None, quality: float | None, reasons: tuple[str, ...]) -> Text:
    """Heart rate and quality, or what is wrong and what to do about it."""
    text = Text("-- bpm" if heart_rate_bpm is None else f"{heart_rate_bpm:.0f} bpm", style="bold")
    if quality is not None:
        text.append(f"  signal {100 * quality:.0f} %", "green" if not reasons else "yellow")
    for reason in reasons[:1]:
        text.append(f"  {reason.replace('_', ' ')}: {Reason(reason).advice}", "yellow")
    return text
