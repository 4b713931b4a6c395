"""``edge-ecg status``: what a device runs, how well, and how the device itself is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..deploy.layout import Home
from ..deploy.remote.device_side import call_current
from ..deploy.remote.fleet import FleetHost
from ..deploy.remote.rollout import Row
from ..deploy.remote.ssh import Remote
from ..deploy.status import device_status
from ..errors import EXIT_DONE, RemoteError
from . import printable
from .device_text import TEXTS
from .fleet_run import FleetRun
from .remote_args import add_fleet, add_ssh, fleet_of, refuse_both, ssh_options
from .remote_talk import print_record

_LIMIT_S = 60.0
_PIPE_WIDTH = 200
_COLUMNS = ("host", "runs", "service", "decision", "heat", "throttled", "free")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("host", nargs="?", metavar="HOST", help="as ssh takes it; left out: this machine")
    add_fleet(parser)
    add_ssh(parser)
    parser.epilog = "With --hosts the exit code is 7 when one of them does not answer."


def run(args: argparse.Namespace) -> int:
    """Print it and return the exit code."""
    fleet = fleet_of(args)
    refuse_both(args.host, fleet)
    if fleet is not None:
        return _fleet(args, fleet)
    if args.host is None:
        found = device_status(Home.default())
    else:
        with Remote(args.host, ssh_options(args)) as remote:
            found = {**call_current(remote, "device", "status", timeout_s=_LIMIT_S), "host": args.host}
    if args.json:
        print_record(found)
    else:
        print(printable(_text(found)))
    return EXIT_DONE


def _text(found: dict[str, Any]) -> str:
    try:
        return TEXTS["status"](found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RemoteError(
            f"{found.get('host', 'This machine')} answered with a status that cannot be read.",
            why=f"{type(error).__name__}: {error}.",
            remedy="--json shows what it said. Another version of edge-ecg there: flash it again.",
        ) from error


def _fleet(args: argparse.Namespace, fleet: Sequence[FleetHost]) -> int:
    def on_host(remote: Remote, row: Row) -> bool:
        found = call_current(remote, "device", "status", timeout_s=_LIMIT_S)
        row.result = {"status": {key: value for key, value in found.items() if key != "type"}}
        row.text = str(found.get("release"))
        return False

    work = FleetRun(
        fleet,
        ssh_options(args),
        [len(fleet)],
        on_host,
        jobs=args.jobs,
        max_failures=len(fleet),
        json_lines=args.json,
    )
    work.run(show_table=False)
    if not args.json:
        # In a pipe the width is not known: nothing is folded there.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
        console.print(_table(work.rollout.rows))
    work.report(count=False)
    return work.rollout.exit_code()


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        if row.error is not None:
            table.add_row(Text(row.name), Text("does not answer", style="bold red"))
        else:
            table.add_row(Text(row.name), *map(Text, map(printable, _cells(row.result["status"]))))
    return table


def _cells(found: dict[str, Any]) -> tuple[str, ...]:
    celsius, free, throttled = (
        found.get("temperature_c"),
        found.get("disk_free_bytes"),
        found.get("throttled"),
    )
    age = found.get("last_decision_age_s")
    return (
        f"{found.get('release') or 'nothing'}{' (on trial)' if found.get('trial') else ''}",
        service_word(found),
        "none" if age is None else f"{age:.0f} s ago",
        "?" if celsius is None else f"{celsius:.0f} °C",
        "?" if throttled is None else (", ".join(throttled.get("now", [])) or "no"),
        "?" if free is None else f"{free / 1e9:.1f} GB",
    )


def service_word(found: dict[str, Any]) -> str:
    """Return how the service of a status is, in a word or two."""
    health = found.get("health")
    if found.get("service") is None:
        return "none"
    if not health:
        return "not seen yet"
    if not health.get("alive"):
        return "down"
    if health.get("error"):
        return "error"
    return "ready" if health.get("ready") else "starting"
