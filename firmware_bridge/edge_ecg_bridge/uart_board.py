"""A board behind a serial line that anybody may use, such as the Nordic UART: what it speaks is found out.

Nothing but its bytes can tell. For a moment it is only listened to; then it is asked what a framed board
answers, which a board that prints text does not read, or reads and passes over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import framed, openview
from .stream import BridgeError, DeviceClock, Event, Session, show_bytes
from .text import LineSplitter, parse_line

FRAMED, OPENVIEW, TEXT = "framed", "openview", "text"
_ASK_AT_S = (0.3, 1.0, 2.0)
_LIMIT_S = 5.0
_KEPT = 4096
_ENOUGH_LINES = 5


def recognise(seen: bytes) -> str | None:
    """Return the kind of board that has sent this; None when that is not certain yet."""
    if framed.recognise(seen):
        return FRAMED
    if openview.recognise(seen):
        return OPENVIEW
    lines = LineSplitter().feed(seen)[-2 * _ENOUGH_LINES :]
    return TEXT if sum(parse_line(line) is not None for line in lines) >= _ENOUGH_LINES else None


class UartBoardSession:
    """Finds out what a board speaks and drives it as that; see :class:`edge_ecg_bridge.stream.Session`.

    Parameters
    ----------
    choose:
        Kind (``framed``, ``openview`` or ``text``) -> the session that drives it.

    """

    def __init__(self, choose: Callable[[str], Session]) -> None:
        self._choose = choose
        self._inner: Session | None = None
        self._seen = b""
        self._out = b""
        self._begun_s = 0.0
        self._asked = 0
        self._stopped = False

    @property
    def inner(self) -> Session | None:
        """The session that was chosen; None before."""
        return self._inner

    def start(self, now_s: float) -> None:
        """Begin to listen."""
        self._begun_s = now_s

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes in any pieces; errors are those of the board's own session."""
        if self._inner is not None:
            self._inner.receive(data, now_s)
            return
        self._seen = (self._seen + data)[-_KEPT:]
        kind = recognise(self._seen) if data else None
        if kind is not None:
            self._inner = self._choose(kind)
            self._inner.start(now_s)
            self._inner.receive(self._seen, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass; BridgeError when nothing known was heard within 5 s."""
        if self._inner is not None:
            self._inner.on_time(now_s)
            return
        waited_s = now_s - self._begun_s
        if self._asked < len(_ASK_AT_S) and waited_s >= _ASK_AT_S[self._asked]:
            self._asked += 1
            self._out += framed.ASK_INFO
        if waited_s >= _LIMIT_S:
            raise _unknown(self._seen)

    def bytes_to_send(self) -> bytes:
        """Return what must go to the board, once."""
        out, self._out = self._out, b""
        return out + (self._inner.bytes_to_send() if self._inner is not None else b"")

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        return self._inner.events() if self._inner is not None else []

    def stop(self, now_s: float) -> None:
        """Ask the board to stop."""
        self._stopped = True
        if self._inner is not None:
            self._inner.stop(now_s)

    @property
    def finished(self) -> bool:
        """Whether the stop is through."""
        return self._inner.finished if self._inner is not None else self._stopped

    @property
    def device_clock(self) -> DeviceClock | None:
        """The board's own clock at sample 0, where it has one that runs on by itself."""
        return getattr(self._inner, "device_clock", None)

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away so far."""
        return self._inner.counters if self._inner is not None else {}


def _unknown(seen: bytes) -> BridgeError:
    if not seen:
        return BridgeError(
            f"The board sent nothing over its UART for {_LIMIT_S:g} s.",
            why="Its firmware waits for something, or sends no ECG.",
            remedy="Switch it off and on, and look at what its sketch sends.",
        )
    return BridgeError(
        "What the board sends over its UART is nothing that edge-ecg knows.",
        why=f"It sent {show_bytes(seen[-48:])}.",
        remedy="Known are lines of text, the framed format and OpenView: see docs/devices.md.",
    )
