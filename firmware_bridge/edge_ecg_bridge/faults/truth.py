"""What really happened to each sample on its way: against this a session's own account is held."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum


class Harm(StrEnum):
    """What a fault did to a packet."""

    LOST = "lost"  # it never arrives whole
    ALTERED = "altered"  # it arrives with a wrong bit
    LATE = "late"  # it arrives after younger ones, and must not be taken


@dataclass(frozen=True, slots=True)
class Damage:
    """Consecutive samples that were harmed.

    Attributes
    ----------
    first, samples:
        Number of the first one in the device's stream, and how many.
    fault, harm:
        Which fault did what.
    at_s:
        Time of the stream.

    """

    first: int
    samples: int
    fault: str
    harm: Harm
    at_s: float


@dataclass(slots=True)
class Truth:
    """The log of one device.

    Attributes
    ----------
    sent:
        Number of the sample after the last one that the device has put into a packet.
    damages:
        What was harmed of them, in order.
    past:
        The same of each stream before, in order.
    begun_s:
        When each stream began, the present one last; the first begins with its first sample.
    strikes:
        How often each fault struck.
    away:
        Begin and end of each time in which nobody could be connected, in seconds of the stream.

    """

    sent: int = 0
    damages: list[Damage] = field(default_factory=list)
    past: list[list[Damage]] = field(default_factory=list)
    begun_s: list[float] = field(default_factory=lambda: [-math.inf])
    strikes: dict[str, int] = field(default_factory=dict)
    away: list[tuple[float, float]] = field(default_factory=list)

    def new_stream(self, now_s: float) -> None:
        """Count from 0 again: the device has begun its signal anew."""
        self.past.append(self.damages)
        self.begun_s.append(now_s)
        self.sent, self.damages = 0, []

    def stream_at(self, now_s: float) -> int:
        """Return the number of the stream to which a sample belongs that arrived then."""
        return bisect_right(self.begun_s, now_s) - 1

    def harmed(self, *harms: Harm) -> set[int]:
        """Return the numbers of all samples harmed in one of some ways; without argument in any."""
        wanted = set(harms or Harm)
        return {
            number
            for damage in self.damages
            if damage.harm in wanted
            for number in range(damage.first, damage.first + damage.samples)
        }

    def strike(self, fault: str) -> None:
        """Count one more stroke of a fault."""
        self.strikes[fault] = self.strikes.get(fault, 0) + 1
