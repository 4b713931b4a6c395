"""Flash, end to end, over a real sshd: what it does, what it leaves, what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import MakeDevice
from .device import Device

pytestmark = pytest.mark.usefixtures("clean_env")


def test_a_new_bundle_counts_and_a_second_flash_has_nothing_to_do(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = make_device(flashed)
    assert device.call("flash", str(new_bundle), "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [record["step"] for record in records if record["type"] == "step"]
    assert list(dict.fromkeys(steps)) == ["connect", "probe", "runtime", "upload", "admit", "switch"]
    assert records[-1] | {"type": "flashed", "changed": True, "confirmed": True} == records[-1]
    assert device.running() == "1.1.0"

    assert device.call("flash", str(new_bundle), "--json") == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["changed"] is False
    assert again["release"] == records[-1]["release"]
