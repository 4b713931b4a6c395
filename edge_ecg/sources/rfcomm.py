"""Bluetooth classic without a binding step: ``bt:00:06:66:AA:BB:CC`` over a socket of the kernel.

The channel is 1 on a Shimmer3 and most boards. Where that one is refused (a Shimmer3R may listen elsewhere)
the device's own directory is asked, then the next few are tried; ``bt:ADDRESS/3`` or ``?channel=3`` says it.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ..errors import DeviceError, UsageError
from .address import Address
from .base import Clock
from .opening import ByteStreamDoor, open_door
from .rfcomm_faults import explain_rfcomm, no_support
from .sdp import directory_channels
from .session_source import SessionSource
from .socket_port import SocketTransport

SocketFactory = Callable[[], socket.socket]

_TARGET = re.compile(r"((?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2})(?:/(\d{1,3}))?/?")
# The Bluetooth specification (RFCOMM, 5.4) numbers server channels from 1 to 30.
_CHANNELS = range(1, 31)
_USUAL_CHANNEL = 1
_TRIED_CHANNELS = (1, 2, 3, 4, 5, 6)
# A radio pages a device for 5.12 s before it gives up; pairing and the channel take a moment more.
_CONNECT_S = 12.0


def rfcomm_socket() -> socket.socket:
    """Return a fresh RFCOMM socket; DeviceError where Python or the kernel knows none."""
    if not hasattr(socket, "AF_BLUETOOTH") or not hasattr(socket, "BTPROTO_RFCOMM"):
        raise no_support("This Python was built without Bluetooth sockets (AF_BLUETOOTH).", of_python=True)
    try:
        return socket.socket(socket.AF_BLUETOOTH, socket.SOCK_STREAM, socket.BTPROTO_RFCOMM)
    except OSError as error:
        raise no_support(f"The kernel offers no RFCOMM ({error.strerror}).", of_python=False) from None


def open_rfcomm(
    address: Address,
    *,
    device: str | None = None,
    clock: Clock = time.monotonic,
    make_socket: SocketFactory = rfcomm_socket,
) -> SessionSource:
    """Open what is behind ``bt:ADDRESS``.

    Raises
    ------
    UsageError
        When the target is no Bluetooth address, or an option is unknown.
    DeviceError
        When it cannot be reached, or is no ECG device that edge-ecg knows.

    """
    remote, channel, rest = split_rfcomm(address)
    place = RfcommPlace(remote, channel, make_socket, clock)
    door = ByteStreamDoor(rest, lambda baud, rescan: place.open(), name=str(address), device=device)
    return open_door(rest, door, clock)


def split_rfcomm(address: Address) -> tuple[str, int | None, Address]:
    """Return the device's address, its RFCOMM channel (None: to be found), and what is left for the session.

    ``channel`` also names the lead of an ECG device: a number is the RFCOMM channel, a word is the lead.
    After ``bt:ADDRESS/3`` any ``channel`` is the device's own.
    """
    match = _TARGET.fullmatch(address.target)
    if match is None:
        raise UsageError(
            f"{address.target or 'Nothing'} in the address {address} is no Bluetooth address.",
            why="A name cannot be connected to, only an address.",
            remedy="edge-ecg devices lists those in range; write it as bt:00:06:66:AA:BB:CC",
        )
    options = dict(address.options)
    text = match[2]
    if text is None and options.get("channel", "").isdecimal():
        text = options.pop("channel")
    channel = None if text is None else int(text)
    if channel is not None and channel not in _CHANNELS:
        raise UsageError(
            f"There is no RFCOMM channel {channel}.", remedy="Give one from 1 to 30, or leave it out."
        )
    return match[1].upper().replace("-", ":"), channel, replace(address, options=options)


class RfcommPlace:
    """A device's serial port service; the channel on which it was found is tried first the next time.

    Parameters
    ----------
    remote:
        Bluetooth address.
    channel:
        RFCOMM channel, or None to find it.
    make_socket:
        A fresh, unconnected socket for every try: after a refusal a socket is of no use any more.
    ask_directory:
        Address -> the channels of its serial ports, as its directory says.

    """

    def __init__(
        self,
        remote: str,
        channel: int | None,
        make_socket: SocketFactory = rfcomm_socket,
        clock: Clock = time.monotonic,
        ask_directory: Callable[[str], list[int]] = directory_channels,
    ) -> None:
        self._remote = remote
        self._searches = channel is None
        self._first = _USUAL_CHANNEL if channel is None else channel
        self._make_socket = make_socket
        self._clock = clock
        self._ask_directory = ask_directory

    def open(self) -> SocketTransport:
        """Connect.

        Raises
        ------
        DeviceError
            When there is no connection: what was tried, why it failed, what to do.

        """
        refused: list[int] = []
        left = [self._first]
        while left:
            number = left.pop(0)
            connection = self._try(number)
            if connection is not None:
                self._first = number
                return SocketTransport(connection, f"bt:{self._remote}", self._clock)
            refused.append(number)
            if self._searches and len(refused) == 1:
                told = self._ask_directory(self._remote)
                left = [one for one in dict.fromkeys((*told, *_TRIED_CHANNELS)) if one != number]
        raise _refused(self._remote, refused)

    def _try(self, number: int) -> socket.socket | None:
        """Return a connected socket; None when the device refuses this channel."""
        connection = self._make_socket()
        try:
            connection.settimeout(_CONNECT_S)
            connection.connect((self._remote, number))
        except BaseException as error:
            with suppress(OSError):
                connection.close()
            if isinstance(error, ConnectionRefusedError):
                return None
            if isinstance(error, OSError):
                raise explain_rfcomm(self._remote, number, error) from None
            raise
        return connection


def _refused(remote: str, channels: list[int]) -> DeviceError:
    tried = f"channel{'s' if len(channels) > 1 else ''} {', '.join(map(str, channels))}"
    return DeviceError(
        f"The device {remote} refuses RFCOMM {tried}.",
        why="It is there, but offers no serial port there, or offers it to another host.",
        remedy="End other connections to it, phones included. Where its channel is known, give "
        f"bt:{remote}/CHANNEL (sdptool browse {remote} lists them).",
    )
