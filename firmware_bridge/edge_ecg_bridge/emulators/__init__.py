"""Virtual devices: they speak a firmware's bytes from the device's side, without I/O and on any clock."""

from .base import Emulator, Motion, Reservoir, Signal, Unit, at_rest, joined
from .bitalino import BitalinoEmulator
from .cyton import CytonEmulator
from .framed import FramedEmulator
from .ganglion import GanglionEmulator
from .odd import DockEmulator, GarbageEmulator, SilentEmulator
from .openview import OpenViewEmulator
from .shimmer3 import Shimmer3Emulator
from .text import TextEmulator

__all__ = [
    "BitalinoEmulator",
    "CytonEmulator",
    "DockEmulator",
    "Emulator",
    "FramedEmulator",
    "GanglionEmulator",
    "GarbageEmulator",
    "Motion",
    "OpenViewEmulator",
    "Reservoir",
    "Shimmer3Emulator",
    "Signal",
    "SilentEmulator",
    "TextEmulator",
    "Unit",
    "at_rest",
    "joined",
]
