"""What a person sees: lines and the panel, for each kind of record."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from edge_ecg.records import DecisionRecord, EndRecord, EventRecord, Record, StartRecord, TaskDecision
from edge_ecg.signal.quality import Reason
from edge_ecg.sinks import JsonLines, Sink
from edge_ecg.sinks.lines import PlainLines
from edge_ecg.sinks.terminal import TerminalPanel

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
START = StartRecord("/dev/rfcomm0", "shimmer3", 512.0, "stress@0123456789ab", "litert-int8", 1.0)
END = EndRecord(50, 10, 37, "duration")


def window(seq: int, stress: float | None, *withheld: str) -> DecisionRecord:
    decision = None
    if stress is not None:
        label = "stress" if stress > 0.5 else "rest"
        decision = {"stress": TaskDecision(label, {"rest": 1 - stress, "stress": stress})}
    rate = None if stress is None else 71.9
    return DecisionRecord(seq, seq, seq + 10.0, NOON, decision, withheld, 0.97, rate, 0, 4.2, 13.0)


def lines(*records: Record) -> list[str]:
    stream = io.StringIO()
    sink: Sink = PlainLines(stream)
    for record in records:
        sink.write(record)
    sink.close()
    return stream.getvalue().splitlines()


def panel(*records: Record, device_s: float = 42.0, **options: object) -> list[str]:
    """The rendered panel, 80 columns wide, as plain text."""
    settings: dict[str, object] = {"width": 80, "height": 24, "file": io.StringIO(), "color_system": None}
    console = Console(**(settings | options))  # type: ignore[arg-type]
    sink = TerminalPanel(lambda: device_s, console)
    for record in records:
        sink.write(record)
    sink.close()
    with console.capture() as capture:
        console.print(sink.render())
    return capture.get().splitlines()


def test_json_lines_are_one_object_a_line_and_leave_the_stream_open() -> None:
    stream = io.StringIO()
    sink: Sink = JsonLines(stream)
    for record in (START, window(1, 0.2), END):
        sink.write(record)
    sink.close()
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        START.to_json(),
        window(1, 0.2).to_json(),
        END.to_json(),
    ]


def test_lines_say_what_was_decided_and_on_what() -> None:
    assert lines(START, window(1, 0.17), END) == [
        "shimmer3 at /dev/rfcomm0, 512 Hz, model stress@0123456789ab in litert-int8",
        "    11.0 s  stress: rest 83 %  72 bpm  signal 97 %  13 ms",
        "50 decisions, 10 withheld, 37 samples lost; ended: duration.",
    ]


def test_lines_give_advice_once_until_the_reason_changes() -> None:
    shown = lines(window(1, None, "lead_off"), window(2, None, "lead_off"), window(3, None, "noisy"))
    assert shown == [
        "    11.0 s  no decision: lead_off",
        f"            {Reason.LEAD_OFF.advice}",
        "    12.0 s  no decision: lead_off",
        "    13.0 s  no decision: noisy",
        f"            {Reason.NOISY.advice}",
    ]


def test_lines_show_a_gap_where_it_was() -> None:
    assert lines(EventRecord("gap", NOON, 17.25, {"lost_samples": 37})) == [
        "    17.2 s  -- gap, lost samples: 37"
    ]


def test_a_mark_of_a_strangers_file_stays_in_its_line_and_commands_no_terminal() -> None:
    mark = EventRecord("marker", NOON, 4.0, {"text": "\x1b]0;owned\x07 two\nlines"})
    assert lines(mark) == [
        "     4.0 s  -- marker, text: \N{REPLACEMENT CHARACTER}]0;owned"
        "\N{REPLACEMENT CHARACTER} two\N{REPLACEMENT CHARACTER}lines"
    ]
    assert "\x1b" not in "".join(panel(START, mark))


def test_the_panel_counts_up_to_the_first_window() -> None:
    shown = "\n".join(panel(START, window(0, None, "warming_up"), device_s=7.0))
    assert "Collecting the first window" in shown
    assert "7 of 11 s" in shown
    assert "0:00:07" in shown


def test_the_panel_shows_decision_measures_and_history() -> None:
    shown = "\n".join(panel(START, window(0, None, "warming_up"), window(1, 0.17), window(2, 0.95)))
    for text in ("shimmer3, 512 Hz", "litert-int8", "STRESS", "95 %", "72 bpm", "97 %", "4.2 ms", "13 ms"):
        assert text in shown
    assert "·▂█" in shown
    assert "not a medical device" in shown


# Warming up has a picture of its own, above.
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.WARMING_UP])
def test_the_panel_says_why_not_and_what_to_do(reason: Reason) -> None:
    shown = " ".join(" ".join(panel(START, window(5, None, reason))).replace("│", " ").split())
    assert f"No decision: {reason.replace('_', ' ')}" in shown
    assert reason.advice in shown


def test_the_panel_adds_up_losses_and_ends_with_the_totals() -> None:
    gaps = [
        EventRecord("gap", NOON, 17.0, {"lost_samples": 30}),
        EventRecord("gap", NOON, 19.0, {"lost_samples": 7}),
    ]
    shown = "\n".join(panel(START, window(1, 0.1), *gaps))
    assert "lost samples  37" in shown
    assert "last event: 0:00:19 gap, lost samples 7" in shown
    assert "50 decisions, 10 withheld, 37 samples lost" in "\n".join(panel(START, window(1, 0.1), *gaps, END))


def test_the_panel_without_unicode_is_plain_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    shown = panel(START, window(0, None, "warming_up"), window(1, 0.95), file=stream)
    assert all(line.isascii() for line in shown)
    assert any("####" in line for line in shown)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_panel_fits_the_terminal(width: int) -> None:
    shown = panel(START, *(window(seq, 0.5) for seq in range(80)), width=width)
    assert all(len(line) <= min(width, 78) for line in shown)
    assert len(shown) <= 24


def test_recording_only_says_so() -> None:
    start = StartRecord("/dev/rfcomm0", "shimmer3", 512.0, None, None, 1.0)
    assert "Recording, 0:00:42" in "\n".join(panel(start))
    assert lines(start) == ["shimmer3 at /dev/rfcomm0, 512 Hz, recording only"]


@pytest.mark.parametrize(
    ("times", "words"), [(0, ""), (1, ", connected again 1 time"), (3, ", connected again 3 times")]
)
def test_the_summary_says_how_often_the_device_came_back(times: int, words: str) -> None:
    end = replace(END, counters={"reconnects": times})
    assert lines(end) == [f"50 decisions, 10 withheld, 37 samples lost{words}; ended: duration."]


def test_losses_of_late_are_shown_while_there_are_any() -> None:
    record = replace(window(1, 0.17), lost_samples=5, lost_60s=40, lost_session=112)
    assert lines(record) == [
        "    11.0 s  stress: rest 83 %  72 bpm  signal 97 %  13 ms  lost: 5 in 10 s, 40 in 60 s, 112 in all"
    ]
    withheld = replace(window(1, None, "gap"), lost_60s=40, lost_session=112)
    assert lines(withheld)[0] == ("    11.0 s  no decision: gap  lost: 40 in 60 s, 112 in all")
    shown = " ".join("\n".join(panel(START, record)).split())
    assert "lost in 10 s 5 lost in 60 s 40" in shown
    assert "lost in 60 s" not in "\n".join(panel(START, window(1, 0.17)))
    past = replace(window(1, 0.17), lost_60s=0, lost_session=112)
    assert "lost" not in lines(past)[0]


def test_what_cannot_be_seen_is_said_at_the_start() -> None:
    board = replace(START, unseen_loss_ms=1000.0)
    sentence = "this board counts nothing: losses shorter than 1000 ms leave no trace"
    assert sentence in lines(board)
    assert sentence in "\n".join(panel(board, window(1, 0.17)))
    assert not any("leave no trace" in line for line in lines(START))
