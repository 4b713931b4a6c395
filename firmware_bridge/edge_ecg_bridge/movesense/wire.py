"""The bytes of the Movesense GATT SensorData protocol.

    command    operation u8, reference u8 (not 0), path in ASCII
    01         reference, status u16: the answer to a command (as in HTTP: 200, 404, …)
    02         reference, milliseconds since power-up u32, values: data of a subscription
    03         reference, the rest of the values that did not fit the packet before

All numbers are little-endian. ECG values are int32 of 1/20/2^17 V; accelerations are float32 in m/s^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..stream import FloatArray

SERVICE = "34802252-7185-4d5d-b431-630e7050e8f0"
COMMAND = "34800001-7185-4d5d-b431-630e7050e8f0"
DATA = "34800002-7185-4d5d-b431-630e7050e8f0"
# The service as it is advertised (16 bit, given to Suunto/Movesense).
ADVERTISED = 0xFDF3

TICK_HZ = 1000.0
STAMP_MODULUS = 1 << 32
ECG_RATES_HZ = (125, 128, 200, 250, 256, 500, 512)
ACCELERATION_RATES_HZ = (13, 26, 52, 104, 208, 416, 833, 1666)
MV_PER_COUNT = 1000.0 / 20.0 / 2**17
STANDARD_GRAVITY_M_S2 = 9.80665
_HEADER_BYTES = 6
_MAX_VALUES_BYTES = 2048


class Operation(IntEnum):
    """What the sensor can be told."""

    HELLO = 0
    SUBSCRIBE = 1
    UNSUBSCRIBE = 2
    FETCH_LOG = 3
    GET = 4


class Kind(IntEnum):
    """What it says."""

    RESPONSE = 1
    DATA = 2
    CONTINUED = 3


def subscribe(reference: int, path: str) -> bytes:
    """Ask for the data of a path under a reference of one's own."""
    return bytes((Operation.SUBSCRIBE, reference)) + path.encode("ascii")


def unsubscribe(reference: int) -> bytes:
    """End the data under a reference."""
    return bytes((Operation.UNSUBSCRIBE, reference))


def is_response(value: bytes, reference: int) -> bool:
    """Whether a notification answers the command with this reference."""
    return len(value) >= 4 and value[:2] == bytes((Kind.RESPONSE, reference))


def status_of(value: bytes) -> int:
    """Return the status of an answer."""
    return int.from_bytes(value[2:4], "little")


@dataclass(frozen=True, slots=True)
class Packet:
    """The data of one measurement: its reference, its stamp in ms, the bytes of its values."""

    reference: int
    stamp_ms: int
    values: bytes


class PacketReader:
    """Puts packets together that came in two or more notifications.

    A packet is whole when it is as long as the longest before it, or when the next one begins.

    Parameters
    ----------
    unit_bytes:
        Reference -> bytes of one value (or one triple).

    Attributes
    ----------
    packets_rejected:
        What was cut off, or continued nothing.

    """

    def __init__(self, unit_bytes: dict[int, int]) -> None:
        self.packets_rejected = 0
        self._unit_bytes = unit_bytes
        self._open: dict[int, Packet] = {}
        self._longest: dict[int, int] = {}

    def feed(self, value: bytes) -> list[Packet]:
        """Take a notification and return the packets that are whole."""
        kind = value[0] if value else 0
        if kind == Kind.CONTINUED and len(value) > 2:
            return self._continue(value[1], value[2:])
        if kind != Kind.DATA or len(value) <= _HEADER_BYTES or value[1] not in self._unit_bytes:
            self.packets_rejected += kind != Kind.RESPONSE
            return []
        whole = self._close(value[1])
        stamp = int.from_bytes(value[2:_HEADER_BYTES], "little")
        self._open[value[1]] = Packet(value[1], stamp, value[_HEADER_BYTES:])
        return whole + self._close_if_long(value[1])

    def _continue(self, reference: int, more: bytes) -> list[Packet]:
        packet = self._open.pop(reference, None)
        if packet is None or len(packet.values) + len(more) > _MAX_VALUES_BYTES:
            self.packets_rejected += 1
            return []
        self._open[reference] = Packet(reference, packet.stamp_ms, packet.values + more)
        return self._close_if_long(reference)

    def _close_if_long(self, reference: int) -> list[Packet]:
        long = len(self._open[reference].values) >= self._longest.get(reference, _MAX_VALUES_BYTES)
        return self._close(reference) if long else []

    def _close(self, reference: int) -> list[Packet]:
        packet = self._open.pop(reference, None)
        if packet is None:
            return []
        unit = self._unit_bytes[reference]
        whole = len(packet.values) - len(packet.values) % unit
        self.packets_rejected += whole < len(packet.values)
        if not whole:
            return []
        self._longest[reference] = max(self._longest.get(reference, 0), whole)
        return [Packet(reference, packet.stamp_ms, packet.values[:whole])]


def ecg_mv(values: bytes) -> FloatArray:
    """Return the (n,) millivolts in an ECG packet."""
    return np.frombuffer(values, dtype="<i4").astype(np.float64) * MV_PER_COUNT


def acceleration_g(values: bytes) -> FloatArray:
    """Return the (n, 3) accelerations in g in an acceleration packet."""
    return np.frombuffer(values, dtype="<f4").astype(np.float64).reshape(-1, 3) / STANDARD_GRAVITY_M_S2
