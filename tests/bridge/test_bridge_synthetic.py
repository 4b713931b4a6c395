"""Synthetic ECG: right rhythm, same at every rate, repeatable."""

from __future__ import annotations

from itertools import islice, pairwise, takewhile

import numpy as np
import pytest

from edge_ecg_bridge.heart import CALM, parse_story
from edge_ecg_bridge.synthetic import STORIES, HeartState, SyntheticEcg

# The independent solver; where only the runtime is installed there is none.
integrate = pytest.importorskip("scipy.integrate")
interpolate = pytest.importorskip("scipy.interpolate")
signal = pytest.importorskip("scipy.signal")


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


# -- the dynamical model -----------------------------------------------------------------------------------


def test_the_ecg_solves_the_papers_equation() -> None:
    """Against SciPy's own solver on the three equations of the paper, beat by beat."""
    state = HeartState(heart_rate_bpm=66.0, rsa_ms=30.0)
    ecg = SyntheticEcg((state,), noise_mv=0.0, wander_mv=0.2, mains_mv=0.0, seed=11)
    beats = list(islice(ecg._beats(), 7))
    found = take(ecg, 1024.0, beats[-1].begin_s)
    times = np.arange(len(found)) / 1024.0
    slow = np.random.default_rng((11, 2)).uniform(0, 2 * np.pi, 2)[1]
    found -= 0.6 * 0.2 * np.sin(2 * np.pi * 0.05 * times + slow)
    for beat, after in pairwise(beats):
        omega = 2 * np.pi / beat.rr_s
        stretch = np.sqrt(1.0 / beat.rr_s)
        angle = np.array([-1 / 3, -1 / 12, 0, 1 / 12, 1 / 2]) * np.pi
        angle *= [np.sqrt(stretch), stretch, 1, stretch, np.sqrt(stretch)]
        width = np.array([0.25, 0.1, 0.1, 0.1, 0.4]) * stretch
        axis = np.radians(4.0 * np.sin(beat.breath) * np.array([0.5, 1, 1, 1, 0.5]))
        gain = np.array([0.12, -0.14, 1.1, -0.25, 0.28]) * np.cos(axis) * omega / width**2

        def slope(t_s: float, point: np.ndarray) -> list[float]:
            x, y, z = point
            alpha = 1 - np.hypot(x, y)
            distance = np.angle(np.exp(1j * (np.arctan2(y, x) - angle)))  # noqa: B023
            wave = -np.sum(gain * distance * np.exp(-(distance**2) / (2 * width**2)))  # noqa: B023
            baseline = 0.08 * np.sin(beat.breath + 2 * np.pi * 0.25 * (t_s - beat.begin_s))  # noqa: B023
            return [alpha * x - omega * y, alpha * y + omega * x, wave - (z - baseline)]  # noqa: B023

        inside = (times >= beat.begin_s) & (times < after.begin_s)
        at_s = times[inside]
        theta = omega * (at_s[0] - beat.begin_s) - np.pi
        start = [np.cos(theta), np.sin(theta), found[inside][0]]
        run = integrate.solve_ivp(slope, (at_s[0], at_s[-1]), start, t_eval=at_s, rtol=1e-9, atol=1e-11)
        assert np.abs(found[inside] - run.y[2]).max() < 5e-4
    assert np.abs(np.diff(found)).max() < 0.08  # nothing jumps between beats


@pytest.mark.parametrize("lf_hf", [0.5, 2.0])
def test_the_ratio_of_lf_to_hf_power_is_as_asked_for(lf_hf: float) -> None:
    state = CALM.with_variability(50.0, lf_hf)
    beats = np.array(list(islice(SyntheticEcg((state,), seed=2).beats(), 3000)))
    at_s = np.arange(0.0, beats[-1, 0], 0.25)
    rr = interpolate.CubicSpline(beats[:, 0], beats[:, 1])(at_s)
    f_hz, power = signal.welch(rr - rr.mean(), 4.0, nperseg=1024)
    lf = power[(f_hz >= 0.04) & (f_hz < 0.15)].sum()
    hf = power[(f_hz >= 0.15) & (f_hz < 0.40)].sum()
    assert lf / hf == pytest.approx(lf_hf, rel=0.15)
    assert rr.std() == pytest.approx(0.050, rel=0.1)


def test_posture_turns_the_axis() -> None:
    ecg = SyntheticEcg(STORIES["posture"], noise_mv=0.0, wander_mv=0.0, mains_mv=0.0)
    x = take(ecg, 250.0, 70.0)
    lying, standing = x[: 250 * 28].max(), x[250 * 40 :].max()
    assert standing == pytest.approx(lying * np.cos(np.radians(25.0)), rel=0.04)


def test_stories_written_out() -> None:
    assert parse_story("rest-stress") == STORIES["rest-stress"]
    story = parse_story("rest:60, stress:90, stand")
    ecg = SyntheticEcg(story)
    rates = [ecg.state(t_s).heart_rate_bpm for t_s in (0, 59, 65, 70, 150, 160, 900)]
    assert rates == [72.0, 72.0, 84.0, 96.0, 96.0, 84.0, 84.0]
    for wrong in ("divorce", "rest:60,work:30", "rest:x,stress", "rest,stress:60", "rest:5,stress"):
        with pytest.raises(ValueError, match=r"There is no story|needs its length"):
            parse_story(wrong)
