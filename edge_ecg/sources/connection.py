"""One conversation with a device, from its start to its stop: a transport, a session, and a watch on both."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from edge_ecg_bridge.gatt import Note
from edge_ecg_bridge.stream import BridgeError, DeviceClock, Ready, Samples, Session

from .base import Clock
from .transport import Transport, TransportEndedError, TransportLostError

POLL_S = 0.05
# Bytes that come this soon after others share their block: a block for every packet would cost more
# than the packet.
_GATHER_S = 0.02
# A stop that is not answered ends by the session's own deadline; this bounds it on a clock that stands still.
_STOP_POLLS = 40
# A machine that was asleep finds its clock far on: silence is counted in steps of a poll that found nothing.
_LONGEST_STEP_S = 0.5


class Batch(NamedTuple):
    """Samples that came at once, and when their last byte did, by the host's clock and the transport's."""

    samples: list[Samples]
    arrived_s: float
    now_s: float


class Connection:
    """Takes a transport and a session over; :meth:`shut` gives the port back. Used by one thread at a time.

    Attributes
    ----------
    quiet_s:
        How long no sample has come.

    """

    def __init__(self, transport: Transport, session: Session, clock: Clock) -> None:
        self.quiet_s = 0.0
        self._transport = transport
        self._session = session
        self._clock = clock
        self._asked_s = transport.now()
        self._arrived_s = clock()
        self._ready: Ready | None = None
        self._samples: list[Samples] = []
        self._failure: Exception | None = None
        self._broken = False
        self._shut = False

    @property
    def device_clock(self) -> DeviceClock | None:
        """The device's own clock at sample 0, where it has one that runs on by itself."""
        clock = getattr(self._session, "device_clock", None)
        return clock if isinstance(clock, DeviceClock) else None

    @property
    def counters(self) -> Mapping[str, int]:
        """What the session threw away."""
        counters: Mapping[str, int] = getattr(self._session, "counters", {})
        return counters

    def set_up(self, closing: threading.Event) -> Ready | None:
        """Return what the device says of itself once it is set up; None when ``closing`` was set meanwhile.

        Raises
        ------
        TransportLostError, TransportEndedError, BridgeError
            When it cannot be set up.

        """
        try:
            self._asked_s = self._transport.now()
            self._session.start(self._asked_s)
            while self._ready is None and not closing.is_set():
                self._exchange(0.0)
        except (TransportLostError, TransportEndedError, BridgeError):
            self._broken = True  # whatever is there, it does not understand a stop
            raise
        return self._ready

    def pump(self) -> Batch:
        """Send what is to be sent, wait up to ``POLL_S`` for bytes, return the samples in them.

        Raises
        ------
        TransportLostError, TransportEndedError, BridgeError
            When the stream is over; what came before was returned first.

        """
        if self._failure is None:
            try:
                self._exchange(_GATHER_S)
            except (TransportLostError, TransportEndedError, BridgeError) as error:
                self._failure = error
                self._broken = isinstance(error, TransportLostError)
        if self._failure is not None and not self._samples:
            raise self._failure
        samples, self._samples = self._samples, []
        return Batch(samples, self._arrived_s, self._asked_s)

    def notes(self) -> list[Note]:
        """Return what the device said beside its ECG since the last call."""
        give = getattr(self._session, "notes", None)
        return list(give()) if give is not None else []

    def shut(self) -> None:
        """Stop the device's stream and give the port back; may be called twice."""
        if self._shut:
            return
        self._shut = True
        try:
            if not self._broken:
                with suppress(TransportLostError, TransportEndedError, BridgeError):
                    self._stop()
        finally:
            self._transport.close()

    def _exchange(self, gather_s: float) -> None:
        out = self._session.bytes_to_send()
        if out:
            self._transport.write(out)
        data = self._transport.read(POLL_S, gather_s)
        self._arrived_s, now_s = self._clock(), self._transport.now()
        self.quiet_s += min(max(now_s - self._asked_s, 0.0), _LONGEST_STEP_S)
        self._asked_s = now_s
        try:
            self._session.receive(data, now_s)
            self._session.on_time(now_s)
        finally:  # what came before a failure is kept
            for event in self._session.events():
                if isinstance(event, Samples):
                    self._samples.append(event)
                    self.quiet_s = 0.0
                elif self._ready is None:
                    self._ready = event
                    self.quiet_s = 0.0

    def _stop(self) -> None:
        self._session.stop(self._transport.now())
        for _ in range(_STOP_POLLS):
            if self._session.finished:
                break
            self._exchange(0.0)
        out = self._session.bytes_to_send()
        if out:
            self._transport.write(out)
