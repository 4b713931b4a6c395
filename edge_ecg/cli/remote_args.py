"""The arguments of every verb that goes to another machine, and which machines they name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..deploy.remote.fleet import FleetHost, read_fleet
from ..deploy.remote.options import SshOptions
from ..deploy.remote.ssh import batch_is_right
from ..errors import UsageError
from .numbers import whole

JOBS = 8


def add_ssh(parser: argparse.ArgumentParser) -> None:
    """Add how ``ssh`` is called."""
    group = parser.add_argument_group("connection (your own ssh and ~/.ssh/config)")
    group.add_argument(
        "--ssh-option", action="append", default=[], metavar="OPTION", help="passed on as ssh -o OPTION"
    )
    group.add_argument("--ssh-config", metavar="FILE", help="passed on as ssh -F FILE")
    group.add_argument(
        "--batch", action="store_true", help="never ask for a password, passphrase or host key"
    )
    group.add_argument(
        "--accept-new-host-key",
        action="store_true",
        help="store the key of a host never seen before; a changed one is refused all the same",
    )


def add_fleet(parser: argparse.ArgumentParser) -> None:
    """Add how many devices are named at once."""
    group = parser.add_argument_group("several devices")
    group.add_argument(
        "--hosts", type=Path, metavar="FLEET", help="a fleet.toml (docs/flash.md) in place of HOST"
    )
    group.add_argument(
        "--group", action="append", default=[], metavar="NAME", help="only hosts of this group"
    )
    group.add_argument(
        "--jobs", type=whole(1, 256), default=JOBS, metavar="N", help=f"so many at once ({JOBS})"
    )


def ssh_options(args: argparse.Namespace) -> SshOptions:
    """Return how to call ``ssh``; with a fleet, and where there is no terminal, it asks nothing."""
    many = getattr(args, "hosts", None) is not None
    return SshOptions(
        config=args.ssh_config,
        options=tuple(args.ssh_option),
        batch=args.batch or many or batch_is_right(),
        accept_new_host_key=args.accept_new_host_key,
    )


def fleet_of(args: argparse.Namespace) -> list[FleetHost] | None:
    """Return the fleet that ``--hosts`` names; None where it is not given.

    Raises
    ------
    UsageError
        When the file is not as it should be, or ``--group`` stands without it.

    """
    if args.hosts is None:
        if args.group:
            raise UsageError("--group chooses among the hosts of a fleet.", remedy="Add --hosts fleet.toml.")
        return None
    return read_fleet(args.hosts, args.group)


def require_host(host: str | None, example: str) -> str:
    """Return the host; raises UsageError when none was named."""
    if host is None:
        raise UsageError("No device is named.", remedy=f"For instance: edge-ecg {example}")
    return host


def refuse_both(host: str | None, hosts: Sequence[FleetHost] | None) -> None:
    """Refuse a host beside a fleet; raises UsageError."""
    if host is not None and hosts is not None:
        raise UsageError(f"Both a host ({host}) and a fleet are named.", remedy="Leave one of them out.")
