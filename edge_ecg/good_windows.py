"""The good windows of a stream, a few seconds apart, normalised as they are in training: causally.

A tick a second; every good window that overlaps none used before changes the scale *first*; of the good
windows one every hop is kept and normalised with the scale as it is by then. The preparation of training data
does the same (a test holds the two together).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .samples import SampleBlock
from .signal.chain import Tick, WindowChain
from .signal.normalise import CalibratedNormaliser
from .signal.quality import Quality, assess

HOP_S = 5.0
"""Distance of the windows that baselines and refits are made of, as in the evaluation."""


@dataclass(frozen=True, slots=True)
class SeenWindow:
    """One tick: ten seconds of device time and what came of them.

    Attributes
    ----------
    start_s, end_s:
        Device time.
    reasons:
        Why they were no good window; empty when they were one.
    quality:
        None where there was no whole window to judge.
    samples:
        (2560,) float32, normalised; None when the window was not good, or not due yet.

    """

    start_s: float
    end_s: float
    reasons: tuple[str, ...]
    quality: Quality | None
    samples: NDArray[np.float32] | None


class GoodWindows:
    """Blocks in, seen windows out, one a second.

    Parameters
    ----------
    fs_hz:
        The device's sampling rate.
    notch_hz:
        Mains frequency to remove, or None.
    hop_s:
        Least distance between two kept windows.
    until_s:
        Windows that end later are not looked at, so that they cannot move the scale.

    Attributes
    ----------
    ended:
        Whether the stream has come to ``until_s``.

    Raises
    ------
    UsageError
        When the rate cannot be used.

    """

    def __init__(
        self,
        fs_hz: float,
        *,
        notch_hz: float | None = None,
        hop_s: float = HOP_S,
        until_s: float = math.inf,
    ) -> None:
        self.normaliser = CalibratedNormaliser()
        self.ended = False
        self._hop_s = hop_s
        self._until_s = until_s
        self._keep_from_s = self._calibrate_from_s = -math.inf
        try:
            self._chain = WindowChain(fs_hz, notch_hz=notch_hz)
        except ValueError as error:
            raise UsageError(f"{fs_hz:g} samples a second cannot be used.", why=str(error)) from error

    def push(self, block: SampleBlock) -> list[SeenWindow]:
        """Take the next block; return the windows that it completes."""
        return self._seen(self._chain.push(block))

    def flush(self) -> list[SeenWindow]:
        """Return the windows that were only waiting for the resampler; the stream has ended."""
        return self._seen(self._chain.flush())

    def _seen(self, ticks: Iterable[Tick]) -> list[SeenWindow]:
        seen = []
        for tick in ticks:
            if tick.end_s <= self._until_s:
                seen.append(self._judge(tick))
            self.ended = self.ended or tick.end_s >= self._until_s
        return seen

    def _judge(self, tick: Tick) -> SeenWindow:
        window = tick.window
        if window is None:
            return SeenWindow(tick.start_s, tick.end_s, tick.withheld, None, None)
        quality = assess(window)
        reasons = tick.withheld + tuple(str(reason) for reason in quality.reasons)
        samples = None
        if not reasons:
            if window.start_s >= self._calibrate_from_s:
                self.normaliser.update(window.ecg_mv)
                self._calibrate_from_s = window.end_s
            scale = self.normaliser.scale
            if window.start_s >= self._keep_from_s and scale is not None:
                samples = scale.apply(window.ecg_mv)
                self._keep_from_s = window.start_s + self._hop_s
        return SeenWindow(tick.start_s, tick.end_s, reasons, quality, samples)
