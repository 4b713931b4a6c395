"""The reader's thread: it ends with its source, drops what nobody takes, and tells of its bugs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.sources.session_source import SessionSource
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession

from .lost_links import (
    ADDRESS,
    FS_HZ,
    Link,
    assert_accounted,
    events,
    opened,
    read,
    shimmer_link,
)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader of")]


def test_a_live_device_is_read_by_a_thread_that_ends_with_its_source() -> None:
    link = shimmer_link(live=True)
    with opened(link) as source:
        (reader,) = readers()
        items = read(source, 3.0)
    assert not reader.is_alive()
    assert events(items)[0] == "connected"
    assert not link.emulator.streaming  # type: ignore[union-attr]
    assert link.open_transports == 0
    source.close()
    assert readers() == []


def test_a_slow_decider_loses_the_oldest_samples_and_is_told_so() -> None:
    """The device makes minutes of signal while the consumer holds one block; nothing is lost uncounted."""
    link = shimmer_link(live=True)
    made_enough = threading.Event()
    reads = LinkRead(link, made_enough.set, at_s=200.0)
    source = SessionSource(ADDRESS, reads, link.make_session(), clock=link.clock, connect=link.connect)
    with source:
        stream = iter(source)
        items = [next(stream), next(stream)]
        assert made_enough.wait(60.0)
        for item in stream:
            items.append(item)
            if isinstance(item, SampleBlock) and item.end_s > 201.0:
                break
        dropped = source.counters["samples_dropped"]
    gaps = [item for item in items if isinstance(item, SourceEvent) and item.event == "gap"]
    assert gaps
    assert {gap.detail["reason"] for gap in gaps} == {"slow reader"}
    assert dropped >= sum(int(gap.detail["dropped_samples"]) for gap in gaps) > 100 * FS_HZ
    assert_accounted(items)


class LinkRead:
    """A transport over a link that tells when a time was reached."""

    def __init__(self, link: Link, tell: Callable[[], None], at_s: float) -> None:
        self.live = True
        self._transport = link.transport()
        self._tell, self._at_s = tell, at_s

    def now(self) -> float:
        return self._transport.now()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        if self.now() > self._at_s:
            self._tell()
        return self._transport.read(timeout_s, gather_s)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


@pytest.mark.parametrize("live", [True, False])
def test_closing_from_another_thread_while_it_waits_to_connect(live: bool) -> None:
    link = shimmer_link(live=live, away=[(5.0, 1e9)])
    waiting, go_on = threading.Event(), threading.Event()

    def wait(seconds: float) -> None:
        waiting.set()
        go_on.wait(30.0)

    source = SessionSource(
        ADDRESS, link.transport(), link.make_session(), clock=link.clock, connect=link.connect, wait=wait
    )
    items: list[SampleBlock | SourceEvent] = []
    consumer = threading.Thread(target=lambda: items.extend(source))
    consumer.start()
    assert waiting.wait(30.0)
    closer = threading.Thread(target=source.close)
    closer.start()
    assert source._closing.wait(30.0)
    go_on.set()
    closer.join(30.0)
    consumer.join(30.0)
    assert not consumer.is_alive()
    assert events(items)[-1:] == ["lost"] or live  # a live one's consumer may have been ended before
    assert link.open_transports == 0
    assert readers() == []


@pytest.mark.parametrize("live", [True, False])
def test_closing_during_the_setup_of_a_new_connection_stops_the_device(live: bool) -> None:
    """Ctrl-C at any moment: here while the device that came back is being set up."""
    link = shimmer_link(live=live, away=[(5.0, 6.0)])
    source: SessionSource

    class Interrupting(ShimmerSession):
        def _begin_stream(self, *args: Any) -> None:
            super()._begin_stream(*args)
            source._closing.set()

    sessions = itertools.chain([ShimmerSession], itertools.repeat(Interrupting))
    link.make_session = lambda: next(sessions)(Settings(fs_hz=FS_HZ))
    source = opened(link)
    for _ in source:
        pass
    source.close()
    assert not link.emulator.streaming  # type: ignore[union-attr]
    assert link.open_transports == 0
    assert readers() == []


def test_ctrl_c_in_the_first_setup_stops_what_was_started() -> None:
    """The consumer reads for itself: the interrupt comes out of its own read."""
    link = shimmer_link()

    class Interrupted(ShimmerSession):
        def _begin_stream(self, *args: Any) -> None:
            super()._begin_stream(*args)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SessionSource(ADDRESS, link.transport(), Interrupted(Settings(fs_hz=FS_HZ)), clock=link.clock)
    assert not link.emulator.streaming  # type: ignore[union-attr]
    assert link.open_transports == 0


def test_a_bug_in_the_reader_reaches_the_consumer() -> None:
    link = shimmer_link(live=True)

    class Broken(ShimmerSession):
        calls = 0

        def on_time(self, now_s: float) -> None:
            super().on_time(now_s)
            if self._framer is not None:
                self.calls += 1
                if self.calls > 20:
                    raise ZeroDivisionError("a bug")

    with (
        SessionSource(ADDRESS, link.transport(), Broken(Settings(fs_hz=FS_HZ)), clock=link.clock) as source,
        pytest.raises(ZeroDivisionError, match="a bug"),
    ):
        list(source)
    assert readers() == []
    assert link.open_transports == 0
