"""What ``edge-ecg device`` prints to people: one function a kind of object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Found = dict[str, Any]

_CLOCK = {True: "set by the network", False: "not set by the network", None: "unknown"}


def _admitted(found: Found) -> str:
    engine = found["admitted"].get("engine", "no engine was tried")
    return f"{found['release']} is admitted ({engine}); nothing was switched."


def _switched(found: Found) -> str:
    if found["confirmed"]:
        return f"{found['release']} counts."
    return f"{found['release']} counts, on trial for {found['watch_s']:g} s; before: {found['previous']}."


def _watch(found: Found) -> str:
    at = f"{found['elapsed_s']:7.1f} s  "
    if found["event"] == "trial":
        return f"{at}{found['release']} is on trial for {found['watch_s']:g} s; before: {found['previous']}"
    if found["event"] == "restarted":
        return f"{at}the service was started again (process {found['pid']})"
    if found["event"] == "confirmed":
        return f"{at}{found['release']} is confirmed"
    if found["error"]:
        return f"{at}error: {found['error']}"
    if not found["running"]:
        return f"{at}the service does not run it yet"
    state = "ready" if found["ready"] else "starting"
    counts = ", ".join(f"{found[name]} {name}" for name in ("samples", "decisions", "withheld"))
    return f"{at}{state}: {counts}"


def _confirmed(found: Found) -> str:
    if found["release"] is None:
        return "Another release is the current one; nothing was changed."
    return f"{found['release']} is confirmed."


def _reverted(found: Found) -> str:
    if found["release"] == found["from"]:
        return f"{found['release']} counts; there was nothing to take back."
    return f"{found['release']} counts again; {found['from']} was taken back: {found['reason']}."


def _status(found: Found) -> str:
    free = found["disk_free_bytes"]
    lines = [
        f"release      {found['release'] or 'none'}" + ("" if found["trial"] is None else " (on trial)"),
        f"before       {found['previous'] or 'none'}",
        f"service      {_service(found)}",
        f"decision     {_ago(found['last_decision_age_s'])}",
        f"temperature  {_known(found['temperature_c'], ' °C')}",
        f"throttled    {_throttled(found['throttled'])}",
        f"clock        {_CLOCK[found['clock_synchronised']]}",
        f"disk         {_known(None if free is None else round(free / 1e9, 1), ' GB free')}",
        f"machine      {found['board']}, {found['machine']}",
        f"software     edge-ecg {found['edge_ecg']}, Python {found['python']}",
        f"folder       {found['home']}",
    ]
    for one in found["releases"]:
        mark = "confirmed" if one["confirmed"] else "not confirmed"
        mark = f"taken back: {one['bad']}" if one["bad"] else mark
        lines.append(f"             {one['release']}  version {one['version']}, {mark}")
    return "\n".join(lines)


def _service(found: Found) -> str:
    health = found["health"]
    if found["service"] is None:
        return "none installed"
    if health is None:
        return "installed, has not reported yet"
    if not health["alive"]:
        return "does not run"
    return f"error: {health['error']}" if health["error"] else ("ready" if health["ready"] else "starting")


def _throttled(found: Found | None) -> str:
    if found is None:
        return "unknown"
    now, before = ", ".join(found["now"]), ", ".join(found["since_boot"])
    return f"now {now or 'no'}; since boot {before or 'no'}"


def _ago(seconds: float | None) -> str:
    return "none yet" if seconds is None else f"{seconds:.0f} s ago"


def _known(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:g}{unit}"


def _pruned(found: Found) -> str:
    return f"removed: {', '.join(found['removed']) or 'nothing'}"


def _journal(found: Found) -> str:
    known = ("type", "time", "deployment", "step", "release", "sha256")
    about = found.get("release") or (found.get("sha256") or "")[:12]
    more = ", ".join(f"{name} {value}" for name, value in found.items() if name not in known)
    return f"{found['time']}  {found['deployment']}  {found['step']:9}  {about}  {more}".rstrip()


def _home(found: Found) -> str:
    return f"{found['home']} is there; the service manager starts {found['start_script']}"


TEXTS: dict[str, Callable[[Found], str]] = {
    "admitted": _admitted,
    "switched": _switched,
    "watch": _watch,
    "confirmed": _confirmed,
    "reverted": _reverted,
    "status": _status,
    "pruned": _pruned,
    "journal": _journal,
    "home": _home,
}
