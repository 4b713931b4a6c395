"""A GATT session behind the interface of a byte-stream session, over the records of :mod:`gatt_wire`."""

from __future__ import annotations

from collections.abc import Mapping

from .gatt import Connect, Connected, Done, GattSession, Note, Refused, Value
from .gatt_wire import RecordReader, encode
from .stream import DeviceClock, Event


class TunnelSession:
    """Lets a GATT session talk through a byte stream; see :class:`edge_ecg_bridge.stream.Session`.

    Parameters
    ----------
    inner:
        The session with the device.

    """

    def __init__(self, inner: GattSession) -> None:
        self.inner = inner
        self._reader = RecordReader()
        self._out = bytearray()

    def start(self, now_s: float) -> None:
        """Ask what the device offers, and begin."""
        self._out += encode(Connect())
        self.inner.start(now_s)

    def receive(self, data: bytes, now_s: float) -> None:
        """Take records in any pieces; raise BridgeError when the session ends."""
        for message in self._reader.feed(data):
            if isinstance(message, Connected | Value | Done | Refused):
                self.inner.happened(message, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass; raise BridgeError when one ends the session."""
        self.inner.on_time(now_s)

    def bytes_to_send(self) -> bytes:
        """Return the session's actions as records."""
        out = bytes(self._out) + b"".join(map(encode, self.inner.actions()))
        self._out.clear()
        return out

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        return self.inner.events()

    def stop(self, now_s: float) -> None:
        """Ask the device to stop."""
        self.inner.stop(now_s)

    @property
    def finished(self) -> bool:
        """Whether the stop is through."""
        return self.inner.finished

    def notes(self) -> list[Note]:
        """Return what the device said beside its ECG since the last call."""
        give = getattr(self.inner, "notes", None)
        return list(give()) if give is not None else []

    @property
    def device_clock(self) -> DeviceClock | None:
        """The device's own clock at sample 0, where it has one that runs on by itself."""
        return getattr(self.inner, "device_clock", None)

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away; ``packets_rejected`` counts damaged records too."""
        counters = dict(self.inner.counters)
        rejected = counters.get("packets_rejected", 0) + self._reader.records_rejected
        return counters | {"packets_rejected": rejected}
