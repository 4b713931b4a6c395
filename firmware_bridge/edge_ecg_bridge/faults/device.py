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
    arguments: dict[str, Any] = {}
    for plan in faults:
        match plan.name:
            case "time-wrap":
                if counter_before is None or "counter" not in known:
                    raise ValueError("This device has no counter that wraps.")
                arguments["counter"] = counter_before(plan.at_s)
            case "rate-off":
                arguments["rate_error"] = RATE_ERROR
            case "already-streaming":
                arguments["already_streaming"] = True
            case "lead-off" if "electrode_off" in known:
                arguments["electrode_off"] = plan.active
            case "motion" if "motion" in known:
                arguments["motion"] = Shaken(plan)
    missing = sorted(set(arguments) - known)
    if missing:
        raise ValueError(f"This device cannot have that fault: its emulator knows no {', '.join(missing)}.")
    return arguments
