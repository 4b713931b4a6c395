"""The characteristics of connected devices: the part of ``org.bluez`` that reads and writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bumble import att
from bumble.core import ProtocolError
from bumble.device import Connection
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from dbus_fast import Variant

from .objects import Answer, BusError, BusObjects

GATT_CHARACTERISTIC = "org.bluez.GattCharacteristic1"


@dataclass(slots=True)
class Remote:
    """A device that was heard."""

    path: str
    address: Address
    connection: Connection | None = None
    characteristics: dict[str, CharacteristicProxy[bytes]] = field(default_factory=dict)
    listeners: dict[str, Callable[[bytes], None]] = field(default_factory=dict)


class BluezCharacteristics(BusObjects):
    """Answers what is asked of characteristics; see :class:`.bluez.MiniBluez`, which finds the devices.

    Parameters
    ----------
    bus_address, service:
        The private bus, and the name to own there.

    """

    def __init__(self, bus_address: str, service: str) -> None:
        super().__init__(bus_address, service)
        self._remotes: dict[str, Remote] = {}

    def _characteristic(self, path: str) -> tuple[Remote, CharacteristicProxy[bytes]]:
        for remote in self._remotes.values():
            if path in remote.characteristics:
                return remote, remote.characteristics[path]
        raise BusError("NotConnected", "Not connected")

    async def _read(self, path: str, options: object) -> Answer:
        remote, one = self._characteristic(path)
        try:
            value = bytes(await one.read_value())
        except ProtocolError as error:
            raise _gatt_error(error) from None
        if path in remote.listeners:  # BlueZ signals a value that was read to those who listen, too
            self._set(path, GATT_CHARACTERISTIC, {"Value": Variant("ay", value)})
        return "ay", [value]

    async def _write(self, path: str, value: bytes, options: Mapping[str, Variant]) -> Answer:
        _, one = self._characteristic(path)
        with_response = "type" not in options or options["type"].value == "request"
        try:
            await one.write_value(bytes(value), with_response=with_response)
        except ProtocolError as error:
            raise _gatt_error(error) from None
        return "", []

    async def _start_notify(self, path: str) -> Answer:
        remote, one = self._characteristic(path)

        def listener(value: bytes) -> None:
            if path in self._objects:
                self._set(path, GATT_CHARACTERISTIC, {"Value": Variant("ay", bytes(value))})

        if path not in remote.listeners:
            remote.listeners[path] = listener
            try:
                await one.subscribe(listener, prefer_notify=True)
            except ProtocolError as error:
                del remote.listeners[path]
                raise _gatt_error(error) from None
        self._set(path, GATT_CHARACTERISTIC, {"Notifying": Variant("b", True)})
        return "", []

    async def _stop_notify(self, path: str) -> Answer:
        remote, one = self._characteristic(path)
        listener = remote.listeners.pop(path, None)
        if listener is not None:
            await one.unsubscribe(listener)
        self._set(path, GATT_CHARACTERISTIC, {"Notifying": Variant("b", False)})
        return "", []


def long_uuid(uuid: Any) -> str:
    """Return one of bumble's UUIDs in its full form, in lower case."""
    text = str(uuid.to_hex_str("-")).lower()
    return text if len(text) == 36 else f"0000{text[-4:]}-0000-1000-8000-00805f9b34fb"


def _gatt_error(error: ProtocolError) -> BusError:
    code = error.error_code or 0
    if code == att.ATT_READ_NOT_PERMITTED_ERROR:
        return BusError("NotPermitted", "Read not permitted")
    if code == att.ATT_WRITE_NOT_PERMITTED_ERROR:
        return BusError("NotPermitted", "Write not permitted")
    if code in (
        att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR,
        att.ATT_INSUFFICIENT_ENCRYPTION_ERROR,
        att.ATT_INSUFFICIENT_ENCRYPTION_KEY_SIZE_ERROR,
    ):
        return BusError("NotPermitted", "Not paired")
    if code == att.ATT_INSUFFICIENT_AUTHORIZATION_ERROR:
        return BusError("NotAuthorized", "Operation Not Authorized")
    return BusError("Failed", f"Operation failed with ATT error: 0x{code:02x}")
