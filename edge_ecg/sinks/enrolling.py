"""The progress of an enrolment as JSON lines and as plain lines; the panel stands in a file of its own."""

from __future__ import annotations

import json
from typing import Any, Protocol, TextIO

from ..enrolment import Enrolment
from ..good_windows import SeenWindow
from ..samples import ASIDES, SourceEvent

_LINE_EVERY_S = 10
INSTRUCTION = "Sit still, breathe as usual, and do not talk."


class EnrolmentView(Protocol):
    """Where the progress of an enrolment goes."""

    def seen(self, window: SeenWindow) -> None:
        """Show one second."""

    def event(self, event: SourceEvent) -> None:
        """Show that something happened to the source."""

    def close(self) -> None:
        """Put everything back."""


def window_json(window: SeenWindow, kept: int) -> dict[str, Any]:
    """Return one second of an enrolment as plain JSON values (docs/profile.md)."""
    quality = window.quality
    rate = None if quality is None or window.reasons else quality.heart_rate_bpm
    return {
        "type": "window",
        "start_s": round(window.start_s, 3),
        "end_s": round(window.end_s, 3),
        "kept": window.samples is not None,
        "windows": kept,
        "withheld": list(window.reasons),
        "quality": 0.0 if quality is None else round(quality.score, 3),
        "heart_rate_bpm": None if rate is None else round(rate, 1),
    }


class EnrolmentJson:
    """One object a second."""

    def __init__(self, enrolment: Enrolment, stream: TextIO) -> None:
        self._enrolment = enrolment
        self._stream = stream

    def seen(self, window: SeenWindow) -> None:
        """Write one second."""
        self._stream.write(json.dumps(window_json(window, self._enrolment.windows)) + "\n")
        self._stream.flush()

    def event(self, event: SourceEvent) -> None:
        """Write what happened."""
        line = {"type": "event", "event": event.event, "at_s": round(event.at_s, 3), **event.detail}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to put back."""


class EnrolmentLines:
    """A line every ten seconds, for a log or a pipe."""

    def __init__(self, enrolment: Enrolment, duration_s: float, stream: TextIO) -> None:
        self._enrolment = enrolment
        self._duration_s = duration_s
        self._stream = stream
        self._said_at_s = 0.0
        self._write(f"{duration_s:g} s at rest. {INSTRUCTION}")

    def seen(self, window: SeenWindow) -> None:
        """Write a line when ten seconds have passed."""
        if window.end_s - self._said_at_s < _LINE_EVERY_S:
            return
        self._said_at_s = window.end_s
        now = state(window)
        windows = self._enrolment.windows
        kept = f"{windows} good window{'' if windows == 1 else 's'}"
        self._write(f"{window.end_s:8.1f} s  {kept}  {now}")

    def event(self, event: SourceEvent) -> None:
        """Write what happened."""
        if event.event not in ASIDES:
            self._write(f"{event.at_s:8.1f} s  -- {event.event}")

    def close(self) -> None:
        """Nothing to put back."""

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def state(window: SeenWindow) -> str:
    """Return the signal's state in a few words: quality and heart rate, or what is wrong."""
    if window.reasons or window.quality is None:
        return ", ".join(window.reasons).replace("_", " ")
    rate = window.quality.heart_rate_bpm
    beats = "" if rate is None else f", {rate:.0f} bpm"
    return f"{100 * window.quality.score:.0f} %{beats}"
