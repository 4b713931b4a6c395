"""Lost and found again: silence, back-off, rescan, one stream with marked gaps; all in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.records import EventRecord
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.session import Session
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.reconnect import LONGEST_DELAY_S, SILENCE_S, BackOff, wants_reconnect
from edge_ecg.sources.session_source import SessionSource
from edge_ecg.sources.transport import Transport, TransportEndedError
from edge_ecg_bridge.emulators import FramedEmulator, Shimmer3Emulator, TextEmulator
from edge_ecg_bridge.emulators.base import Reservoir
from edge_ecg_bridge.framed import FramedSession
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession
from edge_ecg_bridge.stream import Session as BridgeSession
from edge_ecg_bridge.text import TextSession

from .lost_links import (
    ADDRESS,
    ECG,
    FS_HZ,
    Link,
    LinkTransport,
    assert_accounted,
    blocks,
    events,
    opened,
    read,
    shimmer_link,
)


def device_samples_between(emulator: Shimmer3Emulator, first_stamp: int) -> int:
    """Samples by the virtual device's own counter between its first and its present stream's first one."""
    return round((emulator._first_stamp - first_stamp) / emulator._ticks)


def test_back_off_doubles_to_half_a_minute_and_stays_there() -> None:
    back_off, delays, rescans = BackOff(), [], []
    for _ in range(9):
        delays.append(back_off.delay_s)
        rescans.append(back_off.rescan)
        back_off.failed()
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert rescans == [False, False] + [True] * 7
    back_off.failures = 10**6
    assert back_off.delay_s == LONGEST_DELAY_S


def test_turns_rise_while_it_reads_and_while_it_looks() -> None:
    """Once in a wait and a try, at least: a long search can be told from one that hangs."""
    link = shimmer_link(away=[(10.0, 400.0)])
    seen: list[tuple[float, int]] = []

    def wait(seconds: float) -> None:
        seen.append((link.now_s, source.turns))
        link.pass_time(seconds)

    source = SessionSource(
        ADDRESS, link.transport(), link.make_session(), clock=link.clock, connect=link.connect, wait=wait
    )
    with source:
        for item in source:
            seen.append((link.now_s, source.turns))
            if isinstance(item, SampleBlock) and item.end_s > 410:
                break
    turns = [count for _, count in seen]
    assert turns == sorted(turns)
    moved = [at_s for index, (at_s, count) in enumerate(seen) if index == 0 or count > seen[index - 1][1]]
    assert max(np.diff(moved)) < LONGEST_DELAY_S + 2 * SILENCE_S
    assert moved[-1] > 400


@pytest.mark.parametrize("away_s", [0.4, 5.0, 47.0, 600.0])
@pytest.mark.parametrize("counter", [0, 2**24 - 64 * 128])
def test_an_unplugged_shimmer_comes_back_into_the_same_stream(away_s: float, counter: int) -> None:
    link = shimmer_link(counter=counter, away=[(20.0, 20.0 + away_s)])
    with opened(link) as source:
        first_stamp = link.emulator._first_stamp  # type: ignore[union-attr]
        items = read(source, 40.0 + away_s)
        assert source.counters["reconnects"] == 1
        assert isinstance(link.emulator, Shimmer3Emulator)
        again = next(b for b in blocks(items) if b.gap_before)
        # To the sample, whatever the back-off made of it, and across the counter's turn.
        assert again.first_sample == device_samples_between(link.emulator, first_stamp)
    # A second failure is told when it is of another kind than the first.
    assert [e for e in events(items) if e != "lost"] == ["connected", "reconnected", "gap"]
    assert "lost" in events(items)
    assert_accounted(items)
    assert not link.emulator.streaming
    assert link.open_transports == 0


def test_tries_back_off_and_look_anew_after_two_failures() -> None:
    link = shimmer_link(away=[(10.0, 100.0)])
    with opened(link) as source:
        items = read(source, 110.0)
    waits = np.diff([link.tried_s[0] - 1.0, *link.tried_s])
    assert waits.tolist() == pytest.approx([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])
    assert link.rescans == [False, False, True, True, True, True, True]
    told = [item.detail for item in items if isinstance(item, SourceEvent) and item.event == "lost"]
    assert [detail["why"] for detail in told] == [
        "/dev/ttyUSB0 was unplugged or its link was lost.",
        "There is no port /dev/ttyUSB0.",
    ]
    back = next(item for item in items if isinstance(item, SourceEvent) and item.event == "reconnected")
    assert back.detail["attempts"] == 7


def test_silence_is_a_loss_however_connected_the_link_is() -> None:
    link = shimmer_link(silent=[(15.0, 25.0)])
    with opened(link) as source:
        items = read(source, 40.0)
    assert events(items)[:2] == ["connected", "lost"]
    lost = next(item for item in items if isinstance(item, SourceEvent) and item.event == "lost")
    assert lost.detail["why"] == f"No sample came from /dev/ttyUSB0 for {SILENCE_S:g} s."
    assert (
        15.0 + SILENCE_S + 1.0 < link.tried_s[0] < 15.0 + SILENCE_S + 3.0
    )  # a stop that is not answered, 1 s
    assert events(items)[-2:] == ["reconnected", "gap"]
    assert_accounted(items)


def test_a_link_that_connects_but_gives_nothing_counts_as_a_failure() -> None:
    """Streaming begins, and the first packets never come: the back-off must go on growing."""
    link = shimmer_link(away=[(10.0, 12.0)])
    begun = ShimmerSession._begin_stream

    class Mute(ShimmerSession):
        def _begin_stream(self, *args: Any) -> None:
            begun(self, *args)
            link.silent.append((link.now_s, link.now_s + 5.0))

    sessions = itertools.chain([ShimmerSession, Mute, Mute, Mute], itertools.repeat(ShimmerSession))
    link.make_session = lambda: next(sessions)(Settings(fs_hz=FS_HZ))
    with opened(link) as source:
        items = read(source, 60.0)
        assert source.counters["reconnects"] == 1
    assert link.rescans[-2:] == [True, True]
    assert events(items).count("reconnected") == 1
    assert_accounted(items)


def test_a_short_stall_is_no_loss() -> None:
    link = shimmer_link(silent=[(15.0, 16.5)])
    with opened(link) as source:
        items = read(source, 30.0)
    assert events(items) == ["connected"]
    assert sum(block.gap_before for block in blocks(items)) == pytest.approx(1.5 * FS_HZ, abs=20)


def test_a_machine_that_slept_is_not_silent() -> None:
    """The clock leaps by an hour in which nothing was read; the device's bytes are there at once."""
    link = shimmer_link()
    with opened(link) as source:
        stream = iter(source)
        for item in stream:
            if isinstance(item, SampleBlock) and item.end_s > 5.0:
                break
        link.emulator.bytes_to_send(link.now_s + 100.0)
        link.now_s += 100.0
        items = [next(stream) for _ in range(20)]
    assert events(items) == []


