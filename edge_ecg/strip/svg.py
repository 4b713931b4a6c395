"""A stretch as a picture of ECG paper in true size: rows of ten seconds, 25 mm/s, 10 mm/mV (SVG 1.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray
from .paper import BOX_MM, Paper
from .trace import Piece, Stretch

ROW_S = 10.0
# The pulse has whole boxes, so that seconds fall on lines of the grid.
_LEFT_MM, _TOP_MM, _FOOT_MM, _GAP_MM, _PULSE_MM = 12.0, 14.0, 10.0, 8.0, 10.0
_LEAST_ROW_MM, _MOST_ROW_MM = 20.0, 60.0

_STYLE = """
.paper{fill:#fffdfb}.fine{stroke:#f6d5d0;stroke-width:.1;fill:none}.box{stroke:#eaa9a0;stroke-width:.2;fill:none}
.ecg{stroke:#10101c;stroke-width:.25;fill:none;stroke-linejoin:round}.off{stroke:#c01818}.cut{stroke:#b06a00}
.band{fill:#c01818;fill-opacity:.12}.hole{fill:url(#hatch);stroke:#8a8a8a;stroke-width:.15}
.mark{stroke:#0a5ca8;stroke-width:.3;stroke-dasharray:1 1}.beat{fill:#10101c}
text{font-family:DejaVu Sans,Helvetica,Arial,sans-serif;font-size:2.6px;fill:#333}
.title{font-size:3.4px;font-weight:bold}.named{fill:#0a5ca8}.bad{fill:#c01818}.lost{fill:#555}
"""


def picture(stretch: Stretch, paper: Paper, title: str, note: str) -> str:
    """Return the picture's text.

    Parameters
    ----------
    title, note:
        One line above and one below. Nothing else of the recording's origin goes into the file.

    """
    rows = max(math.ceil((stretch.to_s - stretch.from_s) / ROW_S - 1e-9), 1)
    height = _row_height_mm(stretch, paper)
    row_mm = ROW_S * paper.mm_per_s
    width = _LEFT_MM + _PULSE_MM + row_mm + 6.0
    total = _TOP_MM + rows * (height + _GAP_MM) + _FOOT_MM
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="{width:g}mm" height="{total:g}mm" '
        f'viewBox="0 0 {width:g} {total:g}">',
        f"<style>{_STYLE}</style>",
        _definitions(_PULSE_MM + row_mm, height),
        f'<rect class="paper" width="{width:g}" height="{total:g}"/>',
        f'<text class="title" x="{_LEFT_MM:g}" y="7">{escape(title)}</text>',
    ]
    for row in range(rows):
        from_s = stretch.from_s + row * ROW_S
        to_s = min(from_s + ROW_S, stretch.to_s)
        top = _TOP_MM + row * (height + _GAP_MM)
        parts.append(f'<g transform="translate({_LEFT_MM:g} {top:g})">')
        parts += _Row(stretch, from_s, to_s, paper, height).parts()
        parts.append("</g>")
    parts.append(f'<text x="{_LEFT_MM:g}" y="{total - 4:g}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row_height_mm(stretch: Stretch, paper: Paper) -> float:
    """Whole boxes around the middle line, so that nothing but a rare spike is cut off."""
    if not len(stretch.ecg_mv):
        return _LEAST_ROW_MM
    reach_mv = float(np.abs(np.percentile(stretch.ecg_mv, (0.05, 99.95))).max())
    boxes = math.ceil(reach_mv * paper.mm_per_mv / BOX_MM + 0.2)
    return min(max(2 * boxes * BOX_MM, _LEAST_ROW_MM), _MOST_ROW_MM)


def _definitions(width: float, height: float) -> str:
    return (
        '<defs><pattern id="mm" width="1" height="1" patternUnits="userSpaceOnUse">'
        '<path class="fine" d="M1 0H0V1"/></pattern>'
        f'<pattern id="boxes" width="{BOX_MM:g}" height="{BOX_MM:g}" patternUnits="userSpaceOnUse">'
        f'<rect width="{BOX_MM:g}" height="{BOX_MM:g}" fill="url(#mm)"/>'
        f'<path class="box" d="M{BOX_MM:g} 0H0V{BOX_MM:g}"/></pattern>'
        '<pattern id="hatch" width="1.6" height="1.6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="1.6" height="1.6" fill="#fff"/>'
        '<path d="M0 0V1.6" stroke="#8a8a8a" stroke-width=".5"/></pattern>'
        f'<clipPath id="row"><rect width="{width:g}" height="{height:g}"/></clipPath></defs>'
    )


class _Row:
    """Ten seconds: grid, pulse, holes, curve, beats, marks; in millimetres from the grid's upper left."""

    def __init__(self, stretch: Stretch, from_s: float, to_s: float, paper: Paper, height: float) -> None:
        self._stretch = stretch
        self._from_s, self._to_s = from_s, to_s
        self._paper = paper
        self._height = height
        self._zero = height / 2.0

    def parts(self) -> Iterator[str]:
        """Lines of SVG, what lies behind first."""
        width = _PULSE_MM + ROW_S * self._paper.mm_per_s
        yield f'<rect width="{width:g}" height="{self._height:g}" fill="url(#boxes)"/>'
        yield f'<rect class="box" width="{width:g}" height="{self._height:g}"/>'
        yield self._pulse()
        pieces = [piece.within(self._from_s, self._to_s) for piece in self._stretch.pieces]
        for piece in pieces:
            yield from self._bands(piece)
        yield '<g clip-path="url(#row)">'
        for piece in pieces:
            yield from self._curves(piece)
        yield "</g>"
        yield from self._holes()
        yield from self._beats()
        yield from self._marks()
        yield from self._seconds()

    def _x(self, at_s: float) -> float:
        return _PULSE_MM + (at_s - self._from_s) * self._paper.mm_per_s

    def _pulse(self) -> str:
        """One millivolt, a box wide, as recorders print it."""
        wide, high = BOX_MM, self._paper.mm_per_mv
        side = (_PULSE_MM - wide) / 2.0
        return f'<path class="ecg" d="M0 {self._zero:g}h{side:g}v{-high:g}h{wide:g}v{high:g}h{side:g}"/>'

    def _curves(self, piece: Piece) -> Iterator[str]:
        """The curve, in another colour where an electrode was off or the signal cut off."""
        if not len(piece):
            return
        x = [f"{value:.2f}" for value in self._x_of(piece.time_s)]
        y = [f"{value:.2f}" for value in (self._zero - piece.ecg_mv * self._paper.mm_per_mv).tolist()]
        kind = piece.lead_off * 2 + piece.saturated * ~piece.lead_off
        for begin, end in _runs(kind):
            # One sample more, so that the colours meet.
            points = " ".join(f"{a},{b}" for a, b in zip(x[begin : end + 1], y[begin : end + 1], strict=True))
            colour = ("", " cut", " off")[int(kind[begin])]
            yield f'<polyline class="ecg{colour}" points="{points}"/>'

    def _x_of(self, time_s: FloatArray) -> list[float]:
        found: list[float] = (_PULSE_MM + (time_s - self._from_s) * self._paper.mm_per_s).tolist()
        return found

    def _bands(self, piece: Piece) -> Iterator[str]:
        for begin, end in _runs(piece.lead_off):
            if piece.lead_off[begin]:
                x, to = self._x(float(piece.time_s[begin])), self._x(float(piece.time_s[end - 1]))
                wide = max(to - x, 0.3)
                yield f'<rect class="band" x="{x:.2f}" width="{wide:.2f}" height="{self._height:g}"/>'
                yield f'<text class="bad" x="{x + 0.8:.2f}" y="{self._height - 1:g}">electrode off</text>'

    def _holes(self) -> Iterator[str]:
        for hole in self._stretch.holes:
            begin, end = max(hole.from_s, self._from_s), min(hole.to_s, self._to_s)
            if begin >= end:
                continue
            x, wide = self._x(begin), max((end - begin) * self._paper.mm_per_s, 0.4)
            yield f'<rect class="hole" x="{x:.2f}" width="{wide:.2f}" height="{self._height:g}"/>'
            if hole.from_s >= self._from_s:
                text = f"{hole.lost_samples} samples lost"
                yield f'<text class="lost" x="{x:.2f}" y="{self._height + 5.4:g}">{text}</text>'

    def _beats(self) -> Iterator[str]:
        beats = self._stretch.beats_s
        for at_s in beats[(beats >= self._from_s) & (beats < self._to_s)].tolist():
            yield f'<path class="beat" d="M{self._x(at_s):.2f} -.3l-.7 -1.3h1.4z"/>'

    def _marks(self) -> Iterator[str]:
        for mark in self._stretch.marks:
            if self._from_s <= mark.at_s < self._to_s:
                x, label = self._x(mark.at_s), escape(_printable(mark.label))
                yield f'<path class="mark" d="M{x:.2f} -2V{self._height:g}"/>'
                yield f'<text class="named" x="{x + 0.5:.2f}" y="-2.2">{label}</text>'

    def _seconds(self) -> Iterator[str]:
        for second in range(math.ceil(self._from_s), math.floor(self._from_s + ROW_S) + 1):
            if second <= self._to_s:
                x, below = self._x(second), self._height
                yield f'<path class="box" d="M{x:.2f} {below:g}v1"/>'
                yield f'<text x="{x:.2f}" y="{below + 3:g}" text-anchor="middle">{second}</text>'
        yield f'<text x="-1.5" y="{self._height + 3:g}" text-anchor="end">s</text>'


def _runs(values: NDArray[np.generic]) -> Iterator[tuple[int, int]]:
    """Begin and end of each stretch of equal values."""
    if len(values):
        edges = [0, *(np.flatnonzero(np.diff(values.astype(np.int8))) + 1).tolist(), len(values)]
        yield from pairwise(edges)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:60]
