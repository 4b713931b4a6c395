"""Sentences for the journal: one a line on stderr, with the priority that journald sorts by (sd-daemon(3)).

Outside of systemd the priority is left away: then a person reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

from ..errors import EdgeEcgError

PRIORITIES = {"error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}


class Log:
    """Writes sentences to an open text stream.

    Parameters
    ----------
    stream:
        Where to.
    level:
        Nothing less important is written.
    prefixed:
        Whether each line begins with ``<N>``.

    """

    def __init__(self, stream: TextIO, level: str = "info", *, prefixed: bool = False) -> None:
        self.level = level
        self._stream = stream
        self._prefixed = prefixed

    def error(self, text: str) -> None:
        """What the service cannot do its work with."""
        self._write("error", text)

    def warning(self, text: str) -> None:
        """What keeps it from part of its work."""
        self._write("warning", text)

    def notice(self, text: str) -> None:
        """What a person should see in a summary of the day."""
        self._write("notice", text)

    def info(self, text: str) -> None:
        """What happens all the time."""
        self._write("info", text)

    def debug(self, text: str) -> None:
        """What only a search for a fault needs."""
        self._write("debug", text)

    def failure(self, error: EdgeEcgError) -> None:
        """What happened, why, and what to do: three lines at most."""
        self.error(error.what)
        if error.why:
            self.error(f"  why: {error.why}")
        if error.remedy:
            self.error(f"  try: {error.remedy}")

    def _write(self, level: str, text: str) -> None:
        priority = PRIORITIES[level]
        if priority > PRIORITIES[self.level]:
            return
        prefix = f"<{priority}>" if self._prefixed else ""
        for line in text.splitlines() or [""]:
            self._stream.write(f"{prefix}{line}\n")
        self._stream.flush()


def in_journal(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether stderr leads to journald: systemd says so by the name of the stream (systemd.exec(5))."""
    return "JOURNAL_STREAM" in environment
