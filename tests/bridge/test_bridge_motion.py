"""What a Shimmer tells beside its ECG: accelerometer, battery, name, clock; and the Shimmer3R's own ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import Reservoir, Shimmer3Emulator
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession, commands
from edge_ecg_bridge.shimmer3.acceleration import (
    G_MS2,
    TYPICAL,
    Calibration,
    axis_counts,
    parse_calibration,
)
from edge_ecg_bridge.shimmer3.packets import PacketLayout
from edge_ecg_bridge.shimmer3.replies import (
    Ack,
    Inquiry,
    ReplyReader,
    Status,
    battery_v,
    parse_clock,
    parse_inquiry,
)
from edge_ecg_bridge.shimmer3.wire import BATTERY_RESPONSE, Channel, Hardware, Response
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
QUANTUM_MV = 2420.0 / 4 / (2**23 - 1)


def tilting(t_s: np.ndarray) -> np.ndarray:
    """From upright to lying within ten seconds, always 1 g."""
    angle = np.clip(t_s / 10.0, 0, 1) * np.pi / 2
    return np.stack([np.sin(angle), 0.2 * np.sin(t_s), np.cos(angle)], axis=1)


@pytest.mark.parametrize("hardware", [3, 10])
@pytest.mark.parametrize("which", ["on", "wide"])
@pytest.mark.parametrize("firmware", [(0, 11, 0), (1, 1, 9)])
@pytest.mark.parametrize("calibrated", [True, False])
def test_acceleration_travels_with_the_samples(
    converse: Callable, hardware: int, which: str, firmware: tuple[int, int, int], calibrated: bool
) -> None:
    device = Shimmer3Emulator(
        ECG, hardware=hardware, firmware=firmware, motion=tilting, calibrated=calibrated
    )
    said = converse(ShimmerSession(Settings(acceleration=which)), device, until_s=8.0)
    assert said.ready.details["acceleration"] == ("calibrated" if calibrated else "typical calibration")
    felt = np.concatenate([block.acceleration_g for block in said.samples])
    assert felt.shape == (len(said.ecg_mv), 3)
    counts_per_g = {"on": 83 if hardware == 3 else 1672, "wide": 1631}[which] * G_MS2
    assert np.abs(felt - tilting(said.numbers / 256.0)).max() <= 0.51 / counts_per_g
    truth = Reservoir(ECG(256.0)).take(len(said.ecg_mv))
    assert np.abs(said.ecg_mv - truth).max() <= QUANTUM_MV


def test_without_being_asked_for_there_is_no_acceleration(converse: Callable) -> None:
    said = converse(ShimmerSession(), Shimmer3Emulator(ECG), until_s=3.0)
    assert all(block.acceleration_g is None for block in said.samples)
    assert "acceleration" not in said.ready.details


def test_a_calibration_block_byte_by_byte() -> None:
    """The typical low-noise values of a Shimmer3 as its firmware stores them: big-endian, hundredths."""
    block = bytes.fromhex("07FF 07FF 07FF 0053 0053 0053 00 9C 00 9C 00 00 00 00 9C".replace(" ", ""))
    assert TYPICAL["on", Hardware.SHIMMER3].to_bytes() == block
    payload = b"\xff" * 21 + block + bytes(21)
    assert parse_calibration(payload, 1) == TYPICAL["on", Hardware.SHIMMER3]
    assert parse_calibration(payload, 0) is None
    assert parse_calibration(payload, 2) is None
    assert parse_calibration(payload, 3) is None
    # 2047 - 83 * 9.80665 counts on the chip's x axis: 1 g along the device's y.
    found = TYPICAL["on", Hardware.SHIMMER3].to_g(np.array([[2047 - 83 * 9.80665, 2047.0, 2047.0]]))
    np.testing.assert_allclose(found, [[0.0, 1.0, 0.0]], atol=1e-12)


@given(st.binary(min_size=21, max_size=21))
def test_any_calibration_is_usable_or_none(block: bytes) -> None:
    found = parse_calibration(block, 0)
    if found is not None:
        assert np.isfinite(found.to_g(np.array([[0.0, 32767.0, -32768.0]]))).all()


def test_counts_to_g_and_back() -> None:
    calibration = Calibration((5.0, -3.0, 0.0), (80.0, 82.0, 85.0), ((0, -1, 0.1), (-1, 0, 0), (0, 0.05, -1)))
    felt = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(calibration.to_g(calibration.to_counts(felt)), felt, atol=1e-12)


def test_axes_are_little_endian_and_signed() -> None:
    packets = np.array([[0x00, 0x34, 0x12, 0xFF, 0xFF, 0x00, 0x80]], dtype=np.uint8)
    assert axis_counts(packets, (1, 3, 5)).tolist() == [[0x1234, -1, -32768]]


def test_a_shimmer_that_does_not_switch_it_on_is_refused(converse: Callable) -> None:
    class Stubborn(Shimmer3Emulator):
        def _set(self, command: int, arguments: bytes) -> bool:
            taken = super()._set(command, arguments)
            self._sensors &= 0x18
            return taken

    with pytest.raises(BridgeError, match="did not switch its accelerometer on"):
        converse(ShimmerSession(Settings(acceleration="on")), Stubborn(ECG))


# -- the Shimmer3R ---------------------------------------------------------------------------------------


def test_inquiry_of_a_3r_has_seven_configuration_bytes_and_an_order_of_its_own() -> None:
    payload = bytes.fromhex("80 00 11 22 33 44 55 66 77 09 01 1D 1E 1F 20 21 22 00 01 02")
    answer = parse_inquiry(payload, Hardware.SHIMMER3R)
    assert answer == Inquiry(128, (0x1D, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x00, 0x01, 0x02))
    layout = PacketLayout.of(answer.channels, Hardware.SHIMMER3R)
    assert layout.size == 24
    assert (layout.offsets[Channel.EXG1_STATUS], layout.offsets[Channel.LN_ACCEL_X]) == (4, 18)


def test_pressure_and_temperature_are_larger_on_a_3r() -> None:
    assert PacketLayout.of((0x1A, 0x1B, 0x1D)).offsets == {0x1A: 4, 0x1B: 6, 0x1D: 9}
    assert PacketLayout.of((0x1B, 0x1A, 0x1D), Hardware.SHIMMER3R).offsets == {0x1B: 4, 0x1A: 7, 0x1D: 10}


@pytest.mark.parametrize("hardware", [3, 10])
@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize("crc_bytes", [0, 1, 2])
def test_status_with_and_without_ack_at_every_place_of_the_stream(
    converse: Callable, hardware: int, prefixed: bool, crc_bytes: int
) -> None:
    """Firmware before 0.15.4 cannot be told to leave the prefix out."""
    device = Shimmer3Emulator(ECG, hardware=hardware, firmware=(0, 15, 3) if prefixed else (0, 15, 4))
    rng = np.random.default_rng(1)

    def spoken(data: bytes) -> bytes:
        if rng.random() < (0.3 if device.streaming else 0.05):
            device.send_status(0x12 if device.streaming else 0x20, usb=True)
        return data

    session = ShimmerSession(Settings(crc_bytes=crc_bytes))
    said = converse(session, device, until_s=12.0, damage=spoken)
    assert said.ready.details["crc_bytes"] == crc_bytes
    assert len(said.ecg_mv) > 9 * 256
    assert said.lost == 0
    assert set(session.counters.values()) == {0}


@pytest.mark.parametrize("hardware", [3, 10])
@pytest.mark.parametrize("crc_bytes", [1, 2])
def test_one_byte_of_crc_finds_nearly_all_and_two_find_all(
    converse: Callable, hardware: int, crc_bytes: int
) -> None:
    device, session = (
        Shimmer3Emulator(ECG, hardware=hardware),
        ShimmerSession(Settings(crc_bytes=crc_bytes)),
    )
    rng = np.random.default_rng(2)
    flipped = 0

    def damage(data: bytes) -> bytes:
        nonlocal flipped
        if not device.streaming or len(data) < 30:
            return data
        flipped += 1
        broken = bytearray(data)
        broken[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        return bytes(broken)

    said = converse(session, device, until_s=20.0, damage=damage)
    truth = Reservoir(ECG(256.0)).take(int(said.numbers[-1]) + 1)
    assert flipped > 500
    assert np.abs(said.ecg_mv - truth[said.numbers]).max() <= QUANTUM_MV
    assert said.lost >= 0.95 * flipped


# -- what else it tells ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hardware", [3, 10])
def test_name_and_battery_are_told(converse: Callable, hardware: int) -> None:
    said = converse(
        ShimmerSession(), Shimmer3Emulator(ECG, hardware=hardware, name="Anna_chest"), until_s=3.0
    )
    assert said.ready.details["name"] == "Anna_chest"
    assert said.ready.details.get("battery_v") == (3.96 if hardware == 3 else None)
    assert battery_v(bytes.fromhex("FF 0F 00")) == pytest.approx(5.964)


def test_an_old_firmware_is_not_asked_what_it_may_not_know(converse: Callable) -> None:
    said = converse(ShimmerSession(), Shimmer3Emulator(ECG, firmware=(0, 11, 0)), until_s=3.0)
    assert "battery_v" not in said.ready.details
    assert "name" not in said.ready.details


def ask(device: Shimmer3Emulator, command: bytes, response: int, *, now_s: float = 0.0) -> bytes:
    reader = ReplyReader()
    reader.hardware = device._hardware
    device.receive(command, now_s)
    reader.feed(device.bytes_to_send(now_s))
    answer = reader.next(response, sure=True)
    assert isinstance(answer, Ack)
    assert reader.clear() == b""
    return answer.payload


def test_the_real_time_clock(converse: Callable) -> None:
    device = Shimmer3Emulator(ECG)
    converse(ShimmerSession(Settings(unix_s=1_790_000_000.0)), device, until_s=1.0)
    device.link_lost()
    device.units(1.0)
    now = parse_clock(ask(device, commands.get_clock(), Response.CLOCK, now_s=101.0))
    assert now == pytest.approx(1_790_000_100.5, abs=0.5)
    assert commands.set_clock(1.0) == bytes.fromhex("8F 00 80 00 00 00 00 00 00")


@pytest.mark.parametrize(("hardware", "serial", "calibration"), [(3, 8, 84), (10, 12, 126)])
def test_lengths_of_long_answers(hardware: int, serial: int, calibration: int) -> None:
    device = Shimmer3Emulator(ECG, hardware=hardware)
    assert len(ask(device, commands.get_serial(), Response.SERIAL)) == serial
    assert len(ask(device, commands.get_calibration(), Response.CALIBRATION)) == calibration
    assert ask(device, b"\xa1", Response.RADIO)[1:]
    assert ask(device, b"\x24", Response.HARDWARE) == bytes((hardware,))


@pytest.mark.parametrize("status_ack", [True, False])
def test_the_battery_answers_behind_a_status_message(status_ack: bool) -> None:
    reader = ReplyReader()
    reader.status_ack = status_ack
    reader.feed(bytes.fromhex("8A 71 22 FF 8A 94 A0 0A C0"))
    assert isinstance(reader.next(BATTERY_RESPONSE), Status)
    assert reader.next(BATTERY_RESPONSE) == Ack(bytes.fromhex("A0 0A C0"))


def test_what_looks_like_a_battery_without_its_head_is_skipped() -> None:
    """Found by the fuzzer: FF 94 while the battery was asked for."""
    reader = ReplyReader()
    reader.feed(bytes.fromhex("FF 94 01 02 03 FF 8A 94 A0 0A C0"))
    assert reader.next(BATTERY_RESPONSE) == Ack(bytes.fromhex("A0 0A C0"))


@pytest.mark.parametrize("hardware", [3, 10])
def test_a_shimmer_that_was_left_streaming_is_taken_over(converse: Callable, hardware: int) -> None:
    device = Shimmer3Emulator(ECG, hardware=hardware, already_streaming=True)
    assert device.next_due_s == -np.inf
    left = device.bytes_to_send(0.0) + device.bytes_to_send(1.0)
    assert len(left) == 18 * 513
    said = converse(ShimmerSession(), device, until_s=5.0)
    assert said.ready.fs_hz == 256.0
    assert said.numbers.tolist() == list(range(len(said.numbers)))
    assert device.streams == 2


def test_repeated_conversions_are_counted(converse: Callable) -> None:
    """A chip that converts slower than the Shimmer samples: bit 7 of the status says so."""
    device, session = Shimmer3Emulator(ECG, firmware=(0, 11, 0)), ShimmerSession()

    def every_second_old(data: bytes) -> bytes:
        rows = bytearray(data)
        if device.streaming and len(data) % 18 == 0:
            for at in range(0, len(data), 36):
                rows[at + 4] &= 0x7F
        return bytes(rows)

    said = converse(session, device, until_s=5.0, damage=every_second_old)
    assert session.counters["conversions_repeated"] == pytest.approx(len(said.ecg_mv) / 2, rel=0.1)


# -- resynchronisation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hardware", [3, 10])
@pytest.mark.parametrize("crc_bytes", [0, 1, 2])
def test_400_cuts_of_a_noisy_ecg_with_offset(hardware: int, crc_bytes: int) -> None:
    """No sample is wrong or at a wrong place; with CRC exactly the cut packets are missing."""
    noisy = SyntheticEcg(seed=4, noise_mv=0.05, wander_mv=0.3)
    device = Shimmer3Emulator(noisy, hardware=hardware, electrode_offset_mv=41.3)
    session = ShimmerSession(Settings(crc_bytes=crc_bytes))
    rng = np.random.default_rng(7)
    session.start(0.0)
    now_s, sent, cut, blocks = 0.0, 0, set[int](), []
    size = 18 + crc_bytes
    cuts = 0
    while cuts < 400:
        now_s += 0.2
        device.receive(session.bytes_to_send(), now_s)
        units = device.units(now_s)
        data = b"".join(unit.data for unit in units)
        count = sum(unit.samples for unit in units)
        if count == len(units) > 20 and now_s > 2.0:
            at = int(rng.integers(5 * size, len(data) - 8 * size))
            length = int(rng.integers(1, 3 * size))
            # Of two halves that make one packet only a CRC can tell that they do not belong together.
            length += not crc_bytes and length % size == 0
            data = data[:at] + data[at + length :]
            cut |= {sent + n for n in range(at // size, (at + length - 1) // size + 1)}
            cuts += 1
        sent += count
        session.receive(data, now_s)
        session.on_time(now_s)
        blocks += [event for event in session.events() if hasattr(event, "ecg_mv")]
    truth = Reservoir(noisy(256.0)).take(sent) + 41.3
    numbers = np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in blocks])
    ecg = np.concatenate([block.ecg_mv for block in blocks])
    assert np.abs(ecg - truth[numbers]).max() <= QUANTUM_MV
    missing = set(range(int(numbers[-1]))) - set(numbers.tolist())
    if crc_bytes:
        assert missing <= cut
        assert len(missing) >= 0.98 * len(cut)  # a cut whose end looks like its beginning takes less
    else:
        assert missing <= cut | {n - 1 for n in cut}
    assert sum(block.gap_before for block in blocks) == len(missing)
