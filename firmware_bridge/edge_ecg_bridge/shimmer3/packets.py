"""Data packets: finding them in a damaged byte stream, and counting what was lost by their time stamps.

A packet is ``00``, a 24-bit time stamp, the channels, and the CRC if it is on. ``00`` is also the sign
byte of every small sample, so it proves nothing. What proves a packet is its time: a stamp lies a whole
number of sampling intervals after the last one. Without CRC it must also be followed, at once or behind one
other, by one exactly one interval later, or by a message, or stand before one that is; so each packet comes
one packet late. One with a hole in its middle is refused, unless the hole is whole packets long: that only a
CRC can tell from whole packets lost. A packet that steps back in time is refused: unwrapping it would shift
all later time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..stream import BoolArray, ByteArray
from .crc import crc16_rows, intact
from .replies import Ack, Status, status_bytes
from .wire import (
    ACK,
    CHANNEL_BYTES,
    CHANNEL_BYTES_3R,
    IN_STREAM_RESPONSE,
    PACKET,
    STAMP_MODULUS,
    STATUS_RESPONSE,
    Channel,
    Hardware,
    StatusBit,
)

_HEAD = 4
_UNUSED_STATUS_BITS = 0x60
# Beyond half a turn of the counter a step forward cannot be told from one back.
_MAX_STEP = STAMP_MODULUS // 2
_STATUS_HEAD = bytes((IN_STREAM_RESPONSE, STATUS_RESPONSE))
_LONGEST_MESSAGE = 8


class _Verdict(Enum):
    """Whether something stands at the buffer's start; WAIT when only more bytes can tell."""

    NO = 0
    YES = 1
    WAIT = 2


@dataclass(frozen=True)
class PacketLayout:
    """Where each channel lies in a packet.

    Attributes
    ----------
    offsets:
        First byte of each channel by its identifier.
    size:
        Bytes of a packet without CRC.

    """

    offsets: dict[int, int]
    size: int

    @classmethod
    def of(cls, channels: tuple[int, ...], hardware: int = Hardware.SHIMMER3) -> PacketLayout:
        """Lay out the inquiry's channels in its order; KeyError when the size of one is unknown."""
        sizes = CHANNEL_BYTES_3R if hardware == Hardware.SHIMMER3R else CHANNEL_BYTES
        offsets, at = {}, _HEAD
        for channel in channels:
            offsets[channel] = at
            at += sizes[channel]
        return cls(offsets, at)

    @property
    def status_columns(self) -> list[int]:
        """Columns that hold an ExG status byte."""
        return [self.offsets[c] for c in (Channel.EXG1_STATUS, Channel.EXG2_STATUS) if c in self.offsets]


@dataclass(frozen=True, slots=True)
class PacketRun:
    """Packets without a hole between them.

    Attributes
    ----------
    packets:
        (k, size) bytes.
    first:
        Number of the first one, counting from 0 at the stream's first packet; lost packets count.
    gap_before:
        Packets lost immediately before.

    """

    packets: ByteArray
    first: int
    gap_before: int


