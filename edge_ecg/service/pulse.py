"""How the service is, from its threads' own mouths, and whether that is a life worth a sign to the watchdog.

The watchdog is fed only

    while samples flow      the last block went through the pipeline within ``FLOW_S``
    while a device is       nothing is connected, and the loop that looks for it made a turn within
    looked for              ``SEARCH_S``: a sensor that is not worn for a night is no fault of the service
    when all is read        a recording (``file:``, ``sim:``) is over; nothing more will come

It is not fed when a reader that claims to be connected gives no samples, when the pipeline hangs, or when the
search hangs (a radio or a driver that does not return): a new process is what helps there.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

FLOW_S = 10.0
"""The slowest device sends a packet in a second; one that is silent for 3 s counts as lost by itself."""

SEARCH_S = 150.0
"""A turn: at most 30 s of waiting (:class:`edge_ecg.sources.reconnect.BackOff`), then one try to connect,
which for a radio that scans takes up to a minute and a half."""


class Stage(StrEnum):
    """What the service is at."""

    LOOKING = "looking"
    STREAMING = "streaming"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Reading:
    """A moment of the service.

    Attributes
    ----------
    stage:
        What it is at.
    device:
        Kind and address of what is connected, or was last; empty before the first.
    why:
        While it looks for a device: why there is none. While it streams: why the last window has no decision.
    lost_s:
        Monotonic seconds since which there is none; None while there is one.
    sign_s:
        Monotonic seconds of the last sign of life in this stage.
    samples, decisions, withheld, signal_s:
        Totals of this process; ``signal_s`` in seconds of device time.
    last_sample, last_record, last_decision:
        Wall-clock moments, or None.
    answer:
        The last decision in words.

    """

    stage: Stage = Stage.LOOKING
    device: str = ""
    why: str = ""
    lost_s: float | None = None
    sign_s: float = 0.0
    samples: int = 0
    signal_s: float = 0.0
    decisions: int = 0
    withheld: int = 0
    last_sample: datetime | None = None
    last_record: datetime | None = None
    last_decision: datetime | None = None
    answer: str = ""

    @property
    def records(self) -> int:
        """Windows so far, decided or not."""
        return self.decisions + self.withheld

    def stuck(self, now_s: float) -> str:
        """Return why the watchdog is not to be fed; empty when it is."""
        silent_s = now_s - self.sign_s
        if self.stage is Stage.STREAMING and silent_s > FLOW_S:
            return (
                f"no sample went through the pipeline for {silent_s:.0f} s, though {self.device} is connected"
            )
        if self.stage is Stage.LOOKING and silent_s > SEARCH_S:
            return f"the search for the device has not moved for {silent_s:.0f} s"
        return ""


class Pulse:
    """What the threads report to; every method may be called by any of them, at any time."""

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._reading = Reading(lost_s=now_s, sign_s=now_s)
        self._turns = -1

    @property
    def reading(self) -> Reading:
        """How it is at this moment."""
        with self._lock:
            return self._reading

    def looking(self, now_s: float, why: str) -> None:
        """There is no device (any more)."""
        with self._lock:
            lost_s = now_s if self._reading.lost_s is None else self._reading.lost_s
            self._reading = replace(self._reading, stage=Stage.LOOKING, why=why, lost_s=lost_s, sign_s=now_s)

    def turned(self, now_s: float, turns: int) -> None:
        """The loop that looks for a device has counted so many turns."""
        with self._lock:
            if self._reading.stage is Stage.LOOKING and turns != self._turns:
                self._reading = replace(self._reading, sign_s=now_s)
            self._turns = turns

    def streaming(self, now_s: float, device: str) -> None:
        """A device is connected and says that it streams."""
        with self._lock:
            self._reading = replace(
                self._reading, stage=Stage.STREAMING, device=device, why="", lost_s=None, sign_s=now_s
            )

    def over(self, now_s: float) -> None:
        """A recording is over."""
        with self._lock:
            self._reading = replace(self._reading, stage=Stage.OVER, why="", lost_s=None, sign_s=now_s)

    def flowed(self, now_s: float, wall: datetime, samples: int, signal_s: float) -> None:
        """A block went all the way."""
        with self._lock:
            past = self._reading
            self._reading = replace(
                past,
                sign_s=now_s if past.stage is Stage.STREAMING else past.sign_s,
                samples=past.samples + samples,
                signal_s=past.signal_s + signal_s,
                last_sample=wall,
            )

    def recorded(self, wall: datetime, answer: str | None, withheld: Sequence[str] = ()) -> None:
        """A window was judged: with an answer, or without, and for which reasons."""
        with self._lock:
            past = self._reading
            streams = past.stage is Stage.STREAMING
            self._reading = replace(
                past,
                why=", ".join(withheld).replace("_", " ") if streams and answer is None else past.why,
                last_record=wall,
                decisions=past.decisions + (answer is not None),
                withheld=past.withheld + (answer is None),
                last_decision=past.last_decision if answer is None else wall,
                answer=past.answer if answer is None else answer,
            )
            if streams and answer is not None:
                self._reading = replace(self._reading, why="")
