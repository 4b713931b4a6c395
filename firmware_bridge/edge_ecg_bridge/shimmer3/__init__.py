"""Shimmer3 with LogAndStream firmware over Bluetooth: codec and session."""

from .exg import LEADS
from .session import ShimmerSession
from .setup import Settings

__all__ = ["LEADS", "Settings", "ShimmerSession"]
