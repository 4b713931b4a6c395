"""Taking a personal baseline: the first minutes of a stream, at rest, become a profile.

It opens nothing and knows no clock: the same samples give the same profile, live or from a file, in any cut.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, UsageError
from .good_windows import HOP_S, GoodWindows, SeenWindow
from .heads import INTERVAL_FEATURES, interval_features
from .model import Model
from .pipeline import check_preprocessing
from .profile import Profile, encoder_sha256
from .records import utc_text
from .samples import SampleBlock
from .signal.chain import SETTLE_S, WINDOW_SAMPLES
from .signal.quality import Reason
from .signal.resample import MODEL_FS_HZ

DEFAULT_S = 120.0
MIN_S = 30.0
# Three windows a hop apart are 20 s of signal, which already give most of what a baseline is worth
# (docs/profile.md); where two thirds of the windows are bad, the others are hardly at rest.
_LEAST_WINDOWS = 3
_LEAST_SHARE = 1 / 3


class Enrolment:
    """Collect good windows over the first ``duration_s`` of device time and take their medians.

    Windows that end later have no part in it, neither in the medians nor in the scale.

    Parameters
    ----------
    model:
        The model whose view of the person is kept.
    fs_hz:
        The device's sampling rate.
    duration_s:
        Seconds at rest, from the stream's first sample; 30 or more.
    notch_hz:
        Mains frequency to remove; None for what the model was trained with.

    Attributes
    ----------
    windows:
        Kept so far.
    seen_s:
        Device time so far.

    Raises
    ------
    UsageError
        When the rate or the duration cannot be used.
    BundleError
        When the model wants another preprocessing than this runtime has.

    """

    def __init__(
        self, model: Model, fs_hz: float, *, duration_s: float = DEFAULT_S, notch_hz: float | None = None
    ) -> None:
        check_preprocessing(model)
        check_duration(duration_s)
        self.windows = 0
        self.seen_s = 0.0
        self._model = model
        self._duration_s = duration_s
        self._notch_hz = notch_hz or model.manifest.input.preprocessing.notch_hz
        self._good = GoodWindows(fs_hz, notch_hz=self._notch_hz, until_s=duration_s)
        self._embeddings: list[NDArray[np.float32]] = []
        self._features: list[NDArray[np.float64]] = []
        self._rates_bpm: list[float] = []
        self._reasons: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        """Whether all windows of the rest have been seen."""
        return self._good.ended

    @property
    def possible(self) -> int:
        """How many windows would be kept if all were good."""
        first_end_s = SETTLE_S + WINDOW_SAMPLES / MODEL_FS_HZ
        return int((self._duration_s - first_end_s) // HOP_S) + 1

    @property
    def needed(self) -> int:
        """How many windows a baseline takes at least."""
        return max(_LEAST_WINDOWS, math.ceil(self.possible * _LEAST_SHARE))

    def push(self, block: SampleBlock) -> list[SeenWindow]:
        """Take the next block; return the windows at rest that it completes.

        Raises
        ------
        ValueError
            When the block has another rate than the stream, goes back in time, or is not finite.

        """
        if self.done:
            return []
        self.seen_s = block.end_s
        return self._kept(self._good.push(block))

    def flush(self) -> list[SeenWindow]:
        """Return the windows at rest that only waited for more samples; the stream has ended."""
        return [] if self.done else self._kept(self._good.flush())

    def profile(self, created: datetime, person: str | None = None) -> Profile:
        """Return the baseline; ``person`` is the pseudonym of whoever sat at rest.

        Raises
        ------
        DataError
            When the stream ended before the time was over, or too few windows were good.

        """
        if not self.done and self.seen_s < self._duration_s:
            raise DataError(
                f"The stream ended after {self.seen_s:.0f} of {self._duration_s:g} s at rest.",
                remedy=f"Give a longer one, or ask for less with --duration ({MIN_S:g} s at least).",
            )
        scale = self._good.normaliser.scale
        if self.windows < self.needed or scale is None:
            raise self._too_few()
        return Profile(
            model=self._model.name_at_sha,
            encoder_sha256=encoder_sha256(self._model.manifest),
            created=utc_text(created),
            seconds=self._duration_s,
            windows=self.windows,
            scale=scale,
            blocks=self._good.normaliser.blocks,
            notch_hz=self._notch_hz,
            heart_rate_bpm=float(np.median(self._rates_bpm)) if self._rates_bpm else None,
            embedding=np.median(self._embeddings, axis=0).astype(np.float32),
            features=dict(zip(INTERVAL_FEATURES, _median(np.array(self._features)), strict=True)),
            person=person,
            name=person or "profile",
        )

    def _kept(self, windows: list[SeenWindow]) -> list[SeenWindow]:
        for seen in windows:
            self._reasons.update(reason for reason in seen.reasons if reason != Reason.WARMING_UP)
            if seen.samples is None:
                continue
            self.windows += 1
            self._embeddings.append(self._model.embed(seen.samples[np.newaxis])[0])
            self._features.append(interval_features(seen.samples))
            if seen.quality is not None and seen.quality.heart_rate_bpm is not None:
                self._rates_bpm.append(seen.quality.heart_rate_bpm)
        return windows

    def _too_few(self) -> DataError:
        usual = self._reasons.most_common()
        counted = ", ".join(f"{reason} in {count} s" for reason, count in usual)
        advice = Reason(usual[0][0]).advice if usual else "Check the electrodes."
        return DataError(
            f"Only {self.windows} of {self.possible} windows were good; a baseline takes {self.needed}.",
            why=f"Seen: {counted}." if counted else "",
            remedy=f"{advice} Then take the baseline again.",
        )


def check_duration(duration_s: float) -> None:
    """Refuse a rest that is too short for a baseline (UsageError)."""
    if duration_s < MIN_S:
        raise UsageError(
            f"{duration_s:g} s at rest are too few for a baseline.",
            remedy=f"Give {MIN_S:g} s or more; {DEFAULT_S:g} s are better.",
        )


def _median(features: NDArray[np.float64]) -> list[float]:
    """Median (k,) over the rows of (n, k) that are not NaN; NaN where all are."""
    medians = np.full(features.shape[1], np.nan)
    known = np.isfinite(features).any(axis=0)
    medians[known] = np.nanmedian(features[:, known], axis=0)
    return [float(value) for value in medians]
