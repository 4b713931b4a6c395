"""A line on stderr that says how far, how fast and how long still."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

_TTY_INTERVAL_S = 0.2
_PLAIN_INTERVAL_S = 10.0


class Progress:
    """Progress over ``total`` units, or over an unknown number of them (None).

    On a terminal one line is rewritten a few times a second; elsewhere (a log, CI) a new line appears at most
    every ten seconds. Use it as a context manager, so that the last state is printed and the line is ended.

    Parameters
    ----------
    total:
        How many units there will be; None when that is not known.
    unit:
        Their name in the plural, e.g. ``windows``.
    stream:
        Where to print; stderr when None.
    clock:
        Monotonic seconds.

    """

    def __init__(
        self,
        total: int | None,
        unit: str,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.unit = unit
        self.done = 0
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._tty = self._stream.isatty()
        self._started = self._printed = clock()
        self._offset = 0
        self._note = ""
        self._width = 0

    def resume_at(self, done: int) -> None:
        """Start counting at ``done`` (a resumed run): the rate covers only what is done from here on."""
        self.done = self._offset = done

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` more units; ``note`` (a loss, a file name) is shown until the next one."""
        self.done += count
        self._note = note or self._note
        now = self._clock()
        if now - self._printed >= (_TTY_INTERVAL_S if self._tty else _PLAIN_INTERVAL_S):
            self._printed = now
            self._print(now, end="" if self._tty else "\n")

    def line(self, now_s: float) -> str:
        """Return the text of the line at a time of the clock."""
        elapsed = now_s - self._started
        fresh = self.done - self._offset
        rate = fresh / elapsed if elapsed > 0 else 0.0
        parts = [f"{self.done} {self.unit}"]
        if self.total:
            parts = [f"{100 * self.done // self.total:3d} %", f"{self.done}/{self.total} {self.unit}"]
        if rate > 0:
            parts.append(f"{rate:.3g} {self.unit}/s")
            if self.total and self.done < self.total:
                parts.append(f"{_duration((self.total - self.done) / rate)} left")
        if self.total and self.done >= self.total:
            parts.append(f"took {_duration(elapsed)}")
        if self._note:
            parts.append(self._note)
        return "  ".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._print(self._clock(), end="\n")

    def _print(self, now: float, *, end: str) -> None:
        line = self.line(now)
        # The longer line before must not show through.
        padded = line.ljust(self._width)
        self._width = len(line)
        self._stream.write(f"\r{padded}{end}" if self._tty else f"{line}{end}")
        self._stream.flush()


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
