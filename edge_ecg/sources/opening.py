"""From an open byte stream to a source: what is behind it, and the session that talks to it."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_ecg_bridge.stream import BridgeError, Session

from ..errors import DeviceError
from .address import Address
from .base import Clock
from .detect import find_kind
from .kinds import baud_of, options_of, require_kind, session_for
from .port_faults import dock_hint
from .reconnect import OPTION, wants_reconnect
from .session_source import SessionSource
from .socket_port import connect_tcp
from .transport import Transport, TransportLostError

OpenTransport = Callable[[int, bool], Transport]
"""Baud rate (which only serial lines heed) and whether to look for the device anew -> an open transport."""


class ByteStreamDoor:
    """Opens transports to one device and makes sessions for it, again and again.

    The first time it finds out what is there, unless the user named it; later it goes by what was found then.

    Parameters
    ----------
    address:
        Carries the options of the device.
    open_transport:
        Raises DeviceError when that is impossible.
    name:
        What to call the port in a sentence.
    device:
        The kind that the user named, or None.
    own_options:
        Options that belong to the transport.
    has_speed:
        Whether the line has a baud rate, which may then be given as an option, or be found out.

    Raises
    ------
    UsageError
        When ``device`` or an option is unknown: before the port is touched, where ``device`` is given.

    """

    def __init__(
        self,
        address: Address,
        open_transport: OpenTransport,
        *,
        name: str,
        device: str | None = None,
        own_options: frozenset[str] = frozenset(),
        has_speed: bool = False,
    ) -> None:
        self._address = address
        self._open = open_transport
        self._name = name
        self._kind = None if device is None else require_kind(device)
        self._own_options = own_options | {OPTION} | ({"baud"} if has_speed else set())
        self._require_known()
        if self._kind is not None:
            session_for(self._kind, address)
        self._finds_speed = has_speed and "baud" not in address.options
        self._baud = 0
        if has_speed:
            self._baud = round(address.number("baud", baud_of(self._kind), minimum=300, maximum=4_000_000))

    def connect(self, rescan: bool = False) -> tuple[Transport, Session]:
        """Return an open transport and a session that was not started.

        Parameters
        ----------
        rescan:
            Whether to look for the device anew instead of going where it was.

        Raises
        ------
        UsageError
            When an option is none of the kind of device that was found.
        DeviceError
            When the port cannot be opened, or what is behind it is no ECG device that edge-ecg knows.

        """
        transport = self._open(self._baud, rescan)
        try:
            return transport, self._session(transport)
        except BridgeError as error:
            transport.close()
            raise DeviceError(
                error.what, why=error.why + dock_hint(self._name), remedy=error.remedy
            ) from None
        except TransportLostError as error:
            transport.close()
            raise DeviceError(
                f"{self._name} was lost while it was being opened.",
                why=f"{str(error)[:1].upper()}{str(error)[1:]}.",
                remedy="Check that it is switched on and that nobody else uses it, then start again.",
            ) from None
        except BaseException:
            transport.close()
            raise

    def _session(self, transport: Transport) -> Session:
        if self._kind is None:
            self._kind = find_kind(transport, self._speed_setter(transport))
            self._require_known()
        return session_for(self._kind, self._address)

    def _speed_setter(self, transport: Transport) -> Callable[[int], None] | None:
        set_baud: Callable[[int], None] | None = getattr(transport, "set_baud", None)
        if not self._finds_speed or set_baud is None:
            return None

        def change(baud: int) -> None:
            set_baud(baud)
            self._baud = baud  # that of the next connection, too

        return change

    def _require_known(self) -> None:
        self._address.require_known(options_of(self._kind) | self._own_options)


def open_door(address: Address, door: ByteStreamDoor, clock: Clock) -> SessionSource:
    """Open what is behind a door; errors as in :meth:`ByteStreamDoor.connect`."""
    again = door.connect if wants_reconnect(address) else None
    return SessionSource(address, *door.connect(), clock=clock, connect=again)


def open_tcp(address: Address, *, device: str | None = None, clock: Clock = time.monotonic) -> SessionSource:
    """Open what is behind ``socket://HOST:PORT``; errors as in :class:`ByteStreamDoor`."""
    door = ByteStreamDoor(
        address,
        lambda baud, rescan: connect_tcp(address, clock),
        name=str(address),
        device=device,
        # The speed is the server's affair; many keep it in the address all the same.
        own_options=frozenset(("baud",)),
    )
    return open_door(address, door, clock)
