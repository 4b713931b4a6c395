"""A virtual sensor on bumble's virtual radio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from bumble import att, data_types, gatt
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

from edge_ecg_bridge.emulators.gatt import AttError, GattEmulator, Notification

_PROPERTIES = {
    "read": gatt.Characteristic.Properties.READ,
    "write": gatt.Characteristic.Properties.WRITE,
    "write-without-response": gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
    "notify": gatt.Characteristic.Properties.NOTIFY,
    "indicate": gatt.Characteristic.Properties.INDICATE,
}
_ADVERTISEMENT_BYTES = 31
_INTERVAL_MS = 20.0
_POLL_S = 0.02


def on_the_air(link: LocalLink, name: str, address: str) -> Device:
    """Make a bumble device with a controller of its own on the virtual radio."""
    controller = Controller(name, link=link)
    host = Host(controller, AsyncPipeSink(controller))
    return Device(name=name, address=Address(address), host=host)


class VirtualPeripheral:
    """Puts one virtual Bluetooth LE device on the air; everything happens in the loop that made it.

    Parameters
    ----------
    link:
        The virtual radio.
    emulator:
        The device.
    address:
        Its Bluetooth address.
    now:
        The device's time.
    wait_s:
        Seconds of that time -> seconds to sleep.

    """

    def __init__(
        self,
        link: LocalLink,
        emulator: GattEmulator,
        address: str,
        *,
        now: Callable[[], float],
        wait_s: Callable[[float], float],
    ) -> None:
        self.emulator = emulator
        self.address = address
        self._now, self._wait_s = now, wait_s
        self._device = on_the_air(link, emulator.name, address)
        self._connection: Connection | None = None
        self._characteristics: dict[str, gatt.Characteristic[bytes]] = {}
        self._news = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._readvertising: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether a host has a link to it."""
        return self._connection is not None

    async def power_on(self) -> None:
        """Begin to advertise."""
        for service in self.emulator.services:
            ones = []
            for characteristic in service.characteristics:
                uuid, wanted = characteristic.uuid, characteristic.properties
                flags = gatt.Characteristic.Properties(0)
                for word in wanted:
                    flags |= _PROPERTIES[word]
                one: gatt.Characteristic[bytes] = gatt.Characteristic(
                    UUID(uuid),
                    flags,
                    att.Attribute.READABLE | att.Attribute.WRITEABLE,
                    gatt.CharacteristicValue(
                        read=partial(self._read, uuid), write=partial(self._write, uuid)
                    ),
                )
                one.on(one.EVENT_SUBSCRIPTION, partial(self._subscribed, uuid))
                self._characteristics[uuid] = one
                ones.append(one)
            self._device.add_service(gatt.Service(UUID(service.uuid), ones))
        self._device.on(self._device.EVENT_CONNECTION, self._connected)
        await self._device.power_on()
        await self.advertise()
        self._pump = asyncio.create_task(self._run())

    async def power_off(self) -> None:
        """Vanish: break the link and advertise no more."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        await self.drop_link(advertise=False)

    async def drop_link(self, *, advertise: bool = True) -> None:
        """Break the link, and advertise again or no more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self.emulator.link_lost()
            await connection.disconnect()
        if advertise:
            await self.advertise()
        elif self._device.is_advertising:
            await self._device.stop_advertising()

    async def advertise(self) -> None:
        """Let itself be heard, if it is not already."""
        if self._device.is_advertising:
            return
        parts: list[Any] = [
            data_types.Flags(AdvertisingData.Flags(0x06)),
            data_types.CompleteLocalName(self.emulator.name),
        ]
        for uuid in map(UUID, self.emulator.advertised):
            short = uuid.to_pdu_bytes()
            kind: Any = data_types.CompleteListOf128BitServiceUUIDs
            if len(short) == 2:
                kind = data_types.CompleteListOf16BitServiceUUIDs
            if len(bytes(AdvertisingData([*parts, kind([uuid])]))) <= _ADVERTISEMENT_BYTES:
                parts.append(kind([uuid]))
        await self._device.start_advertising(
            advertising_data=bytes(AdvertisingData(parts)),
            advertising_interval_min=_INTERVAL_MS,
            advertising_interval_max=_INTERVAL_MS,
        )

    # -- what the host does ----------------------------------------------------------------------------

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        connection.on(connection.EVENT_DISCONNECTION, partial(self._disconnected, connection))
        connection.on(connection.EVENT_PAIRING, self._paired)

    def _disconnected(self, connection: Connection, *_: object) -> None:
        if self._connection is connection:
            self._connection = None
            self.emulator.link_lost()
            self._readvertising = asyncio.ensure_future(self._advertise_again())

    async def _advertise_again(self) -> None:
        if self._pump is not None and not self._pump.done():
            await self.advertise()

    def _paired(self, *_: object) -> None:
        self.emulator.pair(self._now())

    def _read(self, uuid: str, _: object) -> bytes:
        try:
            return self.emulator.read(uuid, self._now())
        except AttError as error:
            raise att.ATT_Error(att.ErrorCode(error.code)) from None

    def _write(self, uuid: str, _: object, value: bytes) -> None:
        try:
            self.emulator.write(uuid, value, self._now())
        except AttError as error:
            raise att.ATT_Error(att.ErrorCode(error.code)) from None
        finally:
            self._news.set()

    def _subscribed(self, uuid: str, _: object, notify: bool, indicate: bool) -> None:
        try:
            self.emulator.subscribe(uuid, notify or indicate, self._now())
        except AttError:
            return
        self._news.set()

    # -- what the device sends -------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self.emulator.ended:
            await self._wait()
            for one in self.emulator.notifications(self._now()):
                await self._send(one)
            breaks = getattr(self.emulator, "take_link_drop", None)
            if breaks is not None and breaks():
                await self.drop_link()
        await self.drop_link(advertise=False)

    async def _wait(self) -> None:
        """Wait until something is due or the host did something."""
        due_s = self.emulator.next_due_s
        wait_s = _POLL_S if due_s is None else max(self._wait_s(due_s - self._now()), 0.0)
        self._news.clear()
        if wait_s > 0.0:
            try:
                async with asyncio.timeout(min(wait_s, _POLL_S)):
                    await self._news.wait()
            except TimeoutError:
                return
        else:
            await asyncio.sleep(0)

    async def _send(self, one: Notification) -> None:
        connection = self._connection
        if connection is None:
            return
        characteristic = self._characteristics[one.characteristic]
        if characteristic.properties & gatt.Characteristic.Properties.INDICATE:
            await self._device.indicate_subscriber(connection, characteristic, one.data)
        else:
            await self._device.notify_subscriber(connection, characteristic, one.data)
