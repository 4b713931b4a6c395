"""Finding a device by name or address, and what is said when that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.ble import BleDoor
from edge_ecg.sources.ble_scan import is_address
from edge_ecg_bridge.emulators import MovesenseEmulator, PolarEmulator
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
TWO = ("Polar H10 11111111", "Polar H10 22222222")


def two_straps() -> list[PolarEmulator]:
    return [PolarEmulator(ECG, name=name) for name in TWO]


@pytest.mark.parametrize(
    "wanted", ["Movesense 174630000192", "movesense", "F0:00:00:00:00:03", "f0:00:00:00:00:03"]
)
def test_by_name_beginning_or_address(air: Callable, wanted: str, look_for: Callable) -> None:
    radio = air(*two_straps(), MovesenseEmulator(ECG))
    found = look_for(wanted)
    assert (found.address, found.name) == ("F0:00:00:00:00:03", "Movesense 174630000192")
    assert radio.bluez.calls.count("StopDiscovery") == radio.bluez.calls.count("StartDiscovery") == 1


def test_of_two_straps_one_by_its_whole_name(air: Callable, look_for: Callable) -> None:
    air(*two_straps())
    assert look_for(TWO[1]).address == "F0:00:00:00:00:02"


def test_two_straps_and_only_the_beginning_of_a_name(air: Callable, look_for: Callable) -> None:
    air(*two_straps())
    with pytest.raises(DeviceError, match="2 Bluetooth LE devices are called Polar H10") as caught:
        look_for("Polar H10")
    for number, name in enumerate(TWO, 1):
        assert f"ble:F0:00:00:00:00:0{number} ({name})" in caught.value.why


def test_nothing_of_that_name(air: Callable, look_for: Callable) -> None:
    air(PolarEmulator(ECG))
    with pytest.raises(DeviceError, match="No Bluetooth LE device Movesense was heard") as caught:
        look_for("Movesense", listen_s=0.5)
    assert "Polar H10 12345678" in caught.value.why
    assert "worn and wet" in caught.value.remedy


def test_a_strap_that_a_dead_program_left_connected(
    air: Callable, meet: Callable, look_for: Callable
) -> None:
    radio = air(PolarEmulator(ECG))
    left = meet(radio, "ble:Polar H10 12345678")
    left.listen(1)
    found = look_for("Polar H10", listen_s=0.5)
    assert found.address == "F0:00:00:00:00:01"


def test_another_adapter(air: Callable) -> None:
    radio = air(PolarEmulator(ECG))
    opened = BleDoor(parse_address("ble:Polar H10 12345678?adapter=hci0"), clock=radio.now)
    link, _ = opened.connect()
    link.close()
    other = BleDoor(parse_address("ble:Polar H10 12345678?adapter=hci9"), clock=radio.now)
    with pytest.raises(DeviceError, match="no Bluetooth adapter hci9"):
        other.connect()


def test_without_a_daemon(air: Callable, look_for: Callable) -> None:
    radio = air()
    radio.run(radio.bluez.die())
    with pytest.raises(DeviceError, match="daemon does not run") as caught:
        look_for("Polar H10")
    assert "systemctl enable --now bluetooth" in caught.value.remedy


def test_without_a_bus(
    air: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look_for: Callable
) -> None:
    air().close()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    with pytest.raises(DeviceError, match="D-Bus, over which Bluetooth is reached, does not run"):
        look_for("Polar H10")


def test_addresses_and_names() -> None:
    assert is_address("F0:00:00:00:00:03")
    assert is_address("12345678-1234-1234-1234-123456789abc")
    assert not is_address("Polar H10")


@pytest.mark.parametrize(
    ("address", "device", "says"),
    [
        ("ble:", None, "names no device"),
        ("ble:X", "toaster", "no Bluetooth LE device kind 'toaster'"),
        ("ble:X?gain=4", "polar-h10", "unknown option 'gain'"),
        ("ble:X?acceleration=7", "polar-h10", "acceleration=7"),
        ("ble:X?bold=yes", None, "unknown option 'bold'"),
    ],
)
def test_an_address_that_makes_no_sense(address: str, device: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        BleDoor(parse_address(address), device=device)
