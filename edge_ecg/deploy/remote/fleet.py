"""``fleet.toml``: which devices there are, by what name, and how ``ssh`` reaches them.

ssh_options = ["User=ecg"]          # for all of them; may be left out

[[host]]
address = "raspberrypi.local"       # as ssh takes it
name = "bed 1"                      # left out: the address
groups = ["ward 3", "trial"]
ssh_options = ["ProxyJump=gate"]
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .options import SshOptions, check_host

_TOP_KEYS = ("ssh_options", "host")
_HOST_KEYS = ("address", "name", "groups", "ssh_options")
_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class FleetHost:
    """One device of a fleet."""

    address: str
    name: str
    groups: tuple[str, ...] = ()
    ssh_options: tuple[str, ...] = ()

    def options(self, common: SshOptions) -> SshOptions:
        """Return how to call ``ssh`` for it: what the command line says first, then what the file says."""
        return replace(common, options=(*common.options, *self.ssh_options))


def read_fleet(path: Path, groups: Sequence[str] = ()) -> list[FleetHost]:
    """Read a fleet file.

    Parameters
    ----------
    path:
        The file.
    groups:
        Only hosts in one of these; empty: all.

    Raises
    ------
    UsageError
        When it cannot be read or is not TOML, has a key that does not exist (the near one is named), a host
        twice, no host, or no host in these groups.

    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode()
        data = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"The fleet {path} cannot be read.", why=f"{error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The fleet {path} is not TOML.", why=f"{error}.", remedy="See docs/flash.md."
        ) from error
    hosts = parse_fleet(data, str(path))
    if not groups:
        return hosts
    known = dict.fromkeys(group for host in hosts for group in host.groups)
    for group in groups:
        if group not in known:
            raise UsageError(
                f"No host of {path} is in the group {group!r}.",
                remedy=_near(group, known) or f"Groups there: {', '.join(known) or 'none'}.",
            )
    return [host for host in hosts if set(host.groups) & set(groups)]


def parse_fleet(data: Mapping[str, Any], source: str) -> list[FleetHost]:
    """Return the hosts of a fleet's TOML in their order; see :func:`read_fleet` for what is raised."""
    _check_keys(data, _TOP_KEYS, source)
    common = _texts(data.get("ssh_options", []), f"ssh_options in {source}")
    rows = data.get("host", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"`host` in {source} is no list of tables.", remedy="Begin each host with [[host]].")
    if not rows:
        raise UsageError(f"{source} names no host.", remedy='Add: [[host]]  address = "pi@raspberrypi.local"')
    hosts = [_host(row, common, f"host {number} of {source}") for number, row in enumerate(rows, start=1)]
    for what in ("name", "address"):
        seen: set[tuple[str, ...]] = set()
        for host in hosts:
            # One address may stand for several devices behind different ports.
            key = (host.name,) if what == "name" else (host.address, *host.ssh_options)
            if key in seen:
                raise UsageError(
                    f"{source} has the {what} {key[0]!r} twice.",
                    remedy="Remove one, or give each its own name.",
                )
            seen.add(key)
    return hosts


def _host(row: Mapping[str, Any], common: tuple[str, ...], where: str) -> FleetHost:
    _check_keys(row, _HOST_KEYS, where)
    address = row.get("address")
    if not isinstance(address, str):
        raise UsageError(f"{where} has no address.", remedy='Add: address = "pi@raspberrypi.local"')
    name = row.get("name", address)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(f"The name of {where} is no text of one line.")
    own = _texts(row.get("ssh_options", []), f"ssh_options of {where}")
    return FleetHost(
        check_host(address), name, _texts(row.get("groups", []), f"groups of {where}"), (*own, *common)
    )


def _check_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(
                f"{where} has the key {key!r}, which does not exist.",
                remedy=_near(key, known) or f"Keys there are: {', '.join(known)}.",
            )


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"Is {near[0]!r} meant?" if near else ""


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise UsageError(f"{where} is no list of texts.", remedy='Write it as ["one", "two"].')
    return tuple(value)
