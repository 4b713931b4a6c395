"""Virtual devices: they speak a firmware's bytes from the device's side, without I/O and on any clock."""

from .base import Emulator, Reservoir, Signal
from .gatt import GattEmulator, TunnelEmulator
from .gatt_faults import FaultyLink
from .movesense import MovesenseEmulator
from .odd import DockEmulator, GarbageEmulator, SilentEmulator
from .pipe import PipeEmulator
from .polar import PolarEmulator
from .shimmer3 import Shimmer3Emulator
from .text import TextEmulator
from .tunnelled import tunnelled_movesense, tunnelled_polar

__all__ = [
    "DockEmulator",
    "Emulator",
    "FaultyLink",
    "GarbageEmulator",
    "GattEmulator",
    "MovesenseEmulator",
    "PipeEmulator",
    "PolarEmulator",
    "Reservoir",
    "Shimmer3Emulator",
    "Signal",
    "SilentEmulator",
    "TextEmulator",
    "TunnelEmulator",
    "tunnelled_movesense",
    "tunnelled_polar",
]
