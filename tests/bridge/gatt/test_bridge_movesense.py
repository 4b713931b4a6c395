"""Movesense: its bytes, and the whole conversation with a virtual one."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import FaultyLink, MovesenseEmulator, Reservoir, TunnelEmulator
from edge_ecg_bridge.gatt import HEART_RATE, Connected, Refused, Value
from edge_ecg_bridge.gatt_kinds import ChoosingSession
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.movesense import MovesenseSession, MovesenseSettings, wire
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
HALF_A_COUNT = wire.MV_PER_COUNT / 2 * 1.001


def expected_mv(n: int, fs_hz: float = 256.0) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


# -- bytes ---------------------------------------------------------------------------------------------


def test_bytes_by_hand() -> None:
    assert wire.subscribe(1, "/Meas/ECG/256") == b"\x01\x01/Meas/ECG/256"
    assert wire.unsubscribe(2) == b"\x02\x02"
    answer = bytes.fromhex("01 01 94 01")
    assert wire.is_response(answer, 1)
    assert not wire.is_response(answer, 2)
    assert wire.status_of(answer) == 404
    assert pytest.approx(0.38147e-3, rel=1e-5) == wire.MV_PER_COUNT
    # 1 mV is 20 * 2^17 / 1000 counts: 2621.44.
    assert wire.ecg_mv(struct.pack("<2i", 2621, -2621)) == pytest.approx([0.99983, -0.99983], abs=1e-5)
    g = wire.STANDARD_GRAVITY_M_S2
    np.testing.assert_allclose(wire.acceleration_g(struct.pack("<3f", 0, g, -g)), [[0, 1, -1]], rtol=1e-6)


def test_a_packet_in_three_parts() -> None:
    """A packet is whole when it is as long as those before it; the first one when the second begins."""
    reader = wire.PacketReader({1: 4})
    first = b"\x02\x01" + (1000).to_bytes(4, "little")
    parts = [first + bytes(14), b"\x03\x01" + bytes(18), b"\x03\x01" + bytes(32)]
    assert [reader.feed(part) for part in parts] == [[], [], []]
    assert [len(packet.values) for packet in reader.feed(parts[0])] == [64]
    assert reader.feed(parts[1]) == []
    assert [len(packet.values) for packet in reader.feed(parts[2])] == [64]
    assert reader.packets_rejected == 0


def test_parts_that_do_not_belong() -> None:
    reader = wire.PacketReader({1: 4})
    assert reader.feed(b"\x03\x01" + bytes(8)) == []  # continues nothing
    assert reader.feed(b"\x02\x09" + bytes(8)) == []  # of nobody's subscription
    assert reader.feed(b"\x07") == []
    assert reader.packets_rejected == 3
    assert reader.feed(b"\x01\x01\xc8\x00") == []  # an answer is no packet, and no loss
    assert reader.packets_rejected == 3


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=30))
def test_any_bytes(values: list[bytes]) -> None:
    reader = wire.PacketReader({1: 4, 2: 12})
    for value in values:
        for packet in reader.feed(value):
            (wire.ecg_mv if packet.reference == 1 else wire.acceleration_g)(packet.values)
    assert len(reader._open) <= 2


# -- conversations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("packet_bytes", [158, 20], ids=["whole", "continued"])
@pytest.mark.parametrize("rate_error", [-0.002, 0.0, 0.002])
def test_the_signal_at_the_sensors_own_time(talk: Callable, rate_error: float, packet_bytes: int) -> None:
    device = MovesenseEmulator(ECG, rate_error=rate_error, packet_bytes=packet_bytes, counter=2**32 - 20_000)
    said = talk(MovesenseSession(), device, 40.0)
    n = len(said.ecg_mv)
    assert n > 38 * 256
    assert said.ready.fs_hz == 256.0
    assert said.numbers.tolist() == list(range(n))
    rate_hz = 256.0 * (1 + rate_error)
    assert np.abs(said.ecg_mv - expected_mv(n, rate_hz)).max() <= HALF_A_COUNT
    assert said.session.inner.rate_hz == pytest.approx(rate_hz, rel=1e-4)
    assert (np.diff(said.time_s) > 0).all()
    error_s = said.time_s - np.arange(n) / rate_hz
    assert np.ptp(error_s[256 * 10 :]) < 0.001  # though the stamps are whole milliseconds
    assert np.abs(error_s).max() < 0.006
    assert said.acceleration_g[-1] == pytest.approx([0, 1, 0], abs=0.02)
    assert not any(said.session.counters.values())


def test_lost_doubled_and_swapped_packets(talk: Callable) -> None:
    link = FaultyLink(
        MovesenseEmulator(ECG, rate_error=0.001), lost=(3, 4, 100), doubled=(0, 7), swapped=(200,)
    )
    said = talk(MovesenseSession(), link, 20.0)
    assert said.lost == link.samples_lost + 16 == 64
    assert said.session.counters == {
        "duplicates": 2,
        "packets_rejected": 0,
        "packets_late": 1,
        "clock_steps": 0,
    }
    truth = expected_mv(said.numbers[-1] + 1, 256.256)[said.numbers]
    assert np.abs(said.ecg_mv - truth).max() <= HALF_A_COUNT


def test_a_lost_part_is_a_loss_of_its_samples(talk: Callable) -> None:
    """The last of a packet's parts carries four samples and a half; what is whole before it is kept."""
    link = FaultyLink(MovesenseEmulator(ECG, packet_bytes=20), lost=(50,))
    said = talk(MovesenseSession(MovesenseSettings(acceleration_hz=0)), link)
    assert said.lost == 4
    assert said.session.counters["packets_rejected"] == 1
    truth = expected_mv(said.numbers[-1] + 1)[said.numbers]
    assert np.abs(said.ecg_mv - truth).max() <= HALF_A_COUNT


