"""``edge-ecg enrol`` as a user starts it, and what ``run`` and ``replay`` make of the profile."""

from __future__ import annotations

import io
import json
import shlex
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge_ecg.bundle import read_bundle
from edge_ecg.cli import main
from edge_ecg.cli.enrol import default_path
from edge_ecg.profile import load_profile

FAST = "sim:shimmer3?speed=max"


class Done(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def call(*arguments: object) -> Done:
    """Run the command in this process: starting one takes longer than most of what is done here."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as exit_:  # argparse
            code = int(exit_.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def answers(text: str) -> list[Any]:
    return [record["decision"] for record in records(text) if record["type"] == "decision"]


def test_enrol_then_the_printed_command_then_undo(personal_bundle_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "my profile.json"
    done = call(
        *("enrol", "--port", FAST, "--duration", 31, "--model", personal_bundle_path, "--profile", path)
    )
    assert done.returncode == 0, done.stderr
    assert "Sit still" in done.stdout
    person = load_profile(path).person
    assert person is not None
    assert f"Baseline of {person}, 31 s at rest: 5 good windows, heart rate 7" in done.stdout
    command = next(line for line in done.stdout.splitlines() if line.startswith("Now: "))
    words = shlex.split(command.removeprefix("Now: "))
    assert words[:4] == ["edge-ecg", "run", "--profile", str(path)]

    personal = call(*words[1:], "--duration", 13, "--json")
    assert personal.returncode == 0, personal.stderr
    start = records(personal.stdout)[0]
    # Not by the file's name, which may be a person's.
    assert start["profile"] == person
    assert start["personal"] == ["stress"]
    plain = call(*("run", "--port", FAST, "--duration", 13, "--json", "--model", personal_bundle_path))
    assert records(plain.stdout)[0]["profile"] is None
    assert answers(plain.stdout) != answers(personal.stdout)

    undone = call("enrol", "--undo", "--profile", path)
    assert undone.returncode == 0, undone.stderr
    assert undone.stdout == f"{path} is removed; there was no profile before it.\n"
    assert not path.exists()


def test_json_is_one_object_a_line_and_the_last_is_the_profile(
    personal_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_ECG_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    kept = tmp_path / "rest.csv"
    done = call(
        *("enrol", "--port", FAST, "--duration", 30, "--model", personal_bundle_path, "--json"),
        *("--record", kept, "--notch", 50),
    )
    assert done.returncode == 0, done.stderr
    *seen, last = records(done.stdout)
    windows = [record for record in seen if record["type"] == "window"]
    assert [record["end_s"] for record in windows] == list(range(10, 31))
    assert [record["kept"] for record in windows].count(True) == last["windows"] == 4
    path = Path(last["path"])
    assert path == tmp_path / "data" / "edge-ecg" / "profile.json"
    assert (last["type"], last["model"]) == ("profile", read_bundle(personal_bundle_path).name_at_sha)
    assert load_profile(path).notch_hz == 50.0

    # The same samples from the file, at once: the same baseline.
    again = tmp_path / "again.json"
    done = call(
        *("enrol", "--port", f"file:{kept}", "--duration", 30, "--model", personal_bundle_path),
        *("--notch", 50, "--profile", again),
    )
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(file.read_text()) for file in (path, again))
    assert first["embedding"] == second["embedding"]
    assert first["scale"] == second["scale"]

    # Behind another filter it does not hold.
    done = call("replay", kept, "--profile", path, "--model", personal_bundle_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--notch 50" in done.stderr


def test_refit_from_a_recording_with_marks_and_back(personal_bundle_path: Path, tmp_path: Path) -> None:
    path, kept = tmp_path / "p.json", tmp_path / "day.csv"
    assert call("record", "--port", FAST, "--duration", 75, "--record", kept).returncode == 0
    model = ("--model", personal_bundle_path, "--profile", path)
    enrolled = call("enrol", "--port", f"file:{kept}", "--duration", 31, *model)
    assert enrolled.returncode == 0, enrolled.stderr
    refused = call("enrol", "--refit", "--port", f"file:{kept}", *model)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert "holds no marks" in refused.stderr

    (tmp_path / "day.marks.csv").write_text("t_s,label\n0,rest\n38,stress\n")
    done = call("enrol", "--refit", "--port", f"file:{kept}", *model, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = records(done.stdout)
    assert line["type"] == "refit"
    # 1 to 26 s and 41 to 61 s, five seconds apart.
    assert line["examples"] == {"rest": 6, "stress": 5}
    assert list(load_profile(path).heads) == ["stress"]

    assert call("enrol", "--undo", "--profile", path).returncode == 0
    assert load_profile(path).heads == {}


def test_a_profile_of_another_model_is_exit_code_4_naming_both(
    bundle_path: Path, personal_bundle_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "p.json"
    done = call(
        *("enrol", "--port", FAST, "--duration", 30, "--model", personal_bundle_path, "--profile", path)
    )
    assert done.returncode == 0, done.stderr
    text = path.read_text()
    entries = json.loads(text)
    path.write_text(text.replace(entries["encoder_sha256"], "0" * 64))
    done = call("run", "--port", FAST, "--profile", path, "--model", bundle_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert entries["model"] in done.stderr
    assert read_bundle(bundle_path).name_at_sha in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--port", FAST, "--duration", "29"), 2),
        (("--port", FAST, "--record", "x.csv", "--profile", "x.csv"), 2),
        (("--undo", "--refit"), 2),
        (("--refit",), 2),
        (("--refit", "--demo"), 2),
        (("--refit", "--port", "sim:"), 2),
        (("--undo", "--profile", "nowhere.json"), 5),
        (("--refit", "--port", "file:x.csv", "--profile", "nowhere.json"), 5),
    ],
    ids=str,
)
def test_wrong_usage_stops_before_anything_is_opened(
    arguments: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("enrol", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (".", "cannot be written.\n  why: Is a directory"),
        ("today.csv/me.json", "cannot be written.\n  why: Not a directory"),
        ("today.csv", "is no profile of edge-ecg; it is not replaced"),
    ],
)
def test_where_no_profile_can_be_kept_is_said_before_two_minutes_at_rest(
    profile: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "today.csv").write_text("sample,ecg_mv\n0,0.1\n")
    done = call("enrol", "--port", FAST, "--profile", profile)
    assert (done.returncode, done.stdout) == (5, "")
    assert said in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["today.csv"]
    assert (tmp_path / "today.csv").read_text() == "sample,ecg_mv\n0,0.1\n"


def test_a_context_below_zero_is_wrong_usage(personal_bundle_path: Path, tmp_path: Path) -> None:
    done = call("run", "--port", FAST, "--context", "-1", "--model", personal_bundle_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_an_interrupt_keeps_the_old_profile(personal_bundle_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    precious = '{"type": "edge-ecg profile", "and": "precious"}'
    path.write_text(precious)
    command = [sys.executable, "-m", "edge_ecg", "enrol", "--port", "sim:shimmer3?speed=20", "--json"]
    command += ["--model", str(personal_bundle_path), "--profile", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any('"window"' in line for line in lines)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert path.read_text() == precious
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.json"]


def test_the_default_profile_is_the_user_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    own = Path("/home/ann/.local/share/edge-ecg/profile.json")
    assert default_path({}) == own
    assert default_path({"XDG_DATA_HOME": "relative"}) == own
    assert default_path({"XDG_DATA_HOME": "/data"}) == Path("/data/edge-ecg/profile.json")
