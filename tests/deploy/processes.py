"""Waiting for processes to end, by their numbers."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

from .sshd import Client, User

_LIMIT_S = 30


def await_idle(user: User) -> None:
    """Wait until nothing of the device's user runs: what was begun over a link that is gone has ended."""
    _await_end(lambda process: process.stat().st_uid == user.uid)


def await_ssh_gone(client: Client) -> None:
    """Wait until no ssh of this client is left: none may survive the flash that started it."""

    def is_ours(process: Path) -> bool:
        words = (process / "cmdline").read_bytes().split(b"\0")
        return words[0] == b"ssh" and str(client.config).encode() in words

    _await_end(is_ours)


def _await_end(wanted: Callable[[Path], bool]) -> None:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if not wanted(entry):
                continue
            told = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            process = os.pidfd_open(int(entry.name))
        except OSError:
            continue  # it has just ended
        try:
            assert select.select([process], [], [], _LIMIT_S)[0], f"still runs: {told!r}"
        finally:
            os.close(process)
