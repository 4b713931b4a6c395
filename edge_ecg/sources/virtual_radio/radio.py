"""Virtual sensors, bus and BlueZ together, in a thread of their own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self, TypeVar

from edge_ecg_bridge.emulators.gatt import GattEmulator

from ...errors import DeviceError
from ..base import Clock
from ..radio_loop import RadioLoop
from .bus import PrivateBus, find_daemon

if TYPE_CHECKING:
    from .bluez import MiniBluez
    from .peripheral import VirtualPeripheral

_T = TypeVar("_T")
BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
_START_S = 20.0
_END_S = 10.0


def missing_parts() -> str:
    """Return what this machine lacks for a virtual radio, in words; empty when nothing."""
    if sys.platform != "linux":
        return "The virtual radio needs Linux."
    if find_daemon() is None:
        return "There is no dbus-daemon (sudo apt install dbus-daemon)."
    for package in ("bumble", "dbus_fast", "bleak"):
        if find_spec(package) is None:
            return f"The Python package {package} is not installed (pip install {package})."
    return ""


class VirtualRadio:
    """Some virtual sensors on the air, and the bus on which programs find them.

    Parameters
    ----------
    emulators:
        The sensors; their addresses are F0:00:00:00:00:01 and so on.
    speed:
        Device seconds per second of ``clock``.
    clock:
        Monotonic seconds.

    Attributes
    ----------
    bus_address:
        What programs need as ``DBUS_SYSTEM_BUS_ADDRESS``.
    bluez, peripherals:
        The parts; they live in the radio's loop, so call their coroutines through :meth:`run`.

    Raises
    ------
    DeviceError
        When a part is missing on this machine.

    """

    bluez: MiniBluez
    peripherals: list[VirtualPeripheral]

    def __init__(
        self, emulators: Sequence[GattEmulator], *, speed: float = 1.0, clock: Clock = time.monotonic
    ) -> None:
        missing = missing_parts()
        if missing:
            raise DeviceError("There can be no virtual radio here.", why=missing)
        self._speed, self._clock = speed, clock
        self._begin_s = clock()
        self._before: str | None = None
        self._closed = False
        self._bus = PrivateBus()
        self.bus_address = self._bus.address
        self._loop = RadioLoop()
        self.peripherals = []
        try:
            self._loop.run(self._start(emulators), _START_S)
        except BaseException:
            self.close()
            raise

    def now(self) -> float:
        """Return the sensors' time; give it to a client as its clock where ``speed`` is not 1."""
        return (self._clock() - self._begin_s) * self._speed

    def run(self, work: Coroutine[Any, Any, _T], timeout_s: float = _END_S) -> _T:
        """Do ``work`` in the radio's loop, from another thread."""
        return self._loop.run(work, timeout_s)

    def use(self) -> None:
        """Let this very process find the bus, until the radio is closed."""
        self._before = os.environ.get(BUS_VARIABLE, "")
        os.environ[BUS_VARIABLE] = self.bus_address

    def close(self) -> None:
        """Switch everything off; may be called twice."""
        if self._before is not None:
            os.environ.pop(BUS_VARIABLE, None)
            if self._before:
                os.environ[BUS_VARIABLE] = self._before
            self._before = None
        if self._closed:
            return
        self._closed = True
        with suppress(Exception):
            self._loop.run(self._end(), _END_S)
        self._loop.end()
        self._bus.close()

    async def _start(self, emulators: Sequence[GattEmulator]) -> None:
        from bumble.link import LocalLink

        from .bluez import MiniBluez
        from .peripheral import VirtualPeripheral

        link = LocalLink()
        self.bluez = MiniBluez(link, self.bus_address)
        for number, emulator in enumerate(emulators, 1):
            address = f"F0:00:00:00:{number >> 8:02X}:{number & 0xFF:02X}"
            one = VirtualPeripheral(
                link, emulator, address, now=self.now, wait_s=lambda seconds: seconds / self._speed
            )
            self.peripherals.append(one)
            await one.power_on()
        await self.bluez.start()

    async def _end(self) -> None:
        await asyncio.gather(*(one.power_off() for one in self.peripherals), return_exceptions=True)
        if hasattr(self, "bluez"):
            await self.bluez.die()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
