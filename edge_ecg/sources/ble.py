"""``ble:`` addresses: Bluetooth LE sensors, by name or by address."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_ecg_bridge.gatt import GattSession
from edge_ecg_bridge.gatt_kinds import MOVESENSE, POLAR, ChoosingSession
from edge_ecg_bridge.gatt_pipe import PipeSession
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.movesense import MovesenseSession, MovesenseSettings
from edge_ecg_bridge.movesense.wire import ACCELERATION_RATES_HZ, ECG_RATES_HZ
from edge_ecg_bridge.polar import PolarSession, PolarSettings
from edge_ecg_bridge.stream import Session

from ..errors import DeviceError, UsageError
from . import ble_faults
from .address import Address
from .base import Clock
from .ble_link import BleLink
from .ble_scan import find_device
from .kinds import KINDS, options_of, session_for
from .radio_loop import radio_loop
from .session_source import SessionSource

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

_OFF = {"off": 0.0}
_ON_OFF = {"on": 1.0, "off": 0.0}

GATT_OPTIONS: dict[str, frozenset[str]] = {
    POLAR: frozenset(("acceleration", "pair")),
    MOVESENSE: frozenset(("rate", "acceleration")),
}
# Kinds that a device behind Bluetooth LE may be; those beside the GATT ones speak through a serial line.
BLE_KINDS = tuple(dict.fromkeys((*GATT_OPTIONS, *KINDS)))


def gatt_session_for(kind: str, address: Address) -> GattSession:
    """Make the session of a kind from the options of an address; UsageError when one makes no sense."""
    if kind == POLAR:
        return PolarSession(
            PolarSettings(
                acceleration_hz=round(
                    address.number("acceleration", 50.0, minimum=25, maximum=200, words=_OFF)
                ),
                pair=bool(address.number("pair", 0.0, minimum=0, maximum=1, words=_ON_OFF)),
            )
        )
    if kind == MOVESENSE:
        rate = round(address.number("rate", 0.0, minimum=min(ECG_RATES_HZ), maximum=max(ECG_RATES_HZ)))
        asked = round(address.number("acceleration", 52.0, minimum=13, maximum=1666, words=_OFF))
        nearest = min(ACCELERATION_RATES_HZ, key=lambda one: abs(one - asked))
        acceleration_hz = nearest if asked else 0
        return MovesenseSession(MovesenseSettings(fs_hz=rate or None, acceleration_hz=acceleration_hz))
    return PipeSession(session_for(kind, address))


def stream_session_for(kind: str, address: Address) -> Session:
    """Return the same behind the interface of a byte stream, as ``sim:`` and ports have it."""
    return TunnelSession(gatt_session_for(kind, address))


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
        address.require_known(ble_options(self._kind))
        if self._kind is not None:
            self._choose(self._kind)  # a wrong option is found before the radio is touched
        self._clock = clock
        self._find = find or _find
        self._wanted = address.target
        self._found: BLEDevice | None = None
        self._link: BleLink | None = None

    def connect(self, rescan: bool = False) -> tuple[BleLink, Session]:
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

    def _choose(self, kind: str) -> GattSession:
        self._address.require_known(ble_options(kind))
        return gatt_session_for(kind, self._address)


def ble_options(kind: str | None) -> frozenset[str]:
    """Return the options that a kind reads over Bluetooth LE; those of all kinds when it is not known yet."""
    if kind is None:
        return options_of(None).union(*GATT_OPTIONS.values())
    return GATT_OPTIONS.get(kind) or options_of(kind)


def open_ble(address: Address, *, device: str | None = None, clock: Clock = time.monotonic) -> SessionSource:
    """Open a Bluetooth LE sensor.

    Raises
    ------
    UsageError
        When ``device`` or an option is unknown.
    DeviceError
        When Bluetooth cannot be used, the device is not in range, or it is no ECG sensor that edge-ecg knows.

    """
    link, session = BleDoor(address, device=device, clock=clock).connect()
    return SessionSource(address, link, session, clock=clock)


def _find(target: str) -> BLEDevice:
    return radio_loop().run(find_device(target))
