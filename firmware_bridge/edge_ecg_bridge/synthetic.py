"""Synthetic ECG: the waveform of McSharry et al., at any rate, with a heart that can be told a story.

The beat is a sum of five Gaussians (P, Q, R, S, T) around the phase of the cardiac cycle, with the angles
and widths of McSharry PE, Clifford GD, Tarassenko L, Smith LA, "A dynamical model for generating synthetic
electrocardiogram signals", IEEE Trans Biomed Eng 50:289-294 (2003), Table I, and its stretching with heart
rate; the amplitudes are set in millivolts here. The RR intervals carry respiratory sinus arrhythmia, a
0.1 Hz wave, and beat-to-beat noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .stream import FloatArray

# Angle (radians), width (radians) and amplitude (mV) of P, Q, R, S and T at 60 beats a minute.
_ANGLES = np.array([-np.pi / 3, -np.pi / 12, 0.0, np.pi / 12, np.pi / 2])
_WIDTHS = np.array([0.25, 0.1, 0.1, 0.1, 0.4])
_HEIGHTS_MV = np.array([0.12, -0.14, 1.1, -0.25, 0.28])
_MAYER_HZ = 0.1


@dataclass(frozen=True, slots=True)
class HeartState:
    """What the heart does at one time.

    Attributes
    ----------
    at_s:
        When; between two states all values change linearly.
    heart_rate_bpm:
        Mean heart rate.
    rsa_ms, mayer_ms, jitter_ms:
        Standard deviations of the RR interval's respiratory, 0.1 Hz and random parts.
    respiration_hz:
        Breathing rate.

    """

    at_s: float = 0.0
    heart_rate_bpm: float = 72.0
    rsa_ms: float = 35.0
    mayer_ms: float = 20.0
    jitter_ms: float = 8.0
    respiration_hz: float = 0.25


CALM = HeartState()
STRESSED = HeartState(heart_rate_bpm=96.0, rsa_ms=10.0, mayer_ms=10.0, jitter_ms=4.0, respiration_hz=0.32)
STORIES: dict[str, tuple[HeartState, ...]] = {
    "rest": (CALM,),
    "stress": (STRESSED,),
    "rest-stress": (CALM, replace(CALM, at_s=40.0), replace(STRESSED, at_s=50.0)),
}


@dataclass(frozen=True, slots=True)
class SyntheticEcg:
    """An endless ECG of one lead.

    Attributes
    ----------
    story:
        States of the heart in order of time; the last one lasts.
    noise_mv, wander_mv, mains_mv, mains_hz:
        White noise (standard deviation), baseline wander and mains hum (amplitudes).
    seed:
        Same seed, same beats at every sampling rate.

    """

    story: tuple[HeartState, ...] = (CALM,)
    noise_mv: float = 0.01
    wander_mv: float = 0.05
    mains_mv: float = 0.005
    mains_hz: float = 50.0
    seed: int = 0

    def __call__(self, fs_hz: float) -> Iterator[FloatArray]:
        """Yield the ECG in millivolts, a beat at a time, sampled at ``fs_hz``."""
        noise = np.random.default_rng((self.seed, 1))
        phases = np.random.default_rng((self.seed, 2)).uniform(0, 2 * np.pi, 3)
        done = 0
        for begin_s, rr_s in self.beats():
            end = int(np.ceil((begin_s + rr_s) * fs_hz))
            t_s = np.arange(done, end) / fs_hz
            ecg = _beat((t_s - begin_s) / rr_s, 60.0 / rr_s)
            ecg += noise.normal(0.0, self.noise_mv, len(t_s))
            ecg += self.mains_mv * np.sin(2 * np.pi * self.mains_hz * t_s + phases[0])
            ecg += 0.6 * self.wander_mv * np.sin(2 * np.pi * 0.05 * t_s + phases[1])
            ecg += 0.4 * self.wander_mv * np.sin(2 * np.pi * 0.21 * t_s + phases[2])
            done = end
            yield ecg

    def beats(self) -> Iterator[tuple[float, float]]:
        """Yield begin (half a cycle before the R peak) and length of each beat, in seconds."""
        rng = np.random.default_rng((self.seed, 0))
        breath, mayer = rng.uniform(0, 2 * np.pi, 2)
        now = 0.0
        while True:
            state = self.state(now)
            rr = 60.0 / state.heart_rate_bpm + 1e-3 * (
                np.sqrt(2) * (state.rsa_ms * np.sin(breath) + state.mayer_ms * np.sin(mayer))
                + state.jitter_ms * rng.standard_normal()
            )
            rr = float(np.clip(rr, 0.3, 2.0))
            yield now, rr
            now += rr
            breath += 2 * np.pi * state.respiration_hz * rr
            mayer += 2 * np.pi * _MAYER_HZ * rr

    def state(self, at_s: float) -> HeartState:
        """Return the heart's state at a time."""
        times = [state.at_s for state in self.story]

        def at(name: str) -> float:
            return float(np.interp(at_s, times, [getattr(state, name) for state in self.story]))

        return HeartState(
            at_s, at("heart_rate_bpm"), at("rsa_ms"), at("mayer_ms"), at("jitter_ms"), at("respiration_hz")
        )


def _beat(cycle: FloatArray, heart_rate_bpm: float) -> FloatArray:
    """Return the waveform at the given parts (0..1) of the cycle; the R peak lies at one half."""
    factor = np.sqrt(heart_rate_bpm / 60.0)
    angles = _ANGLES * np.array([np.sqrt(factor), factor, 1.0, factor, np.sqrt(factor)])
    widths = _WIDTHS * factor
    theta = 2 * np.pi * cycle - np.pi
    distance = (theta[:, None] - angles + np.pi) % (2 * np.pi) - np.pi
    ecg: FloatArray = np.exp(-0.5 * (distance / widths) ** 2) @ _HEIGHTS_MV
    return ecg
