"""``edge-ecg service``: install | uninstall | run | unit | status of the service on this machine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import EXIT_DONE, DeviceError
from . import DISCLAIMER

if TYPE_CHECKING:
    from ..service.install import Installer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    verbs = parser.add_subparsers(dest="sub", metavar="VERB", required=True)
    install = _add(verbs, "install", "write the systemd unit, enable and start it (root)", _install)
    install.add_argument(
        "--port", metavar="ADDRESS", help="the sensor, for a configuration that is not there yet"
    )
    install.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    uninstall = _add(
        verbs, "uninstall", "stop and remove it; releases and configuration stay (root)", _uninstall
    )
    uninstall.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    unit = _add(verbs, "unit", "print the systemd unit that the configuration needs", _unit)
    status = _add(verbs, "status", "how the service is", _status)
    for one in (install, uninstall, unit, status):
        one.add_argument("--user", metavar="NAME", help="whose service (default: who called sudo, or you)")
    _add(verbs, "run", "the service itself; systemd starts it through bin/edge-ecg-start", _run)
    parser.epilog = f"Example: sudo edge-ecg service install --port /dev/ttyUSB0\n{DISCLAIMER}"


def _add(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    do: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    sub = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    sub.set_defaults(do=do)
    return sub


def run(args: argparse.Namespace) -> int:
    """Do what the sub-verb says, and return its exit code."""
    code: int = args.do(args)
    return code


def _installer(args: argparse.Namespace, *, dry_run: bool = False) -> Installer:
    from ..service.account import find_account, home_of
    from ..service.install import Installer

    def say(text: str) -> None:
        if args.json:
            print(json.dumps({"type": "step", "step": text, "dry_run": dry_run}), flush=True)
        else:
            print(text, file=sys.stderr)

    account = find_account(args.user)
    return Installer(home_of(account), account, say, dry_run)


def _install(args: argparse.Namespace) -> int:
    installer = _installer(args, dry_run=args.dry_run)
    installer.install(args.port)
    if not args.dry_run and not args.json:
        print("Look at it with: edge-ecg service status; journalctl -u edge-ecg -f", file=sys.stderr)
    return EXIT_DONE


def _uninstall(args: argparse.Namespace) -> int:
    _installer(args, dry_run=args.dry_run).uninstall()
    return EXIT_DONE


def _unit(args: argparse.Namespace) -> int:
    from ..service.unit import unit_text

    installer = _installer(args)
    text = unit_text(installer.config(), installer.site())
    print(json.dumps({"type": "unit", "unit": text}) if args.json else text, end="\n" if args.json else "")
    return EXIT_DONE


def _run(args: argparse.Namespace) -> int:
    from ..deploy.layout import Home
    from ..service.process import run_service

    return run_service(Home.default(), os.environ, json_records=args.json)


def _status(args: argparse.Namespace) -> int:
    from ..deploy.health import read_health
    from ..service.systemd import run_command, unit_state

    installer = _installer(args)
    state = unit_state(run_command)
    health = read_health(installer.home)
    runs = state.get("ActiveState") == "active"
    if args.json:
        found = {
            "type": "service",
            "unit": state,
            "health": None if health is None else asdict(health),
        }
        print(json.dumps(found, ensure_ascii=False))
    elif state.get("LoadState") == "not-found":
        print("The service is not installed: sudo edge-ecg service install")
    else:
        since = state.get("ActiveEnterTimestamp") or "--"
        print(f"{state.get('ActiveState')} ({state.get('SubState')}) since {since}")
        print(f"restarts: {state.get('NRestarts')}, last result: {state.get('Result')}")
        if state.get("StatusText"):
            print(state["StatusText"])
        if health is not None:
            counts = f"{health.decisions} decisions, {health.withheld} withheld"
            print(f"{health.release or 'no release'}: {counts}; {health.device or '--'}")
    return EXIT_DONE if runs else DeviceError.exit_code
