"""Our own wire format for DIY firmware; firmware_bridge/sketches/README.md describes it byte by byte.

    EC 47 | type | length | payload ... | CRC-16          all numbers little-endian

A data frame carries a few samples of every channel, the number of the first of them, the device's time, and
what the device knows of its electrodes; an info frame, sent at the start and every second, carries rate,
units and limits, so that a host may join at any time. Every frame has a run number that changes when the
board restarts, so that a count that begins again is never taken for the old one.
"""

from .finder import FrameFinder, recognise
from .info import Channel, Info, State
from .packets import DataFrame, Flag
from .session import FramedSession, FramedSettings
from .wire import ASK_INFO, START, STOP, FrameType, crc16, seal

__all__ = [
    "ASK_INFO",
    "START",
    "STOP",
    "Channel",
    "DataFrame",
    "Flag",
    "FrameFinder",
    "FrameType",
    "FramedSession",
    "FramedSettings",
    "Info",
    "State",
    "crc16",
    "recognise",
    "seal",
]
