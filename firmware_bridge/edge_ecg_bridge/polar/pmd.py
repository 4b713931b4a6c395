"""The bytes of the Polar Measurement Data service: control point, settings, status codes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

PMD_SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
PMD_CONTROL = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
PMD_DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
# What firmware before 3.0 has in its place.
OLD_SERVICE_MARKS = ("fb005c51-02e7-f387-1cad-8acd2d8df0c8", "fb005c52-02e7-f387-1cad-8acd2d8df0c8")

TICK_HZ = 1e9
STAMP_MODULUS = 1 << 64
FEATURES = 0x0F
_RESPONSE = 0xF0
_STOPPED_BY_DEVICE = 0x01


class Measurement(IntEnum):
    """What can be measured."""

    ECG = 0
    PPG = 1
    ACCELERATION = 2


class Operation(IntEnum):
    """What the control point can be told."""

    GET_SETTINGS = 1
    START = 2
    STOP = 3


class Setting(IntEnum):
    """What a measurement can be set to."""

    RATE_HZ = 0
    RESOLUTION_BITS = 1
    RANGE = 2
    RANGE_MILLI = 3
    CHANNELS = 4
    FACTOR = 5
    SECURITY = 6


_SETTING_BYTES = {0: 2, 1: 2, 2: 2, 3: 4, 4: 1, 5: 4, 6: 16}


class Status(IntEnum):
    """How the control point answers."""

    SUCCESS = 0
    INVALID_OPERATION = 1
    INVALID_MEASUREMENT = 2
    NOT_SUPPORTED = 3
    INVALID_LENGTH = 4
    INVALID_PARAMETER = 5
    ALREADY_IN_STATE = 6
    INVALID_RESOLUTION = 7
    INVALID_RATE = 8
    INVALID_RANGE = 9
    INVALID_MTU = 10
    INVALID_CHANNELS = 11
    INVALID_STATE = 12
    IN_CHARGER = 13
    DISK_FULL = 14


# Status -> (what it means, what to do)
STATUS_WORDS: dict[int, tuple[str, str]] = {
    Status.INVALID_OPERATION: ("It does not know the command.", "Update its firmware with Polar Flow."),
    Status.INVALID_MEASUREMENT: ("It has no such measurement.", "ECG needs a Polar H10 (an H9 has none)."),
    Status.NOT_SUPPORTED: ("It does not support this.", "Update its firmware with Polar Flow."),
    Status.ALREADY_IN_STATE: (
        "It measures for another program already.",
        "Close other programs and the phone's app, or take the strap off for a minute.",
    ),
    Status.INVALID_MTU: (
        "The link carries too small packets.",
        "Update BlueZ (sudo apt upgrade bluez), or use another Bluetooth adapter.",
    ),
    Status.INVALID_STATE: ("It is busy.", "End a recording that runs in the strap, and start again."),
    Status.IN_CHARGER: ("It is in its charger.", "Take it out and put it on."),
    Status.DISK_FULL: ("Its memory is full.", "Delete its recordings with the Polar app."),
}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the control point; ``settings`` maps a setting to the values it may have."""

    operation: int
    measurement: int
    status: int
    settings: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        """What a compressed sample is multiplied by; 1 where the device names none."""
        values = self.settings.get(Setting.FACTOR)
        return float(struct.unpack("<f", struct.pack("<I", values[0]))[0]) if values else 1.0


def get_settings(measurement: int) -> bytes:
    """Ask what a measurement can be set to."""
    return bytes((Operation.GET_SETTINGS, measurement))


def start(measurement: int, settings: Mapping[int, int]) -> bytes:
    """Start a measurement with one value for each setting."""
    parts = [
        bytes((setting, 1)) + value.to_bytes(_SETTING_BYTES[setting], "little")
        for setting, value in sorted(settings.items())
    ]
    return bytes((Operation.START, measurement)) + b"".join(parts)


def stop(measurement: int) -> bytes:
    """Stop a measurement."""
    return bytes((Operation.STOP, measurement))


def is_response(data: bytes, operation: int, measurement: int) -> bool:
    """Whether ``data`` answers a command; BlueZ also notifies what was read, and that does not."""
    return len(data) >= 4 and data[:3] == bytes((_RESPONSE, operation, measurement))


def response(operation: int, measurement: int, status: int, settings: bytes = b"") -> bytes:
    """Return the bytes with which a device answers; ``settings`` as :func:`settings_bytes` makes them."""
    return bytes((_RESPONSE, operation, measurement, status, 0)) + settings


def settings_bytes(settings: Mapping[int, tuple[int, ...]]) -> bytes:
    """Return the list of possible values of each setting."""
    parts = [
        bytes((setting, len(values)))
        + b"".join(value.to_bytes(_SETTING_BYTES[setting], "little") for value in values)
        for setting, values in settings.items()
    ]
    return b"".join(parts)


def read_response(data: bytes) -> Response:
    """Read an answer for which :func:`is_response` holds; what is cut off or unknown in it is left out."""
    return Response(data[1], data[2], data[3], read_settings(data[5:]))


def read_settings(data: bytes) -> dict[int, tuple[int, ...]]:
    """Read a list of settings up to the first that is cut off or unknown."""
    found: dict[int, tuple[int, ...]] = {}
    at = 0
    while at + 2 <= len(data):
        setting, count = data[at], data[at + 1]
        width = _SETTING_BYTES.get(setting)
        if width is None or at + 2 + count * width > len(data):
            break
        begins = range(at + 2, at + 2 + count * width, width)
        found[setting] = tuple(int.from_bytes(data[i : i + width], "little") for i in begins)
        at += 2 + count * width
    return found


def stopped_measurements(data: bytes) -> frozenset[int]:
    """Return the measurements that the device says it has stopped by itself; empty for other messages."""
    return frozenset(data[1:]) if data[:1] == bytes((_STOPPED_BY_DEVICE,)) else frozenset()
