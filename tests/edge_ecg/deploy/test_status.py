"""The status of a device: made-up machines, real homes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.bundle import PublicKey
from edge_ecg.cli.device_text import TEXTS
from edge_ecg.deploy import Health, Home, Releases, write_health, write_service
from edge_ecg.deploy.status import device_status
from edge_ecg.health import Host

from .tiny import NOW


def no_command(_: Sequence[str]) -> str | None:
    return None


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A hot Pi whose supply was once too low."""
    files = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
        "sys/class/thermal/thermal_zone0/temp": "71250\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50004\n",
        "run/systemd/timesync/synchronized": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Host(root=tmp_path, command=no_command, clock=lambda: NOW + 100, free=lambda _: 5_000_000_000)


def status(home: Home, host: Host) -> dict[str, Any]:
    found = device_status(home, host=host, env={"HOME": str(home.root)})
    # What it promises: nothing but JSON, and no NaN.
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert TEXTS["status"](found)
    return found


def test_a_device_on_which_nothing_was_put(tmp_path: Path, host: Host) -> None:
    found = status(Home(tmp_path / "none" / "at" / "all"), host)
    for name in (
        "release",
        "model",
        "version",
        "previous",
        "trial",
        "health",
        "service",
        "last_decision_age_s",
    ):
        assert found[name] is None, name
    assert found["releases"] == found["history"] == []
    assert not (tmp_path / "none").exists()


def test_the_machine(home: Home, host: Host) -> None:
    found = status(home, host)
    assert found["temperature_c"] == 71.25
    assert found["throttled"] == {
        "bits": 0x50004, "now": ["throttled"], "since_boot": ["under-voltage", "throttled"],
    }  # fmt: skip
    assert found["clock_synchronised"] is True
    assert found["disk_free_bytes"] == 5_000_000_000
    assert found["keys"] == []
    poor = replace(host, root=home.root, free=_fails)
    found = status(home, poor)
    for name in ("temperature_c", "throttled", "clock_synchronised", "disk_free_bytes"):
        assert found[name] is None, name
    assert "unknown" in TEXTS["status"](found)


def _fails(_: Path) -> int:
    raise OSError("no such disk")


def test_a_trial_with_a_running_service(home: Home, releases: Releases, host: Host, bundles: Path) -> None:
    old = releases.create(bundles / "1.ecgb", "one", {})
    releases.switch(old)
    new = releases.create(bundles / "2.ecgb", "one", {})
    releases.switch(new, 60.0)
    write_service(home, {"unit": "edge-ecg.service"})
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "edge-ecg service run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        write_health(
            home,
            Health(
                new.name, service.pid, NOW + 10, True, "sim:", NOW + 99.5, NOW + 99.0, NOW + 97.0, 2560, 3, 8
            ),
        )
        found = status(home, host)
        service.kill()
    assert (found["release"], found["previous"], found["confirmed"]) == (new.name, old.name, False)
    assert (found["model"], found["version"]) == (new.model, "0.2.0")
    assert found["trial"] == {"release": new.name, "previous": old.name, "since": NOW, "watch_s": 60.0}
    assert found["service"] == {"installed": True, "unit": "edge-ecg.service"}
    assert found["health"] == {
        "release": new.name, "pid": service.pid, "alive": True, "up_s": 90.0, "ready": True, "device": "sim:",
        "last_sample_age_s": 0.5, "last_record_age_s": 1.0, "last_decision_age_s": 3.0,
        "samples": 2560, "decisions": 3, "withheld": 8, "error": None,
    }  # fmt: skip
    assert found["last_decision_age_s"] == 3.0
    assert status(home, host)["health"]["alive"] is False
    assert [entry["step"] for entry in found["history"]] == [
        "admitted", "switched", "confirmed", "admitted", "switched",
    ]  # fmt: skip
    assert [(one["release"], one["confirmed"], one["bad"]) for one in found["releases"]] == [
        (old.name, True, None), (new.name, False, None),
    ]  # fmt: skip


def test_a_release_that_was_taken_back(home: Home, releases: Releases, host: Host, bundles: Path) -> None:
    releases.switch(releases.create(bundles / "1.ecgb", "one", {}))
    new = releases.create(bundles / "2.ecgb", "one", {})
    releases.switch(new, 60.0)
    releases.revert("it failed")
    found = status(home, host)
    assert found["releases"][1]["bad"] == "it failed"
    assert found["history"][-1]["step"] == "reverted"
    assert "taken back: it failed" in TEXTS["status"](found)


def test_the_start_script_took_one_back_and_nobody_wrote_that_down(
    home: Home, releases: Releases, host: Host, bundles: Path
) -> None:
    for minor in (1, 2):
        releases.switch(releases.create(bundles / f"{minor}.ecgb", "one", {}))
    old, good = (releases.get(number) for number in ("1", "2"))
    new = releases.create(bundles / "3.ecgb", "one", {})
    releases.switch(new, 60.0)
    home.fallbacks.write_text(f"{new.name} {good.name} 1800000060 it was started 3 times\n")
    home.current.unlink()
    home.current.symlink_to(f"releases/{good.name}")
    found = status(home, host)
    assert (found["release"], found["previous"], found["trial"]) == (good.name, old.name, None)
    assert found["history"][-1] == {
        "time": "2027-01-15T08:01:00Z", "deployment": "", "step": "reverted", "release": new.name,
        "reason": "it was started 3 times", "to": good.name, "by": "edge-ecg-start",
    }  # fmt: skip
    releases.confirm()
    assert [entry["step"] for entry in status(home, host)["history"]].count("reverted") == 1


def test_a_clock_that_was_set_back_gives_no_negative_age(home: Home, host: Host) -> None:
    write_health(home, Health("r", os.getpid(), NOW + 1e6, last_decision=NOW + 1e6))
    found = status(home, host)
    assert found["last_decision_age_s"] == 0.0
    assert found["health"]["up_s"] == 0.0


def test_keys(home: Home, host: Host) -> None:
    folder = home.root / ".config/edge-ecg/trusted_keys"
    folder.mkdir(parents=True, mode=0o700)
    key = PublicKey(bytes(range(32)), "ann@workstation")
    (folder / "ann.pub").write_text(f"{key.line}\n")
    assert status(home, host)["keys"] == [str(key)]
    (folder / "ann.pub").write_text("no key")
    assert status(home, host)["keys"] is None
