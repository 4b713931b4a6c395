"""Dots on a terminal: each character cell holds two by four of them (Unicode, Braille Patterns, U+2800)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DOTS_X, DOTS_Y = 2, 4
# The standard's numbering: dots 1 to 3 and 7 go down the left side, 4 to 6 and 8 down the right one.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.int64)
_BLANK = 0x2800


class Canvas:
    """A field of dots, ``columns`` by ``rows`` character cells, empty at first.

    Attributes
    ----------
    dots:
        (4 * rows, 2 * columns) bool; row 0 is the uppermost.

    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.dots: NDArray[np.bool_] = np.zeros((rows * DOTS_Y, columns * DOTS_X), dtype=np.bool_)

    def curve(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Draw a line through points in dots, (n,) each, ``x`` ascending; what lies outside is cut off.

        Every column of dots shows all heights that the line has in it, so that no spike is lost however many
        samples fall into one.
        """
        height, width = self.dots.shape
        if len(x) == 0:
            return
        columns = np.floor(x).astype(np.int64)
        # Where the line crosses from one column of dots into the next.
        edges = np.arange(columns[0] + 1, columns[-1] + 1, dtype=np.float64)
        heights = np.concatenate([y, np.interp(edges, x, y), np.interp(edges, x, y)])
        places = np.concatenate([columns, edges.astype(np.int64), edges.astype(np.int64) - 1])
        for column in range(max(int(columns[0]), 0), min(int(columns[-1]), width - 1) + 1):
            here = heights[places == column]
            low, high = int(np.floor(here.min() + 0.5)), int(np.floor(here.max() + 0.5))
            if high >= 0 and low < height:
                self.dots[max(low, 0) : min(high, height - 1) + 1, column] = True

    def characters(self) -> list[list[str]]:
        """One list of characters a row; a space where a cell has no dots."""
        cells = self.dots.reshape(self.rows, DOTS_Y, self.columns, DOTS_X)
        codes = (cells * _BITS[None, :, None, :]).sum(axis=(1, 3))
        return [[chr(_BLANK + code) if code else " " for code in row] for row in codes.tolist()]
