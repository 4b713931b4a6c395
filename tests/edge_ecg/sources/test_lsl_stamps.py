"""Placing LSL samples by their stamps: losses counted exactly, delays told from losses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.sources.lsl_rate import measure_rate
from edge_ecg.sources.lsl_stamps import StampedRun, StampTracker

WARM = 600


def place(
    stamps: np.ndarray, values: np.ndarray, *, cut: int = 37, clock: np.ndarray | None = None
) -> tuple[StampTracker, list[StampedRun]]:
    """Everything through one tracker, in pieces of ``cut``; the host's clock is that of the stamps."""
    period_s, scatter_s, left_out = measure_rate(stamps[:WARM])
    assert left_out == 0
    tracker = StampTracker(period_s, scatter_s, stamps[0], WARM)
    clock = stamps if clock is None else clock
    runs: list[StampedRun] = []
    for at in range(0, len(stamps), cut):
        end = min(at + cut, len(stamps))
        runs += tracker.feed(stamps[at:end], values[at:end], float(clock[end - 1]))
    runs += tracker.flush(float(clock[-1]))
    return tracker, runs


def joined(runs: list[StampedRun]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Numbers, values, times, lost."""
    return (
        np.concatenate([run.first + np.arange(len(run.values)) for run in runs]),
        np.concatenate([run.values for run in runs]),
        np.concatenate([run.time_s for run in runs]),
        sum(run.gap_before for run in runs),
    )


def arrivals(times: np.ndarray, nominal_hz: float, *, chunk: int = 16, seed: int = 0) -> np.ndarray:
    """Stamps of a program that stamps a chunk when it comes (5 ms late on average) and back-dates it."""
    rng = np.random.default_rng(seed)
    stamps = times.copy()
    for at in range(0, len(times), chunk):
        end = min(at + chunk, len(times))
        stamps[at:end] = times[end - 1] + rng.exponential(0.005) - np.arange(end - at)[::-1] / nominal_hz
    return stamps


# Real beside nominal rate: a Shimmer, a Polar H10, a fast amplifier.
RATES = [(256.0, 256.0), (130.9, 130.0), (992.97, 1000.0)]


@pytest.mark.parametrize(("real", "nominal"), RATES)
def test_every_lost_sample_is_counted_where_it_was(real: float, nominal: float) -> None:
    rng = np.random.default_rng(3)
    numbers = np.arange(12000)
    keep = np.ones(len(numbers), bool)
    for at in rng.integers(WARM, len(numbers) - 200, 25):
        keep[at : at + rng.integers(1, 150)] = False
    times = 5000.0 + numbers / real
    tracker, runs = place(times[keep], numbers[keep].astype(float))
    got, values, time_s, lost = joined(runs)
    assert lost == np.count_nonzero(~keep[: numbers[keep][-1]])
    np.testing.assert_array_equal(got, values)  # each sample carries its own number
    np.testing.assert_allclose(time_s, values / real, atol=1e-6)
    assert tracker.rate_hz == pytest.approx(real, rel=1e-6)
    assert not any(tracker.counters.values())


@pytest.mark.parametrize(("real", "nominal"), RATES)
def test_jitter_of_arrival_is_no_loss_and_is_smoothed(real: float, nominal: float) -> None:
    numbers = np.arange(20000)
    times = 77.0 + numbers / real
    stamps = arrivals(times, nominal)
    assert np.any(np.diff(stamps) < 0)  # as they come, they overlap
    tracker, runs = place(stamps, numbers.astype(float))
    _, values, time_s, lost = joined(runs)
    assert lost == 0
    np.testing.assert_array_equal(values, numbers)
    assert np.all(np.diff(time_s) > 0)
    late_s = time_s - numbers / real
    # After ten seconds the pace is even: less than a tenth of the jitter is left.
    settled, before = late_s[round(10 * real) :], (stamps - times)[round(10 * real) :]
    assert np.std(np.diff(settled)) < 2e-5
    assert np.ptp(settled) < 0.1 * np.ptp(before)
    assert tracker.rate_hz == pytest.approx(real, rel=1e-3)


def test_jitter_and_losses_together() -> None:
    numbers = np.arange(20000)
    stamps = arrivals(10.0 + numbers / 250.0, 250.0)
    keep = np.ones(len(numbers), bool)
    keep[5008:5072] = keep[9008:9328] = keep[15008:15200] = False  # 0.26, 1.3 and 0.8 s
    _, runs = place(stamps[keep], numbers[keep].astype(float))
    got, values, _, lost = joined(runs)
    assert lost == pytest.approx(576, abs=6)  # to what the jitter lets be known
    assert np.abs(got - values).max() <= 6
    assert [run.gap_before > 0 for run in runs].count(True) == 3


@pytest.mark.parametrize("stall_s", [0.1, 0.4, 1.5, 3.0])
def test_a_stall_that_is_made_good_is_no_loss(stall_s: float) -> None:
    """The sender stood still and then stamped what had gathered, all at once."""
    numbers = np.arange(15000)
    times = 10.0 + numbers / 250.0
    stamps = arrivals(times, 250.0)
    at, end = 6000, 6000 + round(stall_s * 250)
    for begin in range(at, end, 16):
        stop = min(begin + 16, end)
        stamps[begin:stop] = times[end] + 1e-4 * (begin - at) - np.arange(stop - begin)[::-1] / 250.0
    tracker, runs = place(stamps, numbers.astype(float))
    _, values, _, lost = joined(runs)
    assert lost == 0
    np.testing.assert_array_equal(values, numbers)
    assert tracker.counters["late_stamps"] >= (end - at - 64 if stall_s > 0.1 else 0)


def test_samples_sent_twice_and_out_of_order() -> None:
    numbers = np.r_[0:5000, 4984:5000, 5000:8000, 8016:8032, 8000:8016, 8032:12000]
    tracker, runs = place(3.0 + numbers / 256.0, numbers.astype(float))
    got, values, _, lost = joined(runs)
    assert lost == 0
    np.testing.assert_array_equal(values, np.arange(12000))  # the late ones found their place
    np.testing.assert_array_equal(got, values)
    assert tracker.counters["duplicates"] == 16


def test_samples_that_come_when_they_were_given_up() -> None:
    """Half a second late: their place has been told as a gap, so they are dropped and counted."""
    numbers = np.r_[0:8000, 8016:8200, 8000:8016, 8200:12000]
    tracker, runs = place(3.0 + numbers / 256.0, numbers.astype(float))
    got, values, _, lost = joined(runs)
    assert lost == 16 == tracker.counters["out_of_order"]
    np.testing.assert_array_equal(got, values)


def test_not_a_number_is_a_lost_sample() -> None:
    values = np.arange(3000.0)
    values[1000:1010] = np.nan
    tracker, runs = place(np.arange(3000) / 256.0, values)
    got, found, _, lost = joined(runs)
    assert lost == 10 == tracker.counters["not_a_number"]
    np.testing.assert_array_equal(got, found)


@pytest.mark.parametrize("step_s", [-1000.0, -0.7, 4000.0])
def test_a_clock_that_was_set_loses_no_sample(step_s: float) -> None:
    numbers = np.arange(8000)
    true = 2000.0 + numbers / 250.0
    stamps = true.copy()
    stamps[4000:] += step_s
    tracker, runs = place(stamps, numbers.astype(float), cut=1, clock=true)
    _, values, time_s, lost = joined(runs)
    np.testing.assert_array_equal(values, numbers)  # all of them
    assert lost == 1  # a break of unknown length is never 0
    assert tracker.counters["clock_steps"] == 1
    assert np.all(np.diff(time_s) > 0)
    assert time_s[-1] == pytest.approx(8000 / 250.0, abs=0.01)


def test_a_pause_of_the_whole_stream_is_a_loss_of_its_length() -> None:
    numbers = np.r_[0:5000, 12000:14000]
    _, runs = place(numbers / 250.0, numbers.astype(float))
    assert joined(runs)[3] == 7000


def test_what_is_held_at_the_end_is_given_out() -> None:
    numbers = np.r_[0:5000, 5050:5060]
    _, runs = place(numbers / 250.0, numbers.astype(float))
    got, values, _, lost = joined(runs)
    assert (len(values), lost) == (5010, 50)
    np.testing.assert_array_equal(got, values)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(700, 3800), st.integers(1, 90)), max_size=6),
    st.lists(st.integers(1, 400), min_size=1, max_size=12),
    st.booleans(),
)
def test_the_pieces_make_no_difference(holes: list[tuple[int, int]], cuts: list[int], jitter: bool) -> None:
    numbers = np.arange(4000)
    keep = np.ones(4000, bool)
    for at, length in holes:
        keep[at : at + length] = False
    times = numbers / 250.0
    stamps = (arrivals(times, 250.0) if jitter else times)[keep]
    values = numbers[keep].astype(float)
    whole = joined(place(stamps, values, cut=len(stamps))[1])
    tracker = StampTracker(*measure_rate(stamps[:WARM])[:2], stamps[0], WARM)
    runs, at, turn = [], 0, 0
    while at < len(stamps):
        size = cuts[turn % len(cuts)]
        runs += tracker.feed(stamps[at : at + size], values[at : at + size], float(stamps[at]))
        at, turn = at + size, turn + 1
    runs += tracker.flush(float(stamps[-1]))
    pieces = joined(runs)
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), max_size=400), st.integers(0, 2**32))
def test_whatever_stamps_come_each_sample_is_given_out_or_counted(jumps: list[float], seed: int) -> None:
    """And numbers and times only rise."""
    rng = np.random.default_rng(seed)
    steps = np.full(400 + len(jumps), 0.004)
    places = rng.permutation(len(steps))[: len(jumps)]
    steps[places] += np.asarray(jumps)
    stamps = np.cumsum(steps)
    tracker = StampTracker(0.004, 1e-4, float(stamps[0]), 64)
    values = rng.normal(size=len(stamps))
    runs = tracker.feed(stamps, values, 1.0) + tracker.flush(2.0)
    given_out = sum(len(run.values) for run in runs)
    dropped = tracker.counters["duplicates"] + tracker.counters["out_of_order"]
    assert given_out + dropped == len(stamps)
    if runs:
        numbers, _, time_s, _ = joined(runs)
        assert np.all(np.diff(numbers) > 0)
        assert np.all(np.diff(time_s) > 0)
        ends = [run.first + len(run.values) for run in runs]
        for run, end in zip(runs[1:], ends, strict=False):
            assert run.first == end + run.gap_before


def test_a_hole_while_the_rate_is_measured() -> None:
    stamps = np.r_[0:200, 260:700] / 250.0
    assert measure_rate(stamps) == (0.0, 0.0, 200)
    period_s, scatter_s, left_out = measure_rate(stamps[200:])
    assert (left_out, period_s) == (0, pytest.approx(0.004))
    assert scatter_s < 1e-9
