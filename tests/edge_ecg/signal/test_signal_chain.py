"""The window chain: the grid, gaps, flags, and that chunks never matter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, lfilter_zi

from edge_ecg.samples import SampleBlock
from edge_ecg.signal import MODEL_FS_HZ, WINDOW_SAMPLES, Resampler, Tick, WindowChain, notch

RATES = (100.0, 130.9, 250.0, 256.0, 360.0, 496.48, 512.0, 1000.0, 4000.0)


def ecg_like(n: int, seed: int = 0) -> NDArray[np.float64]:
    return 0.1 * np.cumsum(np.random.default_rng(seed).standard_normal(n))


def run(chain: WindowChain, blocks: Iterable[SampleBlock]) -> list[Tick]:
    ticks = [tick for block in blocks for tick in chain.push(block)]
    return ticks + chain.flush()


def cut(block: SampleBlock, edges: list[int]) -> list[SampleBlock]:
    """The same samples in smaller blocks; the gap stays before the first."""
    inner = sorted({edge for edge in edges if 0 < edge < len(block)})
    parts = []
    for a, b in itertools.pairwise([0, *inner, len(block)]):
        parts.append(
            SampleBlock(
                block.ecg_mv[a:b],
                block.fs_hz,
                block.first_sample + a,
                gap_before=block.gap_before if a == 0 else 0,
                lead_off=None if block.lead_off is None else block.lead_off[a:b],
                saturated=None if block.saturated is None else block.saturated[a:b],
                time_s=None if block.time_s is None else block.time_s[a:b],
                acceleration_g=None if block.acceleration_g is None else block.acceleration_g[a:b],
            )
        )
    return parts


def assert_same(left: list[Tick], right: list[Tick]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert replace(a, window=None, arrived_s=None) == replace(b, window=None, arrived_s=None)
        assert (a.window is None) == (b.window is None)
        if a.window is not None and b.window is not None:
            np.testing.assert_array_equal(a.window.ecg_mv, b.window.ecg_mv)
            assert replace(a.window, ecg_mv=b.window.ecg_mv) == b.window


@pytest.mark.parametrize("fs_hz", RATES)
def test_windows_equal_the_batch_computation(fs_hz: float) -> None:
    x = 200.0 + ecg_like(round(25 * fs_hz))
    ticks = run(WindowChain(fs_hz), [SampleBlock(x, fs_hz, 0)])

    resampler = Resampler(fs_hz)
    grid = np.concatenate([resampler.process(x), resampler.flush()])
    b, a = butter(2, 0.8, "highpass", fs=MODEL_FS_HZ)
    filtered, _ = lfilter(b, a, grid, zi=lfilter_zi(b, a) * grid[0])

    assert [tick.end_s for tick in ticks] == [float(end) for end in range(10, 26)]
    assert ticks[0].withheld == ("warming_up",)
    assert ticks[0].window is None
    for tick in ticks[1:]:
        assert tick.withheld == ()
        assert tick.window is not None
        assert (tick.window.start_s, tick.window.end_s) == (tick.start_s, tick.end_s)
        start = round(tick.start_s * MODEL_FS_HZ)
        expected = filtered[start : start + WINDOW_SAMPLES]
        np.testing.assert_allclose(tick.window.ecg_mv, expected, atol=1e-9)


def test_the_notch_comes_after_the_high_pass() -> None:
    x = ecg_like(12 * 256)
    plain = run(WindowChain(256.0), [SampleBlock(x, 256.0, 0)])[-1].window
    notched = run(WindowChain(256.0, notch_hz=50.0), [SampleBlock(x, 256.0, 0)])[-1].window
    assert plain is not None
    assert notched is not None
    section = notch(256.0, 50.0)
    b, a = butter(2, 0.8, "highpass", fs=256.0)
    filtered, _ = lfilter(b, a, x, zi=lfilter_zi(b, a) * x[0])
    np.testing.assert_allclose(notched.ecg_mv, section.process(filtered)[512 : 512 + 2560], atol=1e-9)
    assert not np.array_equal(plain.ecg_mv, notched.ecg_mv)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[SampleBlock], list[SampleBlock]]:
    """The same stream with gaps and flags, once in whole segments and once in random pieces."""
    fs_hz = draw(st.sampled_from(RATES[:-1]))
    whole, pieces, first = [], [], draw(st.integers(0, 3)) * 17
    for number in range(draw(st.integers(1, 3))):
        n = round(draw(st.one_of(st.floats(0.01, 3.0), st.floats(11.0, 24.0))) * fs_hz) + 1
        rng = np.random.default_rng(number)
        x = ecg_like(n, number)
        x[n // 3 : n // 3 + round(fs_hz)] = x[n // 3]
        gap = 0 if number == 0 else draw(st.integers(1, round(4 * fs_hz)))
        first += gap
        block = SampleBlock(
            x,
            fs_hz,
            first,
            gap_before=gap if draw(st.booleans()) else 0,
            lead_off=rng.random(n) < 0.1 if draw(st.booleans()) else None,
            saturated=rng.random(n) < 0.1 if draw(st.booleans()) else None,
        )
        first += n
        whole.append(block)
        pieces += cut(block, draw(st.lists(st.integers(1, n), max_size=40)))
    return whole, pieces


@given(streams(), st.sampled_from([1280, 256, 100]))
@settings(max_examples=60, deadline=None)
def test_chunks_never_matter(stream: tuple[list[SampleBlock], list[SampleBlock]], hop: int) -> None:
    whole, pieces = stream
    fs_hz = whole[0].fs_hz
    expected = run(WindowChain(fs_hz, hop_samples=hop), whole)
    assert_same(run(WindowChain(fs_hz, hop_samples=hop), pieces), expected)

    ends = [round(tick.end_s * MODEL_FS_HZ) for tick in expected]
    assert ends == sorted(set(ends))
    assert all((end - WINDOW_SAMPLES) % hop == 0 for end in ends)


def test_single_samples_are_blocks_too() -> None:
    block = SampleBlock(ecg_like(12 * 130), 130.0, 0)
    expected = run(WindowChain(130.0), [block])
    assert_same(run(WindowChain(130.0), cut(block, list(range(len(block))))), expected)


@pytest.mark.parametrize("announced", [True, False])
def test_no_window_spans_a_gap(announced: bool) -> None:
    fs_hz, gap = 500.0, 1250
    before = SampleBlock(ecg_like(15 * 500), fs_hz, 0)
    after = SampleBlock(ecg_like(16 * 500, 1), fs_hz, 7500 + gap, gap_before=gap if announced else 0)
    ticks = run(WindowChain(fs_hz), [before, after])
    by_end = {tick.end_s: tick for tick in ticks}

    assert [end for end in by_end if end <= 15] == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
    # The samples stop at 15 s and go on at 17.5 s: nothing can be said of 16 and 17.
    assert min(end for end in by_end if end > 15) == 18.0
    # With the filters' second, the first whole window ends at 17.5 + 1 + 10 s, on the grid: 29.
    assert [end for end in by_end if end > 15 and by_end[end].window is None] == [
        float(e) for e in range(18, 29)
    ]
    assert all(by_end[float(end)].withheld == ("gap",) for end in range(18, 29))
    assert [by_end[float(end)].withheld for end in range(29, 34)] == [()] * 5
    for tick in ticks:
        inside = max(0.0, min(tick.end_s, 17.5) - max(tick.start_s, 15.0))
        assert tick.lost_samples == round(inside * fs_hz)


def test_after_a_gap_the_chain_is_as_new() -> None:
    fs_hz = 512.0
    x = ecg_like(20 * 512)
    first = 512 * 60
    shifted = run(WindowChain(fs_hz), [SampleBlock(ecg_like(512), fs_hz, 0), SampleBlock(x, fs_hz, first)])
    fresh = run(WindowChain(fs_hz), [SampleBlock(x, fs_hz, 0)])
    again = [tick.window for tick in shifted if tick.window is not None]
    for old, new in zip((tick.window for tick in fresh if tick.window is not None), again, strict=True):
        np.testing.assert_array_equal(old.ecg_mv, new.ecg_mv)
        assert new.start_s == old.start_s + 60.0


@given(fs_hz=st.sampled_from(RATES), first=st.integers(0, 10**9))
@settings(max_examples=30, deadline=None)
def test_the_grid_is_taken_up_at_the_samples_own_time(fs_hz: float, first: int) -> None:
    n = round(12.5 * fs_hz)
    bump = np.exp(-0.5 * ((np.arange(n) / fs_hz - 6.0) / 0.02) ** 2)

    def top_s(first: int) -> float:
        ticks = run(WindowChain(fs_hz, hop_samples=1), [SampleBlock(bump, fs_hz, first)])
        window = next(tick.window for tick in ticks if tick.window is not None)
        return window.start_s + int(np.argmax(window.ecg_mv)) / MODEL_FS_HZ

    assert abs(top_s(first) - top_s(0) - first / fs_hz) <= 0.501 / MODEL_FS_HZ


def test_flags_travel_as_fractions_of_the_windows_time() -> None:
    fs_hz = 500.0
    n = 11 * 500
    lead_off = np.zeros(n, dtype=np.bool_)
    lead_off[:3000] = True
    saturated = np.zeros(n, dtype=np.bool_)
    saturated[5000:5050] = True
    x = ecg_like(n)
    x[2000:3000] = x[2000]
    window = run(WindowChain(fs_hz), [SampleBlock(x, fs_hz, 0, lead_off=lead_off, saturated=saturated)])[
        -1
    ].window
    assert window is not None
    assert window.lead_off == pytest.approx(2500 / 5000)
    assert window.saturated == pytest.approx(50 / 5000)
    assert window.flat == pytest.approx(1000 / 5000)


def test_the_block_that_completes_a_tick_gives_its_arrival() -> None:
    chain = WindowChain(256.0)
    x = ecg_like(256 * 12)
    arrivals = []
    for second in range(12):
        block = SampleBlock(x[second * 256 :][:256], 256.0, second * 256, arrived_s=100.0 + second)
        arrivals += [tick.arrived_s for tick in chain.push(block)]
    assert arrivals == [109.0, 110.0, 111.0]


def test_windows_do_not_share_memory() -> None:
    first, second = [t.window for t in run(WindowChain(256.0), [SampleBlock(ecg_like(3200), 256.0, 0)])][1:3]
    assert first is not None
    assert second is not None
    assert not np.shares_memory(first.ecg_mv, second.ecg_mv)
    assert first.ecg_mv.base is None


def test_bad_blocks_are_refused() -> None:
    chain = WindowChain(256.0)
    chain.push(SampleBlock(np.zeros(10), 256.0, 0))
    with pytest.raises(ValueError, match="500 Hz in a stream of 256 Hz"):
        chain.push(SampleBlock(np.zeros(10), 500.0, 10))
    with pytest.raises(ValueError, match="sample 9 came after sample 9"):
        chain.push(SampleBlock(np.zeros(10), 256.0, 9))
    with pytest.raises(ValueError, match="not finite"):
        chain.push(SampleBlock(np.array([0.0, math.nan]), 256.0, 10))
    with pytest.raises(ValueError, match="does not advance"):
        WindowChain(256.0, hop_samples=0)
    chain.flush()
    with pytest.raises(ValueError, match="has ended"):
        chain.push(SampleBlock(np.zeros(10), 256.0, 10))


def test_an_empty_block_is_nothing() -> None:
    chain = WindowChain(256.0)
    assert chain.push(SampleBlock(np.zeros(0), 256.0, 0)) == []
    assert chain.flush() == []


# -- short gaps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fs_hz", "lost", "bridged"), [(256.0, 10, True), (256.0, 11, False), (500.0, 20, True)]
)
def test_a_hole_of_forty_milliseconds_is_drawn_over_and_told(fs_hz: float, lost: int, bridged: bool) -> None:
    whole = ecg_like(round(30 * fs_hz))
    at = round(15.3 * fs_hz)
    before = SampleBlock(whole[:at], fs_hz, 0)
    after = SampleBlock(whole[at + lost :], fs_hz, at + lost, lost)
    ticks = run(WindowChain(fs_hz), [before, after])
    withheld = {tick.end_s for tick in ticks if tick.withheld == ("gap",)}
    told = {tick.end_s: (tick.lost_samples, tick.bridged_samples) for tick in ticks if tick.lost_samples}
    assert set(told) == {float(end) for end in range(16, 26)}
    if not bridged:
        assert withheld == {float(end) for end in range(16, 27)}
        assert set(told.values()) == {(lost, 0)}
        return
    assert not withheld
    assert set(told.values()) == {(lost, lost)}
    line = whole[at - 1] + np.arange(1, lost + 1) / (lost + 1) * (whole[at + lost] - whole[at - 1])
    drawn = whole.copy()
    drawn[at : at + lost] = line
    expected = run(WindowChain(fs_hz), [SampleBlock(drawn, fs_hz, 0)])
    for tick, other in zip(ticks, expected, strict=True):
        assert (tick.window is None) == (other.window is None)
        if tick.window is not None and other.window is not None:
            np.testing.assert_allclose(tick.window.ecg_mv, other.window.ecg_mv, atol=1e-6)
            assert tick.window.bridged == pytest.approx(tick.bridged_samples / (10 * fs_hz))


def test_losses_are_told_for_the_window_the_minute_and_the_session() -> None:
    fs_hz, x = 256.0, ecg_like(256 * 100)
    blocks = [
        SampleBlock(x[: 256 * 20], fs_hz, 0),
        SampleBlock(x[256 * 20 + 5 : 256 * 40], fs_hz, 256 * 20 + 5, 5),
        SampleBlock(x[256 * 41 :], fs_hz, 256 * 41, 256),
    ]
    by_end = {tick.end_s: tick for tick in run(WindowChain(fs_hz), blocks)}

    def told(end_s: float) -> tuple[int, int, int]:
        tick = by_end[end_s]
        return tick.lost_samples, tick.lost_60s, tick.lost_total

    assert told(20.0) == (0, 0, 0)
    assert told(21.0) == told(30.0) == (5, 5, 5)
    assert told(31.0) == (0, 5, 5)
    assert told(42.0) == (256, 261, 261)
    assert told(80.0) == (0, 261, 261)
    assert told(82.0) == (0, 256, 261)
    assert told(100.0) == (0, 256, 261)  # 256 samples from 40 s on lie in (40, 100)


# -- device time ---------------------------------------------------------------------------------------


def at_130_9(n: int, start: int = 0) -> NDArray[np.float64]:
    return np.arange(start, start + n) / 130.9


def test_windows_of_a_stream_with_times_are_device_time() -> None:
    """A bump every second of true time stays at whole seconds, whatever the label says."""
    n = round(60 * 130.9)
    t = at_130_9(n)
    bumps = np.exp(-0.5 * (((t + 0.5) % 1.0 - 0.5) / 0.02) ** 2)
    block = SampleBlock(bumps, 130.0, 0, time_s=t)
    ticks = run(WindowChain(130.0), [block])
    assert [tick.end_s for tick in ticks] == [float(end) for end in range(10, 60)]
    for tick in ticks[1:]:
        assert tick.window is not None
        seconds = tick.window.ecg_mv.reshape(10, 256)
        assert set(np.argmax(np.roll(seconds, 128, axis=1), axis=1).tolist()) <= {127, 128, 129}
    by_label = run(WindowChain(130.0), [replace(block, time_s=None)])[-1].window
    assert by_label is not None
    tops = np.argmax(np.roll(by_label.ecg_mv.reshape(10, 256), 128, axis=1), axis=1)
    assert (np.abs(tops - 128) > 40).all()


@st.composite
def timed_streams(draw: st.DrawFn) -> tuple[list[SampleBlock], list[SampleBlock]]:
    whole, pieces, first, at_s = [], [], 0, draw(st.floats(0.0, 100.0))
    for number in range(draw(st.integers(1, 3))):
        n = round(draw(st.one_of(st.floats(0.01, 3.0), st.floats(11.0, 20.0))) * 130.0) + 1
        lost = 0 if number == 0 else draw(st.one_of(st.integers(1, 5), st.integers(6, 400)))
        first += lost
        at_s += lost / 130.9
        t = at_s + np.arange(n) / 130.9
        g = np.random.default_rng(number).normal(size=(n, 3)) if draw(st.booleans()) else None
        block = SampleBlock(ecg_like(n, number), 130.0, first, lost, time_s=t, acceleration_g=g)
        first += n
        at_s = float(t[-1]) + 1.0 / 130.9
        whole.append(block)
        pieces += cut(block, draw(st.lists(st.integers(1, n), max_size=40)))
    return whole, pieces


@given(timed_streams())
@settings(max_examples=60, deadline=None)
def test_chunks_never_matter_to_a_stream_with_times(
    stream: tuple[list[SampleBlock], list[SampleBlock]],
) -> None:
    whole, pieces = stream
    assert_same(run(WindowChain(130.0), pieces), run(WindowChain(130.0), whole))


def test_no_window_of_a_stream_with_times_spans_a_gap() -> None:
    n = round(15 * 130.9)
    lost = round(2 * 130.9)
    before = SampleBlock(ecg_like(n), 130.0, 0, time_s=at_130_9(n))
    after = SampleBlock(ecg_like(2 * n), 130.0, n + lost, lost, time_s=at_130_9(2 * n, n + lost))
    ticks = run(WindowChain(130.0), [before, after])
    ends_s = at_130_9(1, n)[0], after.start_s
    for tick in ticks:
        assert tick.window is None or tick.end_s <= ends_s[0] or tick.start_s >= ends_s[1] + 1.0
        inside = sum(tick.start_s <= t < tick.end_s for t in at_130_9(lost, n).tolist())
        assert tick.lost_samples == inside
    assert any(tick.window is not None and tick.start_s > ends_s[1] for tick in ticks)


def test_times_that_go_back_or_are_missing_are_refused() -> None:
    def begun() -> WindowChain:
        chain = WindowChain(130.0)
        chain.push(SampleBlock(np.zeros(10), 130.0, 0, time_s=at_130_9(10)))
        return chain

    with pytest.raises(ValueError, match="came after"):
        begun().push(SampleBlock(np.zeros(10), 130.0, 10, time_s=at_130_9(10)))
    with pytest.raises(ValueError, match="have none"):
        begun().push(SampleBlock(np.zeros(10), 130.0, 10))
    with pytest.raises(ValueError, match="have none"):
        begun().push(SampleBlock(np.zeros(10), 130.0, 100))
    chain = WindowChain(130.0)
    chain.push(SampleBlock(np.zeros(10), 130.0, 0))
    with pytest.raises(ValueError, match="have none"):
        chain.push(SampleBlock(np.zeros(10), 130.0, 10, time_s=at_130_9(10, 10)))
