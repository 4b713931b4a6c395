"""Telling a BITalino from other devices by what it sends."""

from __future__ import annotations

from . import wire

QUESTION = wire.GET_VERSION
"""What makes an idle BITalino say what it is. Rule a Shimmer3 out first: it begins to stream at this."""
_ENOUGH_FRAMES = 12


def recognise(seen: bytes) -> bool:
    """Whether a BITalino has sent this: its version, or a stream with any number of channels."""
    if wire.parse_version(seen) is not None:
        return True
    framers = (wire.BitalinoFramer(channels) for channels in range(1, wire.MAX_CHANNELS + 1))
    return any(sum(len(found.rows) for found in framer.feed(seen)) >= _ENOUGH_FRAMES for framer in framers)
