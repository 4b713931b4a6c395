"""The queue between reader and decider: order, bounds, and every dropped sample told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DeviceError
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.sources.block_queue import SLOW_READER, BlockQueue

FS_HZ = 100.0


def block(first: int, n: int, gap: int = 0) -> SampleBlock:
    return SampleBlock(np.arange(first, first + n, dtype=np.float64), FS_HZ, first, gap)


def drained(queue: BlockQueue) -> list[SampleBlock | SourceEvent]:
    queue.end()
    return list(queue)


def test_what_fits_passes_in_order() -> None:
    queue = BlockQueue(capacity_s=10.0)
    items = [SourceEvent("connected"), block(0, 50), SourceEvent("gap"), block(60, 50, 10), block(110, 50)]
    for item in items:
        queue.put(item)
    assert queue.held_s == pytest.approx(1.5)
    assert drained(queue) == items
    assert queue.held_s == 0.0
    assert queue.samples_dropped == 0


def test_the_oldest_half_goes_and_is_told_once() -> None:
    queue = BlockQueue(capacity_s=1.0)
    queue.put(SourceEvent("connected"))
    for first in range(0, 101, 10):
        queue.put(block(first, 10))
    assert queue.held_s == pytest.approx(0.5)
    assert queue.samples_dropped == 60
    connected, gap, *blocks = drained(queue)
    assert connected == SourceEvent("connected")
    detail = {"lost_samples": 60, "dropped_samples": 60, "reason": SLOW_READER}
    assert gap == SourceEvent("gap", 0.6, detail)
    assert [(b.first_sample, b.gap_before) for b in blocks if isinstance(b, SampleBlock)] == [
        (60, 60), (70, 0), (80, 0), (90, 0), (100, 0),
    ]  # fmt: skip


def test_gaps_that_grow_together_are_one() -> None:
    """Of the device (5), of an interruption (100), and of the slow reader."""
    queue = BlockQueue(capacity_s=1.0)
    queue.put(block(0, 40))
    queue.put(block(45, 40, 5))
    queue.put(SourceEvent("lost", 0.85))
    queue.put(SourceEvent("reconnected", 1.85))
    queue.put(SourceEvent("gap", 1.85, {"lost_samples": 100}))
    queue.put(block(185, 40, 100))
    items = drained(queue)
    assert [item.event for item in items if isinstance(item, SourceEvent)] == ["lost", "reconnected", "gap"]
    assert items[-2:] == [
        SourceEvent("gap", 1.85, {"lost_samples": 185, "dropped_samples": 80, "reason": SLOW_READER}),
        items[-1],
    ]
    last = items[-1]
    assert isinstance(last, SampleBlock)
    assert (last.first_sample, last.gap_before) == (185, 185)


def test_one_block_that_is_too_large_is_kept() -> None:
    queue = BlockQueue(capacity_s=1.0)
    queue.put(SourceEvent("gap", 0.0, {"lost_samples": 3}))
    queue.put(block(3, 500, 3))
    assert [type(item) for item in drained(queue)] == [SourceEvent, SampleBlock]
    assert queue.samples_dropped == 0


_ACTION = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 60), st.integers(0, 15)),
    st.tuples(st.just("event"), st.just(0), st.just(0)),
    st.tuples(st.just("take"), st.integers(1, 4), st.just(0)),
)


@given(st.lists(_ACTION, max_size=200), st.floats(0.2, 3.0))
@settings(max_examples=200, deadline=None)
def test_every_sample_is_delivered_or_counted(actions: list[tuple[str, int, int]], capacity_s: float) -> None:
    queue = BlockQueue(capacity_s)
    taken: list[SampleBlock | SourceEvent] = []
    items: Iterator[SampleBlock | SourceEvent] = iter(queue)
    next_sample = sent = gaps = events = waiting = 0
    for action, n, gap in actions:
        if action == "put":
            next_sample += gap
            gaps += gap
            queue.put(block(next_sample, n, gap))
            next_sample += n
            sent += n
        elif action == "event":
            queue.put(SourceEvent("marker", float(events)))
            events += 1
        else:
            for _ in range(n):
                waiting = len(queue._items)
                if waiting:
                    taken.append(next(items))
        assert queue.held_s <= capacity_s + 1e-9 or queue._blocks == 1
    queue.end()
    taken += items
    blocks = [item for item in taken if isinstance(item, SampleBlock)]
    assert sum(map(len, blocks)) + queue.samples_dropped == sent
    assert sum(b.gap_before for b in blocks) == gaps + queue.samples_dropped
    at = 0
    for b in blocks:
        assert b.first_sample - at == b.gap_before
        at = b.first_sample + len(b)
    assert at == next_sample
    slow = [item for item in taken if isinstance(item, SourceEvent) and item.event == "gap"]
    assert sum(int(item.detail["dropped_samples"]) for item in slow) == queue.samples_dropped
    marks = [item.at_s for item in taken if isinstance(item, SourceEvent) and item.event == "marker"]
    assert marks == [float(n) for n in range(events)]


def test_a_night_of_events_without_samples_is_bounded() -> None:
    queue = BlockQueue()
    for n in range(10_000):
        queue.put(SourceEvent("lost", float(n)))
    kept = drained(queue)
    assert len(kept) == 256
    assert kept[-1].at_s == 9999.0  # type: ignore[union-attr]


def test_an_error_comes_after_what_waited_and_once() -> None:
    queue = BlockQueue()
    queue.put(block(0, 10))
    queue.end(DeviceError("The cable is out."))
    items = iter(queue)
    assert isinstance(next(items), SampleBlock)
    with pytest.raises(DeviceError, match="cable"):
        next(items)
    assert list(queue) == []


def test_close_ends_a_consumer_that_waits() -> None:
    queue = BlockQueue()
    begun = threading.Event()

    def consume() -> None:
        for _ in queue:
            begun.set()

    consumer = threading.Thread(target=consume)
    consumer.start()
    queue.put(block(0, 10))
    assert begun.wait(10.0)
    queue.close()
    consumer.join(10.0)
    assert not consumer.is_alive()
    queue.put(block(10, 10))
    assert list(queue) == []


def test_between_two_threads_nothing_is_lost_or_swapped() -> None:
    queue = BlockQueue(capacity_s=1e9)

    def work() -> None:
        for n in range(3000):
            queue.put(block(n * 3, 3))
        queue.end()

    producer = threading.Thread(target=work)
    producer.start()
    blocks = [item for item in queue if isinstance(item, SampleBlock)]
    producer.join(10.0)
    assert [b.first_sample for b in blocks] == list(range(0, 9000, 3))
