"""The strip on a person's screen: it follows a stream, or is leafed through with the keyboard."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ..records import DecisionRecord
from .paper import Paper
from .terminal import MM_PER_DOT, draw, gain_for, seconds_across, status
from .trace import Stretch
from .watcher import Watcher

# Title; status, decision and event; keys.
_OTHER_ROWS = 4
_LEAST_WIDTH, _LEAST_HEIGHT = 40, 12
_HELP = "q quit  space stop  arrows move and size  <> speed  a fit"
DISCLAIMER = "not a medical device"


class StripScreen:
    """Draw what a watcher knows, as wide and high as the terminal is at that moment.

    Parameters
    ----------
    watcher:
        Is asked for what to draw.
    title:
        The first line.
    paper:
        The scale to begin with.
    fitted:
        Whether the gain is chosen by the signal, until a key sets it.
    follows:
        Whether the end of the stream is shown; else the beginning is, until a key moves it.
    leave:
        Called when the person wants to end.

    """

    def __init__(
        self,
        watcher: Watcher,
        title: str,
        paper: Paper,
        *,
        fitted: bool,
        follows: bool,
        leave: Callable[[], None],
        console: Console | None = None,
    ) -> None:
        self._watcher = watcher
        self._title = title
        self._paper = paper
        self._fitted = fitted
        self._follows = follows
        self._from_s: float | None = None if follows else watcher.start_s
        self._leave = leave
        self._console = console or Console()
        self._live = Live(
            get_renderable=self.render,
            console=self._console,
            screen=True,
            refresh_per_second=10,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> StripScreen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def pressed(self, key: str) -> None:
        """Do what a key asks for."""
        if key in ("q", "Q"):
            self._leave()
        elif key in ("+", "=", "up", "-", "down"):
            self._fitted = False
            self._paper = self._paper.larger(1 if key in ("+", "=", "up") else -1)
        elif key in (">", ".", "<", ","):
            self._paper = self._paper.faster(1 if key in (">", ".") else -1)
        elif key == "a":
            self._fitted = True
        elif key == "space" and self._follows:
            self._from_s = self._begin_s() if self._from_s is None else None
        elif key in ("left", "right", "home", "end"):
            self._move(key)
        self._live.refresh()

    def render(self) -> Group:
        """Draw the present state."""
        width, height = self._console.size
        width, height = max(width, _LEAST_WIDTH), max(height, _LEAST_HEIGHT)
        from_s = self._begin_s()
        to_s = from_s + self._span_s()
        stretch = self._watcher.stretch(from_s, to_s)
        rows = height - _OTHER_ROWS
        if self._fitted:
            self._paper = Paper(self._paper.mm_per_s, gain_for(stretch, rows))
        plain = self._console.options.ascii_only
        lines = [self._head(width), *draw(stretch, width, rows, self._paper, plain=plain)]
        lines += [self._status(stretch), self._answer(to_s), Text(f"{_HELP}  {DISCLAIMER}", style="dim")]
        for line in lines:
            line.truncate(width)
            line.no_wrap = True
        return Group(*lines)

    def _span_s(self) -> float:
        return seconds_across(max(self._console.size.width, _LEAST_WIDTH), self._paper)

    def _begin_s(self) -> float:
        """Where the strip begins: on a column of characters, so that what is drawn does not tremble."""
        column_s = 2.0 * MM_PER_DOT / self._paper.mm_per_s
        if self._from_s is not None:
            return round(self._from_s / column_s) * column_s
        from_s = max(self._watcher.end_s - self._span_s(), self._watcher.start_s)
        return -(-from_s // column_s) * column_s

    def _move(self, key: str) -> None:
        """Half a screen to one side; to the beginning; to the end of what there is."""
        first = self._watcher.start_s
        last = max(self._watcher.end_s - self._span_s(), first)
        step = self._span_s() / 2.0
        to_s = {"left": self._begin_s() - step, "right": self._begin_s() + step, "home": first, "end": last}[
            key
        ]
        self._from_s = min(max(to_s, first), last)

    def _head(self, width: int) -> Text:
        state = "stopped" if self._from_s is not None and self._follows else ""
        right = f"{state}  {self._paper}"
        return Text(
            f"{self._title[: max(width - len(right) - 2, 0)]:{max(width - len(right), 0)}}{right}", "bold"
        )

    def _status(self, stretch: Stretch) -> Text:
        judged = self._watcher.judged(stretch.to_s)
        if judged is None:
            return status(stretch.heart_rate_bpm, None, ())
        return status(judged.heart_rate_bpm, judged.quality, judged.reasons)

    def _answer(self, at_s: float) -> Text:
        """The decision of that time where there is a model, else the last event."""
        if self._watcher.start is not None and self._watcher.start.model is not None:
            return answer(self._watcher.decision(at_s))
        event = self._watcher.event
        if event is None or event.event == "marker":
            return Text()
        detail = "".join(f", {name.replace('_', ' ')} {value}" for name, value in event.detail.items())
        return Text(f"last event: {event.event} at {event.at_s:.1f} s{detail}", style="dim")


def answer(decision: DecisionRecord | None) -> Text:
    """A decision in one line."""
    if decision is None or decision.decision is None:
        reasons = ("warming_up",) if decision is None else decision.withheld
        return Text(f"no decision: {', '.join(reasons).replace('_', ' ')}", style="yellow")
    text = Text()
    for task, one in decision.decision.items():
        text.append(f"{task}: ", "bold")
        if one is None:
            text.append("not sure  ", "yellow")
        else:
            text.append(f"{one.label.upper()} {100 * one.confidence:.0f} %  ", "bold green")
    return text
