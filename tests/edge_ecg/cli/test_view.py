"""``edge-ecg view`` as a user starts it: on a real terminal (a pty), into a pipe, into a picture."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edge_ecg.cli import main

FAST = "sim:shimmer3?speed=max"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("view") / "Zebulonia.csv"
    assert main(["record", "--port", FAST, "--duration", "30", "--record", str(path)]) == 0
    path.with_name("Zebulonia.marks.csv").write_text("t_s,label\n1.0,rest\n21.5,stress\n")
    return path


class Terminal:
    """A command on a pty of a given size, and what stands on its screen, as text without positions."""

    def __init__(self, *words: object, columns: int = 80, rows: int = 24) -> None:
        self.keyboard, terminal = pty.openpty()
        self.resize(columns, rows)
        environment = os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_ecg", *map(str, words)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.before = termios.tcgetattr(terminal)
        self.terminal = terminal
        self.text = ""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        self.text = ""
        os.write(self.keyboard, keys.encode())

    def until(self, done: Callable[[str], object], seconds: float = 40.0) -> str:
        """Read until what was written since the last key satisfies ``done``; fails after some time."""
        end = time.monotonic() + seconds
        while not done(self.text):
            assert time.monotonic() < end, f"not seen in {self.text[-3000:]!r}"
            if select.select([self.keyboard], [], [], 0.5)[0]:
                try:
                    self.text += os.read(self.keyboard, 65536).decode(errors="replace")
                except OSError:
                    break
        return self.text

    def wait(self) -> int:
        end = time.monotonic() + 40
        while self.process.poll() is None:
            assert time.monotonic() < end
            if select.select([self.keyboard], [], [], 0.1)[0]:
                self.text += os.read(self.keyboard, 65536).decode(errors="replace")
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.keyboard)
        os.close(self.terminal)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*words: object, **size: int) -> Terminal:
        opened.append(Terminal(*words, **size))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


Start = Callable[..., Terminal]


def test_a_live_strip_follows_stops_and_is_left_by_q(terminal: Start) -> None:
    view = terminal("view", "--demo")
    view.until(lambda text: "⣿" in text and "╵1" in text and "▾" in text)
    assert "\x1b[?1049h" in view.text
    view.press(">")
    view.until(lambda text: "50 mm/s" in text)
    view.press("-")
    view.until(lambda text: re.search(r"50 mm/s +(5|10) mm/mV", text))
    view.press(" ")
    view.until(lambda text: "stopped" in text)
    view.press("q")
    assert view.wait() == 0
    # The screen that was there before is back, the cursor, and the keyboard's echo.
    assert "\x1b[?1049l" in view.text
    assert "\x1b[?25h" in view.text
    assert termios.tcgetattr(view.terminal) == view.before
    assert "Traceback" not in view.text


@pytest.mark.slow
def test_ctrl_c_leaves_it_as_it_leaves_run(terminal: Start) -> None:
    view = terminal("view", "--demo")
    view.until(lambda text: "▾" in text)
    view.press("\x03")
    assert view.wait() == 130
    assert "\x1b[?1049l" in view.text
    assert termios.tcgetattr(view.terminal) == view.before


@pytest.mark.slow
def test_a_strip_takes_the_size_that_the_terminal_has_by_then(terminal: Start) -> None:
    view = terminal("view", "--demo", columns=60)
    view.until(lambda text: "▾" in text)
    view.resize(132, 40)
    view.press("a")
    screen = view.until(lambda text: text.count("not a medical device") > 2)
    lines = re.split(r"\r?\n", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen))
    assert 132 in {len(line) for line in lines}


def test_a_recording_is_moved_through_by_keys(recording: Path, terminal: Start) -> None:
    view = terminal("view", recording)
    first = view.until(lambda text: "╵3" in text)
    assert "rest" in first
    assert "Zebulonia" not in first
    view.press("\x1b[F")
    view.until(lambda text: "╵29" in text)
    view.press("\x1b[H")
    view.until(lambda text: "╵2" in text and "╵29" not in text)
    view.press("q")
    assert view.wait() == 0


def test_into_a_pipe_goes_one_strip(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(recording), "--duration", "12"]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert {len(line) <= 80 for line in text.splitlines()} == {True}
    assert "25 mm/s" in text
    assert "bpm  signal 9" in text
    assert "┃rest" in text
    # Strips one below the other, over the whole duration, at 3.7 s each.
    assert text.count("   s ") == 4
    assert [f"╵{second}" in text for second in (0, 5, 8, 10)] == [True] * 4


def test_a_live_source_into_a_pipe_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "--port", FAST]) == 0
    assert "╵3" in capsys.readouterr().out


def test_json_says_what_is_seen(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(recording), "--start", "20", "--duration", "10", "--json"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["type"], line["source"], line["svg"]) == ("strip", "file:*.csv", None)
    assert (line["start_s"], line["end_s"]) == (20.0, 30.0)
    assert line["marks"] == [{"at_s": 21.5, "text": "stress"}]
    assert 10 <= len(line["beats_s"]) <= 14
    assert all(20 <= at_s < 30 for at_s in line["beats_s"])
    assert line["heart_rate_bpm"] == pytest.approx(70, abs=8)


def test_a_picture(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.svg"
    assert main(["view", str(recording), "--svg", str(out), "--notch", "50"]) == 0
    assert "30.0 s in" in capsys.readouterr().err
    text = out.read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "Zebulonia" not in text
    assert "50 Hz removed" in text
    assert "not a medical device" in text
    assert out.stat().st_mode & 0o777 == 0o600
    # Nothing is overwritten.
    assert main(["view", str(recording), "--svg", str(out)]) == 5
    assert out.read_text() == text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("FILE", "--demo"), 2, "shown by itself"),
        (("--demo", "--start", "3"), 2, "--start is for a FILE"),
        (("FILE", "--web", "99999"), 2, "0-65535.\n"),
        (("FILE", "--start", "1000"), 5, ""),
        (("/no/such.csv",), 5, "such.csv"),
        (("FILE", "--svg", "/no/such/folder/a.svg"), 5, "cannot be written"),
    ],
)
def test_what_makes_no_sense(
    recording: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert main(["view", *(str(recording) if word == "FILE" else word for word in words)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_decisions_are_shown_where_they_are_asked_for(recording: Path, terminal: Start) -> None:
    view = terminal("view", recording, "--decide")
    view.until(lambda text: "warming up" in text)
    view.press("\x1b[F")
    view.until(lambda text: re.search(r"(REST|STRESS) \d+ %|no decision", text))
    view.process.send_signal(signal.SIGTERM)
    assert view.wait() == 130
