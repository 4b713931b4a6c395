"""The streaming resampler against analytic sinusoids and SciPy's polyphase filter."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import resample_poly

from edge_ecg.signal.resample import MODEL_FS_HZ, Resampler

RATES = (
    100.0,
    128.0,
    130.9,
    200.0,
    250.0,
    256.0,
    300.0,
    360.0,
    496.48,
    500.0,
    512.0,
    700.0,
    1000.0,
    2048.0,
    4000.0,
)


def whole(x: NDArray[np.float64], fs_hz: float) -> NDArray[np.float64]:
    resampler = Resampler(fs_hz)
    return np.concatenate([resampler.process(x), resampler.flush()])


@pytest.mark.parametrize("fs_hz", RATES)
@pytest.mark.parametrize("tone_hz", [1.3, 17.0, 34.0])
def test_sinusoids_keep_their_place_and_height(fs_hz: float, tone_hz: float) -> None:
    n = round(20 * fs_hz)
    x = 300.0 + np.sin(2 * np.pi * tone_hz * np.arange(n) / fs_hz)
    y = whole(x, fs_hz)
    assert len(y) == math.ceil(n * MODEL_FS_HZ / fs_hz)
    expected = 300.0 + np.sin(2 * np.pi * tone_hz * np.arange(len(y)) / MODEL_FS_HZ)
    # At 100 Hz the pass band of the shortest sinc ends at 0.8 * 50 Hz.
    np.testing.assert_allclose(y[256:-256], expected[256:-256], atol=1e-3)


@pytest.mark.parametrize(
    ("fs_hz", "up", "down"), [(360.0, 32, 45), (500.0, 64, 125), (1000.0, 32, 125), (100.0, 64, 25)]
)
def test_equals_scipys_polyphase_filter_in_band(fs_hz: float, up: int, down: int) -> None:
    rng = np.random.default_rng(1)
    spectrum = np.fft.rfft(rng.standard_normal(round(20 * fs_hz)))
    spectrum[np.fft.rfftfreq(round(20 * fs_hz), 1 / fs_hz) > 32.0] = 0.0
    x = np.fft.irfft(spectrum)
    reference = resample_poly(x, up, down, window=("kaiser", 12.0))
    y = whole(x, fs_hz)
    np.testing.assert_allclose(y[256:-256], reference[256 : len(y) - 256], atol=2e-3 * float(x.std()))


@pytest.mark.parametrize("tone_hz", [150.0, 240.0, 400.0])
def test_nothing_folds_into_the_band(tone_hz: float) -> None:
    x = np.sin(2 * np.pi * tone_hz * np.arange(20000) / 1000.0)
    assert np.abs(whole(x, 1000.0)[256:-256]).max() < 1e-3


@given(fs_hz=st.sampled_from(RATES), cuts=st.lists(st.integers(0, 3000), max_size=12))
@settings(max_examples=40, deadline=None)
def test_chunks_do_not_matter(fs_hz: float, cuts: list[int]) -> None:
    x = np.random.default_rng(0).standard_normal(3000)
    resampler = Resampler(fs_hz)
    edges = [0, *sorted(cuts), 3000]
    parts = [resampler.process(x[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate([*parts, resampler.flush()]), whole(x, fs_hz))


def test_equal_rates_pass_through_untouched() -> None:
    x = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(whole(x, 256.0), x)


@pytest.mark.slow
@pytest.mark.parametrize("fs_hz", [496.48, 512.0])
def test_no_drift_over_24_hours(fs_hz: float) -> None:
    n, step, tone_hz = round(24 * 3600 * fs_hz), round(1200 * fs_hz), 7.0
    resampler = Resampler(fs_hz)
    count, last = 0, np.zeros(0)
    for start in range(0, n, step):
        t = np.arange(start, min(start + step, n)) / fs_hz
        last = resampler.process(np.sin(2 * np.pi * tone_hz * t))
        count += len(last)
    # 20 s hold a whole number of cycles.
    m = np.arange(count - len(last), count)[-5120:]
    phase = np.exp(-2j * np.pi * tone_hz * m / MODEL_FS_HZ)
    shift_s = (np.angle((last[-5120:] * phase).mean()) + np.pi / 2) / (2 * np.pi * tone_hz)
    assert abs(shift_s) < 2e-6
    assert count + len(resampler.flush()) == math.ceil(n * MODEL_FS_HZ / fs_hz)


@pytest.mark.parametrize("fs_hz", [0.0, 99.0, 4001.0, math.nan, -256.0])
def test_rates_out_of_range_are_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="outside 100 to 4000 Hz"):
        Resampler(fs_hz)


def test_an_empty_stream_gives_nothing() -> None:
    resampler = Resampler(500.0)
    assert len(resampler.process(np.zeros(0))) == 0
    assert len(resampler.flush()) == 0
