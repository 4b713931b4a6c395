"""The Heart Rate Measurement characteristic (0x2A37) of the Bluetooth SIG's Heart Rate Service."""

from __future__ import annotations

from dataclasses import dataclass

_WIDE, _CONTACT_SEEN, _CONTACT_KNOWN, _ENERGY, _INTERVALS = 0x01, 0x02, 0x04, 0x08, 0x10
_TICKS_PER_S = 1024.0


@dataclass(frozen=True, slots=True)
class HeartRate:
    """One measurement.

    Attributes
    ----------
    heart_rate_bpm:
        The device's own mean; 0 where it has none.
    rr_s:
        RR intervals since the last measurement, oldest first.
    contact:
        Whether the strap touches skin; None where it cannot tell (most Polar H10).

    """

    heart_rate_bpm: int
    rr_s: tuple[float, ...] = ()
    contact: bool | None = None


def read_heart_rate(value: bytes) -> HeartRate | None:
    """Read a notification; None when it is cut off."""
    if len(value) < 2:
        return None
    flags = value[0]
    at = 3 if flags & _WIDE else 2
    rate = int.from_bytes(value[1:at], "little")
    if flags & _ENERGY:
        at += 2
    if len(value) < at:
        return None
    contact = bool(flags & _CONTACT_SEEN) if flags & _CONTACT_KNOWN else None
    rest = value[at:] if flags & _INTERVALS else b""
    intervals = [int.from_bytes(rest[i : i + 2], "little") for i in range(0, len(rest) - 1, 2)]
    return HeartRate(rate, tuple(ticks / _TICKS_PER_S for ticks in intervals), contact)


def heart_rate_value(measured: HeartRate) -> bytes:
    """Return the notification for a measurement."""
    flags = _WIDE if measured.heart_rate_bpm > 0xFF else 0
    if measured.contact is not None:
        flags |= _CONTACT_KNOWN | (_CONTACT_SEEN if measured.contact else 0)
    flags |= _INTERVALS if measured.rr_s else 0
    rate = measured.heart_rate_bpm.to_bytes(2 if flags & _WIDE else 1, "little")
    ticks = [round(interval_s * _TICKS_PER_S).to_bytes(2, "little") for interval_s in measured.rr_s]
    return bytes((flags,)) + rate + b"".join(ticks)
