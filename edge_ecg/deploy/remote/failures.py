"""Why ``ssh`` itself failed: its own words, turned into what happened, why, and what to do.

The words are those of OpenSSH's client (``ssh.c``, ``sshconnect.c``, ``sshconnect2.c``), which are not
translated; what no row of the table knows is shown as it came.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ...errors import RemoteError
from .host_key import host_key_failure

_NOISE = re.compile(
    r"debug[123]: |OpenSSH_|Authenticated to |Transferred: |Bytes per second|Warning: Permanently added"
    r"|Pseudo-terminal|\*\* "
)


class _Cause(NamedTuple):
    pattern: str
    what: str
    why: str
    remedy: str


# In this order: the first that matches says it.
_CAUSES = (
    _Cause(
        r"Bad configuration option|[Uu]nsupported option|Bad owner or permissions on|Can't open user config",
        "ssh does not accept its options for {host}.",
        "{words}",
        "Check --ssh-option, --ssh-config and ~/.ssh/config: `ssh -G {host}` must work.",
    ),
    _Cause(
        r"Could not resolve hostname",
        "There is no host {host}: its name is not found.",
        "{words}",
        "Check the spelling and that the device is on; try its address (the router lists it) in place of "
        "its name. NAME.local needs mDNS: Debian's package avahi-daemon.",
    ),
    _Cause(
        r"Connection refused",
        "{host} is there but lets nobody in by SSH.",
        "{words}",
        "Switch SSH on: on the device `sudo raspi-config nonint do_ssh 0`, or an empty file `ssh` in the "
        "boot partition of its card. Another port: --ssh-option Port=2222.",
    ),
    _Cause(
        r"No route to host|Network is unreachable|Host is down",
        "{host} cannot be reached.",
        "{words}",
        "Check that the device is on and in the same network: `ping {name}`.",
    ),
    _Cause(
        r"Operation timed out|Connection timed out|timed out during banner|Timeout, server",
        "{host} does not answer.",
        "{words}",
        "Check that the device is on and in the same network: `ping {name}`. A slow link: "
        "--ssh-option ConnectTimeout=60.",
    ),
    _Cause(
        r"[Uu]nprotected private key file|bad permissions",
        "ssh does not use your key for {host}: others can read its file.",
        "{words}",
        "chmod 600 on the private key.",
    ),
    _Cause(
        r"Too many authentication failures",
        "{host} hung up: too many keys were tried.",
        "{words}",
        "Name the one key: --ssh-option IdentitiesOnly=yes --ssh-option IdentityFile=~/.ssh/KEY.",
    ),
    _Cause(
        r"[Pp]assword (has )?expired|account (has )?expired|account is (currently )?not available",
        "{host} does not let this account in.",
        "{words}",
        "Log in once by hand (`ssh {host}`) and do what it asks.",
    ),
    _Cause(
        r"Permission denied",
        "{host} does not accept your key.",
        "{words}",
        "Put your key there: `ssh-copy-id {host}`. Raspberry Pi OS has no user `pi` of its own: give the "
        "name chosen when the card was written. A locked account (`!` in /etc/shadow) refuses keys too: "
        "`sudo passwd -S NAME` on the device says L.",
    ),
    _Cause(
        r"no matching (host key type|key exchange method|cipher|MAC)|Unable to negotiate",
        "{host} and this ssh have no method in common.",
        "{words}",
        "Update the older of the two: `sudo apt full-upgrade`.",
    ),
    _Cause(
        r"stdio forwarding failed|administratively prohibited|UNKNOWN port|Connection closed by|"
        r"Connection reset|kex_exchange_identification|[Bb]roken pipe|closed by remote host",
        "The connection to {host} was cut.",
        "{words}",
        "Try again; with a jump host, check that `ssh {host}` works by itself.",
    ),
)


def ssh_failure(host: str, log: str) -> RemoteError:
    """Return the error for an ``ssh`` that ended with 255 and said ``log``."""
    found = host_key_failure(host, log)
    if found is not None:
        return found
    lines = spoken(log)
    text = "\n".join(lines)
    name = host.rpartition("@")[2]
    for cause in _CAUSES:
        if re.search(cause.pattern, text):
            told = _words(lines, cause.pattern)
            filled = (part.format(host=host, name=name, words=told) for part in cause[1:])
            what, why, remedy = filled
            return RemoteError(what, why=why, remedy=remedy)
    return RemoteError(
        f"ssh could not connect to {host}.",
        why=lines[-1] if lines else "It gave no reason.",
        remedy=f"See what it says by hand: ssh -v {host}",
    )


def spoken(log: str) -> list[str]:
    """Return the lines that ``ssh`` meant for a person."""
    lines = (line.strip() for line in log.replace("\r", "\n").splitlines())
    return [line for line in lines if line and not _NOISE.match(line)]


def _words(lines: list[str], pattern: str) -> str:
    matching = [line for line in lines if re.search(pattern, line)]
    return f"ssh: {matching[-1].removeprefix('ssh: ')}"
