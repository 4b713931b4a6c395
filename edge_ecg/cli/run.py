"""``edge-ecg run``: live decisions."""

from __future__ import annotations

import argparse
import sys

from . import DISCLAIMER
from .choose import choose_address
from .streaming import (
    add_lsl_option,
    add_model_options,
    add_record_option,
    add_source_options,
    chosen_model,
    stream,
)

DEMO_DURATION_S = 75.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_options(parser)
    add_model_options(parser)
    add_record_option(parser)
    add_lsl_option(parser)
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
