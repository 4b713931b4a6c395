"""The records of a session: what ``run --json`` prints, as typed objects (docs/records.md).

``to_json`` gives plain values, rounded to what their measurement carries; nothing but the names in the
interface document, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SCHEMA = 1

Json = dict[str, Any]


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a Z; ``moment`` must carry its time zone."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


@dataclass(frozen=True, slots=True)
class StartRecord:
    """The session: which device, which model, for whom.

    Attributes
    ----------
    model, engine:
        None when nothing is decided.
    profile:
        Name of the personal baseline in use, or None.
    context_s:
        By task, the seconds over which decisions are averaged (0: each window alone); None without a model.
    personal:
        The tasks that the model decides relative to a personal baseline when it has one.
    unseen_loss_ms:
        Losses shorter than this leave no trace, because the device neither counts nor times its samples;
        None where every lost sample shows.

    """

    source: str
    device: str
    fs_hz: float
    model: str | None
    engine: str | None
    hop_s: float
    profile: str | None = None
    context_s: Mapping[str, float] | None = None
    personal: tuple[str, ...] = ()
    unseen_loss_ms: float | None = None

    def to_json(self) -> Json:
        """Return the record as plain JSON values."""
        return {
            "type": "start",
            "schema": SCHEMA,
            "source": self.source,
            "device": self.device,
            "fs_hz": self.fs_hz,
            "model": self.model,
            "engine": self.engine,
            "hop_s": self.hop_s,
            "profile": self.profile,
            "context_s": None if self.context_s is None else dict(self.context_s),
            "personal": list(self.personal),
            "unseen_loss_ms": self.unseen_loss_ms,
        }


@dataclass(frozen=True, slots=True)
class TaskDecision:
    """One task's answer: the label with the highest probability, and all of them."""

    label: str
    probabilities: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """The probability of the label."""
        return self.probabilities[self.label]

    def to_json(self) -> Json:
        """Return the answer as plain JSON values."""
        return {
            "label": self.label,
            "probabilities": {label: round(value, 4) for label, value in self.probabilities.items()},
        }


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One window: a decision, or none and the reasons.

    Attributes
    ----------
    seq:
        Counts the windows of the session from 0, decided or not.
    start_s, end_s:
        The window in device time, seconds from the stream's first sample.
    time:
        UTC moment at which the window ended, by the line that ties the device's clock to the host's; the
        moment of the record for a file that is read as fast as possible.
    decision:
        Answer by task (None for a task whose confidence is too low), or None when there is no answer at all.
    withheld:
        Why there is no decision, or why a task has none.
    quality:
        0 (nothing to stand on) to 1.
    heart_rate_bpm:
        None where the signal is not good enough to tell.
    lost_samples, lost_60s, lost_session:
        Device samples lost within the window, in the minute before its end, and since the stream's first.
    bridged_samples:
        Those of ``lost_samples`` that were drawn over, because their hole was no longer than 40 ms.
    inference_ms:
        Encoder and heads; None when they did not run.
    latency_ms:
        From the arrival of the window's last sample to this record; None for a file read as fast as possible.

    """

    seq: int
    start_s: float
    end_s: float
    time: datetime
    decision: Mapping[str, TaskDecision | None] | None
    withheld: tuple[str, ...]
    quality: float
    heart_rate_bpm: float | None
    lost_samples: int
    inference_ms: float | None
    latency_ms: float | None
    lost_60s: int = 0
    lost_session: int = 0
    bridged_samples: int = 0

    @property
    def lost_10s(self) -> int:
        """Device samples lost in the ten seconds before the window's end: the window's own."""
        return self.lost_samples

    def to_json(self) -> Json:
        """Return the record as plain JSON values."""
        decision = None
        if self.decision is not None:
            decision = {task: answer and answer.to_json() for task, answer in self.decision.items()}
        return {
            "type": "decision",
            "seq": self.seq,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "time": utc_text(self.time),
            "decision": decision,
            "withheld": list(self.withheld),
            "quality": round(self.quality, 3),
            "heart_rate_bpm": _rounded(self.heart_rate_bpm, 1),
            "lost_samples": self.lost_samples,
            "inference_ms": _rounded(self.inference_ms, 2),
            "latency_ms": _rounded(self.latency_ms, 1),
            "lost_10s": self.lost_10s,
            "lost_60s": self.lost_60s,
            "lost_session": self.lost_session,
            "bridged_samples": self.bridged_samples,
        }


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened between two windows: connected, lost, reconnected, gap, rate or marker."""

    event: str
    time: datetime
    at_s: float
    detail: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the record as plain JSON values; the detail's keys stand beside the common ones."""
        common = {
            "type": "event",
            "event": self.event,
            "time": utc_text(self.time),
            "at_s": round(self.at_s, 3),
        }
        return common | {key: value for key, value in self.detail.items() if key not in common}


@dataclass(frozen=True, slots=True)
class EndRecord:
    """The session's totals: windows decided, windows withheld, device samples lost, and why it ended.

    Attributes
    ----------
    lost_samples, lost_10s, lost_60s:
        Device samples lost in the whole session, and in its last ten seconds and minute.
    measured_fs_hz:
        Samples a second by the host's clock, where a minute or more could be counted; else None.
    counters:
        What the source threw away on the way, by kind (damaged packets, skipped bytes, duplicates), how many
        samples a slow reader cost, and how often the device was connected again.

    """

    decisions: int
    withheld: int
    lost_samples: int
    reason: str
    lost_10s: int = 0
    lost_60s: int = 0
    measured_fs_hz: float | None = None
    counters: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the record as plain JSON values."""
        return {
            "type": "end",
            "decisions": self.decisions,
            "withheld": self.withheld,
            "lost_samples": self.lost_samples,
            "reason": self.reason,
            "lost_10s": self.lost_10s,
            "lost_60s": self.lost_60s,
            "measured_fs_hz": _rounded(self.measured_fs_hz, 3),
            "counters": dict(self.counters),
        }


Record = StartRecord | DecisionRecord | EventRecord | EndRecord
