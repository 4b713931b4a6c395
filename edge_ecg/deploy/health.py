"""What the running service says of itself (``state/health.json``), and whether there is a service at all.

A service is there when ``state/service.json`` is (``edge-ecg service install`` writes it, ``uninstall``
removes it; any other supervisor may call :func:`write_service`), or when the process in ``health.json`` is
alive. Where there is one, a release that is switched to is on trial until the service has run it for a while;
where there is none, the golden windows have to do.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .disk import Disk, read_json
from .layout import Home

_KINDS: dict[str, tuple[type, ...]] = {
    "float": (float, int),
    "float | None": (float, int, type(None)),
    "int": (int,),
    "bool": (bool,),
    "str": (str,),
    "str | None": (str, type(None)),
}


@dataclass(frozen=True, slots=True)
class Health:
    """One report of the service. Moments are seconds since 1970, None for what has not happened yet.

    Attributes
    ----------
    release:
        Name of the release that it runs.
    pid:
        Its process.
    since:
        When it started.
    ready:
        Whether the model is loaded and the source is open.
    device:
        What it reads from, in words; None before it is connected.
    last_sample, last_record, last_decision:
        When the last sample came, the last record was written, the last decision (withheld ones do not
        count) was made.
    samples, decisions, withheld:
        How many there were since it started.
    error:
        What is wrong now, in one sentence; None when nothing is.

    """

    release: str
    pid: int
    since: float
    ready: bool = False
    device: str | None = None
    last_sample: float | None = None
    last_record: float | None = None
    last_decision: float | None = None
    samples: int = 0
    decisions: int = 0
    withheld: int = 0
    error: str | None = None


def write_health(home: Home, health: Health) -> None:
    """Write the report in one step, readable by the user alone; OSError when it cannot be written.

    It is not synced: after a power cut nobody needs it, and once a second would wear an SD card.
    """
    half = home.health.with_name(f"{home.health.name}.{health.pid}.part")
    home.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(health), ensure_ascii=False) + "\n")
        half.replace(home.health)
    except OSError:
        half.unlink(missing_ok=True)
        raise


def read_health(home: Home) -> Health | None:
    """Return the last report; None when there is none, or it is damaged."""
    try:
        value = read_json(home.health, max_bytes=64 * 1024)
    except OSError:
        return None
    if not isinstance(value, dict):
        return None
    known = {field.name: str(field.type) for field in fields(Health)}
    given = {name: value[name] for name in known if name in value}
    for name, one in given.items():
        kinds = _KINDS[known[name]]
        if not isinstance(one, kinds) or (isinstance(one, bool) and bool not in kinds):
            return None
        if isinstance(one, float) and not math.isfinite(one):
            return None
    try:
        return Health(**given)
    except TypeError:  # a field without a default is missing
        return None


def is_alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process of edge-ecg has this number now (numbers are used again, after a reboot at once)."""
    if pid <= 0:
        return False
    try:
        line = (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return b"edge-ecg" in line or b"edge_ecg" in line


def write_service(home: Home, about: Mapping[str, Any], disk: Disk | None = None) -> None:
    """Say that a service is installed: ``about`` names its manager and unit, e.g. ``{"unit": ...}``.

    Raises
    ------
    OSError
        When it cannot be written.

    """
    disk = disk or Disk()
    disk.make_folder(home.state)
    disk.replace_json(home.service, dict(about))


def read_service(home: Home) -> dict[str, Any] | None:
    """Return what :func:`write_service` wrote, ``{}`` when that is damaged; None without a service."""
    try:
        value = read_json(home.service)
        if value is None and not home.service.exists():
            return None
    except OSError:
        return {}
    return value if isinstance(value, dict) else {}


def remove_service(home: Home, disk: Disk | None = None) -> None:
    """Say that no service is installed any more."""
    (disk or Disk()).delete(home.service)


def has_service(home: Home, alive: Callable[[int], bool] = is_alive) -> bool:
    """Whether a release that is switched to will be run, and can so be on trial."""
    if read_service(home) is not None:
        return True
    health = read_health(home)
    return health is not None and alive(health.pid)
