"""How a device is: what runs, how well, and what it is; one JSON object, as ``status HOST`` shows it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._version import __version__
from ..bench.machine import this_machine
from ..bundle import TrustedKeys
from ..errors import BundleError
from ..health import Host
from ..health.machine import clock_synchronised
from ..health.readings import SINCE_BOOT, hottest_c, throttled_bits
from .disk import nearest_folder
from .health import Health, has_service, is_alive, read_health, read_service
from .journal import Entry, Journal
from .layout import Home
from .recovery import START_SCRIPT
from .releases import Releases
from .trial import read_fallbacks

_HISTORY = 10

# The firmware's bits, now and (sixteen higher) since it was switched on.
_THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}


def device_status(
    home: Home, *, host: Host | None = None, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Look at this device; nothing is changed, and nothing that is missing is an error.

    Parameters
    ----------
    home:
        Where edge-ecg keeps what it has here.
    host:
        The machine and its clock; left out: this one.
    env:
        The environment, in which trusted keys may be named.

    Returns
    -------
    JSON-able. ``release`` is the current release's name, ``previous`` where a fall-back goes, ``trial`` what
    :class:`Trial` holds or None, ``health`` the service's last report with the ages of its moments in
    seconds, ``service`` None where none is installed, ``keys`` whom this device trusts (None: unreadable, and
    then no bundle is taken). What cannot be found out is None, never a guess.

    """
    host = host or Host(folder=nearest_folder(home.root))
    releases = Releases(home, host.clock)
    current, trial = releases.current(), releases.trial()
    previous = releases.fallback(current)
    bad = releases.bad()
    health = read_health(home)
    now = host.clock()
    bits = throttled_bits(host)
    machine = this_machine()
    return {
        "type": "status",
        "home": str(home.root),
        "release": current.name if current else None,
        "model": current.model if current else None,
        "version": current.version if current else None,
        "signed_by": current.signed_by if current else None,
        "confirmed": current.confirmed and trial is None if current else None,
        "previous": previous.name if previous else None,
        "trial": None
        if trial is None
        else {
            "release": trial.release,
            "previous": trial.previous,
            "since": trial.since,
            "watch_s": trial.watch_s,
        },
        "health": _health(health, now),
        "last_decision_age_s": _age(health.last_decision if health else None, now),
        "service": _service(home),
        "releases": [
            {
                "release": one.name,
                "model": one.model,
                "version": one.version,
                "created": one.created,
                "confirmed": one.confirmed,
                "bad": bad[one.name].reason if one.name in bad else None,
            }
            for one in releases.all()
        ],
        "history": [entry.to_json() for entry in history(home)[-_HISTORY:]],
        "temperature_c": hottest_c(host),
        "throttled": None if bits is None else _throttled(bits),
        "clock_synchronised": clock_synchronised(host),
        "disk_free_bytes": _free(host, home.root),
        "edge_ecg": __version__,
        "python": platform.python_version(),
        "machine": machine.architecture,
        "board": machine.model,
        "keys": _keys(env),
    }


def history(home: Home) -> list[Entry]:
    """Return the journal, and behind it what the start script took back and nobody wrote there yet."""
    fallbacks = [
        Entry(bad.at, "", "reverted", name, None, {"reason": bad.reason, "to": bad.to, "by": START_SCRIPT})
        for name, bad in read_fallbacks(home)
    ]
    return Journal(home).entries() + fallbacks


def _health(health: Health | None, now: float) -> dict[str, Any] | None:
    if health is None:
        return None
    return {
        "release": health.release,
        "pid": health.pid,
        "alive": is_alive(health.pid),
        "up_s": _age(health.since, now),
        "ready": health.ready,
        "device": health.device,
        "last_sample_age_s": _age(health.last_sample, now),
        "last_record_age_s": _age(health.last_record, now),
        "last_decision_age_s": _age(health.last_decision, now),
        "samples": health.samples,
        "decisions": health.decisions,
        "withheld": health.withheld,
        "error": health.error,
    }


def _service(home: Home) -> dict[str, Any] | None:
    about = read_service(home)
    if about is None and not has_service(home):
        return None
    return {"installed": about is not None, **(about or {})}


def _age(moment: float | None, now: float) -> float | None:
    # A clock that was set back makes no negative ages.
    return None if moment is None else round(max(0.0, now - moment), 3)


def _throttled(bits: int) -> dict[str, Any]:
    return {
        "bits": bits,
        "now": [text for bit, text in _THROTTLED.items() if bits >> bit & 1],
        "since_boot": [text for bit, text in _THROTTLED.items() if bits >> (bit + SINCE_BOOT) & 1],
    }


def _keys(env: Mapping[str, str] | None) -> list[str] | None:
    """Whom this device trusts, None when that cannot be read."""
    try:
        return [str(one.key) for one in TrustedKeys.of_machine(env).keys]
    except BundleError:
        return None


def _free(host: Host, path: Path) -> int | None:
    try:
        return host.free(nearest_folder(path))
    except OSError:
        return None
