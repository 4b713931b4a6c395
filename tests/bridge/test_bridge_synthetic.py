"""Synthetic ECG: right rhythm, same at every rate, repeatable."""

from __future__ import annotations

from itertools import islice, takewhile

import numpy as np
import pytest

from edge_ecg_bridge.synthetic import STORIES, HeartState, SyntheticEcg


def take(ecg: SyntheticEcg, fs_hz: float, seconds: float) -> np.ndarray:
    n, chunks, have = round(fs_hz * seconds), [], 0
    for chunk in ecg(fs_hz):
        chunks.append(chunk)
        have += len(chunk)
        if have >= n:
            return np.concatenate(chunks)[:n]
    raise AssertionError("it ended")


def r_times(ecg: SyntheticEcg, until_s: float) -> np.ndarray:
    return np.array([begin + rr / 2 for begin, rr in takewhile(lambda beat: beat[0] < until_s, ecg.beats())])


def test_r_peaks_stand_where_the_beats_say() -> None:
    ecg = SyntheticEcg(noise_mv=0.0, wander_mv=0.0, mains_mv=0.0)
    x = take(ecg, 500.0, 60.0)
    peaks = np.flatnonzero((x[1:-1] > 0.7) & (x[1:-1] >= x[:-2]) & (x[1:-1] > x[2:])) + 1
    beats = r_times(ecg, 59.0)
    assert np.abs(peaks[: len(beats)] / 500.0 - beats).max() < 0.005
    assert x.max() == pytest.approx(1.1, abs=0.1)


def test_same_beats_at_every_rate_and_seed_decides() -> None:
    ecg = SyntheticEcg(noise_mv=0.0)
    np.testing.assert_allclose(take(ecg, 1000.0, 20.0)[::4], take(ecg, 250.0, 20.0), atol=1e-9)
    np.testing.assert_array_equal(
        take(SyntheticEcg(seed=4), 256.0, 9.0), take(SyntheticEcg(seed=4), 256.0, 9.0)
    )
    assert not np.array_equal(take(SyntheticEcg(seed=4), 256.0, 9.0), take(SyntheticEcg(seed=5), 256.0, 9.0))


@pytest.mark.parametrize("rate", [45.0, 72.0, 140.0])
def test_mean_heart_rate(rate: float) -> None:
    rr = np.array([rr for _, rr in islice(SyntheticEcg((HeartState(heart_rate_bpm=rate),)).beats(), 300)])
    assert 60.0 / rr.mean() == pytest.approx(rate, rel=0.015)


def test_heart_rate_variability_has_the_size_asked_for() -> None:
    def sdnn_ms(**parts: float) -> float:
        state = HeartState(**{"rsa_ms": 0.0, "mayer_ms": 0.0, "jitter_ms": 0.0, **parts})
        return float(np.std([rr for _, rr in islice(SyntheticEcg((state,)).beats(), 2000)]) * 1000)

    assert sdnn_ms() == pytest.approx(0.0, abs=1e-9)
    assert sdnn_ms(rsa_ms=40.0) == pytest.approx(40.0, rel=0.05)
    assert sdnn_ms(mayer_ms=25.0) == pytest.approx(25.0, rel=0.05)
    assert sdnn_ms(jitter_ms=10.0) == pytest.approx(10.0, rel=0.1)


def test_the_story_goes_from_rest_to_stress() -> None:
    times = r_times(SyntheticEcg(STORIES["rest-stress"]), 120.0)
    rate = 60.0 / np.diff(times)
    calm, tense = rate[times[1:] < 40.0], rate[times[1:] > 55.0]
    assert calm.mean() == pytest.approx(72.0, rel=0.03)
    assert tense.mean() == pytest.approx(96.0, rel=0.02)
    assert np.std(60.0 / tense) < 0.5 * np.std(60.0 / calm)
