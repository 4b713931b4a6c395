"""Interval features against beats that are known, and against NeuroKit2 on the same beats."""

from __future__ import annotations

import math
from typing import Any

import neurokit2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.heads import INTERVAL_FEATURES, interval_features, interval_features_of
from edge_ecg.signal import detect_r_peaks


def beats(times_s: NDArray[np.float64], fs_hz: float = 256.0) -> NDArray[np.float64]:
    """Ten seconds with a spike at each of these moments."""
    t = np.arange(round(10 * fs_hz)) / fs_hz
    return np.exp(-0.5 * ((t[:, None] - times_s) / 0.012) ** 2).sum(axis=1)


def rhythm(rr_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 + np.concatenate([[0.0], np.cumsum(rr_s)])


def named(window: NDArray[np.float64], fs_hz: float = 256.0) -> dict[str, float]:
    return dict(zip(INTERVAL_FEATURES, interval_features(window, fs_hz=fs_hz).tolist(), strict=True))


def test_a_known_rhythm() -> None:
    # Whole samples at 256 Hz, so sampling rounds nothing: 192, 208 and 195 (differences of 62.5 and 50.8 ms).
    rr_s = np.array([0.75, 0.8125, 195 / 256] * 4)[:11]
    found = named(beats(rhythm(rr_s)))
    rmssd_ms = 1000 * math.sqrt(np.mean(np.diff(rr_s) ** 2))
    assert found == pytest.approx(
        {
            "heart_rate_bpm": 60 / (195 / 256),
            "sdnn_ms": 1000 * rr_s.std(ddof=1),
            "rmssd_ms": rmssd_ms,
            "log_heart_rate": math.log(60 / (195 / 256)),
            "log_sdnn": math.log(1000 * rr_s.std(ddof=1)),
            "log_rmssd": math.log(rmssd_ms),
            "mean_rr_ms": 1000 * rr_s.mean(),
            "rr_range_ms": 62.5,
            # 192 -> 208 -> 195 -> 192: two of three differences are beyond 20 ms (5.12 samples).
            "pnn20": 70.0,
        }
    )


@pytest.mark.parametrize("fs_hz", [128.0, 256.0, 500.0])
def test_neurokit_on_irregular_beats(fs_hz: float) -> None:
    rr_s = np.random.default_rng(4).uniform(0.72, 0.88, 11)
    window = beats(rhythm(rr_s), fs_hz)
    expected = neurokit2.hrv_time(detect_r_peaks(window, fs_hz), sampling_rate=fs_hz).iloc[0]
    found = named(window, fs_hz)
    names = {"sdnn_ms": "SDNN", "rmssd_ms": "RMSSD", "mean_rr_ms": "MeanNN"}
    for ours, theirs in names.items():
        assert found[ours] == pytest.approx(float(expected[f"HRV_{theirs}"]), rel=1e-6)
    # NeuroKit2 divides by the number of intervals, not by that of their differences.
    assert found["pnn20"] * 10 / 11 == pytest.approx(float(expected["HRV_pNN20"]))
    assert found["rr_range_ms"] == pytest.approx(float(expected["HRV_MaxNN"] - expected["HRV_MinNN"]))


def test_a_clockwork_has_finite_logarithms() -> None:
    found = named(beats(rhythm(np.full(11, 0.75))))
    assert (found["sdnn_ms"], found["rmssd_ms"], found["pnn20"]) == (0.0, 0.0, 0.0)
    assert (found["log_sdnn"], found["log_rmssd"]) == (0.0, 0.0)


@pytest.mark.parametrize("change", [lambda x: -x, lambda x: 40 * x, lambda x: x.astype(np.float32)])
def test_polarity_and_scale_do_not_matter(change: Any) -> None:
    ecg = beats(np.arange(0.5, 9.7, 0.7))
    np.testing.assert_allclose(interval_features(change(ecg)), interval_features(ecg), atol=1e-6)


def test_a_missed_beat_does_not_count_as_variability() -> None:
    times_s = np.arange(0.5, 9.7, 0.7)
    whole, missed = (named(beats(times)) for times in (times_s, np.delete(times_s, 6)))
    assert missed["heart_rate_bpm"] == pytest.approx(whole["heart_rate_bpm"], abs=0.5)
    for name in ("sdnn_ms", "rmssd_ms", "rr_range_ms", "mean_rr_ms"):
        assert missed[name] == pytest.approx(whole[name], abs=5.0), name


def test_a_window_without_beats_has_no_features() -> None:
    assert np.isnan(interval_features(np.zeros(2560))).all()
    assert np.isnan(interval_features(beats(np.array([2.0, 3.0])))).all()


def test_names_choose_and_order() -> None:
    windows = np.stack([beats(rhythm(np.full(11, rr))) for rr in (0.7, 0.78)])
    everything = [named(one) for one in windows]
    names = ("rr_range_ms", "log_heart_rate")
    expected = [[one[name] for name in names] for one in everything]
    np.testing.assert_array_equal(interval_features_of(windows, names), expected)
    assert interval_features_of(windows, ()).shape == (2, 0)
    assert interval_features_of(windows[:0], names).shape == (0, 2)
    with pytest.raises(ValueError, match="no interval feature 'sdnn'"):
        interval_features(windows[0], ["sdnn"])
