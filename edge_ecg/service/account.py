"""Whose service it is: the user who owns the folder of edge-ecg, and how root writes there as that user.

Root follows no link that somebody else has laid: whatever is written into a user's folder is written with
that user's rights.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..deploy.layout import ENV_HOME, Home
from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine."""

    name: str
    uid: int
    gid: int
    group: str
    folder: Path


def find_account(name: str | None, environment: Mapping[str, str] = os.environ) -> Account:
    """Return the user of this name; left out: who called ``sudo``, else who runs this.

    Raises
    ------
    UsageError
        When there is no such user.

    """
    wanted = name or environment.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    try:
        entry = pwd.getpwnam(wanted)
    except KeyError:
        raise UsageError(
            f"There is no user {wanted!r} on this machine.", remedy="Give --user the name of one who is."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, _group_name(entry.pw_gid), Path(entry.pw_dir))


def home_of(account: Account, environment: Mapping[str, str] = os.environ) -> Home:
    """Return a user's folder of edge-ecg: what ``EDGE_ECG_HOME`` names, else the usual one in its home."""
    chosen = {ENV_HOME: environment[ENV_HOME]} if environment.get(ENV_HOME) else {}
    return Home.default({**chosen, "HOME": str(account.folder)})


def existing_groups() -> frozenset[str]:
    """The names of all groups of the machine."""
    return frozenset(entry.gr_name for entry in grp.getgrall())


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Do what follows with the rights of a user, where this is root; else as whoever this is."""
    if os.geteuid() != 0 or account.uid == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(account.name, account.gid))
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
