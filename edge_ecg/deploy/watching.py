"""Looking on while a release is on trial: it changes nothing, so it may be broken off and begun again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..errors import DataError, GateError
from .health import Health, read_health
from .layout import Home
from .shelf import Shelf

_POLL_S = 0.2
_REPEAT_S = 1.0


def watch(
    home: Home,
    release: str | None = None,
    *,
    timeout_s: float,
    poll_s: float = _POLL_S,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Yield what happens to a release, until it is confirmed.

    Parameters
    ----------
    home:
        Where edge-ecg keeps what it has here.
    release:
        Its name; left out: the current one.
    timeout_s:
        For how long.
    poll_s:
        How often to look.
    clock, wall_clock, sleep:
        Seconds that never go back, seconds since 1970, and waiting.

    Yields
    ------
    Objects with ``type`` ``watch`` and ``event``: ``trial`` first, ``health`` once a second and at every
    change, ``restarted`` when the service has another process, and ``confirmed`` last.

    Raises
    ------
    GateError
        When it was taken back, replaced by another, or was not confirmed in time.
    DataError
        When there is no current release.

    """
    shelf = Shelf(home)
    name = release or _current(shelf)
    started = clock()
    begun, seen, told, process = False, None, float("-inf"), None
    while True:
        elapsed = clock() - started
        # In this order: what is taken back between the two looks must not pass for confirmed.
        trial, current = shelf.trial(), shelf.current()
        here = current is not None and current.name == name
        event: dict[str, Any] = {"type": "watch", "release": name, "elapsed_s": round(elapsed, 3)}
        if not here:
            raise _gone(shelf, name)
        if trial is None:
            yield event | {"event": "confirmed"}
            return
        if not begun:
            begun = True
            yield event | {
                "event": "trial",
                "previous": trial.previous,
                "watch_s": trial.watch_s,
                "since_s": round(max(0.0, wall_clock() - trial.since), 3),
            }
        health = read_health(home)
        if health is not None and health.release == name:
            if process not in (None, health.pid):
                yield event | {"event": "restarted", "pid": health.pid}
                told = float("-inf")
            process = health.pid
        condition = _condition(name, health)
        if condition != seen or elapsed - told >= _REPEAT_S:
            seen, told = condition, elapsed
            yield event | {"event": "health", **condition, **_counts(name, health)}
        if elapsed >= timeout_s:
            raise _late(name, condition, timeout_s)
        sleep(poll_s)


def _current(shelf: Shelf) -> str:
    current = shelf.current()
    if current is None:
        raise DataError(
            f"There is no current release in {shelf.home.root}.",
            remedy="Flash a bundle: edge-ecg flash HOST BUNDLE",
        )
    return current.name


def _condition(name: str, health: Health | None) -> dict[str, Any]:
    """What a person wants to know at once when it changes."""
    if health is None or health.release != name:
        # The report of the release before says nothing of this one.
        return {"running": False, "ready": False, "device": None, "error": None}
    return {"running": True, "ready": health.ready, "device": health.device, "error": health.error}


def _counts(name: str, health: Health | None) -> dict[str, Any]:
    if health is None or health.release != name:
        health = Health(name, 0, 0.0)
    counted = replace(health, release=name)
    return {"samples": counted.samples, "decisions": counted.decisions, "withheld": counted.withheld}


def _gone(shelf: Shelf, name: str) -> GateError:
    current = shelf.current()
    runs = f"{current.name} counts now." if current else "No release counts now."
    bad = shelf.bad().get(name)
    if bad is None:
        return GateError(f"{name} does not count: another release was switched to.", why=runs)
    return GateError(
        f"{name} was taken back. {runs}",
        why=bad.reason,
        remedy="Look at the device's log: edge-ecg logs HOST",
    )


def _late(name: str, condition: dict[str, Any], timeout_s: float) -> GateError:
    if condition["error"]:
        why = str(condition["error"])
    elif not condition["running"]:
        why = "The service has not reported that it runs this release."
    elif not condition["ready"]:
        why = "The service runs this release, but is not ready."
    else:
        why = "The service runs, but has not confirmed it yet."
    return GateError(
        f"{name} was not confirmed within {timeout_s:g} s; it is still on trial.",
        why=why,
        remedy="Look again with `edge-ecg status HOST`, or go back with `edge-ecg rollback HOST`.",
    )
