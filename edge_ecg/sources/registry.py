"""The table of what can be opened, and the one call that opens it."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import cast

from ..errors import UsageError
from .address import SERIAL, Address, parse_address
from .base import Clock, Opener, Source

# scheme -> (module, function); imported when first used, so that a replay never loads pyserial.
OPENERS: dict[str, tuple[str, str]] = {
    SERIAL: ("edge_ecg.sources.serial_port", "open_serial"),
    "socket": ("edge_ecg.sources.opening", "open_tcp"),
    "rfc2217": ("edge_ecg.sources.serial_port", "open_serial"),
    "ble": ("edge_ecg.sources.ble", "open_ble"),
    "bt": ("edge_ecg.sources.rfcomm", "open_rfcomm"),
    "file": ("edge_ecg.sources.files", "open_file"),
    "lsl": ("edge_ecg.sources.lsl", "open_lsl"),
    "sim": ("edge_ecg.sources.simulated", "open_simulated"),
}


def open_source(
    address: str | Address, *, device: str | None = None, clock: Clock = time.monotonic
) -> Source:
    """Open where samples come from; use the result in a ``with`` statement.

    Parameters
    ----------
    address:
        See :mod:`edge_ecg.sources.address`.
    device:
        The kind of device, such as ``shimmer3`` or ``text``; None to find out.
    clock:
        Monotonic seconds; stamps arrivals and bounds every wait.

    Raises
    ------
    UsageError
        When the address or the device kind makes no sense.
    DeviceError, DataError
        When the device or the recording cannot be opened.

    """
    parsed = address if isinstance(address, Address) else parse_address(address)
    if parsed.scheme not in OPENERS:
        raise UsageError(
            f"The address {parsed} begins with an unknown scheme, {parsed.scheme!r}.",
            remedy="Give a port such as /dev/ttyUSB0, or bt:ADDRESS, ble:NAME, lsl:NAME, file:PATH, sim:.",
        )
    if parsed.scheme == SERIAL and Path(parsed.target).is_file():
        raise UsageError(f"{parsed.target} is a file, not a port.", remedy=f"Give --port 'file:{parsed}'.")
    module, function = OPENERS[parsed.scheme]
    opener = cast(Opener, getattr(import_module(module), function))
    return opener(parsed, device=device, clock=clock)
