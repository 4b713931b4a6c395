"""The evaluation card in a terminal, or as text in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as RichTable

from .tables import Section, Table, facts_of, sections_of, sources_of, summary_of

_NAME_WIDTH, _GAP = 14, 2
_INDENT = (0, 0, 0, 2)
# The other sections' sentences repeat their tables; Markdown and HTML have them, to be quoted.
_SPOKEN = ("choices", "label_efficiency", "baseline", "context", "caution")


def print_card(card: Mapping[str, Any], console: Console) -> None:
    """Print a card (see :func:`~.card_dict.build_card`); made for 100 columns, readable from 80."""
    _leaks(card, console)
    console.print(f"[bold]{escape(card['title'])}[/]")
    for line in summary_of(card):
        console.print(escape(line))
    for section in sections_of(card, separator="\n"):
        # Failed checks stand on top, in red.
        if section.key != "checks":
            _section(section, console)
    for name, text in facts_of(card):
        console.print(f"{escape(name)}: {escape(text)}")
    for line in sources_of(card):
        console.print(f"Measured on: {escape(line)}")
    console.print(f"\nAll tables made by: {escape(card['command'])}", soft_wrap=True)


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
