"""What boards with small counters share: finding packets, unwrapping counters, estimating rates, stopping.

A counter of 8 or 4 bits says how many samples are missing only up to a multiple of its range; the host's
clock says which multiple. No clock is read here: arrival times are passed in.
"""

from .arrival import ArrivalClock, TimeLine
from .framer import CountedFramer, Found
from .placing import PAUSE_S, Placed, Placer, Run
from .session import QUIET_S, CountedSession

__all__ = [
    "PAUSE_S",
    "QUIET_S",
    "ArrivalClock",
    "CountedFramer",
    "CountedSession",
    "Found",
    "Placed",
    "Placer",
    "Run",
    "TimeLine",
]
