"""The stream of a board that numbers its packets: from its bytes to runs in their place, and its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from ..session_base import SessionBase
from ..stream import ByteArray
from .framer import CountedFramer, Found
from .placing import Placed, Placer, Run

QUIET_S = 0.2
"""A board told to stop that sends nothing for so long has stopped."""
_NO_FOLLOWER_S = 0.1
_STOP_S = 1.0


class CountedSession(SessionBase, ABC):
    """Frames and places what comes on a serial line; the base of such sessions.

    A subclass sets ``_heard_s`` when bytes come, hands what the framer finds in them to ``_place``, and calls
    ``_let_pass`` while the board streams and ``_wind_up`` once ``_stop_by_s`` is set.

    Parameters
    ----------
    framer, placer:
        Find the packets and give them their place.
    stop_command:
        What makes the board stop.

    """

    def __init__(self, framer: CountedFramer, placer: Placer[ByteArray], *, stop_command: bytes) -> None:
        super().__init__()
        self._framer, self._placer = framer, placer
        self._stop_command = stop_command
        self._heard_s = 0.0
        self._stop_by_s: float | None = None

    @abstractmethod
    def _run(self, found: Found) -> Run[ByteArray]:
        """Describe packets without a hole between them."""

    @abstractmethod
    def _deliver(self, placed: list[Placed[ByteArray]]) -> None:
        """Make samples of packets that have their place."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away so far."""
        return {
            "bytes_skipped": self._framer.bytes_skipped,
            "packets_rejected": self._framer.packets_rejected + self._placer.rejected,
            "duplicates": self._framer.duplicates,
        }

    def stop(self, now_s: float) -> None:
        """Stop the stream; samples that are under way are still delivered."""
        if self._stop_by_s is None:
            self._out += self._stop_command
            self._stop_by_s = now_s + _STOP_S
            self._heard_s = now_s

    def _place(self, found: list[Found], now_s: float) -> None:
        self._deliver(self._placer.place([self._run(some) for some in found], now_s))

    def _let_pass(self, now_s: float) -> None:
        """Deliver what no longer waits: for a packet to follow it, or for its place."""
        if now_s - self._heard_s >= _NO_FOLLOWER_S:
            self._place(self._framer.flush(), self._heard_s)
        self._deliver(self._placer.release(now_s))

    def _wind_up(self, now_s: float) -> None:
        """Deliver the rest and finish, once the board is quiet or has had the time to be."""
        assert self._stop_by_s is not None
        if now_s - self._heard_s >= QUIET_S or now_s >= self._stop_by_s:
            self._place(self._framer.flush(), self._heard_s)
            self._deliver(self._placer.flush())
            self.finished = True
