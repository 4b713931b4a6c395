"""From an open byte stream to a source: what is behind it, and the session that talks to it."""

from __future__ import annotations

from collections.abc import Callable

from edge_ecg_bridge.stream import BridgeError

from ..errors import DeviceError
from .address import Address
from .base import Clock
from .detect import find_kind
from .kinds import baud_of, options_of, require_kind, session_for
from .port_faults import dock_hint
from .session_source import SessionSource
from .transport import Transport, TransportLostError

Connect = Callable[[int], Transport]
"""Baud rate (which only serial lines heed) -> an open transport."""


def open_byte_stream(
    address: Address,
    connect: Connect,
    *,
    name: str,
    device: str | None,
    clock: Clock,
    own_options: frozenset[str] = frozenset(),
    has_speed: bool = False,
) -> SessionSource:
    """Connect, find out what is there unless ``device`` says it, and set it up.

    Parameters
    ----------
    address:
        Carries the options of the device.
    connect:
        Opens the transport; DeviceError when that is impossible.
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
        When ``device`` or an option is unknown.
    DeviceError
        When the port cannot be opened, or what is behind it is no ECG device that edge-ecg knows.

    """
    kind = None if device is None else require_kind(device)
    own_options = own_options | {"baud"} if has_speed else own_options
    address.require_known(options_of(kind) | own_options)
    if kind is not None:
        session_for(kind, address)  # a wrong option is found before the port is touched
    baud = round(address.number("baud", baud_of(kind), minimum=300, maximum=4_000_000)) if has_speed else 0
    transport = connect(baud)
    try:
        if kind is None:
            set_baud = getattr(transport, "set_baud", None) if has_speed else None
            kind = find_kind(transport, None if "baud" in address.options else set_baud)
            address.require_known(options_of(kind) | own_options)
        session = session_for(kind, address)
    except BridgeError as error:
        transport.close()
        raise DeviceError(error.what, why=error.why + dock_hint(name), remedy=error.remedy) from None
    except TransportLostError as error:
        transport.close()
        raise DeviceError(
            f"{name} was lost while it was being opened.",
            why=f"{str(error)[:1].upper()}{str(error)[1:]}.",
            remedy="Check that it is switched on and that nobody else uses it, then start again.",
        ) from None
    except BaseException:
        transport.close()
        raise
    return SessionSource(address, transport, session, clock=clock)


def open_tcp(address: Address, *, device: str | None = None, clock: Clock) -> SessionSource:
    """Open what is behind ``socket://HOST:PORT``; errors as in :func:`open_byte_stream`."""
    from .socket_port import connect_tcp

    return open_byte_stream(
        address,
        lambda _: connect_tcp(address, clock),
        name=str(address),
        device=device,
        clock=clock,
        own_options=frozenset(("baud",)),
    )
