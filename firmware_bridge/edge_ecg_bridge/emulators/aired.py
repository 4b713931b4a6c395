"""A virtual Bluetooth LE device on the air whose values pass through a faulty link on their way."""

from __future__ import annotations

from typing import Protocol

from ..gatt import Value
from ..gatt_wire import RecordReader
from .base import Unit
from .gatt import GattEmulator, Notification
from .gatt_relay import GattRelay


class Passage(Protocol):
    """What harms values: an emulator around a :class:`TunnelEmulator`, such as one with named faults."""

    def units(self, now_s: float) -> list[Unit]:
        """Return the records that come through."""
        ...

    def link_lost(self) -> None:
        """Lose what is on its way, and tell the device."""
        ...

    @property
    def next_due_s(self) -> float | None:
        """When there will be more."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the device has hung up."""
        ...


class AiredEmulator(GattRelay):
    """See :class:`edge_ecg_bridge.emulators.gatt.GattEmulator`.

    What a host does reaches the device itself; what the device sends by itself takes the passage. A value
    that was damaged there does not arrive, as on a radio, whose packets carry a checksum.

    Parameters
    ----------
    device:
        The device at the passage's far end.
    passage:
        What its values go through.

    """

    def __init__(self, device: GattEmulator, passage: Passage) -> None:
        super().__init__(device)
        self.passage = passage
        self._reader = RecordReader()

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send."""
        return self.passage.next_due_s

    @property
    def ended(self) -> bool:
        """Whether the device has hung up."""
        return self.passage.ended

    def link_lost(self) -> None:
        """Tell the passage, which tells the device."""
        self._reader = RecordReader()
        self.passage.link_lost()

    def notifications(self, now_s: float) -> list[Notification]:
        """Return what comes through."""
        values = []
        for unit in self.passage.units(now_s):
            found = [one for one in self._reader.feed(unit.data) if isinstance(one, Value)]
            values += [Notification(one.characteristic, one.data, unit.samples) for one in found]
        return values
