"""Resampling at device time: against a direct evaluation, against a known function, in any chunks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.signal.resample import MODEL_FS_HZ, Resampler
from edge_ecg.signal.timed import HALF_TAPS, TimedResampler

FloatArray = NDArray[np.float64]
BEATS_S = np.arange(0.5, 119.0, 0.83)


def ecg(t: FloatArray) -> FloatArray:
    """P, Q, R, S, T as Gaussians (mV, s, s); R = 1.10 mV and so narrow that 130 Hz hardly hold it."""
    waves = (
        (0.12, -0.17, 0.025),
        (-0.12, -0.026, 0.0050),
        (1.10, 0.0, 0.0055),
        (-0.22, 0.028, 0.0055),
        (0.28, 0.25, 0.045),
    )
    values = np.zeros_like(t)
    for amplitude, centre, width in waves:
        for beat in BEATS_S:
            lo, hi = np.searchsorted(t, [beat + centre - 9 * width, beat + centre + 9 * width])
            values[lo:hi] += amplitude * np.exp(-0.5 * ((t[lo:hi] - beat - centre) / width) ** 2)
    return values


def uneven_times(fs_hz: float, n: int, start_s: float = 0.0) -> FloatArray:
    """A clock that runs 1 % fast and slow in turn, as a quartz in and out of the cold."""
    t = np.arange(n) / fs_hz
    return start_s + t + 0.01 * np.sin(2 * np.pi * t / 20.0) * 20.0 / (2 * np.pi)


def run(fs_hz: float, x: FloatArray, t: FloatArray, edges: list[int]) -> tuple[int | None, FloatArray]:
    resampler = TimedResampler(fs_hz)
    pieces = np.split(np.arange(len(x)), sorted({edge for edge in edges if 0 < edge < len(x)}))
    parts = [resampler.process(x[piece], t[piece]) for piece in pieces]
    return resampler.first, np.concatenate([*parts, resampler.flush()])


def direct(fs_hz: float, x: FloatArray, t: FloatArray, at_s: float) -> float:
    """The definition, one value at a time: the kernel over the nearest samples, ends held."""
    cutoff = min(1.0, MODEL_FS_HZ / fs_hz)
    half = math.ceil(HALF_TAPS / cutoff)
    i = int(np.flatnonzero(t <= at_s)[-1])
    place = float(i) if i == len(t) - 1 else i + (at_s - t[i]) / (t[i + 1] - t[i])
    total = norm = 0.0
    for j in range(i - half + 1, i + half + 1):
        d = place - j
        sinc = 1.0 if d == 0 else math.sin(math.pi * cutoff * d) / (math.pi * cutoff * d)
        weight = sinc * float(np.i0(7.0 * math.sqrt(max(1.0 - (d / half) ** 2, 0.0))))
        total += weight * x[min(max(j, 0), len(x) - 1)]
        norm += weight
    return total / norm


@pytest.mark.parametrize("fs_hz", [100.0, 130.0, 132.6, 250.0, 256.0, 512.0, 1000.0])
def test_equals_the_direct_evaluation(fs_hz: float) -> None:
    n = round(1.2 * fs_hz)
    t = uneven_times(fs_hz, n, 7.1234)
    x = 300.0 + np.random.default_rng(1).normal(size=n)
    first, y = run(fs_hz, x, t, [n // 3, n // 2])
    assert first is not None
    grid = (first + np.arange(len(y))) / MODEL_FS_HZ
    # From the first grid point that has a sample at or before it to the last one.
    assert grid[0] - 1 / MODEL_FS_HZ < t[0] <= grid[0]
    assert grid[-1] <= t[-1] < grid[-1] + 1 / MODEL_FS_HZ
    expected = [direct(fs_hz, x, t, at_s) for at_s in grid.tolist()]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-9)


@given(
    fs_hz=st.sampled_from([100.0, 127.4, 130.0, 250.0, 256.0, 497.0, 1000.0]),
    n=st.integers(1, 700),
    start_s=st.floats(0, 1e5),
    edges=st.lists(st.integers(1, 700), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_chunks_never_matter(fs_hz: float, n: int, start_s: float, edges: list[int]) -> None:
    t = uneven_times(fs_hz, n, start_s)
    x = np.random.default_rng(n).normal(size=n)
    whole, pieces = run(fs_hz, x, t, []), run(fs_hz, x, t, edges)
    assert whole[0] == pieces[0]
    np.testing.assert_array_equal(whole[1], pieces[1])


@pytest.mark.parametrize("real_hz", [130.0, 130.9, 132.6, 127.4])
def test_a_heart_sampled_off_its_nominal_rate_comes_out_where_and_as_high_as_it_was(real_hz: float) -> None:
    """A few microvolts rms, whatever the real rate; resampling by the label ruins it."""
    t = np.arange(int(120 * real_hz)) / real_hz
    first, y = run(130.0, ecg(t), t, [])
    assert first == 0
    grid = np.arange(len(y)) / MODEL_FS_HZ
    truth = ecg(grid)
    inner = slice(256, -256)
    rms_uv = 1e3 * float(np.sqrt(np.mean((y - truth)[inner] ** 2)))
    assert rms_uv < 6.0
    places = np.round(BEATS_S[1:-1] * MODEL_FS_HZ).astype(int)
    tops = np.array([y[place - 8 : place + 9].argmax() - 8 for place in places])
    assert np.abs(tops).max() <= 1  # within 4 ms after two minutes
    heights = np.array([y[place - 8 : place + 9].max() for place in places])
    true_heights = np.array([truth[place - 8 : place + 9].max() for place in places])
    assert np.abs(heights - true_heights).mean() < 0.05 * 1.10

    nominal = Resampler(130.0)
    wrong = np.concatenate([nominal.process(ecg(t)), nominal.flush()])[: len(truth)]
    wrong_uv = 1e3 * float(np.sqrt(np.mean((wrong[: len(truth)] - truth[: len(wrong)])[inner] ** 2)))
    assert real_hz == 130.0 or wrong_uv > 100.0


def test_an_offset_passes_exactly() -> None:
    t = uneven_times(130.0, 400)
    _, y = run(130.0, np.full(400, 437.25), t, [100])
    assert np.abs(y - 437.25).max() < 1e-9


def test_what_would_alias_is_kept_out() -> None:
    """200 Hz in a stream of 1000 Hz would be 56 Hz at 256 Hz."""
    t = np.arange(4000) / 1000.0
    _, y = run(1000.0, np.sin(2 * np.pi * 200.0 * t), t, [])
    assert np.abs(y[256:-256]).max() < 1e-3
    _, kept = run(1000.0, np.sin(2 * np.pi * 40.0 * t), t, [])
    expected = np.sin(2 * np.pi * 40.0 * np.arange(len(kept)) / MODEL_FS_HZ)
    assert np.abs(kept - expected)[256:-256].max() < 1e-3


def test_the_delay_is_sixteen_samples() -> None:
    t = np.arange(500) / 130.0
    resampler = TimedResampler(130.0)
    count = len(resampler.process(np.zeros(500), t))
    assert (count - 1) / MODEL_FS_HZ < t[-HALF_TAPS] <= count / MODEL_FS_HZ


def test_memory_stays_bounded() -> None:
    resampler = TimedResampler(130.0)
    for begin in range(0, 130_000, 73):
        numbers = np.arange(begin, begin + 73)
        resampler.process(np.zeros(73), numbers / 130.9)
    assert len(resampler._x) == len(resampler._t) < 73 + 4 * HALF_TAPS


@pytest.mark.parametrize("times", [[0.0, 0.01, 0.01], [0.0, 0.02, 0.01]])
def test_time_that_does_not_rise_is_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="does not rise"):
        TimedResampler(130.0).process(np.zeros(3), np.array(times))
    resampler = TimedResampler(130.0)
    resampler.process(np.zeros(2), np.array([0.0, 0.02]))
    with pytest.raises(ValueError, match="does not rise"):
        resampler.process(np.zeros(1), np.array([0.02]))


def test_no_input_no_output_and_no_rate_out_of_range() -> None:
    resampler = TimedResampler(130.0)
    assert len(resampler.process(np.zeros(0), np.zeros(0))) == 0
    assert len(resampler.flush()) == 0
    with pytest.raises(ValueError, match="outside 100 to 4000"):
        TimedResampler(50.0)
