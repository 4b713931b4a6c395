"""``ble:`` addresses: Bluetooth LE sensors, by name or by address."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_ecg_bridge.gatt import GattSession
from edge_ecg_bridge.gatt_kinds import UART, ChoosingSession
from edge_ecg_bridge.gatt_pipe import PipeSession
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.stream import Session
from edge_ecg_bridge.uart_board import UartBoardSession

from ..errors import DeviceError, UsageError
from . import ble_faults
from .address import Address
from .base import Clock
from .ble_kinds import GATT_KINDS
from .ble_link import BleLink
from .ble_scan import find_device
from .kinds import KINDS, options_of, session_for
from .radio_loop import radio_loop
from .reconnect import OPTION, wants_reconnect
from .session_source import SessionSource

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

# Kinds that a device behind Bluetooth LE may be; those beside the GATT ones speak through a serial line.
BLE_KINDS = tuple(dict.fromkeys((*GATT_KINDS, *KINDS)))

_OWN_OPTIONS = frozenset(("adapter", OPTION))


def gatt_session_for(kind: str, address: Address) -> GattSession:
    """Make the session of a kind from the options of an address; UsageError when one makes no sense."""
    if kind in GATT_KINDS:
        return GATT_KINDS[kind][0](address)
    if kind != UART:
        return PipeSession(session_for(kind, address))

    def choose(board: str) -> Session:
        address.require_known(ble_options(board) | _OWN_OPTIONS)
        return session_for(board, address)

    return PipeSession(UartBoardSession(choose))


def ble_options(kind: str | None) -> frozenset[str]:
    """Return the options that a kind reads over Bluetooth LE; those of all kinds when it is not known yet."""
    if kind is None or kind == UART:
        return options_of(None).union(*(options for _, options in GATT_KINDS.values()))
    return GATT_KINDS[kind][1] if kind in GATT_KINDS else options_of(kind)


class BleDoor:
    """Opens links to one device, again and again.

    The first time the device is looked for by the name or address that the user gave, later by the address
    that was found, and only when that is asked for, when the Bluetooth daemon has forgotten it, or when the
    last link fell silent without an end: bleak goes on believing in what a daemon that died had told it.

    Parameters
    ----------
    address:
        A ``ble:`` address.
    device:
        Its kind, or None to find out from what it offers.
    clock:
        Monotonic seconds.
    find:
        Looks for a device; for tests.

    Raises
    ------
    UsageError
        When the kind or an option makes no sense.

    """

    def __init__(
        self,
        address: Address,
        *,
        device: str | None = None,
        clock: Clock = time.monotonic,
        find: Callable[[str], BLEDevice] | None = None,
    ) -> None:
        if not address.target.strip():
            raise UsageError(
                "The address ble: names no device.",
                remedy="Give a name or an address, such as 'ble:Polar H10'; edge-ecg devices lists them.",
            )
        if device is not None and device.lower() not in BLE_KINDS:
            raise UsageError(
                f"There is no Bluetooth LE device kind {device!r}.",
                remedy=f"Choose one of {', '.join(BLE_KINDS)}, or leave --device out to find out.",
            )
        self._address = address
        self._kind = device.lower() if device is not None else None
        address.require_known(ble_options(self._kind) | _OWN_OPTIONS)
        if self._kind is not None:
            self._choose(self._kind)  # a wrong option is found before the radio is touched
        self._clock = clock
        self._find = find or self._listen
        self._wanted = address.target
        self._found: BLEDevice | None = None
        self._link: BleLink | None = None

    def connect(self, rescan: bool = False) -> tuple[BleLink, TunnelSession]:
        """Make a link and a session for it; ``rescan`` looks for the device anew.

        Raises
        ------
        DeviceError
            When the device is not heard or no link comes about.

        """
        if rescan or (self._link is not None and not self._link.lost):
            self._found = None
        known = self._found is not None
        if self._found is None:
            self._found = self._find(self._wanted)
            self._wanted = self._found.address
        name = self._found.name or self._address.target
        try:
            self._link = BleLink(self._found, name, clock=self._clock)
        except DeviceError as error:
            self._link = None
            if known and ble_faults.is_forgotten(error.__cause__):
                return self.connect(rescan=True)
            raise
        return self._link, TunnelSession(self._session())

    def _session(self) -> GattSession:
        return ChoosingSession(self._choose) if self._kind is None else self._choose(self._kind)

    def _listen(self, target: str) -> BLEDevice:
        return radio_loop().run(find_device(target, adapter=self._address.options.get("adapter")))

    def _choose(self, kind: str) -> GattSession:
        self._address.require_known(ble_options(kind) | _OWN_OPTIONS)
        return gatt_session_for(kind, self._address)


def open_ble(address: Address, *, device: str | None = None, clock: Clock = time.monotonic) -> SessionSource:
    """Open a Bluetooth LE sensor.

    Raises
    ------
    UsageError
        When ``device`` or an option is unknown.
    DeviceError
        When Bluetooth cannot be used, the device is not in range, or it is no ECG sensor that edge-ecg knows.

    """
    door = BleDoor(address, device=device, clock=clock)
    again = wants_reconnect(address)
    link, session = door.connect()
    return SessionSource(address, link, session, clock=clock, connect=door.connect if again else None)
