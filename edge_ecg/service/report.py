"""What the service says of itself: a sentence for ``systemctl status``, and ``state/health.json``."""

from __future__ import annotations

from datetime import datetime

from ..deploy.health import Health
from .pulse import Reading, Stage


def status_sentence(reading: Reading, place: str, now: datetime, watch_left_s: float | None) -> str:
    """Return one sentence on what it does now, where ``place`` is where it looks for a device."""
    if reading.stage is Stage.OVER:
        sentence = "The recording is over; nothing more will come."
    elif reading.stage is Stage.LOOKING:
        sentence = f"Looking for {place}: {reading.why or 'not connected yet'}"
    elif reading.why:
        sentence = f"No decision: {reading.why} ({reading.device})."
    elif reading.answer and reading.last_decision is not None:
        sentence = f"{reading.answer}, {_ago(reading.last_decision, now)} ({reading.device})."
    else:
        sentence = f"Collecting the first window ({reading.device})."
    if watch_left_s is None:
        return sentence
    return f"{sentence.rstrip('.')}; on trial, {watch_left_s:.0f} s left."


def health_of(reading: Reading, about: Health, place: str, error: str) -> Health:
    """Return the report for ``health.json``.

    Parameters
    ----------
    reading:
        This moment.
    about:
        What does not change: release, process, since when.
    place:
        Where it looks for a device.
    error:
        What is wrong inside; empty when nothing is. That no device is there is nothing wrong.

    """
    device: str | None = reading.device or None
    if reading.stage is Stage.LOOKING:
        device = f"looking for {place}: {reading.why or 'not connected yet'}"
    return Health(
        release=about.release,
        pid=about.pid,
        since=about.since,
        ready=about.ready,
        device=device,
        last_sample=_seconds(reading.last_sample),
        last_record=_seconds(reading.last_record),
        last_decision=_seconds(reading.last_decision),
        samples=reading.samples,
        decisions=reading.decisions,
        withheld=reading.withheld,
        error=error or None,
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else round(moment.timestamp(), 3)


def _ago(moment: datetime, now: datetime) -> str:
    seconds = max((now - moment).total_seconds(), 0.0)
    if seconds < 3:
        return "just now"
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
