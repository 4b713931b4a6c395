"""What an LSL stream says of its channels: ``desc/channels/channel/{label, unit, type}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Names as casefold() gives them: it also turns the micro sign into the Greek letter.
_UNITS = {
    "mv": 1.0,
    "millivolt": 1.0,
    "millivolts": 1.0,
    "uv": 1e-3,
    "μv": 1e-3,
    "microvolt": 1e-3,
    "microvolts": 1e-3,
    "v": 1e3,
    "volt": 1e3,
    "volts": 1e3,
}
UNIT_NAMES = ("uv", "mv", "v")


def unit_in_mv(text: str) -> float | None:
    """Return the millivolts of a unit's name; None when it is none of voltage."""
    return _UNITS.get(text.strip().casefold())


@dataclass(frozen=True, slots=True)
class LslChannel:
    """One channel as the stream describes it."""

    index: int
    label: str
    unit: str
    type: str


def channels_of(info: Any) -> list[LslChannel]:
    """Read ``desc/channels/channel`` of a stream's full description; a channel not described has no label."""
    channels = []
    node = info.desc().child("channels").child("channel")
    for index in range(info.channel_count()):
        described = not node.empty()
        text = [node.child_value(name) if described else "" for name in ("label", "unit", "type")]
        channels.append(LslChannel(index, *text))
        node = node.next_sibling("channel") if described else node
    return channels
