"""What every sink is."""

from __future__ import annotations

from typing import Protocol

from ..records import Record


class Sink(Protocol):
    """Takes the records of one session, in order."""

    def write(self, record: Record) -> None:
        """Take one record."""
        ...

    def close(self) -> None:
        """Put the screen or the stream back as it was."""
        ...
