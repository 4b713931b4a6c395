"""What the log and the file get of the records."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_ecg.errors import DataError
from edge_ecg.records import DecisionRecord, EndRecord, EventRecord, StartRecord, TaskDecision
from edge_ecg.service.log import Log, in_journal
from edge_ecg.service.outputs import REMIND_S, JournalSink, RecordFile, answer_in_words

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
START = StartRecord("/dev/ttyUSB0", "text", 250.0, "stress@0123456789ab", "litert-int8", 1.0, profile="ann")
REST = TaskDecision("rest", {"rest": 0.83, "stress": 0.17})
STRESS = TaskDecision("stress", {"rest": 0.4, "stress": 0.6})
DECISION = DecisionRecord(3, 3.0, 13.0, NOW, {"stress": REST, "mood": None}, (), 0.97, 71.9, 0, 4.2, 13.0)
WITHHELD = replace(DECISION, decision=None, withheld=("lead_off", "noisy"), heart_rate_bpm=None, lost_60s=7)
LOST = EventRecord("lost", NOW, 13.0, {"why": "it was unplugged"})
BACK = EventRecord("reconnected", NOW, 20.0, {"attempts": 2})
END = EndRecord(1, 2, 0, "stopped")


class Rig:
    def __init__(self, amount: str, level: str = "info", *, prefixed: bool = True) -> None:
        self.now_s = 0.0
        self.err, self.out = io.StringIO(), io.StringIO()
        log = Log(self.err, level, prefixed=prefixed)
        self.sink = JournalSink(log, amount, self.out, lambda: self.now_s)

    def lines(self, *records: object) -> list[str]:
        before = len(self.err.getvalue())
        for record in records:
            self.sink.write(record)  # type: ignore[arg-type]
        return self.err.getvalue()[before:].splitlines()


def test_sentences_with_priorities() -> None:
    assert Rig("decisions").lines(START, DECISION, WITHHELD, LOST, BACK, END) == [
        "<5>text at /dev/ttyUSB0, 250 Hz, stress@0123456789ab in litert-int8, profile ann.",
        "<6>stress: rest 83 %, mood: not sure, 72 bpm, signal 97 %",
        "<6>no decision: lead off, noisy, signal 97 %, 7 samples lost in 60 s",
        "<4>lost, why: it was unplugged",
        "<6>reconnected, attempts: 2",
        "<5>Session over: 1 decision, 2 withheld, no samples lost; ended: stopped.",
    ]


def test_outside_of_systemd_there_are_no_priorities() -> None:
    assert Rig("events", prefixed=False).lines(BACK) == ["reconnected, attempts: 2"]
    assert in_journal({"JOURNAL_STREAM": "8:12345"})
    assert not in_journal({})


def test_a_mark_is_one_line_of_the_log() -> None:
    mark = EventRecord("marker", NOW, 4.0, {"text": "one\n<0>two"})
    assert Rig("events", prefixed=False).lines(mark) == ["marker, text: one\N{REPLACEMENT CHARACTER}<0>two"]


def test_events_alone() -> None:
    assert len(Rig("events").lines(START, DECISION, WITHHELD, LOST, END)) == 3


def test_changes_and_once_a_minute() -> None:
    rig = Rig("changes")
    other = replace(DECISION, quality=0.5, heart_rate_bpm=99.0)
    assert len(rig.lines(DECISION, other, DECISION)) == 1
    assert len(rig.lines(replace(DECISION, decision={"stress": STRESS, "mood": None}))) == 1
    assert len(rig.lines(WITHHELD, WITHHELD)) == 1
    rig.now_s = REMIND_S - 0.1
    assert rig.lines(WITHHELD) == []
    rig.now_s = REMIND_S
    assert len(rig.lines(WITHHELD, WITHHELD)) == 1


def test_records_are_json_on_stdout_and_nothing_else() -> None:
    rig = Rig("records")
    assert rig.lines(START, DECISION, LOST, END) == []
    assert [json.loads(line) for line in rig.out.getvalue().splitlines()] == [
        record.to_json() for record in (START, DECISION, LOST, END)
    ]


@pytest.mark.parametrize(
    ("level", "count"), [("error", 0), ("warning", 1), ("notice", 3), ("info", 6), ("debug", 6)]
)
def test_the_level(level: str, count: int) -> None:
    assert len(Rig("decisions", level).lines(START, DECISION, WITHHELD, LOST, BACK, END)) == count


def test_every_line_of_a_long_message_has_its_priority() -> None:
    stream = io.StringIO()
    Log(stream, prefixed=True).error("Traceback:\n  a\n  b")
    assert stream.getvalue() == "<3>Traceback:\n<3>  a\n<3>  b\n"


def test_words_of_an_answer() -> None:
    assert answer_in_words(DECISION) == "stress: rest 83 %, mood: not sure"
    assert answer_in_words(WITHHELD) is None


def test_the_file_starts_anew_at_its_limit_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    file = RecordFile(path, 2000)
    for number in range(40):
        file.write(replace(DECISION, seq=number))
    file.close()
    before, now = (tmp_path / "decisions.jsonl.1").read_text(), path.read_text()
    numbers = [json.loads(line)["seq"] for line in (before + now).splitlines()]
    assert numbers == list(range(numbers[0], 40))
    assert 2000 <= len(before) < 2500
    assert len(now) < 2000
    assert path.stat().st_mode & 0o777 == 0o600
    again = RecordFile(path, 10**6)
    again.write(END)
    again.close()
    assert path.read_text() == now + json.dumps(END.to_json()) + "\n"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written"):
        RecordFile(tmp_path / "nowhere" / "x.jsonl", 1000)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk here that is always full")
def test_a_full_disk_is_the_same_error_at_the_end() -> None:
    file = RecordFile(Path("/dev/full"), 1000)
    for call in (lambda: file.write(END), file.close):
        with pytest.raises(DataError, match=r"cannot be written"):
            call()


def test_a_line_that_a_power_cut_has_torn_takes_no_other_along(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text('{"type": "deci')
    file = RecordFile(path, 10**6)
    file.write(END)
    file.close()
    assert path.read_text().splitlines()[1:] == [json.dumps(END.to_json())]
