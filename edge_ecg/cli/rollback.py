"""``edge-ecg rollback``: go back to the model that a device ran before."""

from __future__ import annotations

import argparse
from typing import Any

from ..deploy.remote.device_side import call_current
from ..deploy.remote.rollout import Row
from ..deploy.remote.ssh import Remote
from ..errors import EXIT_DONE, UsageError
from . import printable
from .fleet_run import FleetRun
from .remote_args import add_fleet, add_ssh, fleet_of, refuse_both, require_host, ssh_options
from .remote_talk import print_record

_LIMIT_S = 120.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("host", nargs="?", metavar="HOST", help="as ssh takes it")
    parser.add_argument(
        "--from", dest="release", metavar="RELEASE", help="only if this one is the current one"
    )
    parser.add_argument(
        "--reason", default="rolled back by hand", help="kept on the device, beside the release"
    )
    add_fleet(parser)
    add_ssh(parser)
    parser.epilog = (
        "The release that is taken back is marked there: `edge-ecg flash --again` puts it there once more.\n"
        "A running service starts the older model by itself within seconds."
    )


def run(args: argparse.Namespace) -> int:
    """Go back and return the exit code."""
    fleet = fleet_of(args)
    refuse_both(args.host, fleet)
    if not args.reason.strip() or not args.reason.isprintable():
        raise UsageError("The reason must be one line of text.")
    if fleet is None:
        host = require_host(args.host, "rollback pi@raspberrypi.local")
        with Remote(host, ssh_options(args)) as remote:
            done = _back(remote, args)
        if args.json:
            print_record({**done, "host": host})
        else:
            print(printable(f"{host}: {_sentence(done)}"))
        return EXIT_DONE

    def on_host(remote: Remote, row: Row) -> bool:
        done = _back(remote, args)
        row.text, row.result = (
            printable(_sentence(done)),
            {key: value for key, value in done.items() if key != "type"},
        )
        return bool(done.get("release") != done.get("from"))

    # Going back is wanted everywhere: that one device is out of reach keeps nobody else from it.
    work = FleetRun(
        fleet,
        ssh_options(args),
        [len(fleet)],
        on_host,
        jobs=args.jobs,
        max_failures=len(fleet),
        json_lines=args.json,
    )
    work.run()
    work.report()
    return work.rollout.exit_code()


def _back(remote: Remote, args: argparse.Namespace) -> dict[str, Any]:
    words = ["device", "rollback", "--reason", args.reason]
    words += [] if args.release is None else ["--from", args.release]
    return call_current(remote, *words, timeout_s=_LIMIT_S)


def _sentence(done: dict[str, Any]) -> str:
    if done.get("release") == done.get("from"):
        return f"{done.get('release')} counts, as before; there was nothing to take back"
    return f"{done.get('release')} counts again; {done.get('from')} was taken back"
