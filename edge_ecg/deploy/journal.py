"""``state/journal.jsonl``: what was done to this device, one JSON object a line, never rewritten in place.

Steps of a deployment: ``uploaded``, ``admitted`` or ``refused``, ``switched``, then ``confirmed`` or
``reverted``. The journal tells people and other programs what happened; what holds is what the links and
files say.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .disk import Disk
from .layout import Home

STEPS = ("uploaded", "admitted", "refused", "switched", "confirmed", "reverted")
_ENDS = ("refused", "confirmed", "reverted")

# Some four thousand lines; then the older half goes.
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: when (ISO 8601, UTC), of which deployment, what, and about which release or bundle."""

    time: str
    deployment: str
    step: str
    release: str | None = None
    sha256: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the line's object; what is not known is left out."""
        named = {"release": self.release, "sha256": self.sha256}
        return {
            "time": self.time,
            "deployment": self.deployment,
            "step": self.step,
            **{name: value for name, value in named.items() if value is not None},
            **self.more,
        }


def iso_time(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Journal:
    """The journal of a home.

    Parameters
    ----------
    home:
        Whose.
    clock:
        Seconds since 1970.
    disk:
        Makes the changes.

    """

    def __init__(self, home: Home, clock: Callable[[], float] = time.time, disk: Disk | None = None) -> None:
        self._path = home.journal
        self._clock = clock
        self._disk = disk or Disk()

    def entries(self) -> list[Entry]:
        """Return all lines that can be read, the oldest first; a torn or damaged one is passed over."""
        return [entry for line in self._lines() if (entry := _entry(line)) is not None]

    def record(
        self,
        step: str,
        *,
        release: str | None = None,
        sha256: str | None = None,
        deployment: str | None = None,
        **more: Any,
    ) -> Entry:
        """Append a step.

        Parameters
        ----------
        step:
            One of ``STEPS``.
        release, sha256:
            The release, or the bundle's SHA-256 where there is no release yet.
        deployment:
            Which deployment it belongs to; left out: the one of the same release or bundle that has not come
            to an end, else a new one.
        more:
            Whatever else is worth keeping, as JSON values.

        Raises
        ------
        OSError
            When it cannot be written.

        """
        now = iso_time(self._clock())
        entry = Entry(
            now, deployment or self._open(release, sha256) or _new_id(now, sha256, release), step,
            release, sha256, more,
        )  # fmt: skip
        self._disk.make_folder(self._path.parent)
        text = json.dumps(entry.to_json(), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        torn = self._torn()
        if self._size() + len(text) > _MAX_BYTES:
            lines = self._lines()
            text = b"".join(line + b"\n" for line in lines[len(lines) // 2 :]) + text
            self._disk.replace_file(self._path, text)
        else:
            self._disk.append(self._path, b"\n" + text if torn else text)
        return entry

    def last(self, release: str) -> Entry | None:
        """Return the latest line about a release."""
        return next((entry for entry in reversed(self.entries()) if entry.release == release), None)

    def _open(self, release: str | None, sha256: str | None) -> str | None:
        for entry in reversed(self.entries()):
            same = (release is not None and entry.release == release) or (
                sha256 is not None and entry.sha256 == sha256
            )
            if same:
                return None if entry.step in _ENDS else entry.deployment
        return None

    def _lines(self) -> list[bytes]:
        try:
            return self._path.read_bytes().splitlines()
        except OSError:
            return []

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _torn(self) -> bool:
        try:
            with self._path.open("rb") as file:
                file.seek(-1, 2)
                return file.read(1) != b"\n"
        except OSError:  # not there, or empty
            return False


def _new_id(now: str, sha256: str | None, release: str | None) -> str:
    tail = sha256[:12] if sha256 else (release or "").rpartition("-")[2]
    return f"{now.replace('-', '').replace(':', '')}-{tail}"


def _entry(line: bytes) -> Entry | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    moment, deployment, step = (value.pop(name, None) for name in ("time", "deployment", "step"))
    release, sha256 = value.pop("release", None), value.pop("sha256", None)
    if not (isinstance(moment, str) and isinstance(deployment, str) and isinstance(step, str)):
        return None
    if not isinstance(release, str | None) or not isinstance(sha256, str | None):
        return None
    return Entry(moment, deployment, step, release, sha256, value)
