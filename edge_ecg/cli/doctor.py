"""``edge-ecg doctor``: check this machine and print what mends each fault."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from ..errors import EXIT_DONE, DeviceError
from ..health import Host, Status, examine

_MARKS = {Status.OK: "ok  ", Status.UNKNOWN: "?   ", Status.WARN: "warn", Status.FAIL: "FAIL"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "Exit code 0 when nothing failed, 3 otherwise. Changes nothing and needs no root."


def run(args: argparse.Namespace) -> int:
    """Print one line a check and return 0, or 3 when one failed."""
    counts = dict.fromkeys(Status, 0)
    for check in examine(Host()):
        counts[check.status] += 1
        if args.json:
            print(json.dumps({"type": "check", **asdict(check)}, ensure_ascii=False), flush=True)
            continue
        print(f"{_MARKS[check.status]}  {check.name}: {check.sentence}", flush=True)
        if check.remedy:
            print(f"        try: {check.remedy}", flush=True)
    if not args.json:
        print(
            f"{counts[Status.OK]} ok, {counts[Status.WARN]} to improve, {counts[Status.FAIL]} to mend, "
            f"{counts[Status.UNKNOWN]} that this machine does not tell",
            file=sys.stderr,
        )
    return DeviceError.exit_code if counts[Status.FAIL] else EXIT_DONE
