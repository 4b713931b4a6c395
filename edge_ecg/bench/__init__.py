"""Measuring a bundle on the machine it is to run on: first whether it is right, then how fast."""

from .agreement import Agreement, check_engine
from .latency import Latency, interleaved
from .machine import Machine, this_machine
from .startup import Startup, measure_startup

__all__ = [
    "Agreement",
    "Latency",
    "Machine",
    "Startup",
    "check_engine",
    "interleaved",
    "measure_startup",
    "this_machine",
]
