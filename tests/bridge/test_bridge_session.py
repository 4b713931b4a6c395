"""The whole conversation with a virtual Shimmer3, from any state and with anything else on the line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import (
    DockEmulator,
    GarbageEmulator,
    Reservoir,
    Shimmer3Emulator,
    SilentEmulator,
    TextEmulator,
)
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession, commands
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
QUANTUM_MV = 2420.0 / 4 / (2**23 - 1)
FIRMWARES = [(0, 11, 0), (0, 13, 7), (0, 15, 4), (1, 1, 2)]


def expected_mv(n: int, fs_hz: float = 256.0) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


@pytest.mark.parametrize("hardware", [3, 10])
@pytest.mark.parametrize("firmware", FIRMWARES)
def test_every_firmware_delivers_the_signal(
    converse: Callable, firmware: tuple[int, int, int], hardware: int
) -> None:
    device = Shimmer3Emulator(ECG, firmware=firmware, hardware=hardware, counter=2**24 - 64 * 128)
    said = converse(ShimmerSession(), device)
    assert said.ready.fs_hz == 256.0
    assert said.ready.details["crc_bytes"] == (2 if hardware == 10 or firmware >= (0, 13, 7) else 0)
    n = len(said.ecg_mv)
    assert n > 8 * 256
    assert said.numbers.tolist() == list(range(n))
    assert np.abs(said.ecg_mv - expected_mv(n)).max() <= QUANTUM_MV / 2 * 1.001
    assert all(block.lead_off is None and not block.saturated.any() for block in said.samples)


@pytest.mark.parametrize(
    ("asked", "real"), [(128, 128.0), (250, 32768 / 131), (512, 512.0), (1000, 32768 / 33)]
)
@pytest.mark.parametrize("gain", [1, 4, 6, 12])
def test_rate_and_gain_are_read_back(converse: Callable, asked: float, real: float, gain: int) -> None:
    said = converse(ShimmerSession(Settings(fs_hz=asked, gain=gain)), Shimmer3Emulator(ECG), until_s=5.0)
    assert said.ready.fs_hz == real
    assert said.ready.details["gain"] == gain
    error = np.abs(said.ecg_mv - expected_mv(len(said.ecg_mv), real)).max()
    assert error <= QUANTUM_MV * 4 / gain / 2 * 1.001


@pytest.mark.parametrize(("lead", "share"), [("LL-RA", 1.0), ("LA-RA", 0.5), ("Vx-RL", 0.8)])
def test_leads(converse: Callable, lead: str, share: float) -> None:
    said = converse(ShimmerSession(Settings(lead=lead)), Shimmer3Emulator(ECG), until_s=5.0)
    assert np.abs(said.ecg_mv - share * expected_mv(len(said.ecg_mv))).max() <= QUANTUM_MV


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_lost_packets_are_counted(converse: Callable, firmware: tuple[int, int, int]) -> None:
    device = Shimmer3Emulator(ECG, firmware=firmware, loss=0.05)
    said = converse(ShimmerSession(), device, until_s=20.0)
    assert device.packets_lost > 150
    # The last packets may still be on their way, or be lost after the last that arrived.
    assert len(said.ecg_mv) + said.lost == said.numbers[-1] + 1
    assert device.packets_lost - said.lost <= 5
    truth = expected_mv(said.numbers[-1] + 1)
    assert np.abs(said.ecg_mv - truth[said.numbers]).max() <= QUANTUM_MV


def test_saturation_and_loose_electrode(converse: Callable) -> None:
    device = Shimmer3Emulator(ECG, electrode_off=lambda t_s: t_s >= 3.0)
    said = converse(ShimmerSession(Settings(lead_off=True)), device)
    off = np.concatenate([block.lead_off for block in said.samples])
    saturated = np.concatenate([block.saturated for block in said.samples])
    at = 3 * 256
    assert not off[:at].any()
    assert off[at:].all()
    np.testing.assert_array_equal(off, saturated)
    assert said.ecg_mv[at:] == pytest.approx(605.0)


def test_electrode_offset_beyond_the_range_saturates(converse: Callable) -> None:
    said = converse(
        ShimmerSession(Settings(gain=12)), Shimmer3Emulator(ECG, electrode_offset_mv=-300.0), until_s=3.0
    )
    assert all(block.saturated.all() for block in said.samples)
    assert said.ecg_mv == pytest.approx(-2420 / 12)


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_a_device_that_already_streams_with_crc_and_old_state(
    converse: Callable, firmware: tuple[int, int, int]
) -> None:
    device = Shimmer3Emulator(ECG, firmware=firmware)
    converse(ShimmerSession(), device, until_s=3.0)  # and the host dies without a word
    assert device.streaming
    late = ShimmerSession()
    said = converse(late, device, until_s=3.0)
    assert said.ready is not None
    assert said.numbers.tolist() == list(range(len(said.numbers)))


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_status_messages_at_any_time_disturb_nothing(
    converse: Callable, firmware: tuple[int, int, int]
) -> None:
    device = Shimmer3Emulator(ECG, firmware=firmware)
    rng = np.random.default_rng(0)

    def with_status(data: bytes) -> bytes:
        if rng.random() < 0.1:
            device.send_status(0x12 if device.streaming else 0x20)
        return data

    said = converse(ShimmerSession(), device, until_s=20.0, damage=with_status)
    assert said.ready is not None
    assert len(said.ecg_mv) > 15 * 256
    assert said.lost == 0


@pytest.mark.parametrize("crc", [True, False])
def test_stop_is_acknowledged_and_crc_switched_off(converse: Callable, crc: bool) -> None:
    device = Shimmer3Emulator(ECG, firmware=(0, 15, 4) if crc else (0, 11, 0))
    session = ShimmerSession()
    said = converse(session, device, until_s=3.0)
    session.stop(said.now_s)
    converse(session, device, until_s=10.0, result=said)
    assert session.finished
    assert said.now_s < 3.5
    assert not device.streaming
    assert device._crc_bytes == 0
    assert session.bytes_to_send() == b""


def test_stop_without_answer_ends_by_itself(converse: Callable) -> None:
    session = ShimmerSession()
    said = converse(session, Shimmer3Emulator(ECG), until_s=3.0)
    session.stop(said.now_s)
    converse(session, SilentEmulator(), until_s=10.0, result=said)
    assert session.finished
    assert said.now_s == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("device", "what"),
    [
        (SilentEmulator(), "Nothing on this port answers as a Shimmer3"),
        (GarbageEmulator(), "keeps sending and does not stop"),
        (TextEmulator(ECG), "keeps sending and does not stop"),
        (
            DockEmulator(firmware=(0, 15, 4)),
            "dock of a Shimmer .Shimmer3 with firmware 0.15.4.: docks do not stream",
        ),
        (Shimmer3Emulator(ECG, board=(0x30, 2, 0)), "no ExG board: its board is SR48 .GSR"),
        (Shimmer3Emulator(ECG, kind=2), "SDLog 0.15.4"),
        (Shimmer3Emulator(ECG, firmware=(0, 5, 3)), "firmware 0.5.3 .kind 3., which edge-ecg cannot read"),
        (Shimmer3Emulator(ECG, kind=9), "kind 9"),
        (Shimmer3Emulator(ECG, hardware=2), "hardware version 2"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_no_usable_shimmer_is_named(converse: Callable, device: object, what: str) -> None:
    with pytest.raises(BridgeError, match=what) as raised:
        converse(ShimmerSession(), device, until_s=20.0)
    assert raised.value.remedy


class RefusingShimmer(Shimmer3Emulator):
    """As a real one with SD synchronisation on: every set command is refused."""

    def _set(self, command: int, arguments: bytes) -> bool:
        return False


class ForgetfulShimmer(Shimmer3Emulator):
    """Its chips keep their reset state: gain 6 instead of what was written, 500 conversions a second."""

    def _set(self, command: int, arguments: bytes) -> bool:
        return command == commands.Command.SET_EXG or super()._set(command, arguments)


class PoweredDownShimmer(Shimmer3Emulator):
    """Its chips take everything but the power-up of a channel."""

    def _set(self, command: int, arguments: bytes) -> bool:
        taken = super()._set(command, arguments)
        self._registers[0][3] |= 0x80
        return taken


def test_refusal(converse: Callable) -> None:
    with pytest.raises(BridgeError, match=r"refuses to be set up.*SD synchronisation"):
        converse(ShimmerSession(), RefusingShimmer(ECG))


def test_the_gain_read_back_is_the_one_that_counts(converse: Callable) -> None:
    said = converse(ShimmerSession(Settings(gain=4)), ForgetfulShimmer(ECG), until_s=3.0)
    assert said.ready.details["gain"] == 6
    assert np.abs(said.ecg_mv - expected_mv(len(said.ecg_mv))).max() <= QUANTUM_MV


def test_a_chip_that_stays_off_is_refused(converse: Callable) -> None:
    with pytest.raises(BridgeError, match="did not take its set-up"):
        converse(ShimmerSession(), PoweredDownShimmer(ECG))


@pytest.mark.parametrize(
    ("bits", "what"), [(0x01, "put into its dock"), (0x20, "stopped streaming by itself")]
)
def test_a_stream_that_ends_by_itself(converse: Callable, bits: int, what: str) -> None:
    device, session = Shimmer3Emulator(ECG), ShimmerSession()
    said = converse(session, device, until_s=3.0)
    device.send_status(bits)
    with pytest.raises(BridgeError, match=what):
        converse(session, device, until_s=4.0, result=said)


def test_silence_in_mid_stream(converse: Callable) -> None:
    session = ShimmerSession()
    said = converse(session, Shimmer3Emulator(ECG), until_s=3.0)
    with pytest.raises(BridgeError, match="No bytes from the Shimmer for 5 s"):
        converse(session, SilentEmulator(), until_s=20.0, result=said)
    assert said.now_s == pytest.approx(8.0, abs=0.1)


def test_bytes_without_packets_in_mid_stream(converse: Callable) -> None:
    session = ShimmerSession()
    said = converse(session, Shimmer3Emulator(ECG), until_s=3.0)
    with pytest.raises(BridgeError, match="no whole packet for 5 s"):
        converse(session, GarbageEmulator(), until_s=20.0, result=said)
    assert session.counters["bytes_skipped"] > 1000


def documented(error: BridgeError) -> None:
    assert error.what
    assert error.remedy


@given(st.lists(st.tuples(st.binary(max_size=60), st.floats(0, 1)), max_size=40))
@settings(max_examples=100)
def test_any_bytes_give_documented_errors_only(pieces: list[tuple[bytes, float]]) -> None:
    session, now_s = ShimmerSession(), 0.0
    session.start(now_s)
    try:
        for data, wait_s in pieces:
            now_s += wait_s
            session.receive(data, now_s)
            session.on_time(now_s)
            session.bytes_to_send()
    except BridgeError as error:
        documented(error)


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_damage_in_mid_stream_never_gives_wrong_samples(data: st.DataObject) -> None:
    """Every byte that arrives may be lost; with CRC no sample may be wrong, nor at a wrong number."""
    device, session = Shimmer3Emulator(ECG), ShimmerSession()
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    drop = data.draw(st.floats(0, 0.02))
    session.start(0.0)
    now_s, blocks = 0.0, []
    while now_s < 4.0:
        device.receive(session.bytes_to_send(), now_s)
        got = np.frombuffer(device.bytes_to_send(now_s), dtype=np.uint8)
        if device.streaming and blocks:
            got = got[rng.random(len(got)) >= drop]
        session.receive(got.tobytes(), now_s)
        session.on_time(now_s)
        blocks += [event for event in session.events() if hasattr(event, "ecg_mv")]
        now_s += 0.02
    truth = expected_mv(4 * 256)
    for block in blocks:
        part = truth[block.first_sample : block.first_sample + len(block.ecg_mv)]
        assert np.abs(block.ecg_mv - part).max() <= QUANTUM_MV
