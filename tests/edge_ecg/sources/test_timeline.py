"""Numbers and times across interruptions, by the device's clock or the host's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.samples import SampleBlock
from edge_ecg.sources.timeline import Timeline, device_elapsed_s
from edge_ecg_bridge.stream import BridgeError, DeviceClock, Samples

FS_HZ = 256.0
TURN_S = 512.0


def samples(first: int, n: int, gap: int = 0, rate_hz: float | None = None) -> Samples:
    time_s = None if rate_hz is None else (first + np.arange(n)) / rate_hz
    return Samples(np.zeros(n), first, gap, time_s=time_s)


def connection(
    timeline: Timeline,
    begin_s: float,
    n: int,
    clock: DeviceClock | None,
    rate_hz: float = FS_HZ,
    timed: bool = False,
) -> list[SampleBlock]:
    """Ten pieces of a connection whose sample 0 is taken at ``begin_s``; each arrives 10 ms later."""
    blocks = []
    for begin in range(0, n, n // 10):
        piece = samples(begin, n // 10, rate_hz=rate_hz if timed else None)
        now_s = begin_s + (begin + n // 10 - 1) / rate_hz + 0.01
        blocks += timeline.place([piece], now_s + 1000.0, now_s, clock)
    return blocks


@given(
    counter_s=st.floats(0, TURN_S),
    away_s=st.floats(1.0, 7200.0),
    late_s=st.floats(-0.8, 0.8),
)
@settings(max_examples=200, deadline=None)
def test_a_counter_that_ran_on_gives_the_gap_to_the_sample(
    counter_s: float, away_s: float, late_s: float
) -> None:
    """Whatever it shows, however often it turned over meanwhile, and however late the bytes come."""
    timeline = Timeline(FS_HZ)
    connection(timeline, 0.0, 2560, DeviceClock(counter_s, TURN_S))
    timeline.interrupt()
    # Of a Shimmer, sample 0 comes when it is told to start: its counter is then anywhere.
    begin_s = 2559 / FS_HZ + away_s
    now_s = begin_s + 9 / FS_HZ + 0.01 + late_s
    clock = DeviceClock((counter_s + begin_s) % TURN_S, TURN_S)
    (block,) = timeline.place([samples(0, 10)], now_s, now_s, clock)
    assert block.gap_before == max(round(away_s * FS_HZ) - 1, 1)
    assert block.first_sample == 2560 + block.gap_before


@pytest.mark.parametrize("away_s", [1.5, 60.0, 3600.0])
@pytest.mark.parametrize("clock", [None, DeviceClock(0.065, TURN_S), DeviceClock(77.0, None)])
def test_a_device_that_began_anew_is_timed_by_the_host(away_s: float, clock: DeviceClock | None) -> None:
    timeline = Timeline(FS_HZ)
    connection(timeline, 0.0, 2560, None if clock is None else DeviceClock(300.0, clock.turn_s))
    timeline.interrupt()
    (block, *_) = connection(timeline, 2559 / FS_HZ + away_s, 2560, clock)
    assert block.gap_before == pytest.approx(away_s * FS_HZ - 1, abs=1)


def test_several_pieces_that_come_at_once_are_timed_by_the_last() -> None:
    timeline = Timeline(FS_HZ)
    connection(timeline, 0.0, 2560, None)
    timeline.interrupt()
    begin_s = 2559 / FS_HZ + 5.0
    pieces = [samples(0, 256), samples(256, 0), samples(256, 256), samples(520, 100, 8)]
    blocks = timeline.place(pieces, 0.0, begin_s + 619 / FS_HZ + 0.01, None)
    assert blocks[0].gap_before == pytest.approx(5.0 * FS_HZ - 1, abs=1)
    assert [b.gap_before for b in blocks[1:]] == [0, 8]
    assert blocks[-1].first_sample - blocks[0].first_sample == 520


@pytest.mark.parametrize("clock", [True, False])
def test_times_of_a_device_off_its_nominal_rate_go_on_too(clock: bool) -> None:
    timeline = Timeline(130.0)
    own = DeviceClock(1e6, None) if clock else None
    first = connection(timeline, 0.0, 2600, own, 130.9, timed=True)
    timeline.interrupt()
    begin_s = 2599 / 130.9 + 7.5
    second = connection(
        timeline, begin_s, 2600, DeviceClock(1e6 + begin_s, None) if clock else None, 130.9, timed=True
    )
    assert second[0].start_s == pytest.approx(begin_s, abs=1e-6 if clock else 0.02)
    assert second[0].gap_before == pytest.approx(7.5 * 130.9 - 1, abs=0.6 if clock else 3)
    times = np.concatenate([block.time_s for block in first + second if block.time_s is not None])
    assert (np.diff(times) > 0).all()
    assert len(times) == 5200
    assert timeline.end_s == pytest.approx(float(times[-1]) + 1 / 130.0)


@given(
    st.lists(st.tuples(st.integers(10, 900), st.floats(-5.0, 50.0), st.booleans()), min_size=2, max_size=12)
)
@settings(max_examples=150, deadline=None)
def test_time_never_shrinks_whatever_the_clocks_say(connections: list[tuple[int, float, bool]]) -> None:
    """Also when the host's clock claims that it went backwards."""
    timeline, now_s = Timeline(FS_HZ), 100.0
    blocks: list[SampleBlock] = []
    for n, away_s, has_clock in connections:
        now_s += away_s
        clock = DeviceClock(now_s % 64.0, 64.0) if has_clock else None
        blocks += timeline.place([samples(0, n)], now_s, now_s, clock)
        timeline.interrupt()
    for before, after in itertools.pairwise(blocks):
        assert after.first_sample >= before.first_sample + len(before) + 1
        assert after.gap_before == after.first_sample - before.first_sample - len(before)
        assert after.start_s > before.last_s


