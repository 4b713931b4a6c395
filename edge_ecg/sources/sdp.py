"""Asking a Bluetooth device's directory on which RFCOMM channel its serial port is.

Just that one question of the Service Discovery Protocol (Bluetooth Core Specification 5.4, volume 3, part B):
ServiceSearchAttribute for a service class, of which the ProtocolDescriptorList is wanted. Numbers are
big-endian.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

SERIAL_PORT, RFCOMM = 0x1101, 0x0003
"""UUIDs: of the serial port profile, and of the protocol that every service on RFCOMM names."""
PSM = 1

_REQUEST, _RESPONSE = 0x06, 0x07
_PROTOCOLS = 0x0004
_UNSIGNED, _UUID, _SEQUENCE, _ALTERNATIVE = 1, 3, 6, 7
_BASE = bytes.fromhex("00001000800000805f9b34fb")
_HEAD_BYTES = 5
_MOST_BYTES, _MOST_ROUNDS, _MOST_DEPTH = 65535, 64, 8
_TIMEOUT_S = 5.0
_MTU = 65535

Element = int | bytes | list["Element"]
"""What a data element holds: an unsigned number or a short UUID, anything else as bytes, or elements."""


def search_request(service: int, *, transaction: int = 0, continuation: bytes = b"") -> bytes:
    """Return the request for the protocols of all services of a class (a 16-bit UUID)."""
    pattern = bytes((0x35, 3, 0x19)) + service.to_bytes(2, "big")
    wanted = bytes((0x35, 3, 0x09)) + _PROTOCOLS.to_bytes(2, "big")
    limit = b"\xff\xff"
    parameters = pattern + limit + wanted + bytes((len(continuation),)) + continuation
    return (
        bytes((_REQUEST,)) + transaction.to_bytes(2, "big") + len(parameters).to_bytes(2, "big") + parameters
    )


def find_channels(exchange: Callable[[bytes], bytes], service: int = SERIAL_PORT) -> list[int]:
    """Return the RFCOMM channels of all services of a class, in the directory's order.

    Parameters
    ----------
    exchange:
        Sends a request and returns the answer to it.
    service:
        A 16-bit UUID.

    Raises
    ------
    ValueError
        When an answer is none, or too long.

    """
    lists, continuation = b"", b""
    for transaction in range(1, _MOST_ROUNDS):
        answer = exchange(search_request(service, transaction=transaction, continuation=continuation))
        part, continuation = _read_answer(answer, transaction)
        lists += part
        if len(lists) > _MOST_BYTES:
            raise ValueError("the directory's answer has no end")
        if not continuation:
            return list(dict.fromkeys(_channels(_read_element(lists)[0]))) if lists else []
    raise ValueError("the directory's answer has no end")


def _read_answer(answer: bytes, transaction: int) -> tuple[bytes, bytes]:
    """Split an answer into its piece of the lists, and what to ask with for the next piece."""
    if len(answer) < _HEAD_BYTES + 3 or answer[0] != _RESPONSE:
        raise ValueError("the directory refused")
    if int.from_bytes(answer[1:3], "big") != transaction:
        raise ValueError("the directory answered something else")
    count = int.from_bytes(answer[5:7], "big")
    part, rest = answer[7 : 7 + count], answer[7 + count :]
    if len(part) < count or not rest or len(rest) < 1 + rest[0]:
        raise ValueError("the directory's answer is cut")
    return part, rest[1 : 1 + rest[0]]


def _read_element(data: bytes, depth: int = 0) -> tuple[Element, bytes]:
    """Return the first data element and the bytes behind it."""
    if not data or depth > _MOST_DEPTH:
        raise ValueError("no data element")
    kind, size = data[0] >> 3, data[0] & 7
    at = 1
    if size < 5:
        length = 0 if kind == 0 else 1 << size
    else:
        at += 1 << (size - 5)
        length = int.from_bytes(data[1:at], "big")
    value, rest = data[at : at + length], data[at + length :]
    if len(data) < at + length:
        raise ValueError("a data element is cut")
    if kind in (_SEQUENCE, _ALTERNATIVE):
        elements = []
        while value:
            element, value = _read_element(value, depth + 1)
            elements.append(element)
        return elements, rest
    if kind == _UUID and length == 16 and value[4:] == _BASE:
        value = value[:4]
    if kind == _UNSIGNED or (kind == _UUID and len(value) <= 4):
        return int.from_bytes(value, "big"), rest
    return value, rest


def _channels(element: Element) -> Iterator[int]:
    """Find every protocol descriptor ``[RFCOMM, channel]``, however deep it lies."""
    if not isinstance(element, list):
        return
    if len(element) >= 2 and element[0] == RFCOMM and isinstance(element[1], int) and 1 <= element[1] <= 30:
        yield element[1]
    for inner in element:
        yield from _channels(inner)


def _l2cap_socket() -> socket.socket:
    if not hasattr(socket, "AF_BLUETOOTH"):
        raise OSError("this Python knows no Bluetooth sockets")
    return socket.socket(socket.AF_BLUETOOTH, socket.SOCK_SEQPACKET, socket.BTPROTO_L2CAP)


def directory_channels(remote: str, make_socket: Callable[[], socket.socket] = _l2cap_socket) -> list[int]:
    """Ask a device which channels its serial ports have; empty when it does not tell."""
    with suppress(OSError, ValueError), make_socket() as connection:
        connection.settimeout(_TIMEOUT_S)
        connection.connect((remote, PSM))

        def exchange(request: bytes) -> bytes:
            connection.send(request)
            return connection.recv(_MTU)

        return find_channels(exchange) or find_channels(exchange, RFCOMM)
    return []
