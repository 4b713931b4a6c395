"""Named faults: in the signal, in the device, on the link; with a log of what they really did.

A fault is written ``NAME``, ``NAME@SECONDS`` or ``NAME@SECONDS:DURATION``, several parted by commas. Build
the signal with :class:`FaultySignal`, the device with :func:`device_arguments`, and put
:class:`FaultyEmulator` around it.
"""

from .catalogue import FAULTS, Fault, Layer, PlannedFault, parse_faults
from .device import device_arguments
from .link import FaultyEmulator, LinkState
from .signals import FaultySignal
from .truth import Damage, Harm, Truth

__all__ = [
    "FAULTS",
    "Damage",
    "Fault",
    "FaultyEmulator",
    "FaultySignal",
    "Harm",
    "Layer",
    "LinkState",
    "PlannedFault",
    "Truth",
    "device_arguments",
    "parse_faults",
]
