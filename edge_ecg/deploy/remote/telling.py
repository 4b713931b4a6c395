"""The device's records in sentences."""

from __future__ import annotations

from typing import Any


def admitted(release: dict[str, Any]) -> str:
    """Say what ``device admit`` found out about a release."""
    found = release.get("admitted")
    about = found if isinstance(found, dict) else {}
    latency = about.get("latency")
    p90_ms = latency.get("p90_ms") if isinstance(latency, dict) else None
    speed = f", 9 of 10 windows within {p90_ms:.1f} ms" if isinstance(p90_ms, int | float) else ""
    signed = release.get("signed_by")
    return (
        f"{release['release']} is admitted: {'signed by ' + str(signed) if signed else 'unsigned'}; "
        f"golden windows hold in {about.get('engine', '?')}{speed}"
    )


def watching(record: dict[str, Any]) -> str:
    """Say what ``device watch`` saw; the same words as long as nothing changes."""
    event = record.get("event")
    if event == "trial":
        return f"on trial for {record.get('watch_s', 0):g} s; it goes on by itself if the link is cut"
    if event == "restarted":
        return f"the service was started again (process {record.get('pid')})"
    if event == "confirmed":
        return "confirmed"
    if record.get("error"):
        return f"error: {record['error']}"
    if not record.get("running"):
        return "the service is being restarted"
    return "ready" if record.get("ready") else "starting"
