"""The progress line, by a clock that the test moves."""

from __future__ import annotations

import io

import pytest

from edge_ecg.cli.progress import Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rate_and_time_left() -> None:
    clock = Clock()
    progress = Progress(200, "windows", io.StringIO(), clock=clock)
    progress.advance(50, note="loss 0.123")
    clock.now += 10
    assert progress.line(clock.now) == " 25 %  50/200 windows  5 windows/s  30 s left  loss 0.123"


def test_an_unknown_total_has_no_time_left() -> None:
    clock = Clock()
    progress = Progress(None, "files", io.StringIO(), clock=clock)
    progress.advance(30)
    clock.now += 10
    assert progress.line(clock.now) == "30 files  3 files/s"


def test_a_resumed_run_does_not_count_what_was_done_before() -> None:
    clock = Clock()
    progress = Progress(1000, "steps", io.StringIO(), clock=clock)
    progress.resume_at(900)
    progress.advance(10)
    clock.now += 10
    assert progress.line(clock.now) == " 91 %  910/1000 steps  1 steps/s  1 min 30 s left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (61, "1 min 01 s"), (3600, "1 h 00 min"), (86399, "23 h 59 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    clock = Clock()
    progress = Progress(1, "files", io.StringIO(), clock=clock)
    progress.advance(1)
    clock.now += seconds
    assert progress.line(clock.now).endswith(f"took {text}")


def test_a_log_gets_a_line_each_ten_seconds_and_the_last() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(100, "windows", stream, clock=clock) as progress:
        for _ in range(25):
            clock.now += 1
            progress.advance()
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["10/100", "20/100", "25/100"]


def test_a_terminal_gets_one_line_that_leaves_no_rest_of_a_longer_one() -> None:
    clock, stream = Clock(), Terminal()
    with Progress(None, "files", stream, clock=clock) as progress:
        clock.now += 1
        progress.advance(note="a rather long file name")
        clock.now += 1
        progress.advance(note="short")
    first, second, last = stream.getvalue().split("\r")[1:]
    assert len(second) >= len(first)
    assert last.endswith("\n")
    assert stream.getvalue().count("\n") == 1
