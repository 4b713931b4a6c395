"""R-peak detection and heart rate, in numpy alone.

The detector follows the scheme of Pan and Tompkins (IEEE TBME 32(3):230-236, 1985): band-pass, energy,
refractory time, adaptive threshold, search back. It differs in having no delay, in taking its threshold from
all that surrounds a beat, past and future, for it always sees a whole window, and in a band so high that
T waves need no test of their own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..samples import FloatArray

IndexArray = NDArray[np.int64]

MIN_RR_S, MAX_RR_S = 0.25, 2.0

_BAND_HZ = (10.0, 25.0)
_KERNEL_HALF_S = 0.12
_ENERGY_S = 0.10
_REFRACTORY_S = 0.22
# What counts as a beat, as a share of how strong beats are hereabouts: this much, or, where little goes on
# between the beats, three times what goes on there, so that small beats among large ectopic ones count too.
_THRESHOLD, _LOWEST_THRESHOLD, _FLOOR_FACTOR = 0.46, 0.25, 3.0
_FLOOR_PERCENTILE = 80.0
_FLOOR_CLEAR_S = 0.15
_BLOCK_S = 2.0
_BLOCKS = 9
_LOCATE_S = 0.07
_SHAPE_HZ = 30.0
_BASELINE_S = 0.3


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
    return QrsBand(ecg_mv, fs_hz).r_peaks()


def heart_rate_bpm(r_peaks: IndexArray, fs_hz: float) -> float | None:
    """60 over the median RR interval; None with fewer than three plausible intervals (0.25 to 2 s)."""
    rr_s = np.diff(r_peaks) / fs_hz
    rr_s = rr_s[(rr_s >= MIN_RR_S) & (rr_s <= MAX_RR_S)]
    return float(60.0 / np.median(rr_s)) if len(rr_s) >= 3 else None


class QrsBand:
    """The part of a signal that QRS complexes live in, and how strong it is; of half a second or more.

    Attributes
    ----------
    signal:
        (n,) 10 to 25 Hz of the ECG in mV, without delay. T and P waves lie below.
    strength:
        (n,) its root mean square over 100 ms.

    """

    def __init__(self, ecg_mv: FloatArray, fs_hz: float) -> None:
        self.fs_hz = fs_hz
        low, high = _BAND_HZ
        self.signal = low_pass(ecg_mv, high, fs_hz, _KERNEL_HALF_S) - low_pass(
            ecg_mv, low, fs_hz, _KERNEL_HALF_S
        )
        baseline = _smooth(ecg_mv, round(_BASELINE_S * fs_hz))
        self._shape = low_pass(ecg_mv, _SHAPE_HZ, fs_hz) - baseline
        energy = _smooth(self.signal * self.signal, round(_ENERGY_S * fs_hz))
        self.strength: FloatArray = np.sqrt(np.maximum(energy, 0.0))

    def r_peaks(self) -> IndexArray:
        """See :func:`detect_r_peaks`."""
        candidates = _local_maxima(self.strength, round(_REFRACTORY_S * self.fs_hz))
        blocks = _Blocks(self.fs_hz, len(self.strength))
        level = blocks.around(blocks.of(self.strength).max(axis=1))[candidates]
        strong = self.strength[candidates] > _THRESHOLD * level
        floor = _FLOOR_FACTOR * self._floor(candidates[strong], blocks)[candidates]
        threshold = np.clip(floor, _LOWEST_THRESHOLD * level, _THRESHOLD * level)
        keep = self.strength[candidates] > threshold
        beats = _search_back(candidates, keep, self.strength, level, self.fs_hz)
        return _locate(beats, self._shape, self.fs_hz)

    def _floor(self, beats: IndexArray, blocks: _Blocks) -> FloatArray:
        """How strong the signal is between the beats, (n,)."""
        between = self.strength.copy()
        reach = round(_FLOOR_CLEAR_S * self.fs_hz)
        near = beats[:, None] + np.arange(-reach, reach + 1)
        between[np.clip(near, 0, len(between) - 1)] = np.inf
        in_order = np.sort(blocks.of(between), axis=1)
        count = np.isfinite(in_order).sum(axis=1)
        rank = np.maximum(np.ceil(_FLOOR_PERCENTILE / 100.0 * count).astype(np.int64) - 1, 0)
        floor = in_order[np.arange(len(in_order)), rank]
        # A block full of beats has no floor of its own.
        usual = np.median(floor[count > 0]) if (count > 0).any() else 0.0
        return blocks.around(np.where(count > 0, floor, usual))


class _Blocks:
    """Overlapping blocks of a signal, to see how it is around each sample."""

    def __init__(self, fs_hz: float, n: int) -> None:
        self._n = n
        self._length = min(round(_BLOCK_S * fs_hz), n)
        self._hop = max(self._length // 2, 1)

    def of(self, x: FloatArray) -> FloatArray:
        """(blocks, length) of (n,) samples, without copying."""
        return np.lib.stride_tricks.sliding_window_view(x, self._length)[:: self._hop]

    def around(self, values: FloatArray) -> FloatArray:
        """Running median over blocks of one value per block, as (n,) samples."""
        half = min(_BLOCKS // 2, len(values) - 1)
        padded = np.pad(values, half, mode="symmetric")
        medians = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
        centres = np.arange(len(values)) * self._hop + self._length / 2
        return np.asarray(np.interp(np.arange(self._n), centres, medians))


def low_pass(x: FloatArray, cutoff_hz: float, fs_hz: float, half_s: float = 0.06) -> FloatArray:
    """Zero-phase low-pass of (n,) samples: a Hamming-windowed sinc over ``half_s`` on each side."""
    half = round(half_s * fs_hz)
    t = np.arange(-half, half + 1)
    kernel = np.sinc(2.0 * cutoff_hz / fs_hz * t) * np.hamming(len(t))
    y: FloatArray = np.convolve(np.pad(x, half, mode="edge"), kernel / kernel.sum(), mode="valid")
    return y


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


def _locate(beats: IndexArray, shape: FloatArray, fs_hz: float) -> IndexArray:
    """Move each beat to its largest deflection of the polarity that prevails among the beats."""
    half = math.ceil(_LOCATE_S * fs_hz)
    if len(beats) == 0:
        return beats
    around = np.pad(shape, half, mode="edge")[beats[:, None] + np.arange(2 * half + 1)]
    up, down = around.max(axis=1), -around.min(axis=1)
    upright = np.median(up) >= np.median(down)
    main, other = (up, down) if upright else (down, up)
    # A beat of the other polarity, an ectopic one say, has its peak there.
    sign = np.where((main > 0.5 * other) == upright, 1.0, -1.0)
    found = beats - half + np.argmax(around * sign[:, None], axis=1)
    return np.unique(np.clip(found, 0, len(shape) - 1))
