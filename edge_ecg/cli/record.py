"""``edge-ecg record``: keep a stream without deciding."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from .choose import choose_address
from .streaming import add_lsl_option, add_record_option, add_source_options, stream


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    add_source_options(parser)
    add_record_option(parser)
    add_lsl_option(parser)
    parser.epilog = "Without --record the file is named after the moment: ecg-20260131-142500.csv"


def run(args: argparse.Namespace) -> int:
    """Record until the source ends and return the exit code."""
    path = args.record or Path(f"ecg-{datetime.now().astimezone():%Y%m%d-%H%M%S}.csv")
    return stream(args, choose_address(args), None, record_to=path, duration_s=args.duration)
