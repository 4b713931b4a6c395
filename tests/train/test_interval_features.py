"""Heart-rate features against beats that are known, and against NeuroKit2 on real ECG."""

from __future__ import annotations

from pathlib import Path

import neurokit2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.heads.intervals import interval_features, interval_features_of
from edge_ecg.heads.personal import SOURCES
from edge_ecg.signal import detect_r_peaks
from edge_ecg_train.datasets import DATASETS
from edge_ecg_train.prepare import Preparation, prepare_recording


def _beats(
    times_s: NDArray[np.float64], fs_hz: float = 256.0, duration_s: float = 10.0
) -> NDArray[np.float64]:
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    return np.exp(-0.5 * ((t[:, None] - times_s) / 0.012) ** 2).sum(axis=1)


def test_a_known_rhythm() -> None:
    # Intervals of 0.75 and 0.8125 s in turn: 192 and 208 samples, so sampling rounds nothing.
    rr_s = np.array([0.75, 0.8125] * 6)[:11]
    times_s = 0.5 + np.concatenate([[0.0], np.cumsum(rr_s)])
    rate, sdnn_ms, rmssd_ms = interval_features(_beats(times_s), SOURCES)
    assert rate == pytest.approx(60.0 / 0.75)
    assert sdnn_ms == pytest.approx(1000 * rr_s.std(ddof=1))
    assert rmssd_ms == pytest.approx(62.5)


def test_many_windows() -> None:
    windows = np.stack([_beats(np.arange(0.5, 9.7, rr)) for rr in (0.6, 0.8)]).astype(np.float32)
    np.testing.assert_array_equal(
        interval_features_of(windows, SOURCES), [interval_features(one, SOURCES) for one in windows]
    )
    assert interval_features_of(windows[:0], SOURCES).shape == (0, 3)


def test_real_ecg_against_neurokit(data_root: Path) -> None:
    recording = next(one for one in DATASETS["eegmat"].recordings(data_root) if one.subject == "eegmat/S01")
    compared = 0
    for window in prepare_recording(recording, Preparation()):
        peaks = detect_r_peaks(window.samples.astype(np.float64), 256.0)
        rr = np.diff(peaks)
        if np.abs(rr / np.median(rr) - 1.0).max() > 0.3:
            continue  # ours leaves such intervals out, NeuroKit2 does not
        expected = neurokit2.hrv_time(peaks, sampling_rate=256)
        _, sdnn_ms, rmssd_ms = interval_features(window.samples, SOURCES)
        assert sdnn_ms == pytest.approx(float(expected["HRV_SDNN"].iloc[0]), rel=1e-6)
        assert rmssd_ms == pytest.approx(float(expected["HRV_RMSSD"].iloc[0]), rel=1e-6)
        compared += 1
    assert compared >= 10
