"""The report of the service, and whether there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ecg.deploy import (
    Health,
    Home,
    has_service,
    read_health,
    read_service,
    remove_service,
    write_health,
    write_service,
)
from edge_ecg.deploy.health import is_alive

ONE = Health("0001-x-000000000000", 4711, 1_800_000_000.0)
FULL = replace(
    ONE, ready=True, device="Polar H10 (ble:)", last_sample=1.5, last_record=2, last_decision=3.25, samples=9,
    decisions=4, withheld=2, error="The link broke.",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.mark.parametrize("health", [ONE, FULL])
def test_what_is_written_is_read(home: Home, health: Health) -> None:
    assert read_health(home) is None
    write_health(home, health)
    assert read_health(home) == health
    assert home.health.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.state.iterdir()] == ["health.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"release": None}, {"release": 3}, {"pid": "1"}, {"pid": True}, {"pid": 1.5}, {"since": "now"},
        {"since": True}, {"ready": 1}, {"error": 5}, {"last_sample": "x"}, {"since": float("nan")},
        {"last_decision": float("inf")}, {"samples": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_report_that_is_none(home: Home, change: dict[str, object]) -> None:
    home.state.mkdir(parents=True)
    home.health.write_text(json.dumps(asdict(FULL) | change))
    assert read_health(home) is None


def test_fields_of_another_version(home: Home) -> None:
    home.state.mkdir(parents=True)
    home.health.write_text(json.dumps({"release": "r", "pid": 5, "since": 6, "more": [1]}))
    assert read_health(home) == Health("r", 5, 6)
    home.health.write_text(json.dumps({"release": "r", "pid": 5}))
    assert read_health(home) is None


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(home: Home, data: bytes) -> None:
    home.state.mkdir(parents=True, exist_ok=True)
    home.health.write_bytes(data)
    assert read_health(home) is None


def test_nothing_is_left_when_it_cannot_be_written(home: Home) -> None:
    home.state.mkdir(parents=True)
    home.health.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_health(home, ONE)
    assert [path.name for path in home.state.iterdir()] == ["health.json"]
    assert read_health(home) is None


def test_who_is_alive(tmp_path: Path) -> None:
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "edge-ecg service run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        assert is_alive(service.pid)
        service.kill()
    assert not is_alive(service.pid)
    assert not is_alive(0)
    assert not is_alive(-1)
    # A number that another program has now.
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "cmdline").write_bytes(b"/usr/sbin/cron\0-f\0")
    assert not is_alive(4711, tmp_path)
    (tmp_path / "4711" / "cmdline").write_bytes(b"/x/bin/python\0/x/bin/edge-ecg\0service\0run\0")
    assert is_alive(4711, tmp_path)


def test_a_service_is_there_when_it_is_installed_or_runs(home: Home) -> None:
    assert not has_service(home)
    assert read_service(home) is None
    write_health(home, ONE)
    assert not has_service(home, alive=lambda pid: False)
    assert has_service(home, alive=lambda pid: pid == 4711)
    write_service(home, {"unit": "edge-ecg.service", "manager": "systemd"})
    assert read_service(home) == {"unit": "edge-ecg.service", "manager": "systemd"}
    assert has_service(home, alive=lambda pid: False)
    home.service.write_text("torn {")
    assert read_service(home) == {}
    assert has_service(home, alive=lambda pid: False)
    remove_service(home)
    remove_service(home)
    assert not has_service(home, alive=lambda pid: False)


def test_the_home_of_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Home.default({"EDGE_ECG_HOME": "/x/../y", "HOME": "/h"}).root == Path("/y")
    assert Home.default({"HOME": "/h"}).root == Path("/h/.local/share/edge-ecg")
    assert Home.default({"EDGE_ECG_HOME": ""}).root == Path.home() / ".local/share/edge-ecg"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_ECG_HOME", "here")
    assert Home.default().root == Path(os.getcwd()) / "here"
