"""The features of the classical line: heart-rate variability, band energies, and the shape of a mean beat.

What ten seconds cannot tell is not here. Of the spectrum of the intervals only the high-frequency band
(0.15 to 0.4 Hz, breathing) has more than one and a half periods in a window; the low-frequency band (0.04 to
0.15 Hz), the very low one and the ratio LF/HF ask for minutes (Task Force of ESC and NASPE, Circulation
93:1043-1065, 1996), and so do SDANN, entropy and fractal measures.

Windows are normalised, so amplitudes are in standard deviations of the person's ECG, not in millivolts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lombscargle, stft

from edge_ecg.errors import UsageError
from edge_ecg.heads.intervals import interval_features
from edge_ecg.signal.resample import MODEL_FS_HZ
from edge_ecg.signal.rpeaks import MAX_RR_S, MIN_RR_S, detect_r_peaks

from ..evaluation.data import TaskData

FloatArray = NDArray[np.float64]

_VERSION = 1
"""Of the code behind the cached values: it rises when that code changes a number."""

TIME = ("heart_rate_bpm", "mean_rr_ms", "sdnn_ms", "rmssd_ms", "rr_range_ms", "pnn20")
FREQUENCY = ("log_hf_power", "hf_share", "hf_peak_hz")
BANDS_HZ = ((1.0, 4.0), (4.0, 8.0), (8.0, 15.0), (15.0, 25.0), (25.0, 40.0), (40.0, 100.0))
TIME_FREQUENCY = tuple(
    f"{kind}_{low:g}_{high:g}_hz" for kind in ("log_power", "log_power_sd") for low, high in BANDS_HZ
)
MORPHOLOGY = (
    "r_amplitude", "r_amplitude_sd", "qrs_range", "qrs_width_ms", "p_amplitude", "st_level", "st_slope",
    "t_amplitude", "t_time_ms", "t_to_r",
)  # fmt: skip

GROUPS: dict[str, tuple[str, ...]] = {
    "time": TIME,
    "frequency": FREQUENCY,
    "time-frequency": TIME_FREQUENCY,
    "morphology": MORPHOLOGY,
}
"""Group of features to their names, in the order of the columns."""

_HF_HZ = np.arange(0.15, 0.4001, 0.01)
_ALL_HZ = np.arange(0.1, 0.5001, 0.01)
_MAX_DEVIATION = 0.3
_LEAST_BEATS = 5
_BEAT_S = (-0.25, 0.45)
_SMALLEST = 1e-6


def classical_features(data: TaskData, groups: tuple[str, ...] = tuple(GROUPS)) -> FloatArray:
    """Return the features of all rows, (n, d), computed once; NaN where a window does not determine one.

    Raises
    ------
    UsageError
        When there is no such group.

    """
    check_groups(groups)
    found = data.cached(f"classical features {_VERSION}", lambda: features_of(data.windows))
    bounds = np.cumsum([0, *(len(names) for names in GROUPS.values())])
    place = {name: np.arange(bounds[i], bounds[i + 1]) for i, name in enumerate(GROUPS)}
    return np.asarray(found[:, np.concatenate([place[name] for name in groups])], np.float64)


def check_groups(groups: tuple[str, ...]) -> None:
    """Raise a UsageError when there is no such group of features."""
    unknown = [name for name in groups if name not in GROUPS]
    if unknown or not groups:
        raise UsageError(
            f"There is no group of features {', '.join(map(repr, unknown)) or '(none was given)'}.",
            remedy=f"Take some of {', '.join(GROUPS)}.",
        )


def features_of(windows: NDArray[np.float32]) -> FloatArray:
    """All groups' features of (n, 2560) windows at 256 Hz, (n, 31), in the order of ``GROUPS``."""
    rows = [_features(np.asarray(window, np.float64)) for window in windows]
    return np.array(rows).reshape(len(rows), sum(map(len, GROUPS.values())))


def _features(ecg: FloatArray) -> FloatArray:
    peaks = detect_r_peaks(ecg, MODEL_FS_HZ)
    parts = (interval_features(ecg, TIME), breathing(peaks), band_energies(ecg), mean_beat(ecg, peaks))
    return np.concatenate(parts)


