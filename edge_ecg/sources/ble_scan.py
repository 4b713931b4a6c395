"""Finding one Bluetooth LE device by its address or by the beginning of its name."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from edge_ecg_bridge.gatt_kinds import SERVICES

from . import ble_faults

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

LISTEN_S = 12.0
# After the first device whose name begins as wanted, others may follow.
SETTLE_S = 1.5
_ANSWER_S = 10.0
# A Bluetooth address, or the UUID that macOS gives in its place.
_ADDRESS = re.compile(
    r"([0-9A-F]{2}:){5}[0-9A-F]{2}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE
)


def is_address(target: str) -> bool:
    """Whether ``target`` is a device's address and not a name."""
    return _ADDRESS.fullmatch(target) is not None


async def find_device(
    target: str, *, adapter: str | None = None, listen_s: float = LISTEN_S, settle_s: float = SETTLE_S
) -> BLEDevice:
    """Listen until the device is heard; the scanner is off when this returns.

    A whole name is taken at once; of names that only begin so there must be one. A device that is connected
    to this machine already, by a program that died, does not advertise: it is found all the same. ``adapter``
    is BlueZ's name of the one to listen with, such as ``hci1``; None for the first.

    Raises
    ------
    DeviceError
        When none or several fit, or Bluetooth cannot be used.

    """
    heard: dict[str, tuple[BLEDevice, str]] = {}
    exact, begins = asyncio.Event(), asyncio.Event()
    wanted = target.casefold()

    def seen(device: BLEDevice, advertisement: AdvertisementData) -> None:
        name = advertisement.local_name or device.name or ""
        heard[device.address] = (device, name)
        if wanted in (device.address.casefold(), name.casefold()):
            exact.set()
        if name.casefold().startswith(wanted):
            begins.set()

    try:
        from bleak import BleakScanner

        # A D-Bus that takes the call and never answers would otherwise hold us for ever.
        async with asyncio.timeout(listen_s + settle_s + _ANSWER_S):
            async with BleakScanner(seen, bluez={"adapter": adapter} if adapter else {}):
                await _first(exact, begins, timeout_s=listen_s)
                if begins.is_set() and not exact.is_set():
                    await _first(exact, timeout_s=settle_s)
            if not (exact.is_set() or begins.is_set()):
                heard |= await _connected()
    except Exception as error:  # whatever a backend raises, nobody could listen
        raise ble_faults.explain(error) from None
    return _choose(target, heard, listen_s)


async def _connected() -> dict[str, tuple[BLEDevice, str]]:
    """The devices of known kinds that are connected to this machine; bleak before 3.1 cannot tell."""
    import bleak

    if not hasattr(bleak, "BleakAdapter"):
        return {}
    adapter = await bleak.BleakAdapter.get()
    devices = await adapter.get_connected_devices(list(SERVICES))
    return {device.address: (device, device.name or "") for device in devices}


def _choose(target: str, heard: dict[str, tuple[BLEDevice, str]], listen_s: float) -> BLEDevice:
    wanted = target.casefold()
    for address, (device, _) in heard.items():
        if address.casefold() == wanted:
            return device
    named = {address: name for address, (_, name) in heard.items() if name}
    fitting = [address for address, name in named.items() if name.casefold() == wanted]
    fitting = fitting or [address for address, name in named.items() if name.casefold().startswith(wanted)]
    if is_address(target) or not fitting:
        raise ble_faults.not_heard(target, sorted(set(named.values())), listen_s)
    if len(fitting) > 1:
        raise ble_faults.several(target, [(address, named[address]) for address in fitting])
    return heard[fitting[0]][0]


async def _first(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait for the first of some events, so long at most."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
