"""``edge-ecg forget`` as a user starts it, with files that enrol, run and record have made."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ecg.cli import main

FAST = "sim:shimmer3?speed=max"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], home: Path) -> Callable[..., tuple[int, str, str]]:
    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(map(str, words)))
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anna(call: Call, home: Path, tmp_path: Path, personal_bundle_path: Path) -> str:
    """Somebody with a profile, the one before it, and recordings by enrol, run and record; her pseudonym."""
    model = ("--model", personal_bundle_path, "--person", "ANNA", "--port", FAST)
    before = os.umask(0)
    try:
        code, out, err = call("enrol", *model, "--duration", 30, "--json", "--record", tmp_path / "rest.csv")
        assert code == 0, err
        assert call("enrol", *model, "--duration", 30)[0] == 0
        assert call("run", *model, "--duration", 12, "--record", tmp_path / "run.csv")[0] == 0
        recorded = ("record", "--person", "ANNA", "--port", FAST, "--duration", 1)
        assert call(*recorded, "--record", tmp_path / "long.csv")[0] == 0
    finally:
        os.umask(before)
    return str(json.loads(out.splitlines()[-1])["person"])


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_everything_that_was_made_for_a_person_goes(
    call: Call, home: Path, tmp_path: Path, anna: str
) -> None:
    made = {"rest.csv", "run.csv", "long.csv", f"{anna}.json", f"{anna}.prev.json"}
    assert files(tmp_path) == made | {"people.json", "people.lock"}
    # With a umask of 0: all files are for their owner alone, and so are the folders.
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "people.json":
            assert "ANNA" not in path.read_text()

    code, out, _ = call("forget", "ANNA", "--dry-run", "--json")
    assert code == 0
    *lines, total = map(json.loads, out.splitlines())
    assert {Path(line["path"]).name for line in lines} == made
    assert {line["fate"] for line in lines} == {"remove"}
    assert total == {"type": "forget", "person": anna, "dry_run": True, "removed": 0, "incomplete": 0}
    assert files(tmp_path) >= made

    code, out, err = call("forget", "ANNA", "--yes")
    assert (code, err) == (0, "")
    assert f"{anna}: 5 files were removed." in out
    assert files(tmp_path) == {"people.json", "people.lock"}
    assert "ANNA" not in (home / "people.json").read_text()
    code, _, err = call("forget", "ANNA", "--yes")
    assert (code, "Nobody is called 'ANNA' here" in err) == (5, True)


def test_list_then_forget_by_pseudonym_says_what_is_left(call: Call, tmp_path: Path, anna: str) -> None:
    code, out, _ = call("forget", "--list", "--json")
    (line,) = map(json.loads, out.splitlines())
    assert (code, line["person"], line["name"], len(line["files"])) == (0, anna, "ANNA", 4)
    assert f"{anna}  ANNA" in call("forget", "--list")[1]

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run.csv").rename(tmp_path / "elsewhere" / "moved.csv")
    code, out, err = call("forget", anna, "--yes", "--json")
    assert code == 5
    assert "1 file is left to look for by hand" in err
    assert "run.csv: it is no longer there: moved, renamed or removed by hand" in err
    *lines, total = map(json.loads, out.splitlines())
    assert {line["fate"] for line in lines} == {"removed", "gone"}
    assert (total["removed"], total["incomplete"]) == (4, 1)
    assert "moved.csv" in files(tmp_path)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Whom?"),
        (("--list", "ANNA"), 2, "--list takes no name"),
        (("nobody", "--yes"), 5, "Nobody is called 'nobody' here"),
        (("\x1b[2J", "--yes"), 2, "cannot be a person's name"),
    ],
)
def test_what_makes_no_sense(call: Call, words: tuple[str, ...], code: int, said: str) -> None:
    found, out, err = call("forget", *words)
    assert (found, out) == (code, "")
    assert said in err


def test_a_file_with_an_odd_name_locks_nobody_out(call: Call, tmp_path: Path) -> None:
    """Not UTF-8, and with a line end in it: both are names of files on Linux."""
    odd = tmp_path / os.fsdecode(b"ben\n\xff.csv")
    recorded = ("--person", "BEN", "--port", FAST, "--duration", 1, "--record", odd)
    code, _, err = call("record", *recorded)
    assert code == 0, err
    assert "ben\N{REPLACEMENT CHARACTER}" in call("forget", "--list")[1]
    code, out, err = call("forget", "BEN", "--yes", "--json")
    assert code == 0, err
    assert json.loads(out.splitlines()[0])["path"] == str(odd)
    assert not odd.exists()


def test_a_person_without_a_baseline_and_an_unknown_one(call: Call, tmp_path: Path) -> None:
    code, _, err = call("run", "--person", "BEN", "--port", FAST, "--duration", 1)
    assert (code, "Nobody is called 'BEN' here" in err) == (2, True)
    recorded = ("--person", "BEN", "--port", FAST, "--duration", 1, "--record", tmp_path / "ben.csv")
    code, out, err = call("run", *recorded, "--json")
    assert code == 0, err
    assert "BEN has no baseline here; deciding without one" in err
    assert json.loads(out.splitlines()[0])["profile"] is None
    assert "BEN" not in out
    code, _, err = call("enrol", "--undo", "--person", "BEN")
    assert (code, "BEN has no profile here" in err) == (5, True)


def test_a_recording_that_did_not_come_about_is_not_kept_in_mind(call: Call, tmp_path: Path) -> None:
    words = ("record", "--person", "BEN", "--port", tmp_path / "no-such-port", "--record", tmp_path / "b.csv")
    assert call(*words)[0] == 3
    (line,) = map(json.loads, call("forget", "--list", "--json")[1].splitlines())
    assert line["files"] == []


def test_undo_of_the_only_profile_takes_it_out_of_the_index(
    call: Call, tmp_path: Path, personal_bundle_path: Path
) -> None:
    taken = ("--port", FAST, "--duration", 30, "--model", personal_bundle_path)
    assert call("enrol", *taken)[0] == 0
    (line,) = map(json.loads, call("forget", "--list", "--json")[1].splitlines())
    assert (line["name"], [file["kind"] for file in line["files"]]) == (None, ["profile"])
    # The same profile again is the same person's.
    assert call("enrol", *taken)[0] == 0
    assert len(call("forget", "--list", "--json")[1].splitlines()) == 1
    assert call("enrol", "--undo")[0] == 0
    assert call("enrol", "--undo")[0] == 0
    (line,) = map(json.loads, call("forget", "--list", "--json")[1].splitlines())
    assert line["files"] == []


@pytest.mark.parametrize(("answer", "left"), [("no", 1), ("", 1), ("yes", 0)])
def test_it_asks_on_a_terminal_and_only_there(
    call: Call, home: Path, tmp_path: Path, answer: str, left: int
) -> None:
    recorded = tmp_path / "r.csv"
    assert call("record", "--person", "ANNA", "--port", FAST, "--duration", 1, "--record", recorded)[0] == 0
    command = [sys.executable, "-m", "edge_ecg", "forget", "ANNA"]
    deaf = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (deaf.returncode, deaf.stdout) == (2, "")
    assert "--yes" in deaf.stderr
    assert recorded.exists()

    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, f"{answer}\n".encode())
        done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, check=False)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == 0
    assert str(recorded) in done.stderr
    assert recorded.exists() == bool(left)


def test_an_index_that_cannot_be_written_is_noticed_before_the_rest_begins(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "file" / "home"))
    words = ("enrol", "--port", FAST, "--duration", 30, "--profile", tmp_path / "p.json")
    code, out, err = call(*words)
    assert (code, out) == (5, "")
    assert "people.json cannot be written" in err
    assert not (tmp_path / "p.json").exists()


def test_a_file_whose_name_is_no_text(home: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\x1b[2J.csv"
    recorded = ("record", "--person", "ANNA", "--port", FAST, "--duration", "1", "--record", path)
    for words in (recorded, ("forget", "--list"), ("forget", "ANNA", "--yes")):
        done = subprocess.run(
            [sys.executable, "-m", "edge_ecg", *words],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        assert b"\x1b" not in done.stdout
    assert not os.path.exists(path)
