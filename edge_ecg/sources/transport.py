"""What carries a device's bytes: it knows no protocol."""

from __future__ import annotations

from typing import Protocol


class TransportLostError(Exception):
    """The port or the link has gone."""


class TransportEndedError(Exception):
    """The other side has no more to send and said so: a simulated device at the end of its recording."""


class Transport(Protocol):
    """An open byte stream in both directions.

    A transport may have an attribute ``live``: False where the other side waits for whoever reads, so that
    nothing is lost by reading late (a virtual device that runs as fast as it can). Without it, it is live.
    """

    def now(self) -> float:
        """Return the seconds by which the device's deadlines count."""
        ...

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Wait up to ``timeout_s`` for bytes; once there are some, ``gather_s`` more for others to join them.

        Raises
        ------
        TransportLostError, TransportEndedError
            When nothing can come any more.

        """
        ...

    def write(self, data: bytes) -> None:
        """Send all of it; raise TransportLostError when that is impossible."""
        ...

    def close(self) -> None:
        """Give the port back; may be called twice."""
        ...


def is_live(transport: Transport) -> bool:
    """Return whether the other side sends on, whether anybody reads or not."""
    return bool(getattr(transport, "live", True))