def test_without_reconnection_a_loss_is_an_error() -> None:
    link = shimmer_link(away=[(10.0, 12.0)])
    with opened(link, reconnect=False) as source:
        items = []
        with pytest.raises(DeviceError, match="was unplugged or its link was lost"):  # noqa: PT012
            for item in source:
                items.append(item)  # noqa: PERF402
    assert events(items) == ["connected", "lost"]
    assert link.tried_s == []
    assert link.open_transports == 0


def test_another_device_at_the_same_place_is_not_taken_for_the_first() -> None:
    link = shimmer_link(away=[(10.0, 12.0)])
    rates = itertools.chain([FS_HZ, 512.0, 512.0], itertools.repeat(FS_HZ))
    link.make_session = lambda: ShimmerSession(Settings(fs_hz=next(rates)))
    with opened(link) as source:
        items = read(source, 40.0)
    told = [str(i.detail["why"]) for i in items if isinstance(i, SourceEvent) and i.event == "lost"]
    assert "What came back samples at 512 Hz instead of 256 Hz." in told
    assert {block.fs_hz for block in blocks(items)} == {FS_HZ}
    assert_accounted(items)


NEAR_THE_TURN = 2**32 - 30_000_000
RUN_ON: list[tuple[FramedEmulator | TextEmulator, Callable[[], Any]]] = [
    (FramedEmulator(ECG), FramedSession),
    (FramedEmulator(ECG, counter=2**32 - 6000), FramedSession),
    (FramedEmulator(ECG, even=False, rate_error=0.01, clock_us=NEAR_THE_TURN), FramedSession),
    (TextEmulator(ECG, line="us,adc", counter=NEAR_THE_TURN), TextSession),
]


@pytest.mark.parametrize(("emulator", "session"), RUN_ON, ids=["count", "count turns", "clock turns", "text"])
def test_a_board_that_ran_on_comes_back_to_the_sample(
    emulator: FramedEmulator | TextEmulator, session: Callable[[], Any]
) -> None:
    """Its own count or clock tells, to the sample, how long nobody listened."""

    class Unheard(Link):
        def connect(self, rescan: bool) -> tuple[Transport, BridgeSession]:
            self.emulator.bytes_to_send(self.now_s)  # what it sent while nobody listened is lost
            self.lag_s = 0.3  # by the host's clock the interruption is longer than it was
            return super().connect(rescan)

    link = Unheard(emulator, session, away=[(20.0, 33.0)], silent=[(50.0, 56.0)])
    with opened(link) as source:
        items = read(source, 70.0)
        assert source.counters["reconnects"] == 2
    assert_accounted(items)
    found = blocks(items)
    head = np.concatenate([block.ecg_mv for block in found])[:1024]
    assert sum(block.gap_before for block in found[:20]) == 0
    real_hz = 256.0 * 1.01 if isinstance(emulator, FramedEmulator) and not emulator._even else emulator.fs_hz
    measured = Reservoir(ECG(real_hz)).take(80 * 260)
    windows = np.lib.stride_tricks.sliding_window_view(measured[:2048], len(head))
    begin = int(np.abs(windows - head).max(axis=1).argmin())
    for block in found:
        at = begin + block.first_sample
        # Half a step of a 10-bit converter behind an amplifier of 1100.
        assert np.abs(block.ecg_mv - measured[at : at + len(block)]).max() < 0.0023


