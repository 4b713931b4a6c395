"""The checks of ``edge-ecg doctor``: what a machine needs for edge-ecg, and the command that mends it."""

from .check import Check, Status
from .host import Host
from .registry import examine

__all__ = ["Check", "Host", "Status", "examine"]
