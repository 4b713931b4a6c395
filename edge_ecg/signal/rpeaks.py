"""R-peak detection and heart rate, in numpy alone.

The detector follows the scheme of Pan and Tompkins (IEEE TBME 32(3):230-236, 1985): band-pass, energy,
adaptive threshold, refractory time, T-wave test, search back. It differs in being zero-phase and in taking
its threshold from the whole neighbourhood of a beat, past and future, for it always sees a whole window.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray

IndexArray = NDArray[np.int64]

MIN_RR_S, MAX_RR_S = 0.25, 2.0

_BAND_HZ = (10.0, 25.0)
_ENERGY_S = 0.10
_REFRACTORY_S = 0.22
_THRESHOLD = 0.46
_LEVEL_BLOCK_S = 2.0
_LEVEL_BLOCKS = 9
_LOCATE_S = 0.07


def detect_r_peaks(ecg_mv: FloatArray, fs_hz: float) -> IndexArray:
    """Find the QRS complexes of one lead, upright or inverted.

    Parameters
    ----------
    ecg_mv:
        (n,) samples, high-passed, of any length.
    fs_hz:
        Sampling rate, 100 Hz or more.

    Returns
    -------
    (k,) int64, ascending: the sample of the largest deflection of each QRS complex. Empty when there is
    none, or less than half a second of signal.
    """
    if len(ecg_mv) < fs_hz / 2:
        return np.zeros(0, dtype=np.int64)
    band = qrs_band(ecg_mv, fs_hz)
    energy = _smooth(band * band, round(_ENERGY_S * fs_hz))
    strength = np.sqrt(np.maximum(energy, 0.0))
    candidates = _local_maxima(strength, round(_REFRACTORY_S * fs_hz))
    if len(candidates) == 0:
        return candidates
    level = _local_level(strength, fs_hz)[candidates]
    keep = strength[candidates] > _THRESHOLD * level
    beats = _search_back(candidates, keep, strength, level, fs_hz)
    return _locate(beats, band, fs_hz)


def heart_rate_bpm(r_peaks: IndexArray, fs_hz: float) -> float | None:
    """60 over the median RR interval; None with fewer than three plausible intervals (0.25 to 2 s)."""
    rr_s = np.diff(r_peaks) / fs_hz
    rr_s = rr_s[(rr_s >= MIN_RR_S) & (rr_s <= MAX_RR_S)]
    return float(60.0 / np.median(rr_s)) if len(rr_s) >= 3 else None


def qrs_band(ecg_mv: FloatArray, fs_hz: float) -> FloatArray:
    """The part of (n,) samples that QRS complexes live in (10 to 25 Hz), without delay."""
    half = round(0.12 * fs_hz)
    t = np.arange(-half, half + 1)
    kernel = np.zeros(2 * half + 1)
    for edge_hz, sign in zip(_BAND_HZ, (-1.0, 1.0), strict=True):
        low_pass = np.sinc(2.0 * edge_hz / fs_hz * t) * np.hamming(len(t))
        kernel += sign * low_pass / low_pass.sum()
    padded = np.pad(ecg_mv, half, mode="edge")
    band: FloatArray = np.convolve(padded, kernel, mode="valid")
    return band


def _smooth(x: FloatArray, width: int) -> FloatArray:
    """Centred moving average over an odd number of samples."""
    half = width // 2
    total: FloatArray = np.concatenate([np.zeros(1), np.cumsum(np.pad(x, half, mode="edge"))])
    return (total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1)


def _local_maxima(x: FloatArray, distance: int) -> IndexArray:
    """Samples that are the largest within ``distance`` on both sides, larger ones first served."""
    inner = np.flatnonzero((x[1:-1] > x[:-2]) & (x[1:-1] >= x[2:])) + 1
    taken: list[int] = []
    free = np.ones(len(x) + 2 * distance, dtype=np.bool_)
    for i in inner[np.argsort(-x[inner], kind="stable")].tolist():
        if free[i + distance]:
            taken.append(i)
            free[i + 1 : i + 2 * distance] = False
    return np.array(sorted(taken), dtype=np.int64)


def _local_level(strength: FloatArray, fs_hz: float) -> FloatArray:
    """How strong a beat is hereabouts: the running median of the maxima of blocks, (n,)."""
    block = round(_LEVEL_BLOCK_S * fs_hz)
    hop = block // 2
    starts = np.arange(0, max(len(strength) - block, 0) + 1, hop)
    maxima = np.array([strength[s : s + block].max() for s in starts.tolist()])
    half = min(_LEVEL_BLOCKS // 2, len(maxima) - 1)
    padded = np.pad(maxima, half, mode="symmetric")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    return np.asarray(np.interp(np.arange(len(strength)), starts + block / 2, medians))


def _search_back(
    candidates: IndexArray, keep: NDArray[np.bool_], strength: FloatArray, level: FloatArray, fs_hz: float
) -> IndexArray:
    """Add the strongest candidate of every pause that is too long for the rhythm around it."""
    keep = keep.copy()
    kept = np.flatnonzero(keep)
    if len(kept) < 3:
        return candidates[keep]
    rr = np.diff(candidates[kept])
    usual = float(np.median(rr))
    for a, b, pause in zip(kept[:-1].tolist(), kept[1:].tolist(), rr.tolist(), strict=True):
        if pause > 1.66 * usual and b - a > 1:
            inside = np.arange(a + 1, b)
            inside = inside[
                (candidates[inside] - candidates[a] > 0.36 * fs_hz)
                & (candidates[b] - candidates[inside] > 0.30 * fs_hz)
            ]
            if len(inside):
                best = inside[np.argmax(strength[candidates[inside]])]
                if strength[candidates[best]] > 0.5 * _THRESHOLD * level[best]:
                    keep[best] = True
    return candidates[keep]


def _locate(beats: IndexArray, band: FloatArray, fs_hz: float) -> IndexArray:
    """Move each beat to its largest deflection of the polarity that prevails among the beats."""
    half = math.ceil(_LOCATE_S * fs_hz)
    if len(beats) == 0:
        return beats
    padded = np.pad(band, half, mode="edge")
    around = padded[beats[:, None] + np.arange(2 * half + 1)]
    up, down = around.max(axis=1), -around.min(axis=1)
    upright = np.median(up) >= np.median(down)
    main, other = (up, down) if upright else (down, up)
    usual = main > 0.5 * other
    sign = np.where(usual == upright, 1.0, -1.0)
    found = beats - half + np.argmax(around * sign[:, None], axis=1)
    return np.unique(np.clip(found, 0, len(band) - 1))
