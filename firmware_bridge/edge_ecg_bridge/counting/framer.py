"""Finding packets of one size that carry a small counter in a damaged byte stream.

A packet that looks right proves nothing: its header occurs in data, and a four-bit CRC agrees with every
sixteenth piece of noise. What proves it is a packet right behind it whose number is one higher. So each
packet comes one packet late, two where the check is weak. One whose follower is missing or damaged is
believed when packets further on, at whole packet distances, count on; else it is refused, and all offsets are
searched for packets that count on.

A packet out of order that came before, byte by byte, while the stream goes on behind it as if it were not
there, was sent again: with a counter this small it would else pass for a loss of most of the counter's range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stream import BoolArray, ByteArray

_AHEAD = 8
_PAST_BYTES = 5000  # more than half a second of every board


@dataclass(frozen=True, slots=True)
class Found:
    """Packets in a row.

    Attributes
    ----------
    rows:
        (k, size) bytes; numbers rise by one.
    refused:
        Packets immediately before that were refused, being the first ones behind a hole.

    """

    rows: ByteArray
    refused: int = 0


class CountedFramer(ABC):
    """Turns a byte stream into runs of packets; subclasses say what a packet looks like.

    Parameters
    ----------
    size:
        Bytes of a packet.
    modulus:
        Range of its counter.
    lock_rows:
        Packets in a row, each one number on, that are needed to find the stream again.
    strict:
        For weak checks. The first packet behind a hole is refused: its head may be from before the hole,
        its tail, with counter and check, from behind it; so is the second where the stream was searched
        for. And a packet needs two followers.

    Attributes
    ----------
    bytes_skipped, packets_rejected, duplicates:
        Bytes that belonged to no packet, packets that were damaged or not proven, packets that came again.

    """

    def __init__(self, size: int, modulus: int, *, lock_rows: int, strict: bool = False) -> None:
        self.bytes_skipped = 0
        self.packets_rejected = 0
        self.duplicates = 0
        self._size = size
        self._modulus = modulus
        self._lock_rows = lock_rows
        self._strict = strict
        self._followers = 2 if strict else 1
        self._buffer = bytearray()
        self._aligned = True
        self._last: int | None = None  # number of the last packet at this alignment
        self._last_packet = b""
        self._past = bytearray()  # the latest packets that were believed
        self._refused = 0

    @abstractmethod
    def _well_formed(self, rows: ByteArray) -> BoolArray:
        """Whether each of (n, size) rows looks like a packet."""

    @abstractmethod
    def _numbers(self, rows: ByteArray) -> NDArray[np.int64]:
        """The counter of each of (n, size) rows."""

    def feed(self, data: bytes) -> list[Found]:
        """Take bytes in any pieces; return the packets that are proven by now."""
        self._buffer += data
        taken: list[Found] = []
        while self._take(taken) if self._aligned else self._search():
            pass
        return taken

    def flush(self) -> list[Found]:
        """Return the packets that wait for followers, if their own numbers count on: none are coming."""
        n, rest = divmod(len(self._buffer), self._size)
        if not self._aligned or self._last is None or rest or not 0 < n <= self._followers:
            return []
        rows = self._rows(n)
        counts_on = self._steps(self._numbers(rows), self._last) == 1
        taken: list[Found] = []
        if counts_on.all() and self._well_formed(rows).all():
            self._keep(rows, taken)
        return taken

    def _steps(self, numbers: NDArray[np.int64], before: int) -> NDArray[np.int64]:
        """Return by how much each number is above the one before it, modulo the counter's range."""
        steps: NDArray[np.int64] = numbers.copy()
        steps[1:] -= numbers[:-1]
        steps[0] -= before
        return steps % self._modulus

    def _rows(self, n: int) -> ByteArray:
        return np.frombuffer(bytes(self._buffer[: n * self._size]), dtype=np.uint8).reshape(n, self._size)

    def _take(self, taken: list[Found]) -> bool:
        """Move what is proven at the buffer's start to ``taken``; False when more bytes are needed."""
        n = len(self._buffer) // self._size
        if n <= self._followers:
            return False
        rows = self._rows(n)
        well, numbers = self._well_formed(rows), self._numbers(rows)
        before = numbers[0] - 1 if self._last is None else self._last
        plain = well & (self._steps(numbers, int(before)) == 1)
        in_order = n if plain.all() else int(np.argmin(plain))
        if in_order > self._followers:
            self._keep(rows[: in_order - self._followers], taken)
            return True
        if in_order == n:
            return False
        if well[0] and (bytes(rows[0]) == self._last_packet or self._is_old(rows, well, numbers)):
            self.duplicates += 1
            del self._buffer[: self._size]
            return True
        return self._take_odd(rows[:_AHEAD], well[:_AHEAD], numbers[:_AHEAD], taken)

    def _is_old(self, rows: ByteArray, well: BoolArray, numbers: NDArray[np.int64]) -> bool:
        """Whether the first packet came before, and those behind it follow on the last one believed.

        With the last one's own number it is more likely the first behind a loss of the range less one.
        """
        if self._last is None or len(rows) < 3 or not well[1:3].all():
            return False
        steps = ((numbers[:3] - self._last) % self._modulus).tolist()
        if steps[0] in (0, 1) or steps[1:] != [1, 2]:
            return False
        past = np.frombuffer(bytes(self._past), dtype=np.uint8).reshape(-1, self._size)
        return bool((past == rows[0]).all(axis=1).any())

    def _take_odd(
        self, rows: ByteArray, well: BoolArray, numbers: NDArray[np.int64], taken: list[Found]
    ) -> bool:
        """Decide over the first packet, which is damaged, or followed by something else than the next one."""
        before = int(numbers[0]) - 1 if self._last is None else self._last
        follows = int(numbers[0]) == (before + 1) % self._modulus
        if not self._proven_ahead(well, numbers, before):
            if len(rows) < _AHEAD:
                return False
            self.packets_rejected += 1
            self._skip(1)
            self._aligned = False
        elif well[0] and (follows or not self._strict):
            self._keep(rows[:1], taken)
        else:
            self.packets_rejected += 1
            self._refused += bool(well[0]) and not follows
            self._skip(self._size)
            self._last = int(numbers[0]) if well[0] else (before + 1) % self._modulus
        return True

    def _proven_ahead(self, well: BoolArray, numbers: NDArray[np.int64], before: int) -> bool:
        """Whether packets that count on stand at whole packet distances from here."""
        exact = well[:-1] & well[1:] & ((numbers[1:] - numbers[:-1]) % self._modulus == 1)
        for at in range(len(exact)):
            counts_on = int(numbers[at]) == (before + 1 + at) % self._modulus
            if not counts_on and not well[:at].all():
                continue
            pairs = self._followers if counts_on or not self._strict else self._lock_rows - 1
            if len(exact) - at >= pairs and exact[at : at + pairs].all():
                return True
        return False

    def _keep(self, rows: ByteArray, taken: list[Found]) -> None:
        taken.append(Found(rows, self._refused))
        self._refused = 0
        self._last = int(self._numbers(rows[-1:])[0])
        self._last_packet = bytes(rows[-1])
        self._past += rows.tobytes()
        del self._past[: -(_PAST_BYTES // self._size * self._size)]
        del self._buffer[: len(rows) * self._size]

    def _skip(self, n: int) -> None:
        self.bytes_skipped += n
        del self._buffer[:n]

    def _search(self) -> bool:
        """Look at every offset for packets that count on; False when more bytes are needed."""
        size = self._size
        data = np.frombuffer(bytes(self._buffer), dtype=np.uint8)
        n = len(data) - size * self._lock_rows + 1
        if n <= 0:
            return False
        windows = np.lib.stride_tricks.sliding_window_view(data, size)
        well, numbers = self._well_formed(windows), self._numbers(windows)
        good = well[:n].copy()
        for row in range(1, self._lock_rows):
            here, there = (row - 1) * size, row * size
            good &= well[there : there + n]
            good &= (numbers[there : there + n] - numbers[here : here + n]) % self._modulus == 1
        if not good.any():
            self._skip(n)
            return False
        at = int(np.argmax(good))
        self._skip(at)
        self._aligned = True
        self._last = None
        if self._strict:
            # Noise that looks like a packet, and a packet with a head of noise, may both be counted in.
            self.packets_rejected += 2
            self._refused = 2
            self._last = int(numbers[at + size])
            self._skip(2 * size)
        return True
