"""One virtual sensor on the air for other programs of this machine, until it ends or is told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from edge_ecg_bridge.emulators import Emulator, TunnelEmulator
from edge_ecg_bridge.emulators.aired import AiredEmulator
from edge_ecg_bridge.emulators.gatt import GattEmulator

from ...errors import UsageError
from ..base import Clock
from ..hosting import Host
from .radio import BUS_VARIABLE, VirtualRadio

_POLL_S = 0.05
_GONE = ("DROPPED", "UNPLUGGED")


class BleHost(Host):
    """Serves one virtual Bluetooth LE device on a virtual radio.

    Parameters
    ----------
    emulator:
        The device, as ``sim:`` has it: a :class:`TunnelEmulator`, or one with named faults around it. Those
        of the radio take effect here: where its ``state`` says DROPPED the link breaks, where it says STALE
        the Bluetooth daemon dies; both come back.
    speed:
        Device seconds per second of ``clock``.
    on_change:
        Called with ``opened`` and ``closed`` when a host comes and goes.

    Attributes
    ----------
    port, bus_address:
        What to give to ``--port``, and what ``DBUS_SYSTEM_BUS_ADDRESS`` must be for it.

    Raises
    ------
    DeviceError
        When a part of the virtual radio is missing.
    UsageError
        When the device is none for Bluetooth LE.

    """

    def __init__(
        self,
        emulator: Emulator,
        *,
        speed: float = 1.0,
        clock: Clock = time.monotonic,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(emulator, on_change)
        self._connected = False
        self._away = ""
        device = on_the_air(emulator)
        self._radio = VirtualRadio([device], speed=speed, clock=clock)
        self.port = f"ble:{device.name}"
        self.bus_address = self._radio.bus_address

    @property
    def command(self) -> str:
        """The command that opens it."""
        return f"{BUS_VARIABLE}={self.bus_address} edge-ecg run --port '{self.port}'"

    def serve(self) -> str:
        """Serve until the end and say why it came: ``recording over``, ``unplugged`` or ``stopped``."""
        while not self._stop.wait(_POLL_S):
            self._watch_host()
            self._watch_link()
            if self._emulator.ended:
                return self._why_ended()
        return "stopped"

    def close(self) -> None:
        """Switch the radio off; may be called twice."""
        self._radio.close()

    def _watch_host(self) -> None:
        connected = self._radio.peripherals[0].connected
        if connected != self._connected:
            self._connected = connected
            self._on_change("opened" if connected else "closed")

    def _watch_link(self) -> None:
        """Do to the radio what the device's faults want."""
        state = getattr(self._emulator, "state", None)
        away = "" if state is None else str(state(self._radio.now()).name)
        if away == self._away:
            return
        before, self._away = self._away, away
        sensor = self._radio.peripherals[0]
        with suppress(TimeoutError):
            if before == "STALE":
                self._radio.run(self._radio.bluez.come_back())
            elif before in _GONE:
                self._radio.run(sensor.advertise())
            if away in _GONE:
                self._radio.run(sensor.drop_link(advertise=False))
            elif away == "STALE":
                self._radio.run(self._radio.bluez.die())


def on_the_air(emulator: Emulator) -> GattEmulator:
    """Return a device that ``sim:`` has behind a byte stream as one for the air; UsageError for another."""
    if isinstance(emulator, TunnelEmulator):
        return emulator.device
    inner = getattr(emulator, "device", None)
    if isinstance(inner, TunnelEmulator):
        return AiredEmulator(inner.device, emulator)
    raise UsageError(
        "This virtual device speaks no Bluetooth LE.",
        remedy="Choose polar-h10, movesense or ganglion, or leave --ble out.",
    )
