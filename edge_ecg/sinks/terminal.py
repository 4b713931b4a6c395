"""A person's screen: the decision, what it stands on, or why there is none and what to do about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rich.box import ASCII, ROUNDED
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord, TaskDecision
from ..samples import ASIDES
from .lines import advice, baseline, shown, summary, unseen_losses

_BAR = 32
_HISTORY = 60
_FIRST_WINDOW_S = 11.0


class _Glyphs(NamedTuple):
    full: str
    levels: str
    nothing: str


_UNICODE = _Glyphs("█", "▁▂▃▄▅▆▇█", "·")
_PLAIN = _Glyphs("#", "_-=+*%#@", ".")


class TerminalPanel:
    """A panel that stays in place and follows the session; fits 80 x 24, with or without Unicode.

    Parameters
    ----------
    device_s:
        Asked several times a second: seconds of device time so far, so that a person sees that samples flow.
    console:
        Where to draw; a console on stdout when None.

    """

    def __init__(self, device_s: Callable[[], float], console: Console | None = None) -> None:
        self._console = console or Console()
        plain = self._console.options.ascii_only
        self._glyphs = _PLAIN if plain else _UNICODE
        self._box = ASCII if plain else ROUNDED
        self._device_s = device_s
        self._start: StartRecord | None = None
        self._last: DecisionRecord | None = None
        self._end: EndRecord | None = None
        self._event = ""
        self._lost = 0
        self._history: deque[str] = deque(maxlen=_HISTORY)
        self._legend = "a dot for each window without a decision"
        self._live = Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=True,
        )

    def write(self, record: Record) -> None:
        """Show one record."""
        if isinstance(record, StartRecord):
            self._start = record
            self._live.start()
        elif isinstance(record, DecisionRecord):
            self._last = record
            self._history.append(self._mark(record))
        elif isinstance(record, EventRecord) and record.event not in {"connected", *ASIDES}:
            self._event = f"{_clock(record.at_s)} {record.event}" + "".join(
                f", {key.replace('_', ' ')} {shown(value)}" for key, value in record.detail.items()
            )
            if record.event == "gap":
                self._lost += int(record.detail.get("lost_samples", 0))
        elif isinstance(record, EndRecord):
            self._end = record
            self._lost = record.lost_samples
        self._live.refresh()

    def close(self) -> None:
        """Leave the last state on the screen and put the cursor below it."""
        self._live.stop()

    def render(self) -> Panel:
        """Draw the present state."""
        start = self._start
        title = "edge-ecg"
        if start is not None:
            title = f"edge-ecg  {start.device}, {start.fs_hz:g} Hz"
            title += f"  {start.engine}" if start.engine else "  recording"
        if self._end is None:
            foot = f"{_clock(self._device_s())}  Ctrl-C ends  not a medical device"
        else:
            foot = summary(self._end)
        return Panel(
            Group(*self._body()),
            title=title,
            subtitle=foot,
            title_align="left",
            subtitle_align="left",
            box=self._box,
            padding=(1, 2),
            width=min(self._console.width, 78),
        )

    def _body(self) -> list[Text | Table]:
        record = self._last
        parts: list[Text | Table] = []
        if record is None or record.withheld == ("warming_up",):
            parts.append(self._waiting())
        elif record.decision is None:
            parts.append(
                Text(f"No decision: {', '.join(record.withheld).replace('_', ' ')}", style="bold yellow")
            )
            parts += [Text(sentence) for sentence in advice(record.withheld)]
        else:
            parts.append(self._answers(record.decision))
        if record is not None:
            parts += [Text(), self._measures(record)]
        if self._history:
            parts += [Text(), Text("".join(self._history), style="cyan"), Text(self._legend, style="dim")]
        if self._start is not None:
            for sentence in (unseen_losses(self._start), baseline(self._start)):
                parts += [Text(sentence, style="dim")] if sentence else []
        if self._event:
            parts += [Text(f"last event: {self._event}", style="dim")]
        return parts

    def _waiting(self) -> Text:
        if self._start is not None and self._start.model is None:
            return Text(f"Recording, {_clock(self._device_s())}", style="bold")
        seconds = min(self._device_s(), _FIRST_WINDOW_S)
        bar = self._glyphs.full * round(_BAR * seconds / _FIRST_WINDOW_S)
        return Text.assemble(
            ("Collecting the first window  ", "bold"),
            (bar, "cyan"),
            f"  {seconds:.0f} of {_FIRST_WINDOW_S:.0f} s",
        )

    def _answers(self, decision: Mapping[str, TaskDecision | None]) -> Table:
        table = Table.grid(padding=(0, 2))
        for task, answer in decision.items():
            if answer is None:
                table.add_row(Text(task, style="bold"), Text("not sure", style="yellow"))
                continue
            for index, (label, value) in enumerate(answer.probabilities.items()):
                chosen = label == answer.label
                bar = Text(self._glyphs.full * round(_BAR * value), style="green" if chosen else "dim")
                bar.pad_right(_BAR - len(bar))
                table.add_row(
                    Text("" if index else task, style="bold"),
                    Text(label.upper() if chosen else label, style="bold green" if chosen else "dim"),
                    bar,
                    Text(f"{100 * value:3.0f} %", style="bold" if chosen else "dim"),
                )
        return table

    def _measures(self, record: DecisionRecord) -> Table:
        rate, inference, latency = record.heart_rate_bpm, record.inference_ms, record.latency_ms
        table = Table.grid(padding=(0, 2))
        table.add_row(
            "heart rate",
            "--" if rate is None else f"{rate:.0f} bpm",
            "signal quality",
            f"{100 * record.quality:.0f} %",
        )
        table.add_row(
            "inference",
            "--" if inference is None else f"{inference:.1f} ms",
            "latency",
            "--" if latency is None else f"{latency:.0f} ms",
        )
        table.add_row(
            "lost samples", Text(str(self._lost), style="red" if self._lost else ""), "window", _span(record)
        )
        if record.lost_60s:
            table.add_row("lost in 10 s", str(record.lost_10s), "lost in 60 s", str(record.lost_60s))
        return table

    def _mark(self, record: DecisionRecord) -> str:
        answer = next(iter(record.decision.values()), None) if record.decision else None
        if answer is None:
            return self._glyphs.nothing
        levels = self._glyphs.levels
        label, second = list(answer.probabilities.items())[1]
        self._legend = f"probability of {label!r} in the last {_HISTORY} windows; a dot: no decision"
        return levels[min(int(second * len(levels)), len(levels) - 1)]


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _span(record: DecisionRecord) -> str:
    return f"{record.start_s:.0f} to {record.end_s:.0f} s"
