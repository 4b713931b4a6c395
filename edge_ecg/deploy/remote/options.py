"""What the user said about the connection, and the arguments of ``ssh`` that follow from it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...errors import UsageError

CONNECT_TIMEOUT_S = 20
#: What ``ssh`` ends with when it failed itself.
SSH_FAILED = 255
_ALIVE_INTERVAL_S = 10
_ALIVE_COUNT = 3


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to call ``ssh``.

    Attributes
    ----------
    config:
        A configuration file instead of ``~/.ssh/config`` (``ssh -F``); None leaves the user's.
    options:
        More options as ``ssh -o`` takes them (``Port=2222``); they win over the configuration.
    batch:
        Never ask anything on the terminal (``BatchMode``): a password, a passphrase or an unknown host key is
        then a failure.
    accept_new_host_key:
        Store the key of a host that was never seen (``StrictHostKeyChecking=accept-new``). A *changed* key is
        refused all the same. False leaves the user's own policy alone.
    program:
        The OpenSSH client.

    """

    config: str | None = None
    options: tuple[str, ...] = ()
    batch: bool = False
    accept_new_host_key: bool = False
    program: str = "ssh"

    def base(self) -> list[str]:
        """Return the start of every command line: the program and what the user asked for."""
        argv = [self.program]
        if self.config is not None:
            argv += ["-F", self.config]
        # Of an option given twice ssh takes the first: the user's come before all of ours but this one.
        if self.accept_new_host_key:
            argv += ["-o", "StrictHostKeyChecking=accept-new"]
        for option in self.options:
            argv += ["-o", option]
        return argv

    def plain(self) -> list[str]:
        """Return :meth:`base` and what makes a session carry bytes and nothing else."""
        argv = self.base()
        if self.batch:
            argv += ["-o", "BatchMode=yes"]
        # No terminal, no forwarded ports, agents or displays, and no command from the configuration.
        return [*argv, "-T", "-a", "-x", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"]


def defaults_for(resolved: dict[str, str]) -> list[str]:
    """Return options for what the user's configuration (``ssh -G``) leaves open.

    A connection that is cut without a word is noticed after half a minute, and one that is never answered
    after twenty seconds, unless the user chose other times.
    """
    argv: list[str] = []
    if resolved.get("connecttimeout", "none") == "none":
        argv += ["-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}"]
    if resolved.get("serveraliveinterval", "0") == "0":
        argv += [
            "-o",
            f"ServerAliveInterval={_ALIVE_INTERVAL_S}",
            "-o",
            f"ServerAliveCountMax={_ALIVE_COUNT}",
        ]
    return argv


def check_host(host: str) -> str:
    """Return the host as ``ssh`` takes it: a name from its configuration, ``USER@NAME`` or ``ssh://...``.

    Raises
    ------
    UsageError
        When it is empty, holds white space, or would be taken for an option.

    """
    if not host or host.startswith("-") or any(ch.isspace() or not ch.isprintable() for ch in host):
        raise UsageError(
            f"{host!r} is no host.",
            remedy="Give what you would give to ssh: pi@raspberrypi.local, or a Host of ~/.ssh/config.",
        )
    return host


def can_multiplex() -> bool:
    """Return whether ``ssh`` can share one connection here (not on Windows)."""
    return os.name == "posix"
