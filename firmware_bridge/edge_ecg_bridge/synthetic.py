"""Synthetic ECG: the dynamical model of McSharry et al., at any rate, with a heart that can be told a story.

McSharry PE, Clifford GD, Tarassenko L, Smith LA, "A dynamical model for generating synthetic
electrocardiogram signals", IEEE Trans Biomed Eng 50:289-294 (2003). A point runs around the unit circle, once
a beat; its height obeys, with the angles θᵢ and widths bᵢ of P, Q, R, S, T (Table I),

    ż = − Σ aᵢ Δθᵢ exp(−Δθᵢ² / 2bᵢ²) − (z − z₀(t))

with z₀ the breathing baseline; θᵢ and bᵢ stretch with the heart rate as in the paper's section III. On the
circle θ is known, so the equation is linear in z and is solved beat by beat with its exact decay, on a grid
of 1024 Hz that does not depend on the sampling rate. The aᵢ are chosen for heights in millivolts:
aᵢ = hᵢ ω / bᵢ². The RR intervals have the paper's two Gaussian bands, LF around 0.1 Hz and HF around the
breathing rate, made of cosines with random phases, and beat-to-beat noise. The axis of posture and breathing
is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .heart import CALM, RESTING_AXIS_DEG, STORIES, STRESSED, HeartState, state_at
from .stream import FloatArray

__all__ = ["CALM", "STORIES", "STRESSED", "HeartState", "SyntheticEcg"]

# Angle (radians), width (radians) and height (mV) of P, Q, R, S and T at 60 beats a minute.
_ANGLES = np.array([-np.pi / 3, -np.pi / 12, 0.0, np.pi / 12, np.pi / 2])
_WIDTHS = np.array([0.25, 0.1, 0.1, 0.1, 0.4])
_HEIGHTS_MV = np.array([0.12, -0.14, 1.1, -0.25, 0.28])
# How far each wave's axis follows the heart's: the QRS wholly, P and T half.
_FOLLOWS_AXIS = np.array([0.5, 1.0, 1.0, 1.0, 0.5])
_BREATH_AXIS_DEG = 4.0
_MAYER_HZ = 0.1
# Eight quantiles of a normal distribution of 0.01 Hz: the paper's bandwidth of LF and HF.
_BAND_HZ = 0.01 * np.array([-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534])
_GRID_HZ = 1024.0
_TAIL = 4
_DECAY = np.exp(-1.0 / _GRID_HZ)


@dataclass(frozen=True, slots=True)
class _Beat:
    begin_s: float
    rr_s: float
    breath: float
    state: HeartState


@dataclass(frozen=True, slots=True)
class SyntheticEcg:
    """An endless ECG of one lead.

    Attributes
    ----------
    story:
        States of the heart in order of time; the last one lasts.
    noise_mv, wander_mv, mains_mv, mains_hz:
        White noise (standard deviation), baseline wander and mains hum (amplitudes). Two fifths of the wander
        are breathing.
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
        """Yield the ECG in millivolts, about a beat at a time, sampled at ``fs_hz``."""
        noise = np.random.default_rng((self.seed, 1))
        phases = np.random.default_rng((self.seed, 2)).uniform(0, 2 * np.pi, 2)
        done = 0
        for first, grid in self._solved():
            # The last sample that has two grid points on either side.
            end = int(np.floor((first + len(grid) - 3) / _GRID_HZ * fs_hz)) + 1
            if end <= done:
                continue
            t_s = np.arange(done, end) / fs_hz
            done = end
            ecg = _between(grid, t_s * _GRID_HZ - first)
            if self.noise_mv:
                ecg += noise.normal(0.0, self.noise_mv, len(t_s))
            ecg += self.mains_mv * np.sin(2 * np.pi * self.mains_hz * t_s + phases[0])
            ecg += 0.6 * self.wander_mv * np.sin(2 * np.pi * 0.05 * t_s + phases[1])
            yield ecg

    def beats(self) -> Iterator[tuple[float, float]]:
        """Yield begin (half a cycle before the R peak) and length of each beat, in seconds."""
        return ((beat.begin_s, beat.rr_s) for beat in self._beats())

    def state(self, at_s: float) -> HeartState:
        """Return the heart's state at a time."""
        return state_at(self.story, at_s)

    def _beats(self) -> Iterator[_Beat]:
        rng = np.random.default_rng((self.seed, 0))
        breath = float(rng.uniform(0, 2 * np.pi))
        hf, lf = rng.uniform(0, 2 * np.pi, (2, len(_BAND_HZ)))
        size = np.sqrt(2.0 / len(_BAND_HZ))
        now_s = 0.0
        while True:
            state = self.state(now_s)
            rr = 60.0 / state.heart_rate_bpm + 1e-3 * (
                size * (state.rsa_ms * float(np.sin(hf).sum()) + state.mayer_ms * float(np.sin(lf).sum()))
                + state.jitter_ms * rng.standard_normal()
            )
            rr = float(np.clip(rr, 0.3, 2.0))
            yield _Beat(now_s, rr, breath, state)
            now_s += rr
            breath += 2 * np.pi * state.respiration_hz * rr
            hf += 2 * np.pi * (state.respiration_hz + _BAND_HZ) * rr
            lf += 2 * np.pi * (_MAYER_HZ + _BAND_HZ) * rr

    def _solved(self) -> Iterator[tuple[int, FloatArray]]:
        """Yield the solution on the grid beat by beat: number of its first point (from time 0), millivolts.

        Four points of the beat before come first, so that samples between two beats have neighbours.
        """
        tail: FloatArray | None = None
        last_force = 0.0
        for beat in self._beats():
            first = int(np.ceil(beat.begin_s * _GRID_HZ))
            end = int(np.ceil((beat.begin_s + beat.rr_s) * _GRID_HZ))
            force = self._force(beat, np.arange(first, end) / _GRID_HZ)
            if tail is None:  # as if the first beat had been there for ever
                steady = _solve(force, 0.0, float(force[-1]))[-1] / (1.0 - _DECAY ** len(force))
                solved = _solve(force, float(steady), float(force[-1]))
                tail, before = np.full(_TAIL, solved[0]), solved
            else:
                before = _solve(force, float(tail[-1]), last_force)
            last_force = float(force[-1])
            yield first - _TAIL, np.concatenate([tail, before])
            tail = before[-_TAIL:]

    def _force(self, beat: _Beat, t_s: FloatArray) -> FloatArray:
        """Return what drives z: the five waves and the breathing baseline."""
        stretch = np.sqrt(60.0 / beat.rr_s / 60.0)
        angles = _ANGLES * np.array([np.sqrt(stretch), stretch, 1.0, stretch, np.sqrt(stretch)])
        widths = _WIDTHS * stretch
        omega = 2 * np.pi / beat.rr_s
        breathing = beat.breath + 2 * np.pi * beat.state.respiration_hz * (t_s - beat.begin_s)
        theta = omega * (t_s - beat.begin_s) - np.pi
        distance = (theta[:, None] - angles + np.pi) % (2 * np.pi) - np.pi
        off_axis = beat.state.axis_deg - RESTING_AXIS_DEG + _BREATH_AXIS_DEG * np.sin(beat.breath)
        heights = _HEIGHTS_MV * np.cos(np.radians(off_axis * _FOLLOWS_AXIS))
        waves = (-distance * np.exp(-0.5 * (distance / widths) ** 2)) @ (heights * omega / widths**2)
        force: FloatArray = waves + 0.4 * self.wander_mv * np.sin(breathing)
        return force


def _solve(force: FloatArray, z: float, force_before: float) -> FloatArray:
    """Solve ż = force − z from ``z`` at the grid point before the first: exact decay, trapezoidal force."""
    driven = (_DECAY * np.concatenate([[force_before], force[:-1]]) + force) / (2 * _GRID_HZ)
    growth = _DECAY ** -np.arange(1.0, len(force) + 1)
    solved: FloatArray = (z + np.cumsum(driven * growth)) / growth
    return solved


def _between(grid: FloatArray, at: FloatArray) -> FloatArray:
    """Interpolate with cubic polynomials through four neighbouring points; ``at`` counts grid points."""
    index = np.clip(np.floor(at).astype(np.int64), 1, len(grid) - 3)
    x = at - index
    left, here, right, far = (grid[index + i] for i in (-1, 0, 1, 2))
    third = (far - left) / 6.0 + (here - right) / 2.0
    second = (left + right) / 2.0 - here
    between: FloatArray = here + x * (right - left / 3.0 - here / 2.0 - far / 6.0 + x * (second + x * third))
    return between
