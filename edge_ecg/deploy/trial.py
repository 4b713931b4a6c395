"""Which release is on trial, and which ones were taken back: two small files below ``state``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..bundle.fields import FieldError, Fields, as_text
from .disk import Disk, read_json
from .journal import iso_time
from .layout import Home
from .release import is_release_name

# So many lines say enough; the file is read by a shell, too.
_MAX_BAD = 50

#: Why a release went back though nothing speaks against it: another device failed. It may be tried again.
ROLLOUT_HALTED = "the rollout was halted"


@dataclass(frozen=True, slots=True)
class Trial:
    """A release that counts, but has not proven itself yet.

    Attributes
    ----------
    release:
        Its name. The trial is in effect only while ``current`` leads there (or to ``replaces``).
    previous:
        The release to go back to; None when there was none.
    since:
        When it was switched to: seconds since 1970.
    watch_s:
        How long the service must run it in good health.
    replaces:
        What was on trial when this one took its place; it stays on trial until the switch is done.

    """

    release: str
    previous: str | None
    since: float
    watch_s: float
    replaces: str | None = None


def read_trial(home: Home) -> Trial | None:
    """Return what ``state/trial.json`` says, in effect or not; None when there is none, or it is damaged."""
    try:
        top = Fields(read_json(home.trial, max_bytes=64 * 1024), "trial.json")
        return Trial(
            release=top.text("release"),
            previous=top.optional_text("previous"),
            since=top.number("since"),
            watch_s=top.number("watch_s"),
            replaces=top.optional_text("replaces"),
        )
    except (FieldError, OSError):
        return None


def write_trial(home: Home, trial: Trial, disk: Disk) -> None:
    """Write ``state/trial.json``: one line, and ``previous`` is not the only thing that says where to go."""
    disk.replace_json(home.trial, asdict(trial))


@dataclass(frozen=True, slots=True)
class Bad:
    """A release that was taken back: why, when (ISO 8601, UTC), and what runs instead."""

    reason: str
    at: str
    to: str | None = None


def read_bad(home: Home) -> dict[str, Bad]:
    """Return the releases that were taken back, by name; those of the start script are among them."""
    found: dict[str, Bad] = {}
    try:
        for name, one in Fields(read_json(home.bad), "bad.json").child("releases").children():
            found[name] = _bad(one)
    except (FieldError, OSError):
        pass
    for name, bad in read_fallbacks(home):
        found.setdefault(name, bad)
    return found


def _bad(one: Fields) -> Bad:
    try:
        return Bad(one.text("reason"), one.text("at"), one.optional_text("to"))
    except FieldError:  # that it was taken back counts more than why
        return Bad("the reason cannot be read", "an unknown day")


def read_fallbacks(home: Home) -> list[tuple[str, Bad]]:
    """Return what the start script took back, the oldest first: ``RELEASE TO SECONDS REASON`` a line."""
    found = []
    try:
        lines = home.fallbacks.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        words = line.split(" ", 3)
        if len(words) == 4 and is_release_name(words[0]) and words[2].isdecimal() and len(words[2]) < 12:
            to = words[1] if is_release_name(words[1]) else None
            found.append((words[0], Bad(words[3], iso_time(int(words[2])), to)))
    return found


def write_bad(home: Home, bad: dict[str, Bad], disk: Disk) -> None:
    """Write ``state/bad.json``, which then also holds what the start script wrote."""
    kept = dict(list(bad.items())[-_MAX_BAD:])
    # An exception's own words may have many lines; what cannot be read back would not count.
    texts = {
        name: {**asdict(one), "reason": as_text(one.reason, "no reason was given")}
        for name, one in kept.items()
    }
    value: dict[str, Any] = {"releases": texts}
    disk.replace_json(home.bad, value)
    disk.delete(home.fallbacks)
