"""A fleet on the screen: one line a host while it goes on, and the table that stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .rollout import Row, State

_STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.SAME: "green",
    State.FAILED: "bold red",
    State.UNTOUCHED: "dim",
    State.REVERTED: "yellow",
}
_WORDS = {State.SAME: "had it"}
_BAR_CELLS = 10
_REFRESH_HZ = 4.0


class FleetTable:
    """The table, live on a terminal; elsewhere only its last state is printed, at the end.

    Parameters
    ----------
    rows:
        The hosts; they are read whenever the table is drawn.
    stream:
        Where to: stderr.

    """

    def __init__(self, rows: Sequence[Row], stream: TextIO) -> None:
        self._rows = rows
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._fitting,
            refresh_per_second=_REFRESH_HZ,
            transient=True,
            auto_refresh=self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        self._console.print(render(self._rows))

    def _fitting(self) -> Table:
        """Return as much as the screen holds: who is at work first."""
        room = max(3, self._console.size.height - 4)
        if len(self._rows) <= room:
            return render(self._rows)
        order = [State.RUNNING, State.FAILED, State.REVERTED, State.DONE, State.SAME]
        rank = {state: place for place, state in enumerate(order)}
        shown = sorted(self._rows, key=lambda row: rank.get(row.state, len(order)))[:room]
        return render(shown, all_rows=self._rows)


def render(rows: Sequence[Row], all_rows: Sequence[Row] | None = None) -> Table:
    """Return the table of some rows; its caption counts all of them."""
    table = Table(box=None, pad_edge=False, caption=counts(all_rows or rows), caption_justify="left")
    table.add_column("host", overflow="fold")
    table.add_column("stage", justify="right")
    table.add_column("state")
    table.add_column("what", overflow="fold")
    for row in rows:
        state = Text(_WORDS.get(row.state, row.state), style=_STYLES[row.state])
        table.add_row(Text(row.name), str(row.stage), state, Text(_what(row)))
    return table


def counts(rows: Sequence[Row]) -> str:
    """Return how many hosts are in each state, in one line."""
    found = Counter(row.state for row in rows)
    words = [f"{found[state]} {_WORDS.get(state, state)}" for state in State if found[state]]
    return f"{len(rows)} hosts: {', '.join(words)}"


def _what(row: Row) -> str:
    if row.share is None:
        return row.text
    full = round(_BAR_CELLS * min(1.0, row.share))
    return f"{'█' * full}{'·' * (_BAR_CELLS - full)} {100 * row.share:3.0f} % {row.text}"