def test_an_interruption_before_the_first_sample_is_none() -> None:
    timeline = Timeline(FS_HZ)
    timeline.interrupt()
    assert not timeline.interrupted
    (block,) = timeline.place([samples(0, 5)], 1.0, 1.0, None)
    assert (block.first_sample, block.gap_before) == (0, 0)


def test_samples_of_another_kind_are_another_device() -> None:
    timeline = Timeline(FS_HZ)
    timeline.place([samples(0, 5)], 1.0, 1.0, None)
    timeline.interrupt()
    with pytest.raises(BridgeError, match="another one"):
        timeline.place([samples(0, 5, rate_hz=130.9)], 9.0, 9.0, None)


@pytest.mark.parametrize(
    ("before", "after", "host_s", "expected"),
    [
        (DeviceClock(10.0, 512.0), DeviceClock(30.0, 512.0), 20.3, 20.0),
        (DeviceClock(500.0, 512.0), DeviceClock(8.0, 512.0), 19.8, 20.0),
        (DeviceClock(10.0, 512.0), DeviceClock(30.0, 512.0), 3 * 512 + 19.7, 3 * 512 + 20.0),
        (DeviceClock(10.0, 512.0), DeviceClock(30.0, 512.0), 100.0, None),  # it was switched off and on
        (DeviceClock(10.0, 512.0), DeviceClock(30.0, 512.0), 2e5, None),  # too long to tell the turns apart
        (DeviceClock(10.0, 512.0), DeviceClock(30.0, None), 20.0, None),
        (DeviceClock(10.0, None), DeviceClock(5.0, None), 20.0, None),
        (None, DeviceClock(5.0, None), 20.0, None),
        (DeviceClock(5.0, None), None, 20.0, None),
    ],
)
def test_the_device_s_clock_is_believed_when_it_agrees_with_the_host(
    before: DeviceClock | None, after: DeviceClock | None, host_s: float, expected: float | None
) -> None:
    assert device_elapsed_s(before, 0.0, after, 0.0, host_s) == expected
