"""A person's screen while a baseline is taken: how long still, and whether the signal is good."""

from __future__ import annotations

from rich.box import ASCII, ROUNDED
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..enrolment import Enrolment
from ..good_windows import SeenWindow
from ..samples import ASIDES, SourceEvent
from .enrolling import INSTRUCTION, state
from .lines import advice

_BAR = 40


class EnrolmentPanel:
    """A panel that counts down."""

    def __init__(self, enrolment: Enrolment, duration_s: float, console: Console | None = None) -> None:
        self._console = console or Console()
        self._enrolment = enrolment
        self._duration_s = duration_s
        self._last: SeenWindow | None = None
        self._event = ""
        self._plain = self._console.options.ascii_only
        self._live = Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._live.start()

    def seen(self, window: SeenWindow) -> None:
        """Show one second."""
        self._last = window

    def event(self, event: SourceEvent) -> None:
        """Show what happened."""
        if event.event not in {"connected", *ASIDES}:
            self._event = f"last event: {event.event} at {event.at_s:.0f} s"

    def close(self) -> None:
        """Leave the last state on the screen and put the cursor below it."""
        self._live.stop()

    def render(self) -> Panel:
        """Draw the present state."""
        enrolment, last = self._enrolment, self._last
        seconds = min(enrolment.seen_s, self._duration_s)
        bar = ("#" if self._plain else "█") * round(_BAR * seconds / self._duration_s)
        table = Table.grid(padding=(0, 2))
        table.add_row("good windows", f"{enrolment.windows}, at least {enrolment.needed} are needed")
        table.add_row("signal now", "--" if last is None else state(last))
        body: list[Text | Table] = [
            Text(INSTRUCTION, style="bold"),
            Text(),
            Text.assemble((bar, "cyan"), f"  {self._duration_s - seconds:.0f} s to go"),
            Text(),
            table,
        ]
        if last is not None and last.reasons:
            body += [Text(sentence, style="yellow") for sentence in advice(last.reasons)]
        if self._event:
            body.append(Text(self._event, style="dim"))
        return Panel(
            Group(*body),
            title="edge-ecg  personal baseline",
            subtitle="Ctrl-C ends and keeps nothing  not a medical device",
            title_align="left",
            subtitle_align="left",
            box=ASCII if self._plain else ROUNDED,
            padding=(1, 2),
            width=min(self._console.width, 78),
        )
