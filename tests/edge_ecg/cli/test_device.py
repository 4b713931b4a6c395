"""``edge-ecg device`` from the command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.cli import VERBS, main
from edge_ecg.deploy import Home, Releases, write_service

from ..deploy.tiny import make_home

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


@pytest.fixture
def home(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with two releases, of which none counts yet."""
    home = make_home(tmp_path / "home", bundles)
    monkeypatch.setenv("EDGE_ECG_HOME", str(home.root))
    for minor in (1, 2):
        Releases(home).create(bundles / f"{minor}.ecgb", "one", {"engine": "litert-int8"})
    return home


@pytest.fixture
def run(home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("switch 1", code=0)``: the JSON objects that it printed."""

    def json_lines(words: str, code: int = 0) -> list[dict[str, Any]]:
        assert main(["device", *words.split(), "--json"]) == code
        out, err = capsys.readouterr()
        assert ("edge-ecg: " in err) == (code != 0)
        return [json.loads(line) for line in out.splitlines()]

    return json_lines


def names(home: Home) -> list[str]:
    return [release.name for release in Releases(home).all()]


def test_the_general_help_does_not_list_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert VERBS["device"].hidden
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)
    assert set(listed) == {name for name, verb in VERBS.items() if not verb.hidden}
    with pytest.raises(SystemExit):
        main(["device", "--help"])
    assert "docs/deploy-device.md" in capsys.readouterr().out


def test_from_nothing_to_a_confirmed_release(home: Home, run: Run) -> None:
    first, second = names(home)
    assert run("switch 1") == [
        {
            "type": "switched", "release": first, "from": None, "previous": None, "confirmed": True,
            "watch_s": None,
        }
    ]  # fmt: skip
    write_service(home, {"unit": "edge-ecg.service"})
    (switched,) = run("switch 2 --watch-s 30")
    assert switched["confirmed"] is False
    assert (switched["release"], switched["previous"], switched["watch_s"]) == (second, first, 30.0)
    (status,) = run("status")
    assert status["trial"]["release"] == second
    assert run("confirm") == [{"type": "confirmed", "release": second}]
    assert run(f"confirm {first}") == [{"type": "confirmed", "release": None}]
    assert [event["event"] for event in run("watch")] == ["confirmed"]
    journal = run("journal")
    assert [entry["step"] for entry in journal] == [
        "admitted", "admitted", "switched", "confirmed", "switched", "confirmed",
    ]  # fmt: skip
    assert all(entry["type"] == "journal" for entry in journal)
    assert run("journal --last 2") == journal[-2:]


def test_back(home: Home, run: Run) -> None:
    first, second = names(home)
    run("switch 1")
    run("switch 2")
    (reverted,) = run("rollback --reason tired")
    assert reverted == {"type": "reverted", "release": first, "from": second, "reason": "tired"}
    (again,) = run(f"rollback --from {second}")
    assert again["release"] == again["from"] == first
    assert run("rollback", code=5) == []
    assert run("switch 2", code=6) == []
    run("switch 2 --again")
    assert run("rollback --reason \udcff")[0]["reason"] == "\udcff"  # a byte that is no UTF-8
    assert run("switch 2 --again")[0]["release"] == second
    assert run(f"watch {second} --timeout 1")[-1]["event"] == "confirmed"


def test_prune(home: Home, run: Run) -> None:
    first, second = names(home)
    run("switch 2")
    assert run("prune --spare 0 --keep two") == [{"type": "pruned", "removed": [first, "unused"]}]
    assert names(home) == [second]


def test_what_is_wrong_has_an_exit_code(home: Home, run: Run, bundles: Path) -> None:
    assert run("switch 9", code=2) == []
    assert run("watch", code=5) == []
    assert run("admit /no/such/file", code=4) == []
    # A tiny bundle has no golden windows.
    assert run(f"admit {bundles}/3.ecgb --runtime {sys.prefix}", code=6) == []
    (line,) = run("journal --last 1")
    assert line["step"] == "refused"
    assert "golden" in line["reason"]
    write_service(home, {})
    run("switch 1")
    assert run("watch --timeout 0", code=6)[0]["event"] == "trial"


def test_init_makes_a_home(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "new"))
    (made,) = run("init")
    assert made["start_script"] == str(tmp_path / "new/bin/edge-ecg-start")
    assert os.access(made["start_script"], os.X_OK)


def test_sentences_for_people(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = names(home)
    write_service(home, {})

    def said(words: str, code: int = 0) -> str:
        assert main(["device", *words.split()]) == code
        return capsys.readouterr().out

    assert said("switch 1 --watch-s 9") == f"{first} counts, on trial for 9 s; before: none.\n"
    assert f"{first} is on trial for 9 s" in said("watch --timeout 0", 6)
    assert said("confirm") == f"{first} is confirmed.\n"
    assert said(f"confirm {second}") == "Another release is the current one; nothing was changed.\n"
    said("switch 2")
    assert said("rollback") == f"{first} counts again; {second} was taken back: rolled back by hand.\n"
    assert "nothing to take back" in said(f"rollback --from {second}")
    assert said("prune").startswith("removed: ")
    assert "reverted" in said("journal")
    assert f"release      {first}" in said("status")
    assert "edge-ecg-start" in said("init")


def test_two_commands_at_once_take_turns(home: Home) -> None:
    """Real processes: each of them waits for the lock, and the last one's word holds."""
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "edge_ecg", "device", "switch", number, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in ("1", "2", "1", "2")
    ]  # fmt: skip
    for command in commands:
        out, err = command.communicate(timeout=120)
        assert command.returncode == 0, err
        assert json.loads(out)["confirmed"] is True
    current, previous = Releases(home).current(), Releases(home).previous()
    assert current is not None
    assert previous is not None
    assert {current.name, previous.name} == set(names(home))


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_a_trial_has_an_end(home: Home, seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_service(home, {"unit": "edge-ecg.service"})
    with pytest.raises(SystemExit, match="2"):
        main(["device", "switch", "1", f"--watch-s={seconds}"])
    assert "--watch-s" in capsys.readouterr().err
    assert Releases(home).current() is None
