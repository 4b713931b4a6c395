"""A virtual Bluetooth LE device behind something: what a host does reaches the device itself."""

from __future__ import annotations

from .gatt import GattEmulator, Service


class GattRelay:
    """Passes on to a device what a host does, and says of itself what the device says.

    The base of what stands between a device and the host; a subclass gives ``notifications``, ``next_due_s``,
    ``ended`` and ``link_lost``, and with them is a :class:`edge_ecg_bridge.emulators.gatt.GattEmulator`.

    Parameters
    ----------
    device:
        The device.

    """

    def __init__(self, device: GattEmulator) -> None:
        self.device = device
        self.name = device.name
        self.services: tuple[Service, ...] = device.services
        self.advertised: tuple[str, ...] = device.advertised

    @property
    def recording_over(self) -> bool:
        """Whether it has hung up because its signal is over."""
        return bool(getattr(self.device, "recording_over", False))

    def read(self, characteristic: str, now_s: float) -> bytes:
        """Ask the device."""
        return self.device.read(characteristic, now_s)

    def write(self, characteristic: str, data: bytes, now_s: float) -> None:
        """Tell the device."""
        self.device.write(characteristic, data, now_s)

    def subscribe(self, characteristic: str, on: bool, now_s: float) -> None:
        """Tell the device."""
        self.device.subscribe(characteristic, on, now_s)

    def pair(self, now_s: float) -> None:
        """Tell the device."""
        self.device.pair(now_s)
