"""One finding about a machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check came out; only ``fail`` keeps edge-ecg from working."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """A finding: what was looked at, how it is, one sentence, and the command that mends it."""

    name: str
    status: Status
    sentence: str
    remedy: str = ""


def ok(name: str, sentence: str) -> Check:
    """All is well."""
    return Check(name, Status.OK, sentence)


def unknown(name: str, sentence: str, remedy: str = "") -> Check:
    """The machine does not tell."""
    return Check(name, Status.UNKNOWN, sentence, remedy)


def warn(name: str, sentence: str, remedy: str) -> Check:
    """It works, but not as well as it could."""
    return Check(name, Status.WARN, sentence, remedy)


def fail(name: str, sentence: str, remedy: str) -> Check:
    """It does not work."""
    return Check(name, Status.FAIL, sentence, remedy)
