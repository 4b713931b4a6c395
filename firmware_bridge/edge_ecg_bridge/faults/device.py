"""Faults of the device itself: what an emulator is built with so that it has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .catalogue import PlannedFault
from .signals import Shaken

RATE_ERROR = 0.007
CounterBefore = Callable[[float], int]
"""Seconds -> where a device's counter stands so long before it wraps."""


def device_arguments(
    emulator: Callable[..., Any], faults: Sequence[PlannedFault], counter_before: CounterBefore | None
) -> dict[str, Any]:
    """Return the arguments with which ``emulator`` is built to have those faults that are the device's.

    Raises
    ------
    ValueError
        When the device cannot have one of them, as a sentence.

    """
    known = set(inspect.signature(emulator).parameters)
    by_name = {
        name: [plan for plan in faults if plan.name == name] for name in {plan.name for plan in faults}
    }
    arguments: dict[str, Any] = {}
    if "time-wrap" in by_name:
        if counter_before is None or "counter" not in known:
            raise ValueError("This device has no counter that wraps.")
        arguments["counter"] = counter_before(by_name["time-wrap"][0].at_s)
    if "rate-off" in by_name:
        arguments["rate_error"] = RATE_ERROR
    if "already-streaming" in by_name:
        arguments["already_streaming"] = True
    if "lead-off" in by_name and "electrode_off" in known:
        arguments["electrode_off"] = lambda t_s: any(plan.active(t_s) for plan in by_name["lead-off"])
    if "motion" in by_name and "motion" in known:
        arguments["motion"] = Shaken(by_name["motion"])
    missing = sorted(set(arguments) - known)
    if missing:
        raise ValueError(f"This device cannot have that fault: its emulator knows no {', '.join(missing)}.")
    return arguments
