"""What boards with small counters have in common: finding packets, unwrapping counters, estimating rates.

A counter of 8 or 4 bits says how many samples are missing only up to a multiple of its range; the host's
clock says which multiple. No clock is read here: arrival times are passed in.
"""

from .arrival import ArrivalClock, TimeLine
from .framer import CountedFramer, Found
from .placing import Placed, Placer, Run

__all__ = ["ArrivalClock", "CountedFramer", "Found", "Placed", "Placer", "Run", "TimeLine"]
