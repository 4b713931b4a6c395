"""Calibration against what Consensys itself made of a real Shimmer3's bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from edge_ecg_bridge.shimmer3.exg import (
    FULL_SCALE,
    RESET_REGISTERS,
    ExgRegisters,
    clipped,
    counts,
    ecg_registers,
    electrode_off,
    to_mv,
)
from edge_ecg_bridge.shimmer3.packets import PacketFramer, PacketLayout, PacketRun

SD_HEADER_BYTES = 256
SD_REGISTERS_AT = 56  # of chip 1, ten bytes; chip 2's follow
END = bytes.fromhex("FF 8A 71 00")  # proves the last packet


def consensys(path: Path) -> np.ndarray:
    """The columns of one of Consensys' tables: time, channel 1, channel 2."""
    with gzip.open(path, "rt") as file:
        return np.array([[float(x) for x in line.split()] for line in file.readlines()[3:]])


@pytest.fixture
def sd_log(data_root: Path) -> Path:
    return data_root / "device-files" / "shimmer3-sdlog"


def test_a_real_shimmers_bytes_give_consensys_numbers(sd_log: Path) -> None:
    data = (sd_log / "ecg.bin").read_bytes()
    registers = ExgRegisters(data[SD_REGISTERS_AT : SD_REGISTERS_AT + 10])
    rows = np.frombuffer(data[SD_HEADER_BYTES:], dtype=np.uint8).reshape(-1, 10)
    # On the card a record is a packet without its leading 00.
    stream = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows], axis=1).tobytes()
    framer = PacketFramer(PacketLayout.of((0x1D, 0x1E, 0x1F)), int.from_bytes(data[:2], "little"))
    stream += END
    runs = [item for at in range(0, len(stream), 997) for item in framer.feed(stream[at : at + 997])]
    packets = np.concatenate([run.packets for run in runs if isinstance(run, PacketRun)])
    plain, calibrated = (
        consensys(sd_log / "ecg_uncalibrated.csv.gz"),
        consensys(sd_log / "ecg_calibrated.csv.gz"),
    )
    assert len(packets) == len(plain) == len(calibrated) > 4000
    for channel, at in ((0, 5), (1, 8)):
        raw = counts(packets[:, at : at + 3])
        np.testing.assert_array_equal(raw, plain[:, 1 + channel])
        np.testing.assert_allclose(to_mv(raw, registers, channel), calibrated[:, 1 + channel], rtol=1e-12)


def test_gaps_of_the_card_are_those_of_consensys_time_column(sd_log: Path) -> None:
    data = (sd_log / "ecg.bin").read_bytes()
    rows = np.frombuffer(data[SD_HEADER_BYTES:], dtype=np.uint8).reshape(-1, 10)
    stream = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows], axis=1).tobytes()
    runs = [
        r
        for r in PacketFramer(PacketLayout.of((0x1D, 0x1E, 0x1F)), 64).feed(stream + END)
        if isinstance(r, PacketRun)
    ]
    numbers = np.concatenate([run.first + np.arange(len(run.packets)) for run in runs])
    ms = consensys(sd_log / "ecg_uncalibrated.csv.gz")[:, 0]
    np.testing.assert_array_equal(numbers, np.rint((ms - ms[0]) * 0.512).astype(int))


def test_scale_of_the_vendors_default() -> None:
    chip1, chip2 = (ExgRegisters(data) for data in ecg_registers(256))
    assert chip1.mv_per_count(0) * 1000 == pytest.approx(0.07212, rel=1e-4)  # 2.42 V, gain 4
    assert chip1.mv_per_count(0) * FULL_SCALE == pytest.approx(605.0)
    assert (chip1.rate_hz, chip1.gain(0), chip1.input(0), chip2.input(1)) == (500, 4, 0, 7)
    reset = ExgRegisters(RESET_REGISTERS)
    assert (reset.gain(0), reset.rate_hz) == (6, 500)
    assert ExgRegisters(b"\2\xb0" + RESET_REGISTERS[2:]).reference_v == 4.033
    with pytest.raises(ValueError, match="reserved"):
        ExgRegisters(b"\2\xa0\x10\x70\0\0\0\0\0\0").mv_per_count(0)


def test_counts_are_signed_and_limits_are_seen() -> None:
    values = [0, 1, -1, FULL_SCALE, -FULL_SCALE - 1, FULL_SCALE - 1, FULL_SCALE - 2, -FULL_SCALE + 2]
    data = b"".join(value.to_bytes(3, "big", signed=True) for value in values)
    raw = counts(np.frombuffer(data, dtype=np.uint8).reshape(-1, 3))
    assert raw.tolist() == values
    assert clipped(raw).tolist() == [False, False, False, True, True, True, False, False]


def test_lead_off_bits_belong_to_their_channel() -> None:
    status = np.array([0x80, 0x81, 0x82, 0x84, 0x88, 0x90], dtype=np.uint8)
    assert electrode_off(status, 0).tolist() == [False, True, True, False, False, True]
    assert electrode_off(status, 1).tolist() == [False, False, False, True, True, True]
