"""How the plots of the evaluation card look: colours, markers, sizes, and what a plot is.

Nothing is told by colour alone: systems differ in marker and line, too. Colours are those of Okabe and Ito
(Color Universal Design, 2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

Json = Mapping[str, Any]
Axes = Any

INK, FAINT, PAPER = "#1b1b1b", "#8c8c8c", "#fdfdfd"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#4b4bd0")
"""Blue, vermilion and green of Okabe and Ito; purple, ochre and indigo darkened to show on white."""

MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_WIDTH_IN = 5.6
SHOWN = len(PALETTE)
STYLE = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-ecg",
}


@dataclass(frozen=True)
class Plot:
    """A figure, the section it belongs to, its heading, and what it shows in words."""

    section: str
    name: str
    title: str
    words: str
    figure: Figure


def new_figure(height_in: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure as wide as a text column, and its (rows, columns) axes."""
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def limits(one: Json) -> tuple[float, float]:
    """Distances from the value to the ends of its interval; 0 where there is none."""
    value = one["value"]
    low, high = (value if one[end] is None else one[end] for end in ("low", "high"))
    return max(value - low, 0.0), max(high - value, 0.0)


def draw_bars(axes: Axes, x: Sequence[float], values: Sequence[Json], number: int, **options: Any) -> None:
    """A line through values with their intervals, in the style of the system of this number."""
    known = [(at, one) for at, one in zip(x, values, strict=True) if one["value"] is not None]
    ends = list(zip(*(limits(one) for _, one in known), strict=True))
    axes.errorbar(
        [at for at, _ in known],
        [one["value"] for _, one in known],
        yerr=ends or None,
        color=PALETTE[number % SHOWN],
        marker=MARKERS[number % SHOWN],
        linestyle=LINES[number % SHOWN],
        markersize=4.5,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2.5,
        **options,
    )


def wrapped(text: str, width: int) -> str:
    """Return lines of at most ``width`` characters, where the words allow it."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