def test_a_text_board_that_starts_anew_is_timed_by_the_host() -> None:
    class Reset(Link):
        def connect(self, rescan: bool) -> tuple[Transport, BridgeSession]:
            self.emulator = TextEmulator(ECG, line="us,adc")
            return super().connect(rescan)

    link = Reset(TextEmulator(ECG, line="us,adc"), TextSession, away=[(30.0, 50.0)])
    with opened(link) as source:
        items = read(source, 80.0)
        # What the device has made since its first delivered sample, against where the stream has got to.
        now_s, delivered_s = link.now_s, blocks(items)[-1].end_s
    first_s = 2.0  # the board is listened to for a second, or two, before its rate is known
    assert abs(now_s - delivered_s - first_s) < 1.2
    assert events(items)[-2:] == ["reconnected", "gap"]
    assert_accounted(items)


@given(
    st.lists(st.tuples(st.floats(4.0, 20.0), st.floats(0.1, 40.0), st.booleans()), min_size=1, max_size=4),
    st.integers(0, 2**24 - 1),
)
@settings(max_examples=12, deadline=None)
def test_any_run_of_interruptions_leaves_one_stream(
    interruptions: list[tuple[float, float, bool]], counter: int
) -> None:
    link, at_s = shimmer_link(counter=counter), 0.0
    for up_s, down_s, cut in interruptions:
        at_s += up_s
        (link.away if cut else link.silent).append((at_s, at_s + down_s))
        at_s += down_s
    with opened(link) as source:
        first_stamp = link.emulator._first_stamp  # type: ignore[union-attr]
        items = read(source, at_s + 40.0)
        emulator = link.emulator
        assert isinstance(emulator, Shimmer3Emulator)
        # The last sample delivered, by the device's own count and by the stream's.
        last = blocks(items)[-1]
        made = device_samples_between(emulator, first_stamp) + emulator._made
        assert -1 <= made - (last.first_sample + len(last)) <= 0.2 * FS_HZ
    assert all(len(block) for block in blocks(items))
    at = 0
    for block in blocks(items):
        assert block.first_sample - at == block.gap_before
        at = block.first_sample + len(block)
    assert link.open_transports == 0
    assert not emulator.streaming


def test_a_session_goes_on_through_interruptions_and_accounts_for_them() -> None:
    link = shimmer_link(away=[(10.0, 13.0), (30.0, 50.0)], silent=[(70.0, 75.0)])
    with opened(link) as source:
        session = Session(source, None, duration_s=100.0)
        records = list(session)
    end = session.end()
    assert end.reason == "duration"
    happened = [record.event for record in records if isinstance(record, EventRecord)]
    assert [event for event in happened if event != "lost"] == ["connected"] + ["reconnected", "gap"] * 3
    gaps = [r.detail for r in records if isinstance(r, EventRecord) and r.event == "gap"]
    assert {gap["reason"] for gap in gaps} == {"reconnect"}
    assert end.lost_samples == sum(int(gap["lost_samples"]) for gap in gaps)
    assert 28.0 < end.lost_samples / FS_HZ < 45.0
    assert end.counters["reconnects"] == 3
    assert end.counters["samples_dropped"] == 0


def test_a_device_that_was_lost_before_its_first_sample_begins_without_a_gap() -> None:
    link = shimmer_link()
    begun = ShimmerSession._begin_stream

    class Mute(ShimmerSession):
        def _begin_stream(self, *args: Any) -> None:
            begun(self, *args)
            link.silent.append((link.now_s, link.now_s + 5.0))

    sessions = itertools.chain([Mute], itertools.repeat(ShimmerSession))
    link.make_session = lambda: next(sessions)(Settings(fs_hz=FS_HZ))
    with opened(link) as source:
        items = read(source, 5.0)
    assert events(items) == ["connected", "lost", "reconnected"]
    assert blocks(items)[0].first_sample == 0
    assert_accounted(items)


def test_a_recording_that_is_over_meanwhile_ends_the_stream() -> None:
    link = shimmer_link(away=[(10.0, 12.0)])
    transport = link.transport

    class Over(LinkTransport):
        def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
            raise TransportEndedError("the recording is over")

    first, session = transport(), link.make_session()
    link.transport = lambda: Over(link)  # type: ignore[method-assign]
    source = SessionSource(
        ADDRESS, first, session, clock=link.clock, connect=link.connect, wait=link.pass_time
    )
    with source:
        assert events(list(source))[-1] == "ended"
    assert link.open_transports == 0


def test_the_option_of_an_address() -> None:
    assert wants_reconnect(parse_address("/dev/ttyUSB0"))
    assert wants_reconnect(parse_address("/dev/ttyUSB0?reconnect=YES"))
    assert not wants_reconnect(parse_address("/dev/ttyUSB0?reconnect=no"))
    with pytest.raises(UsageError, match="reconnect=maybe"):
        wants_reconnect(parse_address("/dev/ttyUSB0?reconnect=maybe"))
