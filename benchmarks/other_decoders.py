"""Other people's decoders, fed with a stream's packets from memory; ImportError where one is not installed.

Each is called as its own library calls it, without its port, its threads and its radio. None of them is a
dependency of edge-ecg; pyshimmer and bitalino are under the GPL and belong into an environment of their own.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any


class _Port(io.BytesIO):
    """Bytes in memory as a port that has no time-out."""

    timeout = None


def pyshimmer(data: bytes) -> list[float]:
    """Decode Shimmer3 packets; it knows no CRC, so they are taken off before."""
    from pyshimmer.bluetooth.bt_commands import DataPacket
    from pyshimmer.bluetooth.bt_serial import BluetoothSerial
    from pyshimmer.dev.channels import ChDataTypeAssignment as Types
    from pyshimmer.dev.channels import EChannelType as Channel

    channels = [Channel.TIMESTAMP, Channel.EXG_ADS1292R_1_STATUS, Channel.EXG_ADS1292R_1_CH1_24BIT]
    channels += [Channel.EXG_ADS1292R_1_CH2_24BIT, Channel.EXG_ADS1292R_2_STATUS]
    channels += [Channel.EXG_ADS1292R_2_CH1_24BIT, Channel.EXG_ADS1292R_2_CH2_24BIT]
    plain = b"".join(data[at : at + 18] for at in range(0, len(data) - 19, 20))
    port = BluetoothSerial(_Port(plain))  # type: ignore[arg-type]
    types = [(channel, Types[channel]) for channel in channels]
    values = []
    for _ in range(len(plain) // 18):
        packet = DataPacket(types)
        packet.receive(port)
        values.append(packet[Channel.EXG_ADS1292R_1_CH1_24BIT])
    return values


def bitalino(data: bytes) -> list[float]:
    """Decode BITalino frames of one channel."""
    from bitalino import BITalino

    port = io.BytesIO(data)
    board = BITalino.__new__(BITalino)
    board.started, board.analogChannels, board.receive = True, [1], port.read
    return [float(value) for value in board.read(len(data) // 3)[:, 5]]


def py_openbci(data: bytes) -> list[float]:
    """Decode Cyton packets."""
    # The package imports a library for the Ganglion's radio, which is not needed here and hard to build.
    radio = ModuleType("bluepy.btle")
    vars(radio).update(DefaultDelegate=object, Peripheral=object, Scanner=object)
    sys.modules.setdefault("bluepy", ModuleType("bluepy"))
    sys.modules.setdefault("bluepy.btle", radio)
    from pyOpenBCI.cyton import OpenBCICyton

    board = OpenBCICyton.__new__(OpenBCICyton)
    board.ser, board.read_state, board.packets_dropped = io.BytesIO(data), 0, 0
    board.start_time, board.board_type = "", "Cyton"
    return [board.parse_board_data().channels_data[0] for _ in range(len(data) // 33)]


def polar_python(notifications: Iterable[bytes]) -> list[float]:
    """Decode Polar frames."""
    from polar_python.parsers.polar import parse_polar_data

    values: list[float] = []
    for data in notifications:
        if data[0] == 0 and len(data) > 10:
            values += parse_polar_data(bytearray(data), lambda _: 1.0).data
    return values


def bleakheart(notifications: Iterable[bytes]) -> list[float]:
    """Decode Polar frames."""
    from bleakheart import PolarMeasurementData

    values: list[float] = []
    for data in notifications:
        if data[0] == 0 and len(data) > 10:
            values += PolarMeasurementData._decode_ecg_data(None, bytearray(data))
    return values


Decoder = Callable[[Any], list[float]]
OTHERS: dict[str, dict[str, Decoder]] = {
    "shimmer3": {"pyshimmer": pyshimmer},
    "bitalino": {"bitalino": bitalino},
    "cyton": {"pyOpenBCI": py_openbci},
    "polar-h10": {"bleakheart": bleakheart, "polar-python": polar_python},
}
