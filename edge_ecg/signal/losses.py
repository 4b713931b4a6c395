"""Where samples were lost, and how many within any stretch of device time."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from ..samples import SampleBlock

RECENT_S = (10.0, 60.0)
"""The stretches that records report beside the whole session."""

# Share of a sampling interval: times are multiples of one but for rounding, which grows over hours.
_ROUNDING = 1e-4


class _Loss(NamedTuple):
    first_s: float
    step_s: float
    samples: int


class Losses:
    """Remembers the losses of the last minutes, and their total for ever.

    Parameters
    ----------
    memory_s:
        How far back :meth:`between` can look from the latest loss.

    Attributes
    ----------
    total:
        Samples lost so far.

    """

    def __init__(self, memory_s: float = 60.0) -> None:
        self.total = 0
        self._memory_s = memory_s
        self._losses: deque[_Loss] = deque()

    def add(self, first_s: float, samples: int, step_s: float) -> None:
        """Note that ``samples`` are missing, one every ``step_s`` from ``first_s`` on; in order of time."""
        if samples <= 0:
            return
        self.total += samples
        self._losses.append(_Loss(first_s, step_s, samples))
        self.forget_before(first_s - self._memory_s)

    def forget_before(self, time_s: float) -> None:
        """Let go of losses that ended before a device time."""
        losses = self._losses
        while losses and losses[0].first_s + losses[0].samples * losses[0].step_s <= time_s:
            losses.popleft()

    def between(self, start_s: float, end_s: float) -> int:
        """Return how many lost samples lie in ``[start_s, end_s)``."""
        return sum(_before(loss, end_s) - _before(loss, start_s) for loss in self._losses)

    def until(self, time_s: float) -> int:
        """Return how many were lost before a device time, which lies within the memory."""
        return self.total - self.between(time_s, math.inf)

    def last(self, seconds: float, now_s: float) -> int:
        """Return how many were lost in the ``seconds`` before a device time."""
        return self.between(now_s - seconds, now_s)


def hole_before(block: SampleBlock, lost: int, last_s: float | None) -> tuple[float, float]:
    """Return when the first of the samples lost before a block was due, and the time from each to the next.

    ``last_s`` is the device time of the last sample before the hole, None where there was none.
    """
    if block.time_s is None or last_s is None:
        return block.start_s - lost / block.fs_hz, 1.0 / block.fs_hz
    step_s = (block.start_s - last_s) / (lost + 1)
    return last_s + step_s, step_s


def _before(loss: _Loss, time_s: float) -> int:
    if math.isinf(time_s):
        return loss.samples
    count = math.ceil((time_s - loss.first_s) / loss.step_s - _ROUNDING)
    return min(max(count, 0), loss.samples)
