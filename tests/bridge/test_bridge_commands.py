"""Commands byte for byte, and the CRC vectors of the firmware's own documentation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.shimmer3 import commands, dock
from edge_ecg_bridge.shimmer3.crc import crc16, crc16_rows, intact, seal
from edge_ecg_bridge.shimmer3.exg import ecg_registers
from edge_ecg_bridge.shimmer3.wire import LN_ACCEL_SENSORS, WR_ACCEL_SENSORS


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (commands.inquiry(), "01"),
        (commands.get_rate(), "03"),
        (commands.set_rate(128), "05 80 00"),
        (commands.set_sensors(LN_ACCEL_SENSORS), "08 98 00 00"),
        (commands.set_sensors(WR_ACCEL_SENSORS), "08 18 10 00"),
        (commands.get_calibration(), "2C"),
        (commands.get_serial(), "3E"),
        (commands.get_name(), "7B"),
        (commands.get_clock(), "91"),
        (commands.set_clock(1_790_000_000.0), "8F 00 00 C0 9D 58 35 00 00"),
        (commands.get_battery(), "95"),
        (commands.set_rate(262), "05 06 01"),
        (commands.start_streaming(), "07"),
        (commands.set_sensors(), "08 18 00 00"),
        (commands.stop_streaming(), "20"),
        (commands.get_firmware(), "2E"),
        (commands.get_hardware(), "3F"),
        (commands.get_exg(1), "63 01 00 0A"),
        (commands.get_board(), "66 02 00"),
        (commands.get_status(), "72"),
        (commands.set_crc(2), "8B 02"),
        (commands.set_status_ack(False), "A3 00"),
        (dock.GET_VERSION, "24 03 02 01 03 CA DC"),
        (
            commands.set_exg(0, ecg_registers(256)[0]),
            "61 00 00 0A 02 A0 10 40 40 2D 00 00 02 03",
        ),
        (
            commands.set_exg(1, ecg_registers(256)[1]),
            "61 01 00 0A 02 A0 10 40 47 00 00 00 02 01",
        ),
    ],
)
def test_commands_byte_for_byte(command: bytes, expected: str) -> None:
    assert command == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("fs_hz", "ticks"),
    [
        (125, 262),
        (128, 256),
        (200, 164),
        (250, 131),
        (256, 128),
        (500, 66),
        (512, 64),
        (1000, 33),
        (1024, 32),
    ],
)
def test_ticks_of_a_rate(fs_hz: float, ticks: int) -> None:
    assert commands.ticks_for(fs_hz) == ticks


def test_register_variants() -> None:
    assert ecg_registers(512)[0][0] == 3  # 1000 conversions a second
    assert ecg_registers(256, clock_out=True)[0][1] == 0xA8
    assert ecg_registers(256, clock_out=True)[1][1] == 0xA0
    assert ecg_registers(256, gain=12)[0][3:5] == bytes((0x60, 0x60))
    assert ecg_registers(256, gain=6)[1][3:5] == bytes((0x00, 0x07))
    chip1, chip2 = ecg_registers(256, lead_off=True)
    assert chip1[1] & 0x40
    assert chip1[6] == 0x0F
    assert chip2[6] == 0x04


@pytest.mark.parametrize(
    ("message", "crc"),
    [
        ("01 02 03 04 05 06 07 08", "AA 48"),
        ("01 02 03 04 05 06 07 08 09", "5D 2A"),
        ("01 02 03 04 05 06 07 08 09 0A", "17 8B"),
        ("01 02 03 04 05 06 07 08 09 0A 0B", "4E 79"),
        ("FF", "F4 65"),
        ("FE", "C5 56"),
    ],
)
def test_crc_vectors(message: str, crc: str) -> None:
    data = bytes.fromhex(message)
    assert seal(data, 2) == data + bytes.fromhex(crc)
    assert seal(data, 1) == data + bytes.fromhex(crc)[:1]
    assert seal(data, 0) == data
    assert intact(data + bytes.fromhex(crc), 2)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 319))
def test_crc_finds_every_flipped_bit_and_rows_agree(data: bytes, bit: int) -> None:
    rows = np.frombuffer(data * 2, dtype=np.uint8).reshape(2, -1)
    assert crc16_rows(rows).tolist() == [crc16(data)] * 2
    bit %= 8 * len(data)
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not intact(bytes(flipped) + crc16(data).to_bytes(2, "little"), 2)


@given(rows=st.lists(st.binary(min_size=7, max_size=7), max_size=5), size=st.integers(0, 7))
def test_crc_of_many_rows_is_the_crc_of_each(rows: list[bytes], size: int) -> None:
    table = np.frombuffer(b"".join(row[:size] for row in rows), dtype=np.uint8).reshape(len(rows), size)
    assert crc16_rows(table).tolist() == [crc16(row[:size]) for row in rows]
