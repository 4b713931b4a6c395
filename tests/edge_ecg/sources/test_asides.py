"""What a strap says beside its ECG: events of their own, that hide no gap and make no noise on a screen."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

from edge_ecg.records import EventRecord
from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg.session import Session
from edge_ecg.sinks.lines import PlainLines
from edge_ecg.sources import open_source


def test_a_strap_tells_heart_rate_and_intervals() -> None:
    with open_source("sim:polar-h10?speed=max") as source:
        session = Session(source, None, duration_s=8.0)
        told = [record for record in session if isinstance(record, EventRecord)]
    rates = [record for record in told if record.event == "heart_rate"]
    assert len(rates) >= 6
    assert {(record.detail["heart_rate_bpm"], record.detail["rr_ms"]) for record in rates} == {(72, "833")}
    assert [r.at_s for r in rates] == sorted(r.at_s for r in rates)


class Scripted:
    """A source that gives what it was given."""

    info = SourceInfo("sim:", "polar-h10", 130.0)

    def __init__(self, *items: SampleBlock | SourceEvent) -> None:
        self._items = items

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        yield from self._items


def test_between_a_gap_and_its_samples_it_does_not_double_the_gap() -> None:
    gap = SourceEvent("gap", 2.0, {"lost_samples": 130, "reason": "reconnect"})
    source = Scripted(
        SampleBlock(np.zeros(130), 130.0, 0),
        gap,
        SourceEvent("heart_rate", 2.0, {"heart_rate_bpm": 60}),
        SampleBlock(np.zeros(130), 130.0, 260, gap_before=130),
    )
    session = Session(source, None)  # type: ignore[arg-type]
    records = [record for record in session if isinstance(record, EventRecord)]
    assert [record.event for record in records] == ["gap", "heart_rate"]
    assert session.lost_samples == 130


def test_it_is_no_news_for_a_person() -> None:
    out = io.StringIO()
    with open_source("sim:polar-h10?speed=max") as source:
        for record in Session(source, None, duration_s=5.0):
            PlainLines(out).write(record)
    assert "heart_rate" not in out.getvalue()
    assert "connected" in out.getvalue()
