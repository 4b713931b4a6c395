"""The kinds of device behind a byte stream: their sessions, and what an address may say to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edge_ecg_bridge import cyton
from edge_ecg_bridge.bitalino import RATES_HZ as BITALINO_RATES_HZ
from edge_ecg_bridge.bitalino import BitalinoSession, BitalinoSettings
from edge_ecg_bridge.cyton import CytonSession, CytonSettings
from edge_ecg_bridge.framed import FramedSession, FramedSettings
from edge_ecg_bridge.openview import OpenViewSession, OpenViewSettings
from edge_ecg_bridge.shimmer3 import LEADS, Settings, ShimmerSession
from edge_ecg_bridge.shimmer3.acceleration import ACCELEROMETERS
from edge_ecg_bridge.shimmer3.exg import GAINS
from edge_ecg_bridge.stream import Session
from edge_ecg_bridge.text import TextSession, TextSettings

from ..errors import UsageError
from .address import Address
from .ble_kinds import GATT_KINDS, tunnelled

_ON_OFF = {"on": 1.0, "off": 0.0}


def _shimmer3(address: Address) -> Session:
    gain = round(address.number("gain", 4.0, minimum=1, maximum=12))
    if gain not in GAINS.values():
        raise UsageError(
            f"gain={address.options['gain']} in the address {address} is no gain of the Shimmer's ECG chip.",
            remedy=f"Choose one of {', '.join(map(str, sorted(GAINS.values())))}.",
        )
    return ShimmerSession(
        Settings(
            fs_hz=address.number("rate", 256.0, minimum=100, maximum=1024),
            lead=address.choice("channel", "LL-RA", LEADS),
            gain=gain,
            lead_off=bool(address.number("leadoff", 0.0, minimum=0, maximum=1, words=_ON_OFF)),
            acceleration=address.choice("accel", "off", ("off", *ACCELEROMETERS)),
        )
    )


def _text(address: Address) -> Session:
    return TextSession(
        TextSettings(
            fs_hz=address.number("fs", 0.0, minimum=100, maximum=4000) or None,
            time=address.choice("time", "auto", ("auto", "ms", "us", "none")),
            unit=address.choice("unit", "auto", ("auto", "adc", "mv", "uv", "v")),
            adc_bits=round(address.number("adc_bits", 10.0, minimum=8, maximum=24)),
            vref=address.number("vref", 5.0, minimum=0.1, maximum=50),
            gain=address.number("gain", 1100.0, minimum=1, maximum=1e6),
        )
    )


def _framed(address: Address) -> Session:
    return FramedSession(FramedSettings(channel=address.options.get("channel", "")))


def _cyton(address: Address) -> Session:
    gains = sorted(cyton.GAINS)
    return CytonSession(
        CytonSettings(
            channel=round(address.number("channel", 1.0, minimum=1, maximum=8)),
            gain=int(address.choice("gain", "24", map(str, gains))),
            differential=address.choice("reference", "srb2", ("srb2", "differential")) == "differential",
            stamps=address.choice("clock", "host", ("host", "board")) == "board",
        )
    )


def _bitalino(address: Address) -> Session:
    input_ = int(address.choice("channel", "A2", [f"A{number}" for number in range(1, 7)])[1:])
    rate = int(address.choice("rate", "1000", map(str, BITALINO_RATES_HZ)))
    return BitalinoSession(BitalinoSettings(rate, (input_,), input_))


def _openview(address: Address) -> Session:
    return OpenViewSession(
        OpenViewSettings(
            fs_hz=address.number("fs", 0.0, minimum=100, maximum=1000) or None,
            gain=address.number("gain", 12.0, minimum=1, maximum=12),
            shift=round(address.number("shift", 0.0, minimum=0, maximum=16))
            if "shift" in address.options
            else None,
        )
    )


class Kind(NamedTuple):
    """One row of the table: how a session is made, the options it reads, its usual baud rate."""

    make: Callable[[Address], Session]
    options: frozenset[str]
    baud: int = 115200


# One row a kind; edge_ecg.sources.probes says how each is recognised.
_KINDS: dict[str, Kind] = {
    "shimmer3": Kind(_shimmer3, frozenset(("rate", "channel", "gain", "leadoff", "accel"))),
    **{kind: Kind(tunnelled(kind), options) for kind, (_, options) in GATT_KINDS.items()},
    "framed": Kind(_framed, frozenset(("channel",))),
    "cyton": Kind(_cyton, frozenset(("channel", "gain", "reference", "clock"))),
    "bitalino": Kind(_bitalino, frozenset(("channel", "rate"))),
    "openview": Kind(_openview, frozenset(("fs", "gain", "shift")), baud=57600),
    "text": Kind(_text, frozenset(("fs", "time", "unit", "adc_bits", "vref", "gain"))),
}
KINDS = tuple(_KINDS)
_USUAL_BAUD = 115200


def require_kind(kind: str) -> str:
    """Return ``kind`` in the table's spelling; UsageError when nothing is known of it."""
    if kind.lower() not in _KINDS:
        raise UsageError(
            f"There is no device kind {kind!r}.",
            remedy=f"Choose one of {', '.join(KINDS)}, or leave --device out to find out.",
        )
    return kind.lower()


def options_of(kind: str | None) -> frozenset[str]:
    """Return the options that a kind reads; those of all kinds when it is not known yet."""
    if kind is None:
        return frozenset().union(*(row.options for row in _KINDS.values()))
    return _KINDS[kind].options


def baud_of(kind: str | None) -> int:
    """Return the usual speed of a kind of board; that of most when the kind is not known yet."""
    return _USUAL_BAUD if kind is None else _KINDS[kind].baud


def session_for(kind: str, address: Address) -> Session:
    """Make the session of a kind from the options of an address; UsageError when one makes no sense."""
    return _KINDS[kind].make(address)
