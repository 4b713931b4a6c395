"""Virtual devices: they speak a firmware's bytes from the device's side, without I/O and on any clock."""

from .base import Emulator, Motion, Reservoir, Signal, Unit, at_rest, joined
from .base import Emulator, Reservoir, Signal
from .framed import FramedEmulator
from .odd import DockEmulator, GarbageEmulator, SilentEmulator
from .shimmer3 import Shimmer3Emulator
from .text import TextEmulator

__all__ = [
    "DockEmulator",
    "Emulator",
    "FramedEmulator",
    "GarbageEmulator",
    "Motion",
    "Reservoir",
    "Shimmer3Emulator",
    "Signal",
    "SilentEmulator",
    "TextEmulator",
    "Unit",
    "at_rest",
    "joined",
]
