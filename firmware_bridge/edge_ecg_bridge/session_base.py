"""What the sessions over byte streams keep for the port's owner until it comes and asks."""

from __future__ import annotations

from .stream import Event


class SessionBase:
    """Bytes to send and events that wait to be fetched; the base of byte-stream sessions.

    A subclass adds bytes to ``_out`` and events to ``_events``, and sets ``finished``. One whose device does
    not read leaves ``_out`` empty.

    Attributes
    ----------
    finished:
        Whether the stop is through.

    """

    def __init__(self) -> None:
        self.finished = False
        self._out = bytearray()
        self._events: list[Event] = []

    def bytes_to_send(self) -> bytes:
        """Return what must go to the device, once."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        return events
