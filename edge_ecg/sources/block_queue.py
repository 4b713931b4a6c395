"""Between the thread that reads and whoever decides: bounded, and what it must drop it tells.

While the consumer keeps up nothing is held for long. When it does not, the queue grows to ``capacity_s`` of
signal; then the oldest half goes at once, because one large gap leaves room for whole windows before and
behind it, where many small ones would spoil every window. The loss is announced by a ``gap`` event of reason
``slow reader`` and counted in the block that follows, as any other loss is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..samples import SampleBlock, SourceEvent

CAPACITY_S = 30.0
SLOW_READER = "slow reader"

# Far more than a device that comes and goes makes in the time that a queue holds.
_MOST_EVENTS = 256
# Waits are cut into pieces, so that Ctrl-C is heard on every system.
_PIECE_S = 0.25


@dataclass(slots=True)
class _Waiting:
    block: SampleBlock
    dropped: int = 0
    """Samples dropped between the block before it and this one."""


class BlockQueue:
    """Hands blocks and events from one thread to another, in order.

    Attributes
    ----------
    samples_dropped:
        How many samples were dropped because nobody took them in time.

    """

    def __init__(self, capacity_s: float = CAPACITY_S) -> None:
        self.samples_dropped = 0
        self._capacity_s = capacity_s
        self._items: deque[_Waiting | SourceEvent] = deque()
        self._held_s = 0.0
        self._blocks = self._events = 0
        self._over = False
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()

    @property
    def held_s(self) -> float:
        """Seconds of signal that wait."""
        return self._held_s

    def put(self, item: SampleBlock | SourceEvent) -> None:
        """Add an item; never waits."""
        with self._changed:
            if isinstance(item, SourceEvent):
                self._items.append(item)
                self._events += 1
                if self._events > _MOST_EVENTS:
                    self._forget_event()
            else:
                self._items.append(_Waiting(item))
                self._held_s += len(item) / item.fs_hz
                self._blocks += 1
                if self._held_s > self._capacity_s:
                    self._drop_to(self._capacity_s / 2.0)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Let the consumer's iteration end, or raise ``error``, after it has taken what waits."""
        with self._changed:
            self._over, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Let the consumer's iteration end at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        while True:
            item = self._take()
            if item is None:
                return
            yield item

    def _take(self) -> SampleBlock | SourceEvent | None:
        with self._changed:
            while not self._items and not self._over and not self._closed:
                self._changed.wait(_PIECE_S)
            if self._closed:
                return None
            if not self._items:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                return None
            item = self._items.popleft()
            if isinstance(item, SourceEvent):
                self._events -= 1
                return item
            block = item.block
            if item.dropped:
                self._items.appendleft(_Waiting(block))
                counts = {"lost_samples": block.gap_before, "dropped_samples": item.dropped}
                return SourceEvent("gap", block.start_s, {**counts, "reason": SLOW_READER})
            self._blocks -= 1
            self._held_s = max(self._held_s - len(block) / block.fs_hz, 0.0)
            return block

    def _drop_to(self, held_s: float) -> None:
        """Drop the oldest blocks, never the newest; events stay, but those of the gaps that grow together."""
        if self._blocks < 2:
            return
        kept: list[SourceEvent] = []
        lost = dropped = 0
        while self._held_s > held_s and self._blocks > 1:
            item = self._items.popleft()
            if isinstance(item, SourceEvent):
                kept.append(item)
                continue
            self._blocks -= 1
            self._held_s -= len(item.block) / item.block.fs_hz
            lost += item.block.gap_before + len(item.block)
            dropped += item.dropped + len(item.block)
            self.samples_dropped += len(item.block)
        first = self._items.popleft()
        while isinstance(first, SourceEvent):
            kept.append(first)
            first = self._items.popleft()
        first.block = replace(first.block, gap_before=first.block.gap_before + lost)
        first.dropped += dropped
        told = [event for event in kept if event.event != "gap"]
        self._events -= len(kept) - len(told)
        self._items.extendleft([first, *reversed(told)])

    def _forget_event(self) -> None:
        index = next(i for i, item in enumerate(self._items) if isinstance(item, SourceEvent))
        del self._items[index]
        self._events -= 1
