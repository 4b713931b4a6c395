"""Fleets: twenty devices on loopback, each behind an sshd of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ecg.cli import main

from .conftest import MakeDevice
from .device import Device
from .processes import await_ssh_gone
from .sshd import User

pytestmark = pytest.mark.usefixtures("clean_env")

HOSTS = 20


def fleet_file(path: Path, devices: list[Device]) -> Path:
    lines = []
    for number, one in enumerate(devices, start=1):
        group = "odd" if number % 2 else "even"
        lines += ["[[host]]", f'address = "{one.name}"', f'name = "bed {number}"', f'groups = ["{group}"]']
    path.write_text("\n".join(lines) + "\n")
    return path


def call(verb: str, *words: str, client_config: Path) -> int:
    return main([verb, *words, "--ssh-config", str(client_config)])


def hosts(output: str) -> dict[str, dict[str, object]]:
    records = [json.loads(line) for line in output.splitlines()]
    return {record["host"]: record for record in records if record["type"] == "host"}


def states(output: str) -> list[object]:
    return [record["state"] for record in hosts(output).values()]


@pytest.fixture
def devices(make_device: MakeDevice, flashed: Device) -> list[Device]:
    return [make_device(flashed) for _ in range(HOSTS)]


def break_home(device: Device) -> None:
    subprocess.run(["chown", "root", str(device.home.root)], check=True)


def mend_home(device: Device, user: User) -> None:
    subprocess.run(["chown", user.name, str(device.home.root)], check=True)


def test_a_rollout_halts_at_the_stage_in_which_a_host_fails(
    devices: list[Device], new_bundle: Path, tmp_path: Path, user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = fleet_file(tmp_path / "fleet.toml", devices)
    config = devices[0].client.config
    break_home(devices[1])  # the second host is the second stage: 10 % of 20 are 2
    code = call("flash", str(new_bundle), "--hosts", str(fleet), "--json", client_config=config)
    output = capsys.readouterr().out
    assert code == 7
    assert states(output) == ["done", "failed"] + ["untouched"] * (HOSTS - 2)
    assert "may not write" in str(hosts(output)["bed 2"]["error"])
    assert [one.running() for one in devices] == ["1.1.0"] + ["1.0.0"] * (HOSTS - 1)
    last = json.loads(output.splitlines()[-1])
    assert last == {"type": "rollout", "hosts": 20, "done": 1, "failed": 1, "untouched": 18, "halted": True}

    # Mended, the same command goes on; whom it has reached is left alone. (Three hosts, to be quick.)
    mend_home(devices[1], user)
    fleet_file(fleet, devices[:3])
    assert call("flash", str(new_bundle), "--hosts", str(fleet), "--json", client_config=config) == 0
    assert states(capsys.readouterr().out) == ["same", "done", "done"]
    assert [one.running() for one in devices[:3]] == ["1.1.0"] * 3

    # And back again, where it is asked for.
    assert call("rollback", "--hosts", str(fleet), "--group", "odd", "--json", client_config=config) == 0
    assert states(capsys.readouterr().out) == ["done", "done"]
    assert [one.running() for one in devices[:3]] == ["1.0.0", "1.1.0", "1.0.0"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_at_once_one_fails_the_others_are_done(
    devices: list[Device], new_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = fleet_file(tmp_path / "fleet.toml", devices)
    config = devices[0].client.config
    break_home(devices[12])
    words = ["--hosts", str(fleet), "--json", "--stages", "100%", "--jobs", "20"]
    assert call("flash", str(new_bundle), *words, client_config=config) == 7
    told = states(capsys.readouterr().out)
    assert told.count("done") == HOSTS - 1
    assert told[12] == "failed"
    for number, one in enumerate(devices):
        assert one.running() == ("1.0.0" if number == 12 else "1.1.0")


@pytest.mark.slow
def test_what_a_halted_rollout_did_is_taken_back_when_asked(
    make_device: MakeDevice,
    flashed: Device,
    new_bundle: Path,
    tmp_path: Path,
    user: User,
    capsys: pytest.CaptureFixture[str],
) -> None:
    devices = [make_device(flashed) for _ in range(3)]
    break_home(devices[1])
    fleet = fleet_file(tmp_path / "fleet.toml", devices)
    words = ["--hosts", str(fleet), "--stages", "1,2", "--revert-on-halt"]
    assert call("flash", str(new_bundle), *words, client_config=devices[0].client.config) == 7
    told = capsys.readouterr()
    assert "1 failed, 1 untouched, 1 reverted" in told.out
    assert "Halted." in told.err
    assert [one.running() for one in devices] == ["1.0.0"] * 3
    # The same command again goes on: nothing speaks against the model on the devices that went back.
    mend_home(devices[1], user)
    assert call("flash", str(new_bundle), *words, client_config=devices[0].client.config) == 0
    assert [one.running() for one in devices] == ["1.1.0"] * 3


@pytest.mark.slow
def test_ctrl_c_ends_what_was_begun_and_begins_nobody_else(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, tmp_path: Path
) -> None:
    devices = [make_device(flashed) for _ in range(3)]
    fleet = fleet_file(tmp_path / "fleet.toml", devices)
    words = ["flash", str(new_bundle), "--hosts", str(fleet), "--json"]
    argv = [sys.executable, "-m", "edge_ecg", *words, "--ssh-config", str(devices[0].client.config)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as flash:
        assert flash.stdout is not None
        assert flash.stderr is not None
        for line in flash.stdout:
            if json.loads(line).get("step") == "upload":
                flash.send_signal(signal.SIGINT)
                break
        # Not communicate(): it would miss what the loop has read ahead, up to the middle of a line.
        out, err = flash.stdout.read(), flash.stderr.read()
    assert (flash.returncode, "Traceback" in err) == (130, False)
    told = states(out)
    assert told[0] in {"failed", "done"}
    assert told[1:] == ["untouched"] * 2
    assert devices[0].running() in {"1.0.0", "1.1.0"}
    assert [one.running() for one in devices[1:]] == ["1.0.0"] * 2
    await_ssh_gone(devices[0].client)


def test_status_of_a_fleet_of_which_one_is_off(
    make_device: MakeDevice, flashed: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devices = [make_device(flashed), make_device(flashed)]
    devices[1].sshd.stop()
    fleet = fleet_file(tmp_path / "fleet.toml", devices)
    config = devices[0].client.config
    assert call("status", "--hosts", str(fleet), "--json", client_config=config) == 7
    found = hosts(capsys.readouterr().out)
    assert found["bed 1"]["status"]["version"] == "1.0.0"  # type: ignore[index]
    assert "nobody in" in found["bed 2"]["error"]["what"]  # type: ignore[index]
    assert call("status", "--hosts", str(fleet), client_config=config) == 7
    told = capsys.readouterr()
    assert "bed 2  does not answer" in told.out
    assert "bed 1  0001-stress-" in told.out
    assert "bed 2: " in told.err