def test_the_stop_ends_both_subscriptions(talk: Callable) -> None:
    device = MovesenseEmulator(ECG)
    said = talk(MovesenseSession(), device, 3.0)
    assert device.running == {1, 2}
    said.stop()
    assert not device.running


def test_the_next_rate_where_256_is_not_known(talk: Callable) -> None:
    said = talk(MovesenseSession(), MovesenseEmulator(ECG, rates_hz=(125, 250, 500)), 5.0)
    assert said.ready.fs_hz == 250.0
    assert np.abs(said.ecg_mv - expected_mv(len(said.ecg_mv), 250.0)).max() <= HALF_A_COUNT


def test_a_rate_that_it_does_not_know(talk: Callable) -> None:
    with pytest.raises(BridgeError, match="no ECG at 300 Hz") as caught:
        talk(MovesenseSession(MovesenseSettings(fs_hz=300)), MovesenseEmulator(ECG))
    assert "256" in caught.value.remedy


def test_what_it_says_of_itself(talk: Callable) -> None:
    said = talk(ChoosingSession({"movesense": MovesenseSession()}.__getitem__), MovesenseEmulator(ECG), 3.0)
    assert dict(said.ready.details) == {
        "name": "Movesense 174630000192",
        "battery_percent": 90,
        "firmware": "2.3.1",
        "acceleration_hz": 52,
    }


def test_an_accelerometer_that_is_refused_costs_no_ecg(talk: Callable) -> None:
    said = talk(MovesenseSession(MovesenseSettings(acceleration_hz=60)), MovesenseEmulator(ECG), 3.0)
    assert said.ready.details["acceleration"] == "none: the sensor answered 404"
    assert all(block.acceleration_g is None for block in said.samples)


@pytest.mark.parametrize(
    ("status", "what"), [(507, "takes no more subscriptions"), (500, "does not start its ECG")]
)
def test_other_refusals(status: int, what: str) -> None:
    session = begun()
    with pytest.raises(BridgeError, match=what):
        session.happened(Value(wire.DATA, b"\x01\x01" + status.to_bytes(2, "little")), 0.2)


def test_a_device_that_is_none() -> None:
    session = MovesenseSession()
    with pytest.raises(BridgeError, match="is no Movesense sensor"):
        session.happened(Connected(frozenset((HEART_RATE,)), "Toaster"), 0.0)


def test_a_host_that_fails() -> None:
    session = MovesenseSession()
    session.happened(Connected(frozenset((wire.COMMAND, wire.DATA))), 0.0)
    with pytest.raises(BridgeError, match="does not let itself be used"):
        session.happened(Refused(wire.DATA, 5, "no"), 0.1)


def test_silence(talk: Callable) -> None:
    said = talk(MovesenseSession(), MovesenseEmulator(ECG), 3.0)
    said.session.on_time(9.0)
    with pytest.raises(BridgeError, match="No ECG from the Movesense sensor for 7 s"):
        said.session.on_time(10.0)


def test_a_sensor_that_answers_nothing() -> None:
    session = begun()
    session.on_time(5.1)
    with pytest.raises(BridgeError, match="does not answer"):
        session.on_time(10.2)


def begun() -> MovesenseSession:
    """A session that has subscribed to notifications and asked for the ECG."""
    from edge_ecg_bridge.gatt import Done

    session = MovesenseSession(MovesenseSettings(fs_hz=256))
    session.start(0.0)
    session.happened(Connected(frozenset((wire.COMMAND, wire.DATA))), 0.0)
    session.happened(Done(wire.DATA), 0.1)
    return session


@given(st.lists(st.binary(max_size=80), max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_values_give_documented_errors(values: list[bytes]) -> None:
    device, session = TunnelEmulator(MovesenseEmulator(ECG)), TunnelSession(MovesenseSession())
    session.start(0.0)
    end = 0
    for turn, data in enumerate([b""] * 30 + values):
        now_s = turn * 0.05
        device.receive(session.bytes_to_send(), now_s)
        session.receive(device.bytes_to_send(now_s), now_s)
        session.inner.happened(Value(wire.DATA, data), now_s)
        session.on_time(now_s)
        for event in session.events():
            if hasattr(event, "ecg_mv"):
                assert event.first_sample == end + event.gap_before
                end = event.first_sample + len(event.ecg_mv)
