"""The dock's protocol, just far enough to recognise a dock: it never streams.

Host ``24 action length component property data CRC``; device the same with action 02, or, for an error,
``24 FC/FD/FE CRC``.
"""

from __future__ import annotations

from ..stream import BridgeError
from .crc import crc16, seal
from .wire import Hardware

START = 0x24
_GET, _ANSWER = 0x03, 0x02
_SHIMMER, _VERSION = 0x01, 0x03
_ERRORS = (0xFC, 0xFD, 0xFE)

GET_VERSION = seal(bytes((START, _GET, 2, _SHIMMER, _VERSION)), 2)


def version_answer(hardware: int, firmware: int, major: int, minor: int, patch: int) -> bytes:
    """Return what a docked Shimmer answers to GET_VERSION."""
    payload = bytes((hardware, *firmware.to_bytes(2, "little"), *major.to_bytes(2, "little"), minor, patch))
    return seal(bytes((START, _ANSWER, 2 + len(payload), _SHIMMER, _VERSION)) + payload, 2)


def find_version(data: bytes) -> str | None:
    """Return what a dock's answer in ``data`` says of the Shimmer in it; None when there is no such answer.

    An error frame also proves a dock: then the text is empty.
    """
    for at in (i for i, byte in enumerate(data) if byte == START):
        action = data[at + 1 : at + 2]
        if action == bytes((_ANSWER,)) and len(data) > at + 2:
            end = at + 3 + data[at + 2]
            if data[end : end + 2] == crc16(data[at:end]).to_bytes(2, "little"):
                payload = data[at + 5 : end]
                if len(payload) < 7:
                    return ""
                name = "Shimmer3R" if payload[0] == Hardware.SHIMMER3R else "Shimmer3"
                major = int.from_bytes(payload[3:5], "little")
                return f"{name} with firmware {major}.{payload[5]}.{payload[6]}"
        elif action and action[0] in _ERRORS and data[at : at + 4] == seal(data[at : at + 2], 2):
            return ""
    return None


def problem(found: str) -> BridgeError:
    """Say what a dock is not for; ``found`` is what :func:`find_version` gave."""
    return BridgeError(
        f"This is the dock of a Shimmer ({found or 'of unknown kind'}): docks do not stream.",
        why="A Shimmer sends its ECG over Bluetooth only.",
        remedy="Take it out of the dock, pair it (PIN 1234), sudo rfcomm bind 0 ADDRESS, and give "
        "--port /dev/rfcomm0.",
    )
