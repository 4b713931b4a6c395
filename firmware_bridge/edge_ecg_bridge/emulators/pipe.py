"""A virtual device that speaks a byte stream, behind a Bluetooth LE service that is a serial line."""

from __future__ import annotations

from ..gatt_pipe import PIECE_BYTES, Pipe
from .base import Emulator, Unit
from .gatt import (
    ATT_READ_NOT_PERMITTED,
    ATT_WRITE_NOT_PERMITTED,
    AttError,
    Characteristic,
    Notification,
    Service,
)


class PipeEmulator:
    """A device that speaks a byte stream, behind a service that is a serial line; see :class:`GattEmulator`.

    Parameters
    ----------
    inner:
        The device.
    pipe:
        The service.
    name:
        How it advertises itself.
    piece_bytes:
        What a notification carries at most.

    """

    def __init__(self, inner: Emulator, pipe: Pipe, *, name: str, piece_bytes: int = PIECE_BYTES) -> None:
        self.inner = inner
        self.name = name
        self.advertised: tuple[str, ...] = (pipe.service,)
        write = {"write"} if pipe.response else {"write", "write-without-response"}
        self.services: tuple[Service, ...] = (
            Service(
                pipe.service,
                (
                    Characteristic(pipe.notify, frozenset(("notify",))),
                    Characteristic(pipe.write, frozenset(write)),
                ),
            ),
        )
        self._pipe = pipe
        self._piece_bytes = piece_bytes
        self._subscribed = False

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send."""
        return self.inner.next_due_s if self._subscribed else None

    @property
    def recording_over(self) -> bool:
        """Whether it has hung up because its signal is over."""
        return bool(getattr(self.inner, "recording_over", False))

    @property
    def streams(self) -> int:
        """How often the device began its signal."""
        return int(getattr(self.inner, "streams", 0))

    @property
    def ended(self) -> bool:
        """Whether it has hung up."""
        return self.inner.ended

    def read(self, characteristic: str, now_s: float) -> bytes:
        """Refuse: a serial line has nothing to read."""
        raise AttError(ATT_READ_NOT_PERMITTED)

    def write(self, characteristic: str, data: bytes, now_s: float) -> None:
        """Hand bytes to the device."""
        if characteristic != self._pipe.write:
            raise AttError(ATT_WRITE_NOT_PERMITTED)
        self.inner.receive(data, now_s)

    def subscribe(self, characteristic: str, on: bool, now_s: float) -> None:
        """Let the device's bytes out, or not; what it sent before is lost, as nobody listened."""
        if on and not self._subscribed:
            _units(self.inner, now_s)
        self._subscribed = on

    def pair(self, now_s: float) -> None:
        """Take any bond."""

    def notifications(self, now_s: float) -> list[Notification]:
        """Return the device's bytes in pieces; the samples of a unit count where it ends."""
        if not self._subscribed:
            return []
        data, ends = b"", []
        for unit in _units(self.inner, now_s):
            data += unit.data
            ends.append((len(data), unit.samples))
        pieces = []
        for at in range(0, len(data), self._piece_bytes):
            end = at + self._piece_bytes
            samples = sum(count for place, count in ends if at < place <= end)
            pieces.append(Notification(self._pipe.notify, data[at:end], samples))
        return pieces

    def link_lost(self) -> None:
        """Tell the device."""
        self._subscribed = False
        self.inner.link_lost()


def _units(device: Emulator, now_s: float) -> list[Unit]:
    """The device's units; all in one from one that does not tell them apart."""
    if not hasattr(device, "units"):
        return [Unit(device.bytes_to_send(now_s))]
    return device.units(now_s)
