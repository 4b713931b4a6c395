"""Decisions and events as an LSL stream of markers, beside the ECG of :mod:`.lsl_outlet`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from ..pipeline import utc_now
from ..records import DecisionRecord, EventRecord, Record
from ..sources.lsl_link import load_pylsl


class LslRecords:
    """Offers records as an LSL stream of type Markers: one channel of text, each sample a record's JSON.

    A decision is stamped with the moment at which its window ended, an event with its own.

    Parameters
    ----------
    name:
        Of the stream.
    source_id:
        By which a reader finds it again after a restart.

    Raises
    ------
    DeviceError
        When pylsl or liblsl is missing.

    """

    def __init__(self, name: str, source_id: str, wall_clock: Callable[[], datetime] = utc_now) -> None:
        self._pylsl = load_pylsl()
        self._wall_clock = wall_clock
        described = self._pylsl.StreamInfo(
            name, "Markers", 1, self._pylsl.IRREGULAR_RATE, "string", f"edge-ecg records {source_id}"
        )
        self._outlet = self._pylsl.StreamOutlet(described)

    def write(self, record: Record) -> None:
        """Send a decision or an event; start and end say nothing of a moment."""
        if isinstance(record, DecisionRecord | EventRecord):
            ago_s = (self._wall_clock() - record.time).total_seconds()
            text = json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False)
            self._outlet.push_sample([text], self._pylsl.local_clock() - ago_s)

    def close(self) -> None:
        """Withdraw the stream."""
        self._outlet = None
