"""Virtual devices: they speak a firmware's bytes from the device's side, without I/O and on any clock."""

from .base import Emulator, Motion, Reservoir, Signal, Unit, at_rest, joined
from .bitalino import BitalinoEmulator
from .cyton import CytonEmulator
from .framed import FramedEmulator
from .ganglion import GanglionEmulator
from .gatt import GattEmulator, TunnelEmulator
from .gatt_faults import FaultyLink
from .movesense import MovesenseEmulator
from .odd import DockEmulator, GarbageEmulator, SilentEmulator
from .openview import OpenViewEmulator
from .pipe import PipeEmulator
from .polar import PolarEmulator
from .shimmer3 import Shimmer3Emulator
from .text import TextEmulator
from .tunnelled import tunnelled_ganglion, tunnelled_movesense, tunnelled_polar

__all__ = [
    "BitalinoEmulator",
    "CytonEmulator",
    "DockEmulator",
    "Emulator",
    "FaultyLink",
    "FramedEmulator",
    "GanglionEmulator",
    "GarbageEmulator",
    "GattEmulator",
    "Motion",
    "MovesenseEmulator",
    "OpenViewEmulator",
    "PipeEmulator",
    "PolarEmulator",
    "Reservoir",
    "Shimmer3Emulator",
    "Signal",
    "SilentEmulator",
    "TextEmulator",
    "TunnelEmulator",
    "Unit",
    "at_rest",
    "joined",
    "tunnelled_ganglion",
    "tunnelled_movesense",
    "tunnelled_polar",
]
