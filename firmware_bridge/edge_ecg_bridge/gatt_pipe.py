"""Byte streams over Bluetooth LE: services that are a serial line, and the sessions that speak through them.

    Nordic UART             boards with an nRF chip, and many sketches for an ESP32
    CYSPP (Infineon)        Shimmer3R
    Microchip transparent   Shimmer3 with an RN4678
    OpenBCI Ganglion        its own service, a packet of 20 bytes a notification

Notifications cut the stream anywhere, usually after 20 bytes; the sessions behind take bytes in any pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import ganglion
from .gatt import (
    ATT_NEEDS_PAIRING,
    Action,
    Connected,
    Done,
    Happening,
    Pair,
    Refused,
    Subscribe,
    Value,
    Write,
)
from .stream import BridgeError, DeviceClock, Event, Session

# What fits the smallest MTU (23) that every link has.
PIECE_BYTES = 20
_CONNECT_S = 15.0


@dataclass(frozen=True, slots=True)
class Pipe:
    """A service that is a serial line.

    Attributes
    ----------
    service, notify, write:
        UUIDs of the service, of what the device sends and of what the host writes.
    response:
        Whether the device confirms what is written.

    """

    name: str
    service: str
    notify: str
    write: str
    response: bool = False


NORDIC_UART = Pipe(
    "Nordic UART",
    "6e400001-b5a3-f393-e0a9-e50e24dcca9e",
    "6e400003-b5a3-f393-e0a9-e50e24dcca9e",
    "6e400002-b5a3-f393-e0a9-e50e24dcca9e",
)
CYSPP = Pipe(
    "CYSPP",
    "65333333-a115-11e2-9e9a-0800200ca100",
    "65333333-a115-11e2-9e9a-0800200ca101",
    "65333333-a115-11e2-9e9a-0800200ca102",
)
TRANSPARENT_UART = Pipe(
    "transparent UART",
    "49535343-fe7d-4ae5-8fa9-9fafd205e455",
    "49535343-1e4d-4bd9-ba61-23c647249616",
    "49535343-8841-43f4-a8d4-ecbe34729bb3",
)
GANGLION = Pipe("OpenBCI Ganglion", ganglion.SERVICE_UUID, ganglion.NOTIFY_UUID, ganglion.WRITE_UUID)
PIPES = (NORDIC_UART, CYSPP, TRANSPARENT_UART, GANGLION)


def find_pipe(found: Connected) -> Pipe | None:
    """Return the serial line among what a device offers, or None."""
    for pipe in PIPES:
        if {pipe.notify, pipe.write} <= found.characteristics:
            return pipe
    return None


class PipeSession:
    """Lets a byte-stream session talk through such a service; see :class:`edge_ecg_bridge.gatt.GattSession`.

    The inner session starts when the device's bytes can reach it.
    """

    def __init__(self, inner: Session) -> None:
        self.inner = inner
        self._pipe: Pipe | None = None
        self._actions: list[Action] = []
        self._running = False
        self._paired = False
        self._stopped = False
        self._since_s = 0.0

    def start(self, now_s: float) -> None:
        """Wait for the link."""
        self._since_s = now_s

    def happened(self, what: Happening, now_s: float) -> None:
        """Take what happened.

        Raises
        ------
        BridgeError
            When the device has no such service, does not let it be used, or the inner session ends.

        """
        if isinstance(what, Connected):
            if self._pipe is None:
                self._open(what, now_s)
        elif self._pipe is None:
            return
        elif isinstance(what, Value):
            if what.characteristic == self._pipe.notify and self._running:
                self.inner.receive(what.data, now_s)
        elif isinstance(what, Refused):
            self._refused(what, self._pipe)
        elif isinstance(what, Done) and what.characteristic == self._pipe.notify and not self._running:
            self._running = True
            self.inner.start(now_s)

    def on_time(self, now_s: float) -> None:
        """Let the inner session's deadlines pass."""
        if self._running:
            self.inner.on_time(now_s)
        elif now_s - self._since_s >= _CONNECT_S:
            raise BridgeError(
                f"The device's serial line did not open within {_CONNECT_S:g} s.",
                why="The link is too weak, or another program holds the device.",
                remedy="Bring it nearer, close other programs, and start again.",
            )

    def actions(self) -> list[Action]:
        """Return what is to be done; what the inner session sends is cut to pieces that fit every link."""
        actions, self._actions = self._actions, []
        if self._running and self._pipe is not None:
            out = self.inner.bytes_to_send()
            pieces = (out[at : at + PIECE_BYTES] for at in range(0, len(out), PIECE_BYTES))
            actions += [Write(self._pipe.write, piece, self._pipe.response) for piece in pieces]
        return actions

    def events(self) -> list[Event]:
        """Return the inner session's events."""
        return self.inner.events()

    def stop(self, now_s: float) -> None:
        """Ask the device to stop."""
        self._stopped = True
        if self._running:
            self.inner.stop(now_s)

    @property
    def finished(self) -> bool:
        """Whether the stop is through."""
        return self.inner.finished if self._running else self._stopped

    @property
    def device_clock(self) -> DeviceClock | None:
        """The device's own clock at sample 0, where it has one that runs on by itself."""
        return getattr(self.inner, "device_clock", None)

    @property
    def counters(self) -> Mapping[str, int]:
        """Return the inner session's counters."""
        return getattr(self.inner, "counters", {})

    def _open(self, found: Connected, now_s: float) -> None:
        self._pipe = find_pipe(found)
        if self._pipe is None:
            raise BridgeError(
                f"{found.name or 'The device'} has no serial line over Bluetooth LE.",
                why=f"It offers none of {', '.join(pipe.name for pipe in PIPES)}.",
                remedy="Name its kind with --device, or connect it by a cable.",
            )
        self._since_s = now_s
        self._actions.append(Subscribe(self._pipe.notify))

    def _refused(self, refused: Refused, pipe: Pipe) -> None:
        if refused.code in ATT_NEEDS_PAIRING and not self._paired:
            self._paired = True
            self._actions += [Pair(), Subscribe(pipe.notify)]
            return
        raise BridgeError(
            "The device does not let its serial line be used.",
            why=refused.text or f"It answered with the ATT error 0x{refused.code:02X}.",
            remedy="Pair it once (bluetoothctl, then pair ADDRESS), and start again."
            if refused.code in ATT_NEEDS_PAIRING or not refused.characteristic
            else "Switch it off and on again.",
        )
