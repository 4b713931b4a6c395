"""Where the records of the service go: sentences for the log, JSON lines to a file of limited size."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from ..errors import DataError
from ..records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord
from ..sinks import JsonLines
from ..sinks.lines import shown, summary
from .log import Log

REMIND_S = 60.0
"""An answer that stays the same is logged again after so long."""

_GRAVE = frozenset({"lost"})


def answer_in_words(record: DecisionRecord) -> str | None:
    """Return a decision as `stress: rest 83 %`, or None when there is none."""
    if record.decision is None:
        return None
    return ", ".join(
        f"{task}: {answer.label} {100 * answer.confidence:.0f} %" if answer else f"{task}: not sure"
        for task, answer in record.decision.items()
    )


class JournalSink:
    """Tell the log of records, as much as is wanted (``output.journal`` of the configuration).

    Parameters
    ----------
    amount:
        ``events``, ``changes``, ``decisions`` or ``records``.
    stdout:
        Where ``records`` go, as JSON lines.
    clock:
        Monotonic seconds.

    """

    def __init__(self, log: Log, amount: str, stdout: TextIO, clock: Callable[[], float]) -> None:
        self._log = log
        self._amount = amount
        self._json = JsonLines(stdout) if amount == "records" else None
        self._clock = clock
        self._last: tuple[object, ...] = ()
        self._told_s = 0.0

    def write(self, record: Record) -> None:
        """Take one record."""
        if self._json is not None:
            self._json.write(record)
            return
        if isinstance(record, DecisionRecord):
            if self._is_wanted(record):
                self._log.info(_decision(record))
        elif isinstance(record, StartRecord):
            model = f", {record.model} in {record.engine}" if record.model else ""
            profile = f", profile {record.profile}" if record.profile else ""
            self._log.notice(f"{record.device} at {record.source}, {record.fs_hz:g} Hz{model}{profile}.")
        elif isinstance(record, EndRecord):
            self._log.notice(f"Session over: {summary(record)}")
        else:
            (self._log.warning if record.event in _GRAVE else self._log.info)(_event(record))

    def close(self) -> None:
        """Nothing to put back."""

    def _is_wanted(self, record: DecisionRecord) -> bool:
        if self._amount == "events":
            return False
        now_s = self._clock()
        shown = _gist(record)
        if self._amount == "changes" and shown == self._last and now_s - self._told_s < REMIND_S:
            return False
        self._last, self._told_s = shown, now_s
        return True


class RecordFile:
    """Append records as JSON lines to a file that only its owner may read; past its limit it starts anew.

    Parameters
    ----------
    path:
        The file; ``PATH.1`` is the one before.
    limit_bytes:
        At which it is exchanged.

    Raises
    ------
    DataError
        When it cannot be written; from :meth:`write` too.

    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        torn = _is_torn(path)
        self._file = self._open()
        # Goes with the first record, which a torn line would take along.
        self._file.write("\n" if torn else "")

    def write(self, record: Record) -> None:
        """Append one line."""
        text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False)
        try:
            self._file.write(text + "\n")
            self._file.flush()
            if self._file.tell() >= self._limit_bytes:
                self._file.close()
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                self._file = self._open()
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Finish the file; DataError when what was still to be written does not fit on the disk."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failure(error) from error

    def _open(self) -> TextIO:
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            return open(os.open(self._path, flags, 0o600), "a", encoding="utf-8")
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> DataError:
        return DataError(
            f"The decisions cannot be written to {self._path}.",
            why=f"{error.strerror or error}.",
            remedy="Make room, or give `output.file` in the configuration another path.",
        )


def _is_torn(path: Path) -> bool:
    """Whether a file's last line has no end: the power was cut, or the disk was full."""
    try:
        # O_NONBLOCK: a named pipe, which has no end to look at, would wait for its writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # not there, empty, or no plain file
        return False


def _decision(record: DecisionRecord) -> str:
    answer = answer_in_words(record) or f"no decision: {', '.join(record.withheld).replace('_', ' ')}"
    rate = "" if record.heart_rate_bpm is None else f", {record.heart_rate_bpm:.0f} bpm"
    lost = f", {record.lost_60s} samples lost in 60 s" if record.lost_60s else ""
    return f"{answer}{rate}, signal {100 * record.quality:.0f} %{lost}"


def _event(record: EventRecord) -> str:
    return record.event + "".join(
        f", {key.replace('_', ' ')}: {shown(value)}" for key, value in record.detail.items()
    )


def _gist(record: DecisionRecord) -> tuple[object, ...]:
    """What makes two decisions the same: their labels or reasons, not the numbers beside them."""
    return (tuple(_labels(record)), record.withheld)


def _labels(record: DecisionRecord) -> Iterator[tuple[str, str | None]]:
    for task, answer in (record.decision or {}).items():
        yield task, answer.label if answer else None
