"""Faults of the radio link to a virtual Bluetooth LE device, by the number of the ECG packet."""

from __future__ import annotations

from collections.abc import Collection

from .gatt import GattEmulator, Notification
from .gatt_relay import GattRelay


class FaultyLink(GattRelay):
    """A virtual device whose notifications suffer; see :class:`edge_ecg_bridge.emulators.gatt.GattEmulator`.

    ECG packets are numbered from 0 as the device makes them.

    Parameters
    ----------
    device:
        The device.
    lost, doubled, swapped:
        Packets that are dropped, sent twice, sent after the next one.
    silent:
        (begin, end) seconds during which nothing comes through; what was made meanwhile is dropped.
    drop_at:
        The packet after which the link breaks, once.

    Attributes
    ----------
    samples_lost:
        ECG samples in what was dropped.

    """

    def __init__(
        self,
        device: GattEmulator,
        *,
        lost: Collection[int] = (),
        doubled: Collection[int] = (),
        swapped: Collection[int] = (),
        silent: tuple[float, float] | None = None,
        drop_at: int | None = None,
    ) -> None:
        super().__init__(device)
        self.samples_lost = 0
        self._drops = False
        self._lost, self._doubled, self._swapped = lost, doubled, swapped
        self._silent = silent
        self._drop_at = drop_at
        self._number = 0
        self._held: list[Notification] = []

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send."""
        return self.device.next_due_s

    @property
    def ended(self) -> bool:
        """Whether the device has hung up."""
        return self.device.ended

    def link_lost(self) -> None:
        """Tell the device."""
        self._held.clear()
        self.device.link_lost()

    def notifications(self, now_s: float) -> list[Notification]:
        """Return what comes through."""
        out: list[Notification] = []
        for one in self.device.notifications(now_s):
            if self._silent is not None and self._silent[0] <= now_s < self._silent[1]:
                self.samples_lost += one.samples
                self._number += one.samples > 0
            elif one.samples:
                out += self._packet(one)
            else:
                out.append(one)
        return out

    def take_link_drop(self) -> bool:
        """Whether the link is to break now; true once."""
        drops, self._drops = self._drops, False
        return drops

    def _packet(self, packet: Notification) -> list[Notification]:
        number, self._number = self._number, self._number + 1
        if number == self._drop_at:
            self._drop_at, self._drops = None, True
        if number in self._lost:
            self.samples_lost += packet.samples
            return []
        if number in self._swapped:
            self._held.append(packet)
            return []
        held, self._held = self._held, []
        return [packet, *held, *([packet] if number in self._doubled else [])]
