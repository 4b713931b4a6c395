"""Samples in, decisions out: windows, quality, normalisation, model, and the reason when there is none.

The pipeline opens nothing, prints nothing and knows no clock but those it is given; the same blocks give the
same decisions, live, from a file, in any cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from .deciding import Decider
from .errors import BundleError, UsageError
from .model import Model
from .profile import Profile
from .records import DecisionRecord, TaskDecision
from .samples import SampleBlock
from .signal.chain import WINDOW_SAMPLES, Tick, WindowChain
from .signal.clock import HostClock
from .signal.iir import HIGH_PASS_HZ
from .signal.normalise import TRIM, CalibratedNormaliser
from .signal.quality import Quality, Reason, assess
from .signal.resample import MODEL_FS_HZ
from .signal.segment import Window

Clock = Callable[[], float]
WallClock = Callable[[], datetime]
Decision = dict[str, TaskDecision | None]


def utc_now() -> datetime:
    """The wall clock, with its time zone."""
    return datetime.now(UTC)


class Pipeline:
    """One stream of one lead, from blocks of device samples to decision records.

    Parameters
    ----------
    model:
        The model; its manifest names the preprocessing, which must be the one that runs here.
    fs_hz:
        The device's sampling rate, 100 to 4000 Hz.
    hop_s:
        Distance between decisions in seconds of device time; rounded to samples of 256 Hz.
    notch_hz:
        Mains frequency to remove; None for what the model was trained with.
    profile:
        A personal baseline; None to decide as for a person of whom nothing is known. The normaliser starts
        anew all the same: the ECG's size is the electrodes', not the person's.
    context_s:
        Seconds over which decisions are averaged; None for what the model says.
    clock:
        Monotonic seconds, the clock of ``SampleBlock.arrived_s``.
    wall_clock:
        Now; a record carries the moment at which its window ended, by what is known of the device's clock.

    Attributes
    ----------
    host_clock:
        What is known of the device's clock by what arrived.

    Raises
    ------
    UsageError
        When the rate or the hop cannot be used, or the profile was taken behind another filter.
    BundleError
        When the model wants another preprocessing than this runtime has, or the profile belongs to another
        model.

    """

    def __init__(
        self,
        model: Model,
        fs_hz: float,
        *,
        hop_s: float = 1.0,
        notch_hz: float | None = None,
        profile: Profile | None = None,
        context_s: float | None = None,
        clock: Clock = time.monotonic,
        wall_clock: WallClock = utc_now,
    ) -> None:
        check_preprocessing(model)
        notch_hz = notch_hz or model.manifest.input.preprocessing.notch_hz
        self.model = model
        self._seq = 0
        self._clock = clock
        self._wall_clock = wall_clock
        self.host_clock = HostClock()
        self._calibrated_to_s = 0.0
        if profile is not None:
            profile.require_fit(model, notch_hz)
        self._normaliser = CalibratedNormaliser()
        self._decider = Decider(model, profile, context_s)
        hop_samples = round(hop_s * MODEL_FS_HZ)
        try:
            self._chain = WindowChain(fs_hz, hop_samples=hop_samples, notch_hz=notch_hz)
        except ValueError as error:
            raise UsageError(
                f"Decisions every {hop_s:g} s from {fs_hz:g} samples a second are not possible.",
                why=str(error),
            ) from error

    def push(self, block: SampleBlock) -> list[DecisionRecord]:
        """Take the next block; return a record for each window that it completes.

        Raises
        ------
        ValueError
            When the block has another rate than the stream, goes back in time, or is not finite.

        """
        ticks = self._chain.push(block)
        if block.arrived_s is not None and len(block):
            self.host_clock.observe(block.end_s, block.arrived_s)
        return [self._record(tick) for tick in ticks]

    def flush(self) -> list[DecisionRecord]:
        """Return the records of windows that were only waiting for the resampler; the stream has ended."""
        return [self._record(tick) for tick in self._chain.flush()]

    def _record(self, tick: Tick) -> DecisionRecord:
        withheld = tuple(str(reason) for reason in tick.withheld)
        quality: Quality | None = None
        decision: Decision | None = None
        inference_ms: float | None = None
        if tick.window is not None:
            quality = assess(tick.window)
            withheld += tuple(str(reason) for reason in quality.reasons)
            if quality.good:
                started = self._clock()
                probabilities = self._infer(tick.window)
                inference_ms = 1e3 * (self._clock() - started)
                decision, unsure = self._answers(probabilities)
                withheld += unsure
        seq, self._seq = self._seq, self._seq + 1
        arrived = tick.arrived_s
        return DecisionRecord(
            seq=seq,
            start_s=tick.start_s,
            end_s=tick.end_s,
            time=self._ended(tick),
            decision=decision,
            withheld=withheld,
            quality=0.0 if quality is None else quality.score,
            heart_rate_bpm=quality.heart_rate_bpm if quality is not None and quality.good else None,
            lost_samples=tick.lost_samples,
            inference_ms=inference_ms,
            latency_ms=None if arrived is None else 1e3 * (self._clock() - arrived),
            lost_60s=tick.lost_60s,
            lost_session=tick.lost_total,
            bridged_samples=tick.bridged_samples,
        )

    def _ended(self, tick: Tick) -> datetime:
        """Return when the tick's ten seconds were over, by the wall clock; never later than now."""
        now, host_s = self._wall_clock(), self.host_clock.host_s(tick.end_s)
        if host_s is None:
            return now
        return now - timedelta(seconds=max(self._clock() - host_s, 0.0))

    def _infer(self, window: Window) -> dict[str, NDArray[np.float32]]:
        if window.start_s >= self._calibrated_to_s:
            self._normaliser.update(window.ecg_mv)
            self._calibrated_to_s = window.end_s
        scale = self._normaliser.scale
        assert scale is not None, "a good window is never constant, so the first one has set the scale"
        return self._decider.decide(scale.apply(window.ecg_mv), window.end_s)

    def _answers(
        self, probabilities: Mapping[str, NDArray[np.float32]]
    ) -> tuple[Decision | None, tuple[str, ...]]:
        answers: Decision = {}
        for task, row in probabilities.items():
            spec = self.model.manifest.tasks[task]
            values = [float(value) for value in row]
            best = max(values)
            answer = TaskDecision(
                spec.labels[values.index(best)], dict(zip(spec.labels, values, strict=True))
            )
            answers[task] = answer if best >= spec.min_confidence else None
        unsure = (str(Reason.LOW_CONFIDENCE),) if None in answers.values() else ()
        return (answers if any(answers.values()) else None), unsure


def check_preprocessing(model: Model) -> None:
    """Refuse a model that was trained behind another signal chain than this runtime has (BundleError)."""
    wanted = model.manifest.input
    steps = wanted.preprocessing
    here = (MODEL_FS_HZ, WINDOW_SAMPLES, "mV", HIGH_PASS_HZ, 2, "calibrated", TRIM)
    asked = (
        wanted.fs_hz,
        wanted.window_samples,
        wanted.unit,
        steps.highpass_hz,
        steps.highpass_order,
        steps.normalisation,
        steps.trim,
    )
    if asked != here:
        raise BundleError(
            f"The model {model.name_at_sha} was trained behind another signal chain than this runtime has.",
            why=f"It wants {asked}; here it is {here}.",
            remedy="Train and export it with this version, with the normalisation `calibrated`.",
        )
