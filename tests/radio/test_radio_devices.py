"""``edge-ecg devices`` on the virtual radio: what is on the air, and the address to give to ``--port``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("edge_ecg.sources.virtual_radio")

from edge_ecg.cli import devices, main
from edge_ecg.discovery import find_bluetooth, guess_radio, nearby
from edge_ecg_bridge.emulators import MovesenseEmulator, PolarEmulator
from edge_ecg_bridge.synthetic import SyntheticEcg

gatt_kinds = pytest.importorskip("edge_ecg_bridge.gatt_kinds")
ECG = SyntheticEcg(seed=3)


def test_what_is_on_the_air(air: Callable, tmp_path: Path) -> None:
    """Through unmodified bleak; another bus has radios of its own, whatever this machine has."""
    air(PolarEmulator(ECG, name="Polar H10 11111111"), MovesenseEmulator(ECG))
    scan = find_bluetooth(1.0, tmp_path)
    assert scan.reason == ""
    assert {(one.port, one.kind, one.streams) for one in scan.devices} == {
        ("ble:Polar H10 11111111", "polar-h10", True),
        ("ble:Movesense 174630000192", "movesense", True),
    }
    assert all(one.rssi_dbm is not None for one in scan.devices)


def test_the_command(
    air: Callable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    air(PolarEmulator(ECG, name="Polar H10 11111111"))
    monkeypatch.setattr(devices, "find_serial_ports", list)
    monkeypatch.setattr(nearby, "find_streams", lambda timeout_s: None)
    assert main(["devices", "--scan", "1"]) == 0
    out, err = capsys.readouterr()
    assert "ble:Polar H10 11111111" in out
    assert "edge-ecg run --port 'ble:Polar H10 11111111'" in err
    assert main(["devices", "--scan", "1", "--json"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["type"], line["kind"], line["streams"]) == ("bluetooth", "polar-h10", True)


@pytest.mark.parametrize("name", ["Polar H10 1", "Movesense 17", "Shimmer3-A1B2", "Shimmer3R-A1B2-BLE"])
def test_the_list_and_the_source_agree_on_names(name: str) -> None:
    row = guess_radio(name)
    assert row is not None
    assert row.kind == gatt_kinds.kind_by_advertisement(name)


@pytest.mark.parametrize("service", gatt_kinds.SERVICES)
def test_the_list_knows_every_service_that_the_source_reads(service: str) -> None:
    row = guess_radio("", [service])
    # Neither a Polar's own service, which it does not advertise, nor what is behind a plain UART.
    if gatt_kinds.SERVICES[service] not in ("polar-h10", gatt_kinds.UART):
        assert row is not None
        assert row.kind == gatt_kinds.SERVICES[service]
