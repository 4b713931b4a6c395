"""A small ``org.bluez`` on a private D-Bus: what bleak and its kin use of one, over bumble's virtual radio.

After the D-Bus API documents of BlueZ (doc/org.bluez.Adapter.rst, …Device.rst, …GattCharacteristic.rst); the
names of errors are those that bleak reads.
"""

from __future__ import annotations

from typing import Any

from bumble.core import AdvertisingData, ProtocolError
from bumble.device import Advertisement, Connection, Peer
from bumble.link import LocalLink
from dbus_fast import Variant

from .characteristics import GATT_CHARACTERISTIC, BluezCharacteristics, Remote, long_uuid
from .objects import Answer, BusError, Handlers
from .peripheral import on_the_air

SERVICE = "org.bluez"
ADAPTER_PATH = "/org/bluez/hci0"
ADAPTER, DEVICE, GATT_SERVICE = "org.bluez.Adapter1", "org.bluez.Device1", "org.bluez.GattService1"
_ADDRESS = "F0:F0:F0:F0:F0:F0"
_MTU = 517
ABORTED = "le-connection-abort-by-local"
_RANDOM_SUFFIX = "/P"


class MiniBluez(BluezCharacteristics):
    """Owns ``org.bluez`` on a bus; everything happens in the loop that made it.

    Parameters
    ----------
    link:
        The virtual radio.
    bus_address:
        The private bus.

    Attributes
    ----------
    connect_errors:
        What the next calls of Connect fail with, one after the other: (error name, text). The text
        ``le-connection-abort-by-local`` behaves as in BlueZ: the link comes and goes first.

    """

    def __init__(self, link: LocalLink, bus_address: str) -> None:
        super().__init__(bus_address, SERVICE)
        self.connect_errors: list[tuple[str, str]] = []
        self._central = on_the_air(link, "hci0", _ADDRESS)
        self._discovering = False
        self._flicker = 0
        self._objects = {
            ADAPTER_PATH: {
                ADAPTER: {
                    "Address": Variant("s", _ADDRESS),
                    "Name": Variant("s", "virtual"),
                    "Alias": Variant("s", "virtual"),
                    "Powered": Variant("b", True),
                    "Discovering": Variant("b", False),
                    "Roles": Variant("as", ["central", "peripheral"]),
                    "UUIDs": Variant("as", []),
                }
            }
        }

    # -- switching -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Power the adapter and take the name ``org.bluez``."""
        self._central.on(self._central.EVENT_ADVERTISEMENT, self._heard)
        await self._central.power_on()
        await self.come_back()

    async def die(self) -> None:
        """Leave the bus without a word, as a daemon that was killed; links end with it."""
        await self._leave()
        for remote in self._remotes.values():
            if remote.connection is not None:
                await remote.connection.disconnect()
        if self._discovering:
            self._discovering = False
            await self._central.stop_scanning()
        self._remotes.clear()
        self._objects = {ADAPTER_PATH: self._objects[ADAPTER_PATH]}

    async def set_powered(self, on: bool) -> None:
        """Switch the adapter; switching it off ends all links."""
        if not on:
            for remote in self._remotes.values():
                if remote.connection is not None:
                    await remote.connection.disconnect()
        self._set(ADAPTER_PATH, ADAPTER, {"Powered": Variant("b", on)})

    def _handlers(self) -> Handlers:
        return {
            ADAPTER: {
                "SetDiscoveryFilter": self._nothing,
                "StartDiscovery": self._start_discovery,
                "StopDiscovery": self._stop_discovery,
                "RemoveDevice": self._remove_device,
            },
            DEVICE: {"Connect": self._connect, "Disconnect": self._disconnect, "Pair": self._pair},
            GATT_CHARACTERISTIC: {
                "ReadValue": self._read,
                "WriteValue": self._write,
                "StartNotify": self._start_notify,
                "StopNotify": self._stop_notify,
            },
        }

    async def _nothing(self, path: str, *_: Any) -> Answer:
        return "", []

    # -- adapter ---------------------------------------------------------------------------------------

    def _check_powered(self) -> None:
        if not self._objects[ADAPTER_PATH][ADAPTER]["Powered"].value:
            raise BusError("NotReady", "Resource Not Ready")

    async def _start_discovery(self, path: str) -> Answer:
        self._check_powered()
        if not self._discovering:
            self._discovering = True
            await self._central.start_scanning(filter_duplicates=False)
        self._set(ADAPTER_PATH, ADAPTER, {"Discovering": Variant("b", True)})
        return "", []

    async def _stop_discovery(self, path: str) -> Answer:
        if self._discovering:
            self._discovering = False
            await self._central.stop_scanning()
        self._set(ADAPTER_PATH, ADAPTER, {"Discovering": Variant("b", False)})
        return "", []

    async def _remove_device(self, path: str, device: str) -> Answer:
        remote = self._remotes.get(device)
        if remote is None:
            raise BusError("DoesNotExist", "Does Not Exist")
        if remote.connection is not None:
            await remote.connection.disconnect()
        await self.forget(device)
        return "", []

    async def forget(self, device: str | None = None) -> None:
        """Forget a device (all, when None is named), as BlueZ does some time after a scan."""
        for path in [device] if device is not None else list(self._remotes):
            del self._remotes[path]
            self._remove(path)

    def _heard(self, advertisement: Advertisement) -> None:
        if not self._discovering or self._bus is None:
            return
        address = str(advertisement.address).removesuffix(_RANDOM_SUFFIX)
        path = f"{ADAPTER_PATH}/dev_{address.replace(':', '_')}"
        self._flicker = 1 - self._flicker  # an RSSI that does not change is not signalled
        rssi = Variant("n", -60 - self._flicker)
        if path in self._remotes:
            self._set(path, DEVICE, {"RSSI": rssi})
            return
        self._remotes[path] = Remote(path, advertisement.address)
        name = advertisement.data.get(AdvertisingData.Type.COMPLETE_LOCAL_NAME)
        uuids: list[str] = []
        for kind in (
            AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
            AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        ):
            uuids += [long_uuid(uuid) for uuid in advertisement.data.get(kind) or ()]
        properties = {
            "Address": Variant("s", address),
            "AddressType": Variant("s", "random"),
            "Alias": Variant("s", str(name or address.replace(":", "-"))),
            "Adapter": Variant("o", ADAPTER_PATH),
            "Paired": Variant("b", False),
            "Trusted": Variant("b", False),
            "Connected": Variant("b", False),
            "ServicesResolved": Variant("b", False),
            "UUIDs": Variant("as", uuids),
            "RSSI": rssi,
        }
        if name:
            properties["Name"] = Variant("s", str(name))
        self._add(path, DEVICE, properties)

    # -- device ----------------------------------------------------------------------------------------

    async def _connect(self, path: str) -> Answer:
        self._check_powered()
        remote = self._remotes[path]
        if self.connect_errors:
            name, text = self.connect_errors.pop(0)
            if text == ABORTED:
                self._set(path, DEVICE, {"Connected": Variant("b", True)})
                self._set(path, DEVICE, {"Connected": Variant("b", False)})
            raise BusError(name, text)
        if remote.connection is None:
            remote.connection = await self._central.connect(remote.address)
            remote.connection.on(remote.connection.EVENT_DISCONNECTION, lambda *_: self._link_lost(remote))
            self._set(path, DEVICE, {"Connected": Variant("b", True)})
            self._begin(self._resolve(remote, remote.connection))
        return "", []

    async def _resolve(self, remote: Remote, connection: Connection) -> None:
        peer = Peer(connection)
        await peer.request_mtu(_MTU)
        await peer.discover_all()
        for service in peer.services:
            service_path = f"{remote.path}/service{service.handle:04x}"
            self._add(
                service_path,
                GATT_SERVICE,
                {
                    "UUID": Variant("s", long_uuid(service.uuid)),
                    "Device": Variant("o", remote.path),
                    "Primary": Variant("b", True),
                    "Includes": Variant("ao", []),
                },
            )
            for one in service.characteristics:
                one_path = f"{service_path}/char{one.handle:04x}"
                remote.characteristics[one_path] = one
                flags = str(one.properties).lower().replace("_", "-").split("|")
                self._add(
                    one_path,
                    GATT_CHARACTERISTIC,
                    {
                        "UUID": Variant("s", long_uuid(one.uuid)),
                        "Service": Variant("o", service_path),
                        "Value": Variant("ay", b""),
                        "Notifying": Variant("b", False),
                        "Flags": Variant("as", flags),
                        "MTU": Variant("q", connection.att_mtu),
                    },
                )
        uuids = [long_uuid(service.uuid) for service in peer.services]
        self._set(remote.path, DEVICE, {"UUIDs": Variant("as", uuids)})
        self._set(remote.path, DEVICE, {"ServicesResolved": Variant("b", True)})

    def _link_lost(self, remote: Remote) -> None:
        remote.connection = None
        remote.listeners.clear()
        if self._bus is None or remote.path not in self._objects:
            return
        self._set(remote.path, DEVICE, {"ServicesResolved": Variant("b", False)})
        self._set(remote.path, DEVICE, {"Connected": Variant("b", False)})
        children = [path for path in self._objects if path.startswith(f"{remote.path}/")]
        for path in sorted(children, key=len, reverse=True):
            self._remove(path)
        remote.characteristics.clear()

    async def _disconnect(self, path: str) -> Answer:
        connection = self._remotes[path].connection
        if connection is not None:
            await connection.disconnect()
        return "", []

    async def _pair(self, path: str) -> Answer:
        connection = self._remotes[path].connection
        if connection is None:
            await self._connect(path)
            connection = self._remotes[path].connection
        assert connection is not None
        try:
            await connection.pair()
        except (ProtocolError, TimeoutError):
            raise BusError("AuthenticationFailed", "Authentication Failed") from None
        self._set(path, DEVICE, {"Paired": Variant("b", True)})
        return "", []
