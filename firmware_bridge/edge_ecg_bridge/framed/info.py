"""The info frame: what a host must know to read the data frames."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntFlag

from .wire import FrameType, seal

_HEAD = struct.Struct("<BBIHBB12s")
_CHANNEL = struct.Struct("<B7sIiii")
MAX_CHANNELS = 8
_PV_PER_MV = 1e9


class State(IntFlag):
    """Second byte of an info frame."""

    STREAMING = 0x01
    OBEYS = 0x02
    """The firmware obeys commands."""
    EVEN = 0x04
    """Samples are paced by the same oscillator as the device's time: sample n lies at n / rate."""
    ELECTRODES = 0x08
    """The device notices loose electrodes and says so in the flags of its data frames."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: mV = (count - zero) * mv_per_count.

    Attributes
    ----------
    name:
        At most 7 ASCII characters.
    is_ecg:
        Whether it is an ECG lead.
    pv_per_count:
        Picovolts at the electrodes for one count.
    zero:
        Count at 0 mV.
    low, high:
        Counts at and beyond which the converter or the amplifier is at its limit.

    """

    name: str
    is_ecg: bool
    pv_per_count: int
    zero: int
    low: int
    high: int

    @property
    def mv_per_count(self) -> float:
        """Millivolts at the electrodes for one count."""
        return self.pv_per_count / _PV_PER_MV


@dataclass(frozen=True, slots=True)
class Info:
    """What an info frame says.

    Attributes
    ----------
    run:
        Changes, modulo 256, whenever numbering begins anew or anything below changes.
    state:
        See :class:`State`.
    rate_mhz:
        Nominal sampling rate in thousandths of a hertz.
    ug_per_count:
        Millionths of g for one count of the accelerometer; 0 where there is none.
    sample_bytes:
        2 or 3.
    name:
        What the board calls itself, at most 12 ASCII characters.
    channels:
        One to eight.

    """

    run: int
    state: State
    rate_mhz: int
    ug_per_count: int
    sample_bytes: int
    name: str
    channels: tuple[Channel, ...]

    @property
    def fs_hz(self) -> float:
        """Nominal sampling rate in Hz."""
        return self.rate_mhz / 1000.0

    @property
    def settings(self) -> Info:
        """The same without what may change during a run."""
        return replace(self, state=self.state & ~State.STREAMING)

    @staticmethod
    def possible(length: int) -> bool:
        """Whether the payload of an info frame may be ``length`` bytes long."""
        count, rest = divmod(length - _HEAD.size, _CHANNEL.size)
        return not rest and 1 <= count <= MAX_CHANNELS

    @classmethod
    def parse(cls, payload: bytes) -> Info | None:
        """Read the payload; None when it contradicts itself."""
        if not cls.possible(len(payload)):
            return None
        run, state, rate_mhz, ug, count, width, name = _HEAD.unpack_from(payload)
        rows = list(_CHANNEL.iter_unpack(payload[_HEAD.size :]))
        channels = tuple(Channel(_text(row[1]), row[0] == 1, *row[2:]) for row in rows)
        sound = all(c.pv_per_count and c.low < c.high for c in channels)
        if count != len(rows) or width not in (2, 3) or not rate_mhz or not sound:
            return None
        return cls(run, State(state & 0x0F), rate_mhz, ug, width, _text(name), channels)

    def frame(self) -> bytes:
        """Return the whole frame."""
        head = _HEAD.pack(
            self.run,
            self.state,
            self.rate_mhz,
            self.ug_per_count,
            len(self.channels),
            self.sample_bytes,
            self.name.encode("ascii"),
        )
        rows = [
            _CHANNEL.pack(c.is_ecg, c.name.encode("ascii"), c.pv_per_count, c.zero, c.low, c.high)
            for c in self.channels
        ]
        return seal(FrameType.INFO, head + b"".join(rows))


def _text(padded: bytes) -> str:
    """Read a name; what is no printable ASCII becomes a question mark."""
    plain = padded.split(b"\0", 1)[0]
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in plain)
