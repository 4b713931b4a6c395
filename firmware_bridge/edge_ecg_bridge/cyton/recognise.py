"""Telling a Cyton from other devices by what it sends."""

from __future__ import annotations

from . import wire
from .packets import CytonFramer

QUESTION = wire.RESET
"""What makes an idle Cyton say what it is. Rule a Shimmer3 out first: it takes this for a command."""
_ENOUGH_PACKETS = 3


def recognise(seen: bytes) -> bool:
    """Whether a Cyton, or its dongle alone, has sent this: a greeting, a stream, or the dongle's failure."""
    if wire.RADIO_FAILURE in seen or wire.parse_greeting(seen) is not None:
        return True
    return sum(len(found.rows) for found in CytonFramer().feed(seen)) >= _ENOUGH_PACKETS
