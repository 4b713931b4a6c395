"""What a measurement was taken under, and whether its times count.

A Raspberry Pi that is short of power, or hot, slows down without telling; its firmware keeps bits that say so
now and since it was switched on (``vcgencmd get_throttled``).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..health import Host
from ..health.readings import SINCE_BOOT, Clock, cpu_clock, governors, hottest_c, throttled_bits

_NOW = 0xF

THROTTLED, CAPPED = "throttled", "capped"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The machine at one moment; None for what it does not tell.

    Attributes
    ----------
    load_1min:
        Processes that wanted to run, on average over the last minute.
    temperature_c:
        Of the hottest sensor.
    throttled:
        The firmware's bits: 0 to 3 now, 16 to 19 since it was switched on.
    governor:
        Who sets the clock.
    clock:
        The processor's.

    """

    load_1min: float | None
    temperature_c: float | None
    throttled: int | None
    governor: str | None
    clock: Clock


def read_conditions(host: Host) -> Conditions:
    """Look at the machine now."""
    return Conditions(
        load_1min=_load(host),
        temperature_c=hottest_c(host),
        throttled=throttled_bits(host),
        governor=", ".join(governors(host)) or None,
        clock=cpu_clock(host),
    )


def why_invalid(before: Conditions, after: Conditions) -> list[str]:
    """Why times measured between two moments are not those of the machine at full speed; empty when they are.

    ``throttled``: it was at one of the two moments, or has been in between. ``capped``: its clock may not go
    as high as it could.
    """
    words = before.throttled or 0, after.throttled or 0
    in_between = (words[1] & ~words[0]) >> SINCE_BOOT & _NOW
    found = []
    if words[0] & _NOW or words[1] & _NOW or in_between:
        found.append(THROTTLED)
    if before.clock.capped or after.clock.capped:
        found.append(CAPPED)
    return found


def remarks(before: Conditions, cores: int) -> list[str]:
    """Sentences on what does not make a measurement invalid, but what its reader should know."""
    found = []
    if before.load_1min is not None and before.load_1min > 0.5 * cores:
        found.append(
            f"The machine was busy (load {before.load_1min:.1f} on {cores} cores): the ratios hold, the "
            "times are upper bounds."
        )
    if before.throttled is not None and before.throttled >> SINCE_BOOT & _NOW and not before.throttled & _NOW:
        found.append(
            "It was throttled since it was switched on, before this: should that have happened again in "
            "between, nobody would see it. Switch it off and on for a clean slate."
        )
    return found


def _load(host: Host) -> float | None:
    first = (host.read("proc/loadavg") or "").partition(" ")[0]
    try:
        return float(first)
    except ValueError:
        return None
