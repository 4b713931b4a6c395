"""``edge-ecg run``: live decisions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import DeviceError, UsageError
from . import DISCLAIMER
from .streaming import add_model_options, add_record_option, add_source_options, chosen_model, stream

if TYPE_CHECKING:
    from ..discovery import FoundPort

DEMO_ADDRESS = "sim:shimmer3"
DEMO_DURATION_S = 75.0
_DEMO_HINT = "edge-ecg run --demo"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_options(parser)
    add_model_options(parser)
    add_record_option(parser)
    parser.add_argument(
        "--fault",
        metavar="NAME[@SECONDS]",
        help="what goes wrong in --demo (edge-ecg simulate --list-faults); several parted by commas",
    )
    parser.epilog = f"Example: edge-ecg run --port /dev/ttyUSB0 --record today.csv\n{DISCLAIMER}"


def run(args: argparse.Namespace) -> int:
    """Open the device, decide until it ends, and return the exit code."""
    model = chosen_model(args)
    duration_s = args.duration
    if args.demo and duration_s is None:
        duration_s = DEMO_DURATION_S
        print(f"A simulated Shimmer3 for {duration_s:.0f} s; Ctrl-C ends it sooner.", file=sys.stderr)
    return stream(args, choose_address(args), model, record_to=args.record, duration_s=duration_s)


def choose_address(args: argparse.Namespace) -> str:
    """Return what ``--port`` or ``--demo`` say, or the one device that is plugged in.

    Raises
    ------
    DeviceError
        When nothing is plugged in.
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
    found = [port for port in ports if port.streams]
    if not found:
        raise DeviceError(
            "No device is plugged in.",
            why=_listed(ports) if ports else "There is no serial port, and none is bound to Bluetooth.",
            remedy=f"Plug one in, give --port ADDRESS, or try it without one: {_DEMO_HINT}",
        )
    if len(found) > 1:
        raise UsageError(
            f"There are {len(found)} devices to choose from.",
            why=_listed(found),
            remedy=f"Give one of them with --port, or try it without a device: {_DEMO_HINT}",
        )
    print(f"Found {found[0].address}: {found[0].description}.", file=sys.stderr)
    return found[0].address


def _listed(ports: Sequence[FoundPort]) -> str:
    return "Found " + "; ".join(f"{port.address} ({port.description})" for port in ports) + "."
