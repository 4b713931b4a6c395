"""The loop that all byte-stream devices share: transport -> session -> blocks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from edge_ecg_bridge.stream import BridgeError, Event, Ready, Samples, Session

from ..errors import DeviceError
from ..samples import SampleBlock, SourceEvent, SourceInfo
from .address import Address
from .base import Clock
from .transport import Transport, TransportEndedError, TransportLostError

_POLL_S = 0.05
# Bytes that come this soon after others share their block: a block for every packet would cost more
# than the packet.
_GATHER_S = 0.02
# A stop that is not answered ends by the session's own deadline; this bounds it on a clock that stands still.
_STOP_POLLS = 40


class SessionSource:
    """A device behind a transport; see :class:`edge_ecg.sources.Source`.

    The constructor returns when the device is set up and its rate is known. It takes the transport over and
    closes it, also when it fails.

    Raises
    ------
    DeviceError
        When the device cannot be set up.

    """

    def __init__(
        self,
        address: Address,
        transport: Transport,
        session: Session,
        *,
        clock: Clock = time.monotonic,
        kind_prefix: str = "",
    ) -> None:
        self._address = address
        self._transport = transport
        self._session = session
        self._clock = clock
        self._lock = threading.Lock()
        self._events: deque[tuple[Event, float]] = deque()
        self._end_s = 0.0
        self._closing = False
        self._broken = False
        self._closed = False
        try:
            session.start(transport.now())
            ready = self._wait_until_ready()
        except BaseException:
            self._broken = True
            self.close()
            raise
        self._fs_hz = ready.fs_hz
        self._info = SourceInfo(str(address), kind_prefix + ready.device, ready.fs_hz, ready.details)

    @property
    def info(self) -> SourceInfo:
        """Address, kind, rate and what the device said of itself."""
        return self._info

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        yield SourceEvent("connected", self._end_s, {"device": self._info.device})
        while not self._closing:
            try:
                blocks = self._next_blocks()
            except TransportEndedError:
                yield SourceEvent("ended", self._end_s)
                return
            except (TransportLostError, BridgeError) as error:
                self._broken = isinstance(error, TransportLostError)
                failure = self._failure(error)
                yield SourceEvent("lost", self._end_s, {"why": failure.what})
                raise failure from None
            yield from blocks

    def close(self) -> None:
        """Stop the device's stream and give the port back."""
        self._closing = True
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if not self._broken:
                with suppress(TransportLostError, TransportEndedError, BridgeError):
                    self._stop()
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the loop --------------------------------------------------------------------------------------

    def _pump(self, gather_s: float) -> None:
        """Send what is to be sent, read what has come, collect what that means."""
        out = self._session.bytes_to_send()
        if out:
            self._transport.write(out)
        data = self._transport.read(_POLL_S, gather_s)
        arrived_s, now_s = self._clock(), self._transport.now()
        try:
            self._session.receive(data, now_s)
            self._session.on_time(now_s)
        finally:  # what came before a failure is kept
            self._events.extend((event, arrived_s) for event in self._session.events())

    def _wait_until_ready(self) -> Ready:
        try:
            while True:
                self._pump(0.0)
                if self._events and isinstance(self._events[0][0], Ready):
                    ready = self._events.popleft()[0]
                    assert isinstance(ready, Ready)
                    return ready
        except (TransportLostError, TransportEndedError, BridgeError) as error:
            raise self._failure(error) from None

    def _next_blocks(self) -> list[SampleBlock]:
        with self._lock:
            if not self._events and not self._closing:
                self._pump(_GATHER_S)
            events = list(self._events)
            self._events.clear()
        blocks = [
            SampleBlock(
                event.ecg_mv,
                self._fs_hz,
                event.first_sample,
                event.gap_before,
                event.lead_off,
                event.saturated,
                event.time_s,
                event.acceleration_g,
                arrived_s,
            )
            for event, arrived_s in events
            if isinstance(event, Samples)
        ]
        if blocks:
            self._end_s = blocks[-1].end_s
        return blocks

    def _stop(self) -> None:
        self._session.stop(self._transport.now())
        for _ in range(_STOP_POLLS):
            if self._session.finished:
                break
            self._pump(0.0)
        out = self._session.bytes_to_send()
        if out:
            self._transport.write(out)

    def _failure(self, error: Exception) -> DeviceError:
        if isinstance(error, BridgeError):
            return DeviceError(error.what, why=error.why, remedy=error.remedy)
        if isinstance(error, TransportEndedError):
            return DeviceError(
                "The simulated device stopped before it was ready.",
                why="Its recording is too short.",
                remedy="Use one of at least ten seconds.",
            )
        return DeviceError(
            f"{self._address.target or self._address} was unplugged or its link was lost.",
            why=str(error),
            remedy="Plug it in again (or bring it nearer and bind it again), then start again.",
        )
