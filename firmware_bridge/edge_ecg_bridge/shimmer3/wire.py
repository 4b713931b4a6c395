"""Numbers of the LogAndStream protocol (firmware ShimmerResearch/log-and-stream-common, shimmer_bt_uart.h).

All integers of the protocol are little-endian; ExG samples are big-endian.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

TICK_HZ = 32768
"""The device's counter, from which time stamps and sampling rate derive."""
STAMP_MODULUS = 1 << 24
"""Time stamps in packets have 24 bits: they wrap every 512 s."""
ECG_SENSORS = bytes((0x18, 0x00, 0x00))
"""The bit field that switches on both ExG chips at 24 bit and nothing else."""
LN_ACCEL_SENSORS = bytes((0x80, 0x00, 0x00))
WR_ACCEL_SENSORS = bytes((0x00, 0x10, 0x00))
"""Bits of the low-noise and the wide-range accelerometer, to be added to others."""

ACK, NACK = 0xFF, 0xFE
PACKET = 0x00
IN_STREAM_RESPONSE, STATUS_RESPONSE, BATTERY_RESPONSE = 0x8A, 0x71, 0x94


class Command(IntEnum):
    """First byte of what the host sends."""

    INQUIRY = 0x01
    GET_RATE = 0x03
    SET_RATE = 0x05
    START = 0x07
    SET_SENSORS = 0x08
    STOP = 0x20
    GET_HARDWARE_OLD = 0x24
    GET_CALIBRATION = 0x2C
    GET_FIRMWARE = 0x2E
    GET_SERIAL = 0x3E
    GET_HARDWARE = 0x3F
    SET_EXG = 0x61
    GET_EXG = 0x63
    GET_BOARD = 0x66
    GET_STATUS = 0x72
    SET_NAME = 0x79
    GET_NAME = 0x7B
    SET_CRC = 0x8B
    SET_CLOCK = 0x8F
    GET_CLOCK = 0x91
    GET_BATTERY = 0x95
    TEST = 0x96
    GET_RADIO = 0xA1
    SET_STATUS_ACK = 0xA3


class Response(IntEnum):
    """First byte of an answer, after the ACK."""

    INQUIRY = 0x02
    RATE = 0x04
    HARDWARE = 0x25
    CALIBRATION = 0x2D
    FIRMWARE = 0x2F
    SERIAL = 0x3D
    EXG = 0x62
    BOARD = 0x65
    NAME = 0x7A
    CLOCK = 0x90
    RADIO = 0xA2


class Hardware(IntEnum):
    """Answer to GET_HARDWARE."""

    SHIMMER3 = 3
    SHIMMER3R = 10


class FirmwareId(IntEnum):
    """Kind of firmware, in the answer to GET_FIRMWARE."""

    BT_STREAM = 1
    SD_LOG = 2
    LOG_AND_STREAM = 3


class StatusBit(IntFlag):
    """First byte of a status message."""

    DOCKED = 1
    SENSING = 2
    CLOCK_SET = 4
    LOGGING = 8
    STREAMING = 16
    SD_PRESENT = 32
    SD_ERROR = 64
    RED_LED = 128


class Channel(IntEnum):
    """Channel identifiers of ExG and accelerometers in the inquiry's list."""

    LN_ACCEL_X = 0x00
    LN_ACCEL_Y = 0x01
    LN_ACCEL_Z = 0x02
    WR_ACCEL_X = 0x04
    WR_ACCEL_Y = 0x05
    WR_ACCEL_Z = 0x06
    EXG1_STATUS = 0x1D
    EXG1_CH1 = 0x1E
    EXG1_CH2 = 0x1F
    EXG2_STATUS = 0x20
    EXG2_CH1 = 0x21
    EXG2_CH2 = 0x22


_TWO_BYTES = (*range(0x1B), 0x1C, *range(0x23, 0x29))
CHANNEL_BYTES: dict[int, int] = {
    **dict.fromkeys(_TWO_BYTES, 2),
    0x1B: 3,
    Channel.EXG1_STATUS: 1,
    Channel.EXG1_CH1: 3,
    Channel.EXG1_CH2: 3,
    Channel.EXG2_STATUS: 1,
    Channel.EXG2_CH1: 3,
    Channel.EXG2_CH2: 3,
}
"""Bytes of each channel in a data packet of a Shimmer3."""
CHANNEL_BYTES_3R = {**CHANNEL_BYTES, 0x1A: 3, 0x1B: 3}
"""The same of a Shimmer3R: temperature and pressure come from another chip."""

BOARDS = {
    0x24: "PROTO3 Mini",
    0x25: "ExG",
    0x26: "GSR+",
    0x27: "Bridge Amplifier+",
    0x1F: "IMU",
    0x28: "PROTO3 Deluxe",
    0x2F: "ExG",
    0x30: "GSR+",
    0x31: "Bridge Amplifier+",
    0xFF: "none",
}
"""Daughter boards by their number (SR36 … SR49); 37 and 47 carry the two ADS1292R."""
EXG_BOARDS = frozenset((0x25, 0x2F))
EXG_UNIFIED_BOARD = 0x2F
UNMARKED_BOARD = 0xFF
