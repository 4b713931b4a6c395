"""The kinds of device that speak GATT: their sessions, and what an address may say to them."""

from __future__ import annotations

from collections.abc import Callable

from edge_ecg_bridge.ganglion import GanglionSession, GanglionSettings
from edge_ecg_bridge.gatt import GattSession
from edge_ecg_bridge.gatt_kinds import BOARD, MOVESENSE, POLAR
from edge_ecg_bridge.gatt_pipe import PipeSession
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.movesense import MovesenseSession, MovesenseSettings
from edge_ecg_bridge.movesense.wire import ACCELERATION_RATES_HZ, ECG_RATES_HZ
from edge_ecg_bridge.polar import PolarSession, PolarSettings
from edge_ecg_bridge.stream import Session

from .address import Address

_OFF = {"off": 0.0}
_ON_OFF = {"on": 1.0, "off": 0.0}


def _polar(address: Address) -> GattSession:
    acceleration_hz = address.number("acceleration", 50.0, minimum=25, maximum=200, words=_OFF)
    pair = address.number("pair", 0.0, minimum=0, maximum=1, words=_ON_OFF)
    return PolarSession(PolarSettings(acceleration_hz=round(acceleration_hz), pair=bool(pair)))


def _movesense(address: Address) -> GattSession:
    rate = address.number("rate", 0.0, minimum=min(ECG_RATES_HZ), maximum=max(ECG_RATES_HZ))
    asked = address.number("acceleration", 52.0, minimum=13, maximum=1666, words=_OFF)
    nearest = min(ACCELERATION_RATES_HZ, key=lambda one: abs(one - asked))
    acceleration_hz = nearest if asked else 0
    return MovesenseSession(MovesenseSettings(fs_hz=round(rate) or None, acceleration_hz=acceleration_hz))


def _ganglion(address: Address) -> GattSession:
    accelerometer = address.choice("accelerometer", "auto", ("auto", "on", "off"))
    firmware = address.choice("firmware", "ask", ("ask", "1", "2", "3"))
    settings = GanglionSettings(
        channel=int(address.choice("channel", "1", "1234")),
        accelerometer=None if accelerometer == "auto" else accelerometer == "on",
        firmware=None if firmware == "ask" else int(firmware),
    )
    return PipeSession(GanglionSession(settings))


GATT_KINDS: dict[str, tuple[Callable[[Address], GattSession], frozenset[str]]] = {
    POLAR: (_polar, frozenset(("acceleration", "pair"))),
    MOVESENSE: (_movesense, frozenset(("rate", "acceleration"))),
    BOARD: (_ganglion, frozenset(("channel", "accelerometer", "firmware"))),
}


def tunnelled(kind: str) -> Callable[[Address], Session]:
    """Return what makes a kind's session behind the interface of a byte stream, as ``sim:`` has it."""
    return lambda address: TunnelSession(GATT_KINDS[kind][0](address))
