"""Host keys: what ``ssh`` says of one that it does not know, or that is not the one it knows."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...errors import RemoteError

_SEEN = re.compile(r"^debug1: Server host key: (\S+) (SHA256:\S+)", re.MULTILINE)
_SENT = re.compile(r"The fingerprint for the (\S+) key sent by the remote host is\s+(SHA256:[^\s.]+)")
_OFFENDING = re.compile(r"^Offending (?:\S+ )?key in (.+):(\d+)\s*$", re.MULTILINE)
_REMOVE = re.compile(r"^\s*(ssh-keygen -f .+)$", re.MULTILINE)


class HostKey(NamedTuple):
    """The key that a host showed: its type (``ssh-ed25519``) and its SHA256 fingerprint."""

    type: str
    fingerprint: str


def seen_key(log: str) -> HostKey | None:
    """Return the key in a log of ``ssh`` at ``LogLevel=DEBUG1``; None where it got no key.

    With a jump host there is one a hop, and the last is the destination's.
    """
    found = _SEEN.findall(log)
    return HostKey(*found[-1]) if found else None


def host_key_failure(host: str, log: str) -> RemoteError | None:
    """Return the error for a host key that ``ssh`` did not accept; None when that was not why it failed."""
    if "IDENTIFICATION HAS CHANGED" in log or "REVOKED HOST KEY" in log:
        return _changed(host, log)
    if "Host key verification failed" not in log and "key is known for" not in log:
        return None
    seen = seen_key(log)
    shown = f"It shows {seen.type} {seen.fingerprint}. " if seen else ""
    return RemoteError(
        f"{host} is not known yet, and nobody was asked whether its key is the right one.",
        why=f"{shown}ssh keeps no key for it, and its policy is not to take one unseen.",
        remedy=f"`ssh {host}` once: compare the fingerprint (on the device: "
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) and answer yes. "
        "In a network that you trust: --accept-new-host-key.",
    )


def _changed(host: str, log: str) -> RemoteError:
    sent = _SENT.search(log)
    seen = HostKey(*sent.groups()) if sent else seen_key(log)
    shown = f"It now shows {seen.type} {seen.fingerprint}; " if seen else ""
    line = _OFFENDING.search(log)
    known = f"line {line[2]} of {line[1]}" if line else "the known_hosts file"
    remove = _REMOVE.search(log)
    command = remove[1].strip() if remove else f"ssh-keygen -R {host.rpartition('@')[2]}"
    return RemoteError(
        f"The host key of {host} has changed: nothing was sent.",
        why=f"{shown}{known} holds another one. A freshly written SD card has a new key; so has somebody who "
        "sits in between.",
        remedy=f"Only when you know why it changed, forget the old key: {command}",
    )