def breathing(peaks: NDArray[np.int64], fs_hz: float = MODEL_FS_HZ) -> FloatArray:
    """Spectrum of the intervals at breathing frequencies, by Lomb and Scargle (no resampling).

    Parameters
    ----------
    peaks:
        (k,) samples of the R peaks.
    fs_hz:
        Sampling rate.

    Returns
    -------
    (3,): natural logarithm of the mean power from 0.15 to 0.4 Hz (ms²), its share of the power from 0.1 to
    0.5 Hz, and the strongest frequency in it. NaN with fewer than five plausible intervals.

    """
    rr_s = np.diff(peaks) / fs_hz
    plausible = (rr_s >= MIN_RR_S) & (rr_s <= MAX_RR_S)
    if plausible.any():
        plausible &= np.abs(rr_s / np.median(rr_s[plausible]) - 1.0) <= _MAX_DEVIATION
    if plausible.sum() < _LEAST_BEATS:
        return np.full(len(FREQUENCY), np.nan)
    t_s = peaks[1:][plausible] / fs_hz
    rr_ms = 1e3 * rr_s[plausible]
    deviation = rr_ms - rr_ms.mean()
    power = lombscargle(t_s, deviation, 2.0 * np.pi * _HF_HZ)
    whole = lombscargle(t_s, deviation, 2.0 * np.pi * _ALL_HZ)
    share = power.sum() / max(whole.sum(), _SMALLEST)
    return np.array([np.log(max(power.mean(), _SMALLEST)), share, _HF_HZ[power.argmax()]])


def band_energies(ecg: FloatArray, fs_hz: float = MODEL_FS_HZ) -> FloatArray:
    """Energy by band and time: a short-time Fourier transform over 1 s (Hann), every 0.5 s.

    Returns
    -------
    (12,): for each of ``BANDS_HZ`` the mean over time of log10 of the power, then its standard deviations.

    """
    hz, _, transform = stft(ecg, fs_hz, nperseg=round(fs_hz), boundary=None, padded=False)
    power = np.abs(transform) ** 2
    bands = [power[(hz >= low) & (hz < high)].sum(axis=0) for low, high in BANDS_HZ]
    logs = np.log10(np.maximum(np.array(bands), _SMALLEST**2))
    return np.concatenate([logs.mean(axis=1), logs.std(axis=1)])


def mean_beat(ecg: FloatArray, peaks: NDArray[np.int64], fs_hz: float = MODEL_FS_HZ) -> FloatArray:
    """Measure the median of the window's beats, from 0.25 s before the R peak to 0.45 s after.

    Zero is the level before the QRS complex (0.10 to 0.06 s before R). No wave is delineated: places are
    fixed, so these are proxies. ``qrs_width_ms`` is the time around R above half its height,
    ``st_level`` the mean from 0.08 to 0.12 s, ``st_slope`` its change to 0.12 to 0.16 s, the T wave the
    largest deflection from 0.16 to 0.42 s.

    Returns
    -------
    (10,), see ``MORPHOLOGY``; NaN with fewer than five whole beats.

    """
    first, last = (round(one * fs_hz) for one in _BEAT_S)
    whole = peaks[(peaks + first >= 0) & (peaks + last < len(ecg))]
    if len(whole) < _LEAST_BEATS:
        return np.full(len(MORPHOLOGY), np.nan)
    beats = ecg[whole[:, None] + np.arange(first, last + 1)]

    def span(start_s: float, end_s: float) -> slice:
        return slice(round(start_s * fs_hz) - first, round(end_s * fs_hz) - first)

    beats = beats - np.median(beats[:, span(-0.10, -0.06)], axis=1, keepdims=True)
    beat = np.median(beats, axis=0)
    r = -first
    height = abs(beat[r])
    low = np.flatnonzero(np.abs(beat) < height / 2)
    before, after = low[low < r], low[low > r]
    width = (after[0] if len(after) else len(beat)) - (before[-1] if len(before) else -1) - 1
    qrs, st, later = beat[span(-0.05, 0.06)], beat[span(0.08, 0.12)], beat[span(0.12, 0.16)]
    t_wave = beat[span(0.16, 0.42)]
    t = int(np.abs(t_wave).argmax())
    p_wave = beat[span(-0.24, -0.10)]
    return np.array(
        [
            beat[r],
            beats[:, r].std(ddof=1),
            np.ptp(qrs),
            1e3 * width / fs_hz,
            p_wave[np.abs(p_wave).argmax()],
            st.mean(),
            later.mean() - st.mean(),
            t_wave[t],
            160.0 + 1e3 * t / fs_hz,
            t_wave[t] / max(height, _SMALLEST),
        ]
    )
