"""``edge-ecg logs``: the log of the service on a device."""

from __future__ import annotations

import argparse
import re

from ..deploy.remote.logs import check_since, read_log
from ..deploy.remote.ssh import Remote
from ..errors import EXIT_DONE
from . import printable
from .numbers import whole
from .remote_args import add_ssh, ssh_options
from .remote_talk import print_record

_LINES = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("host", metavar="HOST", help="as ssh takes it")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until Ctrl-C")
    parser.add_argument(
        "-n", "--lines", type=whole(1), default=_LINES, metavar="N", help=f"the last so many ({_LINES})"
    )
    parser.add_argument(
        "--since", default="", metavar="WHEN", help="not before: -1h, yesterday, 2026-11-21 09:00"
    )
    # What argparse takes for a negative number, and so for a value and no option: -1h, too.
    parser._negative_number_matcher = re.compile(r"-\d")
    add_ssh(parser)
    parser.epilog = (
        "It is journald's log of the unit edge-ecg; without systemd, service.log in edge-ecg's folder."
    )


def run(args: argparse.Namespace) -> int:
    """Print it and return the exit code."""
    check_since(args.since)
    with Remote(args.host, ssh_options(args)) as remote:
        for line in read_log(remote, lines=args.lines, since=args.since, follow=args.follow):
            if args.json:
                print_record({"type": "log", "host": args.host, "line": line})
            else:
                print(printable(line), flush=True)
    return EXIT_DONE
