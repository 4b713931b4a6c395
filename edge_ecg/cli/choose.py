"""Which device a verb reads from when none is named: the one that is plugged in, or else the one in range."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import DeviceError, UsageError
from ..sinks.lines import shown

if TYPE_CHECKING:
    from ..discovery import FoundBluetooth, FoundPort, FoundStream, Nearby

DEMO_ADDRESS = "sim:shimmer3"
_DEMO_HINT = "edge-ecg run --demo"


def choose_address(args: argparse.Namespace) -> str:
    """Return what ``--port`` or ``--demo`` say, or the one device that is there.

    What is plugged in comes first; only where nothing is, Bluetooth and LSL are listened to for four seconds.

    Raises
    ------
    DeviceError
        When there is none.
    UsageError
        When there is more than one device to choose from.

    """
    fault = getattr(args, "fault", None)
    if args.demo:
        return f"{DEMO_ADDRESS}?fault={fault}" if fault else DEMO_ADDRESS
    if fault:
        raise UsageError(
            "--fault is for the simulated device of --demo.",
            remedy="Add --demo, or give --port 'sim:KIND?fault=NAME'.",
        )
    if args.port is not None:
        return str(args.port)
    from ..discovery import find_serial_ports

    ports = find_serial_ports()
    plugged = [(port.address, port.description) for port in ports if port.streams]
    found = plugged or _in_range(ports)
    if len(found) > 1:
        raise UsageError(
            f"There are {len(found)} devices to choose from.",
            why=_listed(found),
            remedy=f"Give one of them with --port, or try it without a device: {_DEMO_HINT}",
        )
    address, description = found[0]
    print(f"Found {shown(address)}: {shown(description)}.", file=sys.stderr)
    return address


def _in_range(ports: Sequence[FoundPort]) -> list[tuple[str, str]]:
    """Listen, and return what may be taken: what is heard now, or else what is paired."""
    from ..discovery import SCAN_S, find_nearby

    print(f"Nothing is plugged in; listening for Bluetooth and LSL for {SCAN_S:g} s.", file=sys.stderr)
    nearby = find_nearby()
    for candidates in (nearby.heard, nearby.paired):
        found = [_described(one) for one in candidates if one.streams]
        if found:
            return found
    there = _listed([(port.address, port.description) for port in ports])
    there = there or "There is no serial port, and none is bound to Bluetooth."
    raise DeviceError(
        "No device is plugged in or in range.",
        why=" ".join([there, *_unheard(nearby)]),
        remedy=f"Plug one in or switch it on, give --port ADDRESS, or try it without one: {_DEMO_HINT}",
    )


def _described(one: FoundBluetooth | FoundStream) -> tuple[str, str]:
    description = getattr(one, "description", "")
    return one.port, description or f"LSL stream {one.name}"


def _unheard(nearby: Nearby) -> list[str]:
    """Return why nobody could listen, where nobody could; and what was heard that measures no ECG."""
    reasons = [scan.reason for scan in (nearby.scan, nearby.lsl) if scan is not None and scan.reason]
    others = sum(not one.streams for one in nearby.heard)
    if others:
        reasons.append(f"Of {others} others in range (Bluetooth, LSL) none is known to send an ECG.")
    return reasons


def _listed(found: Sequence[tuple[str, str]]) -> str:
    listed = "; ".join(f"{address} ({description})" for address, description in found)
    return f"Found {listed}." if found else ""
