"""The whole conversation with a virtual Polar H10, from any state and with anything lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import FaultyLink, PolarEmulator, Reservoir, TunnelEmulator
from edge_ecg_bridge.gatt import HEART_RATE, Connected, Done, Refused, Value
from edge_ecg_bridge.gatt_kinds import ChoosingSession
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.polar import PolarSession, PolarSettings, pmd
from edge_ecg_bridge.polar.pmd import Measurement, Operation, Status
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
HALF_A_MICROVOLT = 0.000501
START_ECG = (Operation.START, Measurement.ECG)
START_ACC = (Operation.START, Measurement.ACCELERATION)


def expected_mv(n: int, fs_hz: float = 130.0) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


@pytest.mark.parametrize("rate_error", [-0.02, 0.0, 0.02])
@pytest.mark.parametrize("frame_samples", [73, 19])
def test_the_signal_at_the_straps_own_time(talk: Callable, rate_error: float, frame_samples: int) -> None:
    device = PolarEmulator(ECG, rate_error=rate_error, frame_samples=frame_samples)
    said = talk(PolarSession(), device, 60.0)
    n = len(said.ecg_mv)
    assert n > 58 * 127
    assert said.ready.fs_hz == 130.0
    assert said.numbers.tolist() == list(range(n))
    assert np.abs(said.ecg_mv - expected_mv(n, device.rate_hz)).max() <= HALF_A_MICROVOLT
    assert said.session.inner.rate_hz == pytest.approx(130 * (1 + rate_error), rel=1e-7)
    # The first frame's own length is not known; from its end on, each sample has its time.
    true_s = np.arange(n) / device.rate_hz
    error_s = said.time_s - true_s
    assert np.ptp(error_s[frame_samples:]) < 1e-6
    assert np.abs(error_s).max() < 0.021 * frame_samples / 130
    assert not any(said.session.counters.values())


@pytest.mark.parametrize("rate_hz", [127.4, 132.6])
def test_r_peaks_after_ten_minutes_at_another_rate(talk: Callable, rate_hz: float) -> None:
    """2 % off, taken for 130 Hz, would be 12 s off by then."""
    device = PolarEmulator(ECG, rate_error=rate_hz / 130 - 1)
    said = talk(PolarSession(PolarSettings(acceleration_hz=0)), device, 600.0)
    last_s = 590.0
    beats_s = beats_before(last_s)
    zero_s = said.time_s[said.numbers == 73][0] - 73 / rate_hz
    for beat_s in beats_s[-20:]:
        near = np.abs(said.time_s - zero_s - beat_s) < 0.1
        peak_s = (said.time_s - zero_s)[near][said.ecg_mv[near].argmax()]
        assert peak_s == pytest.approx(beat_s, abs=0.012)  # a sample and a half


def beats_before(last_s: float) -> list[float]:
    peaks = []
    for begin_s, rr_s in ECG.beats():
        if begin_s > last_s:
            return peaks
        peaks.append(begin_s + rr_s / 2)
    raise AssertionError("the ECG ended")


@pytest.mark.parametrize("rate_error", [-0.05, -0.02, 0.0, 0.02, 0.05])
def test_lost_doubled_and_swapped_frames(talk: Callable, rate_error: float) -> None:
    device = PolarEmulator(ECG, rate_error=rate_error)
    link = FaultyLink(device, lost=(1, 4, 5, 20), doubled=(0, 7), swapped=(12,))
    said = talk(PolarSession(), link, 20.0)
    # A frame that comes after the next one is late: it was counted as lost, and stays so.
    assert said.lost == link.samples_lost + 73 == 5 * 73
    assert said.session.counters == {
        "duplicates": 2,
        "packets_rejected": 0,
        "packets_late": 1,
        "clock_steps": 0,
    }
    truth = expected_mv(said.numbers[-1] + 1, device.rate_hz)
    assert np.abs(said.ecg_mv - truth[said.numbers]).max() <= HALF_A_MICROVOLT
    assert (np.diff(said.time_s) > 0).all()


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_loss_is_counted(data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.integers(5, 40)))
    doubled = data.draw(st.sets(st.integers(0, 40)))
    error = data.draw(st.floats(-0.04, 0.04))
    device = PolarEmulator(ECG, rate_error=error)
    tunnel = TunnelEmulator(FaultyLink(device, lost=lost, doubled=doubled))
    session = TunnelSession(PolarSession())
    session.start(0.0)
    blocks = []
    for now_s in np.arange(0.0, 25.0, 0.05).tolist():
        tunnel.receive(session.bytes_to_send(), now_s)
        session.receive(tunnel.bytes_to_send(now_s), now_s)
        blocks += [event for event in session.events() if hasattr(event, "ecg_mv")]
    numbers = np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in blocks])
    kept = [number for number in range(numbers[-1] // 73 + 1) if number not in lost]
    assert np.array_equal(np.unique(numbers // 73), kept)
    assert sum(block.gap_before for block in blocks) + len(numbers) == numbers[-1] + 1
    values = np.concatenate([block.ecg_mv for block in blocks])
    assert np.abs(values - expected_mv(numbers[-1] + 1, device.rate_hz)[numbers]).max() <= HALF_A_MICROVOLT


@pytest.mark.parametrize("step_s", [-3600.0, 220_752_000.0], ids=["back an hour", "2019 to 2026"])
def test_a_clock_that_is_set_in_mid_stream(talk: Callable, step_s: float) -> None:
    said = talk(PolarSession(), PolarEmulator(ECG, clock_steps=[(6.0, step_s)]), 20.0)
    assert said.lost == 0
    assert said.session.counters["clock_steps"] == 1
    assert np.abs(said.ecg_mv - expected_mv(len(said.ecg_mv))).max() <= HALF_A_MICROVOLT
    np.testing.assert_allclose(np.diff(said.time_s), 1 / 130, rtol=0.01)
    assert np.isfinite(said.acceleration_g[-1000:]).all()  # its readings are found by the new clock


def test_acceleration_at_the_samples_own_time(talk: Callable) -> None:
    def lift(t_s: np.ndarray) -> np.ndarray:
        return np.stack([t_s / 10, 0 * t_s, np.where(t_s > 5, -1.0, 1.0)], axis=1)

    said = talk(PolarSession(PolarSettings(acceleration_hz=200)), PolarEmulator(ECG, motion=lift))
    assert said.ready.details["acceleration_hz"] == 200
    late = said.numbers > 130
    begin_s = said.time_s[late] - said.acceleration_g[late, 0] * 10
    assert 0.0 <= np.ptp(begin_s) < 0.25  # at most a frame (36 readings) and a step of 30 ms old
    turned = said.acceleration_g[:, 2] < 0
    assert (np.diff(turned.astype(int)) >= 0).all()
    assert turned[-1]


def test_without_acceleration(talk: Callable) -> None:
    device = PolarEmulator(ECG)
    said = talk(PolarSession(PolarSettings(acceleration_hz=0)), device)
    assert device.running == {Measurement.ECG}
    assert all(block.acceleration_g is None for block in said.samples)


def test_an_accelerometer_that_refuses_costs_no_ecg(talk: Callable) -> None:
    said = talk(PolarSession(), PolarEmulator(ECG, statuses={START_ACC: [Status.INVALID_STATE]}))
    assert said.ready.details["acceleration"] == "none: It is busy."
    assert said.lost == 0
    assert len(said.ecg_mv) > 8 * 130


def test_heart_rate_battery_and_firmware(talk: Callable) -> None:
    device = PolarEmulator(ECG, heart_rate_bpm=60, contact=False, battery_percent=7)
    said = talk(PolarSession(), device, 5.0)
    details = dict(said.ready.details)
    assert details == {
        "name": "Polar H10 12345678",
        "battery_percent": 7,
        "firmware": "5.0.0",
        "acceleration_hz": 50,
    }
    assert len(said.notes) == 4
    assert said.notes[0].name == "heart_rate"
    assert said.notes[0].values == {"heart_rate_bpm": 60, "rr_ms": "1000", "contact": False}


def test_a_strap_that_tells_whether_it_touches_skin(talk: Callable) -> None:
    said = talk(PolarSession(), PolarEmulator(ECG, electrode_off=lambda t_s: 5.0 <= t_s < 9.0), 15.0)
    off = np.concatenate(
        [np.zeros(len(b.ecg_mv), bool) if b.lead_off is None else b.lead_off for b in said.samples]
    )
    marked_s = said.time_s[off]
    # It is told once a second, and a frame holds what was measured 0.56 s before.
    assert 4.4 <= marked_s.min() <= 6.6
    assert 8.4 <= marked_s.max() <= 10.6
    assert talk(PolarSession(), PolarEmulator(ECG), 5.0).samples[-1].lead_off is None


# -- states that it may be in --------------------------------------------------------------------------


def test_a_strap_that_streams_already(talk: Callable) -> None:
    device = PolarEmulator(ECG, already_streaming=True)
    said = talk(PolarSession(), device)
    assert said.numbers.tolist() == list(range(len(said.numbers)))
    assert np.abs(said.ecg_mv - expected_mv(len(said.ecg_mv))).max() <= HALF_A_MICROVOLT


def test_the_stop_is_always_sent(talk: Callable) -> None:
    for until_s in np.arange(0.0, 1.2, 0.09):
        device = PolarEmulator(ECG)
        said = talk(PolarSession(), device, float(until_s)).stop()
        said.device.bytes_to_send(said.now_s)
        assert not device.running, f"stopped after {until_s:.2f} s"


def test_a_stop_that_is_not_answered_ends(talk: Callable) -> None:
    said = talk(PolarSession(), PolarEmulator(ECG), 3.0)
    begin_s = said.now_s
    said.session.stop(said.now_s)
    while not said.session.finished:
        said.session.bytes_to_send()
        said.step(damage=lambda _: b"")
    assert said.now_s - begin_s < 2.1


def test_a_strap_that_wants_to_be_paired(talk: Callable) -> None:
    device = PolarEmulator(ECG, needs_pairing=True)
    said = talk(PolarSession(), device)
    assert device.paired
    assert said.lost == 0
    assert len(said.ecg_mv) > 8 * 130


def test_pairing_when_asked_for(talk: Callable) -> None:
    device = PolarEmulator(ECG)
    talk(PolarSession(PolarSettings(pair=True)), device)
    assert device.paired


@pytest.mark.parametrize(
    ("device", "what", "remedy"),
    [
        ({"old_firmware": True}, "firmware that sends no ECG", "Polar Flow"),
        ({"old_firmware": True, "name": "Polar OH1"}, "firmware that sends no ECG", "Polar Flow"),
        ({"needs_pairing": True, "refuses_pairing": True}, "does not let this machine", "bluetoothctl"),
        ({"statuses": {START_ECG: [6, 6]}}, "does not start", "Close other programs"),
        ({"statuses": {START_ECG: [13]}}, "does not start", "put it on"),
        ({"statuses": {START_ECG: [10]}}, "does not start", "BlueZ"),
        ({"statuses": {START_ECG: [99]}}, "does not start", "Take the strap off"),
    ],
)
def test_what_a_strap_may_refuse(talk: Callable, device: dict, what: str, remedy: str) -> None:
    with pytest.raises(BridgeError, match=what) as caught:
        talk(PolarSession(), PolarEmulator(ECG, **device))
    assert remedy in caught.value.remedy


def test_a_device_that_is_no_strap() -> None:
    session = PolarSession()
    session.start(0.0)
    with pytest.raises(BridgeError, match="is no Polar strap that sends ECG"):
        session.happened(Connected(frozenset((HEART_RATE,)), "Toaster"), 0.1)


def test_a_polar_sensor_without_ecg() -> None:
    session = PolarSession()
    session.start(0.0)
    session.happened(Connected(frozenset((pmd.PMD_CONTROL, pmd.PMD_DATA)), "Polar Sense"), 0.1)
    with pytest.raises(BridgeError, match="Polar Sense measures no ECG"):
        session.happened(Done(pmd.PMD_CONTROL, bytes.fromhex("0F 0E")), 0.2)


def test_a_host_that_fails_is_not_taken_for_a_strap_that_refuses() -> None:
    session = PolarSession()
    session.start(0.0)
    session.happened(Connected(frozenset((pmd.PMD_CONTROL, pmd.PMD_DATA)), "Polar H10"), 0.1)
    with pytest.raises(BridgeError, match="could not be set up") as caught:
        session.happened(Refused(pmd.PMD_CONTROL, 0, "ServiceUnknown"), 0.2)
    assert caught.value.why == "ServiceUnknown"


def test_a_strap_that_stops_by_itself(talk: Callable) -> None:
    device = PolarEmulator(ECG)
    said = talk(PolarSession(), device, 4.0)
    device.stop_by_itself()
    with pytest.raises(BridgeError, match="stopped its ECG by itself"):
        said.on(5.0)


def test_a_link_that_says_nothing() -> None:
    session = PolarSession()
    session.start(0.0)
    session.on_time(14.9)
    with pytest.raises(BridgeError, match="did not say what it offers"):
        session.on_time(15.0)


def test_a_strap_that_answers_nothing() -> None:
    session = PolarSession()
    session.start(0.0)
    session.happened(Connected(frozenset((pmd.PMD_CONTROL, pmd.PMD_DATA))), 0.0)
    asked = session.actions()
    session.on_time(4.9)
    assert session.actions() == []
    session.on_time(5.0)
    assert session.actions() == asked  # once more
    with pytest.raises(BridgeError, match="does not answer"):
        session.on_time(10.0)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "Nothing from the strap"),
        (Value(HEART_RATE, b"\x00\x48"), "sends no ECG for 7 s, but is in range"),
        (Value(pmd.PMD_DATA, bytes(9) + b"\x03" + bytes(12)), "in a form that edge-ecg does not know"),
    ],
)
def test_silence_of_three_kinds(talk: Callable, value: Value | None, what: str) -> None:
    said = talk(PolarSession(), PolarEmulator(ECG), 3.0)
    inner = said.session.inner
    for now_s in range(4, 10):
        if value is not None:
            inner.happened(value, now_s)
        inner.on_time(now_s)
    with pytest.raises(BridgeError, match=what):
        inner.on_time(10.0)


def test_found_out_by_what_it_offers(talk: Callable) -> None:
    said = talk(ChoosingSession({"polar-h10": PolarSession()}.__getitem__), PolarEmulator(ECG))
    assert said.ready.device == "polar-h10"
    said.stop()


# -- anything at all -----------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from([pmd.PMD_DATA, pmd.PMD_CONTROL, HEART_RATE]), st.binary(max_size=60)))
)
@settings(max_examples=60, deadline=None)
def test_any_values_give_documented_errors(values: list) -> None:
    device, session = TunnelEmulator(PolarEmulator(ECG)), TunnelSession(PolarSession())
    session.start(0.0)
    try:
        for turn, (uuid, data) in enumerate([(HEART_RATE, b"")] * 60 + values):
            now_s = turn * 0.05
            device.receive(session.bytes_to_send(), now_s)
            session.receive(device.bytes_to_send(now_s), now_s)
            session.inner.happened(Value(uuid, data), now_s)
            session.on_time(now_s)
    except BridgeError:
        pass  # and nothing else
    assert len(session.inner._early) <= 64
    assert len(session.inner._unknown) <= 4


@given(st.binary(min_size=1, max_size=40), st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_mutated_bytes_never_change_a_sample(noise: bytes, place: int) -> None:
    """Damage on the way costs records; a sample that is delivered is right."""
    device, session = TunnelEmulator(PolarEmulator(ECG)), TunnelSession(PolarSession())
    session.start(0.0)
    blocks = []
    sent = 0
    for now_s in np.arange(0.0, 12.0, 0.05).tolist():
        device.receive(session.bytes_to_send(), now_s)
        data = bytearray(device.bytes_to_send(now_s))
        if now_s > 3.0 and data:
            for offset, byte in enumerate(noise):
                at = place % 4000 + offset - sent
                if 0 <= at < len(data):
                    data[at] ^= byte
            sent += len(data)
        session.receive(bytes(data), now_s)
        session.on_time(now_s)
        blocks += [event for event in session.events() if hasattr(event, "ecg_mv")]
    numbers = np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in blocks])
    values = np.concatenate([block.ecg_mv for block in blocks])
    assert np.abs(values - expected_mv(numbers[-1] + 1)[numbers]).max() <= HALF_A_MICROVOLT
    assert sum(block.gap_before for block in blocks) + len(numbers) == numbers[-1] + 1


def test_a_real_recording_comes_back(talk: Callable, data_root: Path) -> None:
    with np.load(data_root / "polar-h10" / "polar_h10_130hz.npz") as archive:
        ecg_mv = archive["ecg_uv"][: 130 * 30] / 1000.0
    said = talk(PolarSession(), PolarEmulator(lambda _: iter([ecg_mv])), 60.0)
    n = len(said.ecg_mv)
    assert n == len(ecg_mv) // 73 * 73
    np.testing.assert_allclose(said.ecg_mv, ecg_mv[:n], atol=1e-9)
