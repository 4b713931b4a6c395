"""From the first byte to the last: connect, read, notice silence, connect again; wherever it is iterated."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping

from edge_ecg_bridge.stream import BridgeError, Detail, Ready, Session

from ..errors import DeviceError, EdgeEcgError
from ..samples import SampleBlock, SourceEvent, SourceInfo
from .address import Address
from .base import Clock
from .connection import Connection
from .reconnect import SILENCE_S, BackOff, Connect
from .timeline import Timeline
from .transport import Transport, TransportEndedError, TransportLostError

# A device that comes back is the same one when its rate is; boards whose rate is counted differ a little.
_SAME_RATE = 0.02

_NOT_NOW = (EdgeEcgError, BridgeError, TransportLostError, OSError)


class Acquisition:
    """Blocks and events of one device for as long as they are asked for; see :class:`SessionSource`.

    Parameters
    ----------
    connect:
        Makes a new connection when the device was lost; None to end then.
    wait:
        Lets seconds pass between two tries, shorter when ``closing`` is set.
    closing:
        Set by whoever wants an end.

    Attributes
    ----------
    reconnects:
        How often the device came back.
    turns:
        Counts every poll and every try to come back: one that stands still for long belongs to a reader that
        hangs in a driver.
    limit_s:
        Device time after which a device that is away is waited for no more; None for ever.
    over_time:
        Whether that was the end.

    """

    def __init__(
        self,
        address: Address,
        transport: Transport,
        session: Session,
        *,
        clock: Clock,
        kind_prefix: str,
        connect: Connect | None,
        wait: Callable[[float], object],
        closing: threading.Event,
    ) -> None:
        self.reconnects = 0
        self.turns = 0
        self.limit_s: float | None = None
        self.over_time = False
        self._address = address
        self._clock = clock
        self._kind_prefix = kind_prefix
        self._connect = connect
        self._wait = wait
        self._closing = closing
        self._lock = threading.Lock()
        self._connection = Connection(transport, session, clock)
        self._past: Counter[str] = Counter()
        self._info: SourceInfo | None = None
        self._timeline = Timeline(1.0)
        self._fs_hz = 0.0

    @property
    def counters(self) -> Mapping[str, int]:
        """What all connections threw away so far."""
        present = self._connection.counters
        return {name: self._past[name] + present.get(name, 0) for name in {**self._past, **present}}

    def open(self) -> SourceInfo:
        """Set the device up and return what it says of itself.

        Raises
        ------
        DeviceError
            When it cannot be set up, or the end was wanted before it was.

        """
        try:
            with self._lock:
                ready = self._connection.set_up(self._closing)
        except (TransportLostError, TransportEndedError, BridgeError) as error:
            raise self._failure(error) from None
        if ready is None:
            raise DeviceError("The source was closed before its device was ready.")
        self._fs_hz = ready.fs_hz
        self._timeline = Timeline(ready.fs_hz)
        self._info = SourceInfo(
            str(self._address), self._kind_prefix + ready.device, ready.fs_hz, ready.details
        )
        return self._info

    def items(self) -> Iterator[SampleBlock | SourceEvent]:
        """Read until the device ends or ``closing`` is set.

        Raises
        ------
        DeviceError
            When the device is lost and not to be waited for.

        """
        assert self._info is not None, "a source is opened before it is read"
        yield self._event("connected", {"device": self._info.device})
        while True:
            try:
                blocks = self._next_blocks()
            except TransportEndedError:
                yield self._event("ended")
                return
            except (TransportLostError, BridgeError, DeviceError) as error:
                failure = self._failure(error)
                yield self._event("lost", {"why": failure.what})
                if self._connect is None:
                    raise failure from None
                blocks = yield from self._come_back(self._connect, failure.what)
            if blocks is None:
                return
            yield from blocks
            for note in self._connection.notes():
                yield self._event(note.name, note.values)

    def shut(self) -> None:
        """Stop the device's stream and give the port back; may be called twice."""
        with self._lock:
            self._connection.shut()

    def _next_blocks(self) -> list[SampleBlock] | None:
        """Return what came within a poll; None when the end is wanted."""
        self.turns += 1
        with self._lock:
            if self._closing.is_set():
                return None
            connection = self._connection
            samples, arrived_s, now_s = connection.pump()
            if not samples and self._connect is not None and connection.quiet_s >= SILENCE_S:
                raise self._silent()
            return self._timeline.place(samples, arrived_s, now_s, connection.device_clock)

    # -- coming back -----------------------------------------------------------------------------------

    def _come_back(
        self, connect: Connect, why: str
    ) -> Generator[SourceEvent, None, list[SampleBlock] | None]:
        """Try until samples flow again; return the first blocks, or None when the end is wanted.

        A failure is told once, and again when it is another one.
        """
        away_s = self._connection.quiet_s
        self.shut()
        self._timeline.interrupt()
        back_off = BackOff()
        while True:
            self.turns += 1
            delay_s = min(back_off.delay_s, self._left_s(away_s))
            self._wait(delay_s)
            self.turns += 1
            if self._closing.is_set():
                return None
            away_s += delay_s
            if self._left_s(away_s) <= 0.0:
                self.over_time = True
                return None
            began_s = self._clock()
            try:
                blocks = self._try(connect, back_off.rescan)
            except TransportEndedError:
                yield self._event("ended")
                return None
            except _NOT_NOW as error:
                back_off.failed()
                away_s += self._clock() - began_s
                failure = self._failure(error)
                if failure.what != why:
                    why = failure.what
                    yield self._event("lost", {"why": why, "attempts": back_off.failures})
                continue
            if blocks is None:
                return None
            self.reconnects += 1
            first = blocks[0]
            yield SourceEvent("reconnected", first.start_s, {"attempts": back_off.failures + 1})
            if first.gap_before:
                yield self._gap(first)
            return blocks

    def _left_s(self, away_s: float) -> float:
        """Return how much longer a device is waited for that has been away for so long."""
        return math.inf if self.limit_s is None else max(self.limit_s - self._timeline.end_s - away_s, 0.0)

    def _try(self, connect: Connect, rescan: bool) -> list[SampleBlock] | None:
        """Connect once and wait for the first samples: a link that gives none is no link."""
        transport, session = connect(rescan)
        connection = Connection(transport, session, self._clock)
        with self._lock:
            self._past.update(self._connection.counters)
            self._connection = connection
            try:
                ready = connection.set_up(self._closing)
                if ready is not None:
                    self._require_same(ready)
                while ready is not None and not self._closing.is_set():
                    samples, arrived_s, now_s = connection.pump()
                    blocks = self._timeline.place(samples, arrived_s, now_s, connection.device_clock)
                    if blocks:
                        return blocks
                    if connection.quiet_s >= SILENCE_S:
                        raise self._silent()
            except BaseException:
                connection.shut()
                raise
            connection.shut()
            return None

    def _require_same(self, ready: Ready) -> None:
        if abs(ready.fs_hz - self._fs_hz) > _SAME_RATE * self._fs_hz:
            raise DeviceError(
                f"What came back samples at {ready.fs_hz:g} Hz instead of {self._fs_hz:g} Hz.",
                why="It is another device, or it was set up anew.",
                remedy="Connect the first one again, or start a new session.",
            )

    # -- words -----------------------------------------------------------------------------------------

    def _event(self, event: str, detail: Mapping[str, Detail] | None = None) -> SourceEvent:
        return SourceEvent(event, self._timeline.end_s, dict(detail or {}))

    @staticmethod
    def _gap(block: SampleBlock) -> SourceEvent:
        return SourceEvent("gap", block.start_s, {"lost_samples": block.gap_before, "reason": "reconnect"})

    @property
    def _name(self) -> str:
        return self._address.target or str(self._address)

    def _silent(self) -> DeviceError:
        return DeviceError(
            f"No sample came from {self._name} for {SILENCE_S:g} s.",
            why="Its link is open, but nothing comes: it is out of range, off, or it hangs.",
            remedy="Bring it nearer, charge it, or switch it off and on.",
        )

    def _failure(self, error: BaseException) -> DeviceError:
        if isinstance(error, DeviceError):
            return error
        if isinstance(error, BridgeError | EdgeEcgError):
            return DeviceError(error.what, why=error.why, remedy=error.remedy)
        if isinstance(error, TransportEndedError):
            return DeviceError(
                "The simulated device stopped before it was ready.",
                why="Its recording is too short.",
                remedy="Use one of at least ten seconds.",
            )
        return DeviceError(
            f"{self._name} was unplugged or its link was lost.",
            why=str(error),
            remedy="Plug it in again (or bring it nearer and bind it again), then start again.",
        )
