"""Measuring a bundle on the machine it is to run on: first whether it is right, then how fast."""

from .agreement import Agreement, check_engine
from .emulated import emulated, virtual_machine
from .latency import Latency, interleaved
from .machine import Machine, this_machine
from .startup import Startup, measure_startup

__all__ = [
    "Agreement",
    "Latency",
    "Machine",
    "Startup",
    "check_engine",
    "emulated",
    "interleaved",
    "measure_startup",
    "this_machine",
    "virtual_machine",
]
