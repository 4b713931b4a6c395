"""What every device session gives and takes, whatever it speaks.

A session is a state machine without I/O: it is fed bytes and the time, and gives bytes to send and events.
Whoever owns the port reads, writes and keeps the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
ByteArray = NDArray[np.uint8]
Detail = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Ready:
    """The device is set up; its kind, its real rate and what it said of itself."""

    device: str
    fs_hz: float
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Samples:
    """Consecutive samples in millivolts; fields as in :class:`edge_ecg.samples.SampleBlock`."""

    ecg_mv: FloatArray
    first_sample: int
    gap_before: int = 0
    lead_off: BoolArray | None = None
    saturated: BoolArray | None = None
    time_s: FloatArray | None = None
    acceleration_g: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """A clock of the device that runs on while nobody listens, read at sample 0 of a stream.

    A session whose device has one gives it as ``device_clock`` (None until sample 0 has come). By it the
    length of an interruption is known to the sample, however long it took to connect again.

    Attributes
    ----------
    at_s:
        What it showed at sample 0, seconds of its own.
    turn_s:
        Where it begins again at 0 (512 s for the 24-bit counter of a Shimmer); None when it does not.

    """

    at_s: float
    turn_s: float | None = None


UNSEEN_LOSS_MS = "unseen_loss_ms"
"""The detail of a device that neither counts nor times its samples: shorter losses leave no trace."""

Event = Ready | Samples


class BridgeError(Exception):
    """The device cannot be used: what happened, why, and what to do about it."""

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        super().__init__(" ".join(part for part in (what, why, remedy) if part))
        self.what = what
        self.why = why
        self.remedy = remedy


class Session(Protocol):
    """A conversation with one device. Times are seconds of one monotonic clock, whichever it is."""

    def start(self, now_s: float) -> None:
        """Begin; bytes to send may be waiting afterwards."""
        ...

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes in any pieces; raise BridgeError when they end the session."""
        ...

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass; raise BridgeError when one ends the session."""
        ...

    def bytes_to_send(self) -> bytes:
        """Return what must go to the device, once."""
        ...

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        ...

    def stop(self, now_s: float) -> None:
        """Ask the device to stop; ``finished`` turns true when it has, or when it does not answer."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stop is through."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away: ``bytes_skipped``, ``packets_rejected``, ``duplicates`` and others."""
        ...


def show_bytes(data: bytes, limit: int = 24) -> str:
    """Describe bytes for a person: as text where they are text, else in hexadecimal."""
    if not data:
        return "no bytes"
    head = data[:limit]
    dots = "…" if len(data) > limit else ""
    if all(byte in b"\r\n\t" or 32 <= byte < 127 for byte in head):
        return f"the text {head.decode('ascii')!r}{dots}"
    return f"the bytes {head.hex(' ').upper()}{dots}"
