"""A Polar H10 through unmodified bleak, D-Bus and BlueZ's interface, as a Raspberry Pi has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg.errors import DeviceError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import ble
from edge_ecg.sources.address import parse_address
from edge_ecg_bridge.emulators import FaultyLink, PolarEmulator, Reservoir
from edge_ecg_bridge.gatt import Value
from edge_ecg_bridge.polar.pmd import Measurement, Operation, Status
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
STRAP = "ble:Polar H10 12345678"
HALF_A_MICROVOLT = 0.000501


def expected_mv(n: int, fs_hz: float) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


def test_a_strap_streams_without_a_gap_and_is_stopped(air: Callable, meet: Callable) -> None:
    strap = PolarEmulator(ECG, rate_error=0.02)
    said = meet(air(strap), STRAP)
    said.listen(35 * 73)
    assert said.ready.fs_hz == 130.0
    assert said.ready.details["battery_percent"] == 83
    assert said.lost == 0
    assert said.numbers.tolist() == list(range(said.count))
    assert np.abs(said.ecg_mv - expected_mv(said.count, 132.6)).max() <= HALF_A_MICROVOLT
    # The first frame's spacing is the nominal one; all later ones come from the strap's own clock.
    np.testing.assert_allclose(np.diff(said.time_s[73:]), 1 / 132.6, rtol=1e-6)
    assert said.samples[-1].acceleration_g[-1] == pytest.approx([0, 1, 0], abs=0.02)
    assert {note.name for note in said.notes} == {"heart_rate"}
    said.stop()
    assert not strap.running


def test_lost_and_doubled_frames_are_counted_by_the_straps_time(air: Callable, meet: Callable) -> None:
    link = FaultyLink(PolarEmulator(ECG), lost=(4, 5, 20), doubled=(7,))
    said = meet(air(link), STRAP)
    said.listen(30 * 73)
    assert [block.gap_before for block in said.samples if block.gap_before] == [146, 73]
    assert said.lost == link.samples_lost
    assert said.session.counters["duplicates"] == 1
    assert (
        np.abs(said.ecg_mv - expected_mv(said.numbers[-1] + 1, 130.0)[said.numbers]).max() <= HALF_A_MICROVOLT
    )


@pytest.mark.parametrize("rate_error", [-0.02, 0.02])
def test_five_seconds_of_nothing(air: Callable, meet: Callable, rate_error: float) -> None:
    strap = FaultyLink(PolarEmulator(ECG, rate_error=rate_error), silent=(40.0, 45.0))
    radio = air(strap)
    said = meet(radio, STRAP)
    said.until(lambda: said.lost > 0)
    assert said.lost == strap.samples_lost > 500


def test_a_broken_link_is_noticed_and_another_one_made(air: Callable, meet: Callable, door: Callable) -> None:
    strap = FaultyLink(PolarEmulator(ECG), drop_at=6)
    radio = air(strap)
    opened = door(radio, STRAP)
    said = meet(radio, opened)
    with pytest.raises(Exception, match="link broke"):
        said.listen(10**6)
    assert said.count == 7 * 73  # what came before the break is not lost with it
    assert not strap.device.running
    again = meet(radio, opened)
    again.listen(5 * 73)
    assert again.numbers.tolist() == list(range(again.count))
    again.stop()


def test_the_bluetooth_daemon_dies_in_mid_stream(air: Callable, meet: Callable, door: Callable) -> None:
    radio = air(PolarEmulator(ECG))
    opened = door(radio, STRAP)
    said = meet(radio, opened)
    said.listen(5 * 73)
    radio.run(radio.bluez.die())
    with pytest.raises(BridgeError, match="Nothing from the strap for 7 s"):
        said.listen(10**6)
    assert said.link._client.is_connected  # bleak has not noticed: only silence tells
    assert not said.link.lost
    said.link.close()
    with pytest.raises(DeviceError, match="daemon does not run"):
        opened.connect()
    radio.run(radio.bluez.come_back())
    again = meet(radio, opened)
    again.listen(5 * 73)
    again.stop()


def test_the_adapter_is_switched_off_in_mid_stream(air: Callable, meet: Callable, look_for: Callable) -> None:
    radio = air(PolarEmulator(ECG))
    said = meet(radio, STRAP)
    said.listen(3 * 73)
    radio.run(radio.bluez.set_powered(False))
    with pytest.raises(Exception, match="link broke"):
        said.listen(10**6)
    with pytest.raises(DeviceError, match="adapter is switched off") as caught:
        look_for("Polar H10 12345678")
    assert "rfkill unblock bluetooth" in caught.value.remedy


@pytest.mark.parametrize(
    "errors",
    [
        [("Failed", "le-connection-abort-by-local")],
        [("Failed", "le-connection-abort-by-local")] * 2,
        [("Failed", "Software caused connection abort")] * 2,
    ],
    ids=["one abort", "two aborts", "two failures"],
)
def test_a_link_that_comes_about_in_the_end(air: Callable, meet: Callable, errors: list) -> None:
    """Bleak calls "disconnected" for an aborted attempt: that must not end the session."""
    radio = air(PolarEmulator(ECG))
    radio.bluez.connect_errors += errors
    said = meet(radio, STRAP)
    said.listen(3 * 73)
    said.stop()
    assert not radio.bluez.connect_errors


def test_a_link_that_does_not(air: Callable, meet: Callable) -> None:
    radio = air(PolarEmulator(ECG))
    radio.bluez.connect_errors += [("Failed", "Software caused connection abort")] * 3
    with pytest.raises(DeviceError, match="no link to it came about") as caught:
        meet(radio, STRAP)
    assert "connection abort" in caught.value.why
    assert "Wi-Fi" in caught.value.remedy


def test_a_strap_that_streams_already(air: Callable, meet: Callable) -> None:
    start = (Operation.START, Measurement.ECG)
    strap = PolarEmulator(ECG, statuses={start: [Status.ALREADY_IN_STATE]})
    said = meet(air(strap), STRAP)
    said.listen(3 * 73)
    assert said.numbers.tolist() == list(range(said.count))


def test_a_strap_that_wants_to_be_paired(air: Callable, meet: Callable) -> None:
    strap = PolarEmulator(ECG, needs_pairing=True)
    radio = air(strap)
    said = meet(radio, STRAP)
    said.listen(3 * 73)
    assert strap.paired
    assert radio.bluez.calls.count("Pair") == 1


def test_a_strap_that_stays_closed(air: Callable, meet: Callable) -> None:
    said = meet(air(PolarEmulator(ECG, needs_pairing=True, refuses_pairing=True)), STRAP)
    with pytest.raises(BridgeError, match="does not let this machine read its ECG") as caught:
        said.listen(1)
    assert "bluetoothctl" in caught.value.remedy


def test_an_old_firmware(air: Callable, meet: Callable) -> None:
    said = meet(air(PolarEmulator(ECG, old_firmware=True)), STRAP)
    with pytest.raises(BridgeError, match="firmware that sends no ECG") as caught:
        said.listen(1)
    assert "Polar Flow" in caught.value.remedy


def test_as_a_source(air: Callable, monkeypatch: pytest.MonkeyPatch, look_for: Callable) -> None:
    strap = PolarEmulator(ECG)
    radio = air(strap)
    monkeypatch.setattr(ble.BleDoor, "_listen", lambda _, target: look_for(target))
    with ble.open_ble(parse_address(STRAP + "?acceleration=off"), clock=radio.now) as source:
        assert source.info.device == "polar-h10"
        assert source.info.fs_hz == 130.0
        blocks = (item for item in source if isinstance(item, SampleBlock))
        assert len(next(blocks)) == 73
        assert next(blocks).acceleration_g is None
        assert strap.running == {Measurement.ECG}
    assert not strap.running


def test_a_strap_that_the_daemon_has_forgotten(air: Callable, meet: Callable, door: Callable) -> None:
    strap = FaultyLink(PolarEmulator(ECG), drop_at=8)
    radio = air(strap)
    opened = door(radio, STRAP)
    said = meet(radio, opened)
    with pytest.raises(Exception, match="link broke"):
        said.listen(10**6)
    clock = said.session.device_clock
    radio.run(radio.bluez.forget())
    again = meet(radio, opened)
    again.listen(3 * 73)
    # The strap's clock ran on: how long it was away is known to the sample.
    away_s = again.session.device_clock.at_s - clock.at_s
    assert away_s > said.count / 130
    assert radio.bluez.calls.count("StartDiscovery") == 2


def test_values_that_nobody_reads_are_dropped_and_counted(air: Callable, meet: Callable) -> None:
    said = meet(air(PolarEmulator(ECG)), STRAP)
    said.listen(1)
    for number in range(5000):
        said.link._put(Value("x", number.to_bytes(2, "big")))
    assert said.link.values_dropped >= 5000 - 4096
    assert len(said.link._waiting) == 4096
    assert said.link._waiting[-1] == Value("x", (4999).to_bytes(2, "big"))
    said.link._waiting.clear()
