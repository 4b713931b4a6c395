"""What every virtual Bluetooth LE device is, and how one sits behind a byte stream or in front of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..gatt import (
    Action,
    Connect,
    Connected,
    Done,
    Pair,
    Read,
    Refused,
    Subscribe,
    Unsubscribe,
    Value,
    Write,
)
from ..gatt_wire import RecordReader, encode
from .base import Unit

ATT_READ_NOT_PERMITTED = 0x02
ATT_WRITE_NOT_PERMITTED = 0x03
ATT_NOT_FOUND = 0x0A


class AttError(Exception):
    """The device refuses; ``code`` as in the Bluetooth Core Specification, Vol 3, Part F, 3.4.1.1."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ATT error 0x{code:02X}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A characteristic and what may be done with it.

    ``properties`` are of ``read``, ``write``, ``write-without-response``, ``notify`` and ``indicate``.
    """

    uuid: str
    properties: frozenset[str]


@dataclass(frozen=True, slots=True)
class Service:
    """A service and its characteristics."""

    uuid: str
    characteristics: tuple[Characteristic, ...]


@dataclass(frozen=True, slots=True)
class Notification:
    """A value that the device sends, and the ECG samples in it."""

    characteristic: str
    data: bytes
    samples: int = 0


class GattEmulator(Protocol):
    """A virtual Bluetooth LE device. Times are seconds of one monotonic clock, whichever it is."""

    name: str
    services: tuple[Service, ...]
    advertised: tuple[str, ...]
    """UUIDs of the services in its advertisement."""

    def read(self, characteristic: str, now_s: float) -> bytes:
        """Return a value; AttError when it may not be read."""
        ...

    def write(self, characteristic: str, data: bytes, now_s: float) -> None:
        """Take a value; AttError when it may not be written."""
        ...

    def subscribe(self, characteristic: str, on: bool, now_s: float) -> None:
        """Switch notifications on or off; AttError when that is not allowed."""
        ...

    def pair(self, now_s: float) -> None:
        """Make a bond; AttError when the device does not want one."""
        ...

    def notifications(self, now_s: float) -> list[Notification]:
        """Return what it has sent up to now and was not returned before."""
        ...

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send; None when only the host can change that."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the device has hung up."""
        ...

    def link_lost(self) -> None:
        """React to a host that has gone."""
        ...


def characteristics(device: GattEmulator) -> frozenset[str]:
    """Return the UUIDs of all its characteristics."""
    return frozenset(one.uuid for service in device.services for one in service.characteristics)


class TunnelEmulator:
    """A virtual Bluetooth LE device behind a byte stream, over the records of :mod:`gatt_wire`.

    So ``sim:`` addresses, ptys and faults have it as they have any other. One unit is one record.
    """

    def __init__(self, device: GattEmulator) -> None:
        self.device = device
        self._reader = RecordReader()
        self._answers: list[Unit] = []

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send."""
        return float("-inf") if self._answers else self.device.next_due_s

    @property
    def recording_over(self) -> bool:
        """Whether it has hung up because its signal is over."""
        return bool(getattr(self.device, "recording_over", False))

    @property
    def streams(self) -> int:
        """How often its ECG was begun."""
        return int(getattr(self.device, "streams", 0))

    @property
    def fs_hz(self) -> float:
        """The rate that it takes for its own; 0 where it does not tell."""
        return float(getattr(self.device, "fs_hz", 0.0))

    @property
    def ended(self) -> bool:
        """Whether it has hung up."""
        return self.device.ended and not self._answers

    def receive(self, data: bytes, now_s: float) -> None:
        """Take records in any pieces."""
        for message in self._reader.feed(data):
            if isinstance(message, Connect | Pair | Subscribe | Unsubscribe | Read | Write):
                self._answers.append(Unit(encode(answer(self.device, message, now_s))))

    def units(self, now_s: float) -> list[Unit]:
        """Return the answers and the values due by now."""
        answers, self._answers = self._answers, []
        values = self.device.notifications(now_s)
        return answers + [Unit(encode(Value(one.characteristic, one.data)), one.samples) for one in values]

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return the same, joined."""
        return b"".join(unit.data for unit in self.units(now_s))

    def link_lost(self) -> None:
        """Tell the device that its host has gone."""
        self._answers.clear()
        self._reader = RecordReader()
        self.device.link_lost()


def answer(device: GattEmulator, action: Action, now_s: float) -> Connected | Done | Refused:
    """Let a device do what a host asks."""
    if isinstance(action, Connect):
        return Connected(characteristics(device), device.name)
    uuid = "" if isinstance(action, Pair) else action.characteristic
    try:
        match action:
            case Pair():
                device.pair(now_s)
            case Subscribe() | Unsubscribe():
                device.subscribe(uuid, isinstance(action, Subscribe), now_s)
            case Read():
                return Done(uuid, device.read(uuid, now_s))
            case Write(_, data, _):
                device.write(uuid, data, now_s)
    except AttError as error:
        return Refused(uuid, error.code, f"Operation failed with {error}")
    return Done(uuid)
