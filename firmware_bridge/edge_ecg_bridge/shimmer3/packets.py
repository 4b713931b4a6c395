"""Data packets: finding them in a damaged byte stream, and counting what was lost by their time stamps.

A packet is ``00``, a 24-bit time stamp, the channels, and the CRC if it is on. ``00`` is also the sign
byte of every small sample, so it proves nothing. What proves a packet is its time: a stamp lies a whole
number of sampling intervals after the last one, and without CRC it must be followed by a packet of which
the same holds. A packet that steps back in time is refused: unwrapping it would shift all later time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..stream import BoolArray, ByteArray
from .crc import crc16_rows, intact
from .replies import Ack, Status, status_bytes
from .wire import (
    ACK,
    CHANNEL_BYTES,
    IN_STREAM_RESPONSE,
    PACKET,
    STAMP_MODULUS,
    STATUS_RESPONSE,
    Channel,
    StatusBit,
)

_HEAD = 4
_UNUSED_STATUS_BITS = 0x60
# Beyond half a turn of the counter a step forward cannot be told from one back.
_MAX_STEP = STAMP_MODULUS // 2


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
    def of(cls, channels: tuple[int, ...]) -> PacketLayout:
        """Lay out the inquiry's channels; KeyError when the size of one is unknown."""
        offsets, at = {}, _HEAD
        for channel in channels:
            offsets[channel] = at
            at += CHANNEL_BYTES[channel]
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

    """

    def __init__(self, layout: PacketLayout, ticks: int, *, crc_bytes: int = 0, hardware: int = 3) -> None:
        self.bytes_skipped = 0
        self.packets_rejected = 0
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

    def feed(self, data: bytes) -> list[PacketRun | Status | Ack]:
        """Take bytes in any pieces, return what is certain by now."""
        self._buffer += data
        out: list[PacketRun | Status | Ack] = []
        while self._buffer:
            if not self._aligned and not self._search():
                break
            if self._take_packets(out):
                continue
            if len(self._buffer) >= self._size and self._waits_for_next():
                break
            wait, message = self._message()
            if message is not None:
                out.append(message)
            elif wait:
                break
            else:
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

    def _take_packets(self, out: list[PacketRun | Status | Ack]) -> bool:
        """Move the acceptable packets at the buffer's start to ``out``; False when the first is not."""
        rows = self._rows()
        if not len(rows):
            return False
        good = self._well_formed(rows)
        stamps = self._stamps(rows)
        before = stamps[0] - self._ticks if self._stamp is None else self._stamp
        steps = np.diff(stamps, prepend=before) % STAMP_MODULUS
        good &= self._forward(steps)
        accepted = good.copy()
        if not self._crc_bytes:
            expected = steps == self._ticks
            confirmed = np.append(good[1:], False)
            if self._stamp is None:  # nothing to expect yet: only an exact pair is proof
                confirmed[0] = expected[0] = len(rows) > 1 and good[1] and expected[1]
            accepted &= expected | confirmed
        count = len(rows) if accepted.all() else int(np.argmin(accepted))
        if not count:
            return False
        lost = steps[:count] // self._ticks - 1
        edges = [0, *(np.flatnonzero(lost[1:]) + 1).tolist(), count]
        for begin, end in pairwise(edges):
            gap = int(lost[begin])
            out.append(PacketRun(rows[begin:end, : self._layout.size], self._next + gap, gap))
            self._next += gap + end - begin
        self._stamp = int(stamps[count - 1])
        del self._buffer[: count * self._size]
        return True

    def _waits_for_next(self) -> bool:
        """Whether the packet at the buffer's start only lacks its successor to be believed."""
        if self._crc_bytes or len(self._buffer) >= 2 * self._size:
            return False
        rows = self._rows()
        if self._stamp is None:
            return bool(self._well_formed(rows)[0])
        return bool(
            (self._well_formed(rows) & self._forward((self._stamps(rows) - self._stamp) % STAMP_MODULUS))[0]
        )

    def _give_up_packet(self) -> None:
        self.packets_rejected += 1
        if self._crc_bytes and len(self._buffer) >= self._size and self._well_formed(self._rows()[:1])[0]:
            # Whole but late or doubled: the next one follows where this one ends.
            self._drop(self._size)
            return
        self._drop(1)
        self._aligned = False

    def _drop(self, n: int) -> None:
        self.bytes_skipped += n
        del self._buffer[:n]

    # -- between packets -------------------------------------------------------------------------------

    def _message(self) -> tuple[bool, Status | Ack | None]:
        """Read an ACK or a status message at the buffer's start: (wait for more bytes, message)."""
        buffer = bytes(self._buffer[:8])
        if buffer[0] == PACKET:
            return len(self._buffer) < self._size, None
        if self.expects_ack and buffer[0] == ACK:
            size = 1 + self._crc_bytes
            if len(buffer) < size:
                return True, None
            if intact(buffer[:size], self._crc_bytes):
                del self._buffer[:size]
                self.expects_ack = False
                return False, Ack()
        at = 1 if buffer[0] == ACK else 0
        head = bytes((IN_STREAM_RESPONSE, STATUS_RESPONSE))
        if not head.startswith(buffer[at : at + 2]):
            return False, None
        size = at + 2 + status_bytes(self._hardware) + self._crc_bytes
        if len(buffer) < size:
            return True, None
        if not intact(buffer[:size], self._crc_bytes):
            return False, None
        del self._buffer[:size]
        return False, Status(StatusBit(buffer[at + 2]))

    # -- resynchronisation -----------------------------------------------------------------------------

    def _search(self) -> bool:
        """Look for the next certain packet; False when more bytes are needed."""
        size = self._size
        data = np.frombuffer(bytes(self._buffer), dtype=np.uint8)
        span = size if self._crc_bytes else 2 * size
        n = len(data) - span + 1
        if n > 0:
            windows = np.lib.stride_tricks.sliding_window_view(data, size)
            good = np.zeros(n, dtype=bool)
            at = np.flatnonzero(data[:n] == PACKET)
            good[at] = self._well_formed(windows[at])
            stamps = self._stamps(windows)
            if self._stamp is not None:
                good &= self._forward((stamps[:n] - self._stamp) % STAMP_MODULUS)
            if not self._crc_bytes:
                good &= (stamps[size : size + n] - stamps[:n]) % STAMP_MODULUS == self._ticks
                at = np.flatnonzero(good)
                good[at] = self._well_formed(windows[at + size])
            if good.any():
                self._drop(int(np.argmax(good)))
                self._aligned = True
                return True
        self._drop(max(n, 0))
        return False
