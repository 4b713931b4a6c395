"""When to try again after a device was lost, and whether to try at all."""

from __future__ import annotations

from collections.abc import Callable

from edge_ecg_bridge.stream import Session

from .address import Address
from .transport import Transport

SILENCE_S = 3.0
"""A device that sends no sample for so long is lost, however connected it calls itself."""

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 30.0
RESCAN_AFTER = 2
"""Failures after which the device is looked for anew: what was known of its whereabouts may be stale."""

OPTION = "reconnect"
"""The option of an address; ``no`` ends the session when the device is lost."""

Connect = Callable[[bool], tuple[Transport, Session]]
"""Makes a fresh connection to the same device: an open transport and a session that was not started.

Called from the reader's thread. The argument says whether to look for the device anew (scan the radio, list
the ports) instead of going where it was. It may raise DeviceError, BridgeError, TransportLostError, OSError:
all mean "not now". ``now()`` of all transports must read one clock, the first one's.
"""


def wants_reconnect(address: Address) -> bool:
    """Return whether a lost device is to be waited for; UsageError when the option is neither yes nor no."""
    return address.choice(OPTION, "yes", ("yes", "no")) == "yes"


class BackOff:
    """How long to wait before each try: 1, 2, 4 ... 30 s, and so on for hours.

    Attributes
    ----------
    failures:
        Tries that failed since the last success.

    """

    def __init__(self) -> None:
        self.failures = 0

    @property
    def delay_s(self) -> float:
        """Seconds to wait before the next try."""
        # The power is bounded: after a night of tries it would not fit a float.
        return float(min(FIRST_DELAY_S * 2.0 ** min(self.failures, 16), LONGEST_DELAY_S))

    @property
    def rescan(self) -> bool:
        """Whether the next try should look for the device anew."""
        return self.failures >= RESCAN_AFTER

    def failed(self) -> None:
        """Note a try that failed."""
        self.failures += 1
