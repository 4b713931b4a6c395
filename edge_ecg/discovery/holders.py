"""Which programs have a port open."""

from __future__ import annotations

import os
from pathlib import Path


def who_holds(port: str, root: Path = Path("/")) -> str:
    """Name the processes that have ``port`` open, as far as ``/proc`` lets us see; else an empty string.

    Parameters
    ----------
    port:
        Its path; symbolic links are followed where ``root`` is the real one.
    root:
        Where ``proc`` lies.

    """
    target = os.path.realpath(port) if root == Path("/") else port
    holders = []
    for link in root.glob("proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) != target:
                continue
            process = link.parents[1]
            holders.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
        except OSError:  # gone meanwhile, or another user's
            continue
    return " and ".join(sorted(set(holders)))
