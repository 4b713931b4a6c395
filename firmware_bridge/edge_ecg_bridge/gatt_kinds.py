"""Which kind of device a Bluetooth LE device is, by what it offers or by how it advertises itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from .gatt import Action, Connected, GattSession, Happening, Note, short_uuid
from .gatt_pipe import CYSPP, GANGLION, NORDIC_UART, TRANSPARENT_UART, find_pipe
from .movesense import wire
from .polar import pmd
from .stream import BridgeError, DeviceClock, Event

POLAR, MOVESENSE, SHIMMER, BOARD = "polar-h10", "movesense", "shimmer3", "ganglion"
UART = "uart"
"""Anything behind a Nordic UART: what it speaks, its bytes tell (:mod:`edge_ecg_bridge.uart_board`)."""
_CONNECT_S = 15.0

# Beginning of a name in lower case -> kind. Of the Polar sensors only the H10 measures ECG.
_NAMES = {"polar h10": POLAR, "movesense": MOVESENSE, "shimmer3": SHIMMER, "ganglion": BOARD}
SERVICES = {
    pmd.PMD_SERVICE: POLAR,
    wire.SERVICE: MOVESENSE,
    short_uuid(wire.ADVERTISED): MOVESENSE,
    CYSPP.service: SHIMMER,
    TRANSPARENT_UART.service: SHIMMER,
    NORDIC_UART.service: UART,
    GANGLION.service: BOARD,
}
_PIPES = {CYSPP: SHIMMER, TRANSPARENT_UART: SHIMMER, NORDIC_UART: UART, GANGLION: BOARD}


def kind_by_advertisement(name: str, services: Collection[str] = ()) -> str | None:
    """Return the kind of a device by its name and the services it advertises; None if unknown."""
    for beginning, kind in _NAMES.items():
        if name.lower().startswith(beginning):
            return kind
    kinds = [SERVICES[uuid.lower()] for uuid in services if uuid.lower() in SERVICES]
    return kinds[0] if kinds and not name.lower().startswith("polar") else None


def kind_by_services(found: Connected) -> str | None:
    """Return the kind of a device by the characteristics it offers; None if unknown."""
    marks = {pmd.PMD_CONTROL: POLAR, wire.COMMAND: MOVESENSE}
    marks |= dict.fromkeys(pmd.OLD_SERVICE_MARKS, POLAR)
    for mark, kind in marks.items():
        if mark in found.characteristics:
            return kind
    pipe = find_pipe(found)
    if pipe is not None:
        return _PIPES[pipe]
    return kind_by_advertisement(found.name)


class ChoosingSession:
    """Finds out what a device is when the link stands, and drives it as that; see :class:`GattSession`.

    Parameters
    ----------
    choose:
        Kind -> the session that drives it. May raise BridgeError.

    """

    def __init__(self, choose: Callable[[str], GattSession]) -> None:
        self._choose = choose
        self._inner: GattSession | None = None
        self._begun_s = 0.0
        self._stopped = False

    @property
    def inner(self) -> GattSession | None:
        """The session that was chosen; None before."""
        return self._inner

    def start(self, now_s: float) -> None:
        """Wait for the link."""
        self._begun_s = now_s

    def happened(self, what: Happening, now_s: float) -> None:
        """Take what happened.

        Raises
        ------
        BridgeError
            When nothing is known of the device, or its session ends.

        """
        if self._inner is None and isinstance(what, Connected):
            kind = kind_by_services(what)
            if kind is None:
                raise _unknown(what)
            self._inner = self._choose(kind)
            self._inner.start(now_s)
        if self._inner is not None:
            self._inner.happened(what, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass."""
        if self._inner is not None:
            self._inner.on_time(now_s)
        elif now_s - self._begun_s >= _CONNECT_S:
            raise BridgeError(
                f"The device did not say what it offers within {_CONNECT_S:g} s.",
                why="The link is too weak, or another program holds the device.",
                remedy="Bring it nearer, close other programs (and the phone's app), and start again.",
            )

    def actions(self) -> list[Action]:
        """Return what is to be done."""
        return self._inner.actions() if self._inner is not None else []

    def events(self) -> list[Event]:
        """Return what has happened."""
        return self._inner.events() if self._inner is not None else []

    def stop(self, now_s: float) -> None:
        """Ask the device to stop."""
        self._stopped = True
        if self._inner is not None:
            self._inner.stop(now_s)

    @property
    def finished(self) -> bool:
        """Whether the stop is through."""
        return self._inner.finished if self._inner is not None else self._stopped

    def notes(self) -> list[Note]:
        """Return what the device said beside its ECG since the last call."""
        give = getattr(self._inner, "notes", None)
        return list(give()) if give is not None else []

    @property
    def device_clock(self) -> DeviceClock | None:
        """The device's own clock at sample 0, where it has one that runs on by itself."""
        return getattr(self._inner, "device_clock", None)

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away so far."""
        return self._inner.counters if self._inner is not None else {}


def _unknown(found: Connected) -> BridgeError:
    return BridgeError(
        f"{found.name or 'The device'} is no ECG sensor that edge-ecg knows.",
        why=f"It offers {len(found.characteristics)} characteristics, none of a known sensor.",
        remedy="Known are Polar H10, Movesense, Shimmer3, OpenBCI Ganglion and boards with a Nordic UART: "
        "see docs/devices.md.",
    )