class PacketFramer:
    """Turns the byte stream of a streaming Shimmer into runs of packets.

    Attributes
    ----------
    bytes_skipped, packets_rejected:
        Bytes that belonged to no packet; packets whose CRC or time was wrong.
    duplicates:
        Of the rejected packets those that were whole, but not younger than the last one.

    """

    def __init__(self, layout: PacketLayout, ticks: int, *, crc_bytes: int = 0, hardware: int = 3) -> None:
        self.bytes_skipped = 0
        self.packets_rejected = 0
        self.duplicates = 0
        self.expects_ack = False
        self._layout = layout
        self._ticks = ticks
        self._crc_bytes = crc_bytes
        self._hardware = hardware
        self._size = layout.size + crc_bytes
        self._buffer = bytearray()
        self._aligned = True
        self._stamp: int | None = None
        self._next = 0

    @property
    def first_stamp(self) -> int | None:
        """Time stamp of packet 0 in ticks of the counter, whether it came or not; None before any packet."""
        if self._stamp is None:
            return None
        return (self._stamp - (self._next - 1) * self._ticks) % STAMP_MODULUS

    def feed(self, data: bytes) -> list[PacketRun | Status | Ack]:
        """Take bytes in any pieces, return what is certain by now."""
        self._buffer += data
        out: list[PacketRun | Status | Ack] = []
        while self._buffer and (self._aligned or self._search()):
            verdict = self._take_packets(out)
            if verdict is _Verdict.NO:
                verdict = self._take_message(out)
            if verdict is _Verdict.WAIT:
                break
            if verdict is _Verdict.NO:
                self._give_up_packet()
        return out

    # -- packets ---------------------------------------------------------------------------------------

    def _rows(self) -> ByteArray:
        n = len(self._buffer) // self._size
        return np.frombuffer(bytes(self._buffer[: n * self._size]), dtype=np.uint8).reshape(n, self._size)

    def _stamps(self, rows: ByteArray) -> NDArray[np.int64]:
        wide = rows[:, 1:4].astype(np.int64)
        return wide[:, 0] | wide[:, 1] << 8 | wide[:, 2] << 16

    def _well_formed(self, rows: ByteArray) -> BoolArray:
        good: BoolArray = rows[:, 0] == PACKET
        for column in self._layout.status_columns:
            good &= (rows[:, column] & _UNUSED_STATUS_BITS) == 0
        if self._crc_bytes and good.any():
            crc = crc16_rows(rows[:, : self._layout.size])
            good &= rows[:, self._layout.size] == crc & 0xFF
            if self._crc_bytes == 2:
                good &= rows[:, self._layout.size + 1] == crc >> 8
        return good

    def _forward(self, steps: NDArray[np.int64]) -> BoolArray:
        forward: BoolArray = (steps > 0) & (steps < _MAX_STEP) & (steps % self._ticks == 0)
        return forward

    def _take_packets(self, out: list[PacketRun | Status | Ack]) -> _Verdict:
        """Move the packets at the buffer's start to ``out``, as many as are proven."""
        rows = self._rows()
        if not len(rows):
            return _Verdict.NO if self._buffer[0] != PACKET else _Verdict.WAIT
        well_formed = self._well_formed(rows)
        good = well_formed.copy()
        stamps = self._stamps(rows)
        before = stamps[0] - self._ticks if self._stamp is None else self._stamp
        steps = np.diff(stamps, prepend=before) % STAMP_MODULUS
        good &= self._forward(steps)
        count = len(rows) if good.all() else int(np.argmin(good))
        verdict = _Verdict.NO
        if count and not self._crc_bytes:
            verdict = self._followed(count, len(rows))
            if verdict is not _Verdict.YES:
                # The last packet that has its successor proves itself, and so all before it.
                exact = np.flatnonzero(self._succeeded(stamps, steps, well_formed)[:count])
                count = int(exact[-1]) + 1 if len(exact) else 0
        if not count:
            return verdict
        lost = steps[:count] // self._ticks - 1
        edges = [0, *(np.flatnonzero(lost[1:]) + 1).tolist(), count]
        for begin, end in pairwise(edges):
            gap = int(lost[begin])
            out.append(PacketRun(rows[begin:end, : self._layout.size], self._next + gap, gap))
            self._next += gap + end - begin
        self._stamp = int(stamps[count - 1])
        del self._buffer[: count * self._size]
        return _Verdict.YES

    def _succeeded(
        self, stamps: NDArray[np.int64], steps: NDArray[np.int64], well_formed: BoolArray
    ) -> BoolArray:
        """Mark packets that have one exactly one interval later behind them.

        For one that is itself exactly one interval after the last, it may also stand behind one out of turn.
        """
        found = np.zeros(len(stamps), dtype=bool)
        in_turn = steps == self._ticks
        for ahead, may in ((1, np.ones_like(in_turn)), (2, in_turn)):
            later = (stamps[ahead:] - stamps[:-ahead]) % STAMP_MODULUS == self._ticks
            found[: len(stamps) - ahead] |= later & well_formed[ahead:] & may[: len(stamps) - ahead]
        return found

    def _followed(self, count: int, rows: int) -> _Verdict:
        """Whether a message stands behind the first ``count`` packets, the last of which has no successor."""
        if count < rows and self._buffer[count * self._size] == PACKET:
            # One out of turn may stand between it and its successor.
            return _Verdict.WAIT if count == 1 == rows - 1 else _Verdict.NO
        rest = bytes(self._buffer[count * self._size :][:_LONGEST_MESSAGE])
        if not rest or rest[0] == PACKET:
            return _Verdict.WAIT
        size = self._message_size(rest)
        return _Verdict.NO if size is None else _Verdict.YES if 0 < size <= len(rest) else _Verdict.WAIT

    def _give_up_packet(self) -> None:
        self.packets_rejected += 1
        whole = len(self._buffer) >= self._size and bool(self._well_formed(self._rows()[:1])[0])
        if whole and self._stamp is not None:
            back = (self._stamp - self._stamps(self._rows()[:1])[0]) % STAMP_MODULUS
            self.duplicates += int(back < _MAX_STEP and back % self._ticks == 0)
        if whole and self._crc_bytes:
            # Late or doubled: the next one follows where this one ends.
            self._drop(self._size)
            return
        self._drop(1)
        self._aligned = False

    def _drop(self, n: int) -> None:
        self.bytes_skipped += n
        del self._buffer[:n]

    # -- between packets -------------------------------------------------------------------------------

    def _message_size(self, rest: bytes) -> int | None:
        """Size of the message at the start of ``rest``; 0: more bytes will tell; None: there is none."""
        if self.expects_ack and rest[0] == ACK:
            return 1 + self._crc_bytes
        at = 1 if rest[0] == ACK else 0
        if not _STATUS_HEAD.startswith(rest[at : at + 2]):
            return None
        return at + 2 + status_bytes(self._hardware) + self._crc_bytes if len(rest) >= at + 2 else 0

    def _take_message(self, out: list[PacketRun | Status | Ack]) -> _Verdict:
        """Move the ACK or status message at the buffer's start to ``out``."""
        rest = bytes(self._buffer[:_LONGEST_MESSAGE])
        size = self._message_size(rest)
        if size is None:
            return _Verdict.NO
        if not 0 < size <= len(rest):
            return _Verdict.WAIT
        if not intact(rest[:size], self._crc_bytes):
            return _Verdict.NO
        if size == 1 + self._crc_bytes:
            self.expects_ack = False
            out.append(Ack())
        else:
            out.append(Status(StatusBit(rest[3 if rest[0] == ACK else 2])))
        del self._buffer[:size]
        return _Verdict.YES

    # -- resynchronisation -----------------------------------------------------------------------------

    def _search(self) -> bool:
        """Look for the next packet proven by its CRC or by two more behind it; False when bytes lack."""
        size = self._size
        data = np.frombuffer(bytes(self._buffer), dtype=np.uint8)
        span = size if self._crc_bytes else 3 * size
        n = len(data) - span + 1
        if n > 0:
            windows = np.lib.stride_tricks.sliding_window_view(data, size)
            stamps = self._stamps(windows)
            good = data[:n] == PACKET
            if self._stamp is not None:
                good &= self._forward((stamps[:n] - self._stamp) % STAMP_MODULUS)
            if not self._crc_bytes:
                second, third = stamps[size : size + n], stamps[2 * size : 2 * size + n]
                good &= (second - stamps[:n]) % STAMP_MODULUS == self._ticks
                good &= self._forward((third - second) % STAMP_MODULUS)
            for at in np.flatnonzero(good).tolist():
                if self._well_formed(windows[at : at + span - size + 1 : size]).all():
                    self._drop(at)
                    self._aligned = True
                    return True
        self._drop(max(n, 0))
        return False
