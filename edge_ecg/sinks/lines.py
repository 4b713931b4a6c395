"""Plain text, one line a decision: for a log, a pipe or a very small terminal."""

from __future__ import annotations

from typing import TextIO

from ..records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord
from ..samples import ASIDES
from ..signal.quality import Reason


class PlainLines:
    """Write records as short English lines to an open text stream, which stays open."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last_reasons: tuple[str, ...] = ()

    def write(self, record: Record) -> None:
        """Write one record."""
        for line in self._lines(record):
            self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to put back."""

    def _lines(self, record: Record) -> list[str]:
        if isinstance(record, StartRecord):
            model = f", model {record.model} in {record.engine}" if record.model else ", recording only"
            first = f"{record.device} at {record.source}, {record.fs_hz:g} Hz{model}"
            return [line for line in (first, unseen_losses(record), baseline(record)) if line]
        if isinstance(record, EventRecord):
            if record.event in ASIDES:
                return []
            detail = "".join(f", {key.replace('_', ' ')}: {shown(v)}" for key, v in record.detail.items())
            return [f"{record.at_s:8.1f} s  -- {record.event}{detail}"]
        if isinstance(record, EndRecord):
            return [summary(record)]
        return self._decision(record)

    def _decision(self, record: DecisionRecord) -> list[str]:
        when = f"{record.end_s:8.1f} s"
        lines = []
        if record.decision is None:
            lines.append(f"{when}  no decision: {', '.join(record.withheld)}{_losses(record)}")
            # The advice once, when the reasons change; not again every second.
            if record.withheld != self._last_reasons:
                lines += [f"{'':12}{text}" for text in advice(record.withheld)]
        else:
            answers = [
                f"{task}: {answer.label} {100 * answer.confidence:.0f} %" if answer else f"{task}: not sure"
                for task, answer in record.decision.items()
            ]
            lines.append(f"{when}  {', '.join(answers)}{_measures(record)}")
        self._last_reasons = record.withheld
        return lines


def shown(value: object) -> str:
    """Return a value in one line, without what a terminal would obey: marks may be a stranger's."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value))


def baseline(start: StartRecord) -> str:
    """Return whether a personal baseline is in use, or how to get one; nothing where none would be used."""
    if start.profile is not None:
        unused = "" if start.personal else " (this model has no personal head: the profile is not used)"
        return f"personal baseline: {start.profile}{unused}"
    return "no personal baseline; two minutes at rest give one: edge-ecg enrol" if start.personal else ""


def unseen_losses(start: StartRecord) -> str:
    """Return which losses cannot be seen in this device's stream; nothing where all can."""
    if start.unseen_loss_ms is None:
        return ""
    return f"this board counts nothing: losses shorter than {start.unseen_loss_ms:g} ms leave no trace"


def advice(reasons: tuple[str, ...]) -> list[str]:
    """Return one sentence a reason: what a person can do."""
    return [Reason(reason).advice for reason in reasons]


def summary(end: EndRecord) -> str:
    """Return the totals of a session in one line."""
    loss = f"{end.lost_samples} samples lost" if end.lost_samples else "no samples lost"
    reconnects = end.counters.get("reconnects", 0)
    if reconnects:
        loss += f", connected again {reconnects} time{'s' if reconnects > 1 else ''}"
    decisions = f"{end.decisions} decision{'' if end.decisions == 1 else 's'}"
    return f"{decisions}, {end.withheld} withheld, {loss}; ended: {end.reason.rstrip('.')}."


def _measures(record: DecisionRecord) -> str:
    parts = [f"signal {100 * record.quality:.0f} %"]
    if record.heart_rate_bpm is not None:
        parts.insert(0, f"{record.heart_rate_bpm:.0f} bpm")
    if record.latency_ms is not None:
        parts.append(f"{record.latency_ms:.0f} ms")
    return "".join(f"  {part}" for part in parts) + _losses(record)


def _losses(record: DecisionRecord) -> str:
    """Return what was lost within the last minute, where anything was."""
    if not record.lost_60s:
        return ""
    within_10s = f"{record.lost_10s} in 10 s, " if record.lost_10s else ""
    return f"  lost: {within_10s}{record.lost_60s} in 60 s, {record.lost_session} in all"
