"""What every virtual device is, and the signal that it measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..stream import FloatArray

Signal = Callable[[float], Iterator[FloatArray]]
"""Sampling rate -> one lead in millivolts, in chunks; NaN where there is no sample. May end."""
Motion = Callable[[FloatArray], FloatArray]
"""Times in seconds from the stream's start, (n,) -> what an accelerometer feels, (n, 3) in g."""


def at_rest(t_s: FloatArray) -> FloatArray:
    """Return the acceleration of a body that sits still: 1 g upwards, (n, 3)."""
    return np.tile([0.0, 0.0, 1.0], (len(t_s), 1))


@dataclass(frozen=True, slots=True)
class Unit:
    """What a device writes in one go: a data packet, a line, a reply.

    Attributes
    ----------
    data:
        Its bytes.
    samples:
        ECG samples in it; 0 for what carries none.
    first:
        The first one's number in the device's stream, of a device that measures while it sends nothing; None
        where what is sent is all that is measured.

    """

    data: bytes
    samples: int = 0
    first: int | None = None


def joined(units: Iterable[Unit]) -> bytes:
    """Return the bytes of units one behind the other."""
    return b"".join(unit.data for unit in units)


class Emulator(Protocol):
    """A virtual device. Times are seconds of one monotonic clock, whichever it is.

    One that begins its signal anew when the host tells it to also has ``streams``, the number of times that
    it did: a fault layer counts samples from there.
    """

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the host."""
        ...

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return what the device has sent up to now and was not returned before."""
        ...

    def units(self, now_s: float) -> list[Unit]:
        """Return the same packet by packet; what one of the two has returned, the other does not."""
        ...

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send; None when only the host can change that."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the device has hung up: its recording is over or it was unplugged."""
        ...

    def link_lost(self) -> None:
        """React to a host that has gone."""
        ...


class Reservoir:
    """Hands a stream of chunks out in other pieces."""

    def __init__(self, chunks: Iterator[FloatArray]) -> None:
        self._chunks = chunks
        self._rest: FloatArray = np.zeros(0)

    def take(self, n: int) -> FloatArray:
        """Return the next ``n`` samples; fewer only at the end."""
        parts, have = [self._rest], len(self._rest)
        while have < n:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        whole = np.concatenate(parts)
        self._rest = whole[n:]
        return whole[:n]
