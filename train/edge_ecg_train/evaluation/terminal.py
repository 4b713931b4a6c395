"""The evaluation card in a terminal, or as text in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as RichTable

from .brief import brief_of, summary_lines
from .tables import Section, Table, facts_of, sections_of, sources_of, summary_of

_NAME_WIDTH, _GAP, _WIDE = 14, 2, 150
_INDENT = (0, 0, 0, 2)
# The other sections' sentences repeat their tables; Markdown and HTML have them, to be quoted.
_SPOKEN = ("choices", "label_efficiency", "baseline", "context", "caution")


def print_card(card: Mapping[str, Any], console: Console) -> None:
    """Print a whole card (see :func:`~.card_dict.build_card`); made for 100 columns, readable from 80."""
    _top(card, summary_of(card), console)
    for section in sections_of(card, separator="\n"):
        # Failed checks stand on top, in red.
        if section.key != "checks":
            _section(section, console)
    for name, text in facts_of(card):
        console.print(f"{escape(name)}: {escape(text)}")
    for line in sources_of(card):
        console.print(f"Measured on: {escape(line)}")
    console.print(f"\nAll tables made by: {escape(card['command'])}", soft_wrap=True)


def print_brief(card: Mapping[str, Any], console: Console, whole: str) -> None:
    """Print what decides, on about two screens.

    Parameters
    ----------
    card:
        See :func:`~.card_dict.build_card`.
    console:
        Made for 100 columns; in 150 each value has its interval beside it instead of below.
    whole:
        Where the whole card is; the last line.

    """
    _top(card, summary_lines(card), console)
    for section in brief_of(card, separator=" " if console.width >= _WIDE else "\n"):
        console.rule(f"[bold]{escape(section.heading)}", align="left")
        for table in section.tables:
            console.print(escape(table.caption), style="italic")
            console.print(Padding(_rich(table, console.width), _INDENT))
        for line in section.sentences:
            console.print(f"- {escape(line)}")
    for line in card["facts"].get("failures", ()):
        console.print(f"Left out: {escape(str(line))}")
    console.print(f"\n{escape(whole)}", soft_wrap=True)


def _top(card: Mapping[str, Any], summary: list[str], console: Console) -> None:
    _leaks(card, console)
    console.print(f"[bold]{escape(card['title'])}[/]")
    for line in summary:
        console.print(escape(line))


def _leaks(card: Mapping[str, Any], console: Console) -> None:
    style = {True: "green", False: "bold white on red", None: "bold yellow"}[card["trustworthy"]]
    for line in card["leaks"]["lines"]:
        console.print(f"[{style}]{escape(line)}[/]")
    console.print()


def _section(section: Section, console: Console) -> None:
    console.rule(f"[bold]{escape(section.heading)}", align="left")
    for table in section.tables:
        console.print()
        console.print(escape(table.caption), style="italic")
        console.print(Padding(_rich(table, console.width), _INDENT))
    console.print()
    if section.key in _SPOKEN:
        for line in section.sentences:
            console.print(f"- {escape(line)}")
        console.print()


def _rich(table: Table, width: int) -> RichTable:
    out = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    numbers = [
        max((len(line) for row in table.rows for line in row[place].split("\n") if "[" in line), default=0)
        for place in range(len(table.columns))
    ]
    numbers[0] = _NAME_WIDTH
    # Intervals stay in one piece; where even so there is no room, rather torn than cut off.
    fits = sum(numbers) + _GAP * len(numbers) <= width
    for heading, at_least in zip(table.columns, numbers, strict=True):
        out.add_column(escape(heading), overflow="fold", min_width=at_least if fits and at_least else None)
    for row in table.rows:
        out.add_row(*map(escape, row))
    return out
