"""What a session with a Bluetooth LE device gives and takes: characteristics in place of a byte stream.

A GATT session is a state machine without I/O, as :class:`edge_ecg_bridge.stream.Session` is: it is told what
happened on the link and gives actions to carry out and events. Whoever owns the radio carries the actions
out one after the other, in their order, and answers each with :class:`Done` or :class:`Refused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .stream import Detail, Event

ATT_INSUFFICIENT_AUTHENTICATION = 0x05
ATT_INSUFFICIENT_AUTHORIZATION = 0x08
ATT_INSUFFICIENT_KEY_SIZE = 0x0C
ATT_INSUFFICIENT_ENCRYPTION = 0x0F
# Bluetooth Core Specification, Vol 3, Part F, 3.4.1.1: what a bond mends.
ATT_NEEDS_PAIRING = frozenset(
    (
        ATT_INSUFFICIENT_AUTHENTICATION,
        ATT_INSUFFICIENT_AUTHORIZATION,
        ATT_INSUFFICIENT_KEY_SIZE,
        ATT_INSUFFICIENT_ENCRYPTION,
    )
)


def short_uuid(number: int) -> str:
    """Return the 128-bit form of a 16-bit number given out by the Bluetooth SIG."""
    return f"0000{number:04x}-0000-1000-8000-00805f9b34fb"


HEART_RATE = short_uuid(0x2A37)
BATTERY_LEVEL = short_uuid(0x2A19)
FIRMWARE_REVISION = short_uuid(0x2A26)


# -- what a session asks for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Say what the device offers; answered by :class:`Connected`. The link may stand already."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Make a bond with the device."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Let the device send a characteristic's value whenever it likes."""

    characteristic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Let it do so no more."""

    characteristic: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read a value; it comes in :class:`Done`."""

    characteristic: str


@dataclass(frozen=True, slots=True)
class Write:
    """Write a value; with ``response`` the device confirms that it took it."""

    characteristic: str
    data: bytes
    response: bool = True


Action = Connect | Pair | Subscribe | Unsubscribe | Read | Write


# -- what it is told -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """The link stands: the characteristics (lower-case UUIDs) that the device offers, and its name."""

    characteristics: frozenset[str]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A notification or an indication."""

    characteristic: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """An action on a characteristic (empty for :class:`Pair`) is through; ``data`` is what was read."""

    characteristic: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """An action failed: the ATT error code (0 when it is not known) and what the host said of it."""

    characteristic: str = ""
    code: int = 0
    text: str = ""


Happening = Connected | Value | Done | Refused


@dataclass(frozen=True, slots=True)
class Note:
    """Something else that the device said, such as a heart rate of its own or its battery.

    A session whose device says such things gives them out by ``notes()``. ``name`` is a word such as
    ``heart_rate``; ``values`` are plain, their names carry units.
    """

    name: str
    values: Mapping[str, Detail] = field(default_factory=dict)


class GattSession(Protocol):
    """A conversation with one device. Times are seconds of one monotonic clock, whichever it is."""

    def start(self, now_s: float) -> None:
        """Begin; actions may be waiting afterwards."""
        ...

    def happened(self, what: Happening, now_s: float) -> None:
        """Take what happened on the link; raise BridgeError when it ends the session."""
        ...

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass; raise BridgeError when one ends the session."""
        ...

    def actions(self) -> list[Action]:
        """Return what is to be done, in this order, once."""
        ...

    def events(self) -> list[Event]:
        """Return what has come of it since the last call."""
        ...

    def stop(self, now_s: float) -> None:
        """Ask the device to stop; ``finished`` turns true when it has, or when it does not answer."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stop is through."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away so far."""
        ...
