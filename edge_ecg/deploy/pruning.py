"""What may go: releases, runtimes, and what an interrupted command has left."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from .disk import HALF, Disk
from .health import read_health
from .layout import COMPLETE_NAME, Home
from .shelf import Shelf
from .trial import read_trial

NEW, GONE = ".new-", ".gone-"

# An installation that takes longer than a day has been given up.
_UNFINISHED_RUNTIME_S = 24 * 3600.0
# Until then an upload that was cut off can be gone on with.
_ABANDONED_UPLOAD_S = 7 * 24 * 3600.0


def needed_releases(shelf: Shelf, spare: int, keep: Collection[str]) -> set[str]:
    """Return the names of the releases to keep: in use, on trial, in ``keep``, and the newest others."""
    releases, bad, trial = shelf.all(), shelf.bad(), read_trial(shelf.home)
    needed = {one.name for one in (shelf.current(), shelf.previous()) if one is not None} | set(keep)
    health = read_health(shelf.home)
    if health is not None:
        needed.add(health.release)  # the service may not have noticed yet that another one counts
    if trial is not None:
        needed |= {name for name in (trial.release, trial.previous, trial.replaces) if name}
    others = [one.name for one in reversed(releases) if one.name not in needed and one.name not in bad]
    return needed | set(others[:spare])


def unused_runtimes(home: Home, used: Collection[str], now_s: float) -> list[Path]:
    """Return the runtimes that no release uses, that do not run this program, and that nobody builds."""
    folders = sorted(home.runtimes.glob("[!.]*")) if home.runtimes.is_dir() else []
    own = Path(sys.prefix).resolve()
    return [
        folder
        for folder in folders
        if folder.name not in used and folder.resolve() != own and not _is_being_built(folder, now_s)
    ]


def abandoned_uploads(home: Home, now_s: float) -> list[Path]:
    """Return the files that have lain in ``incoming`` for a week: refused, or cut off and not sent again."""
    files = sorted(home.incoming.rglob("*")) if home.incoming.is_dir() else []
    return [
        file
        for file in files
        if file.is_file() and not file.is_symlink() and now_s - file.stat().st_mtime > _ABANDONED_UPLOAD_S
    ]


def remove_folder(disk: Disk, folder: Path) -> None:
    """Remove a release or a runtime: first its name, in one step, then what is in it."""
    gone = folder.with_name(f"{GONE}{folder.name}")
    disk.rename(folder, gone)
    disk.sync_folder(folder.parent)
    disk.remove_tree(gone)


def sweep(home: Home, disk: Disk) -> None:
    """Remove what interrupted commands have left."""
    for folder in (home.releases, home.runtimes):
        if folder.is_dir():
            for left in sorted([*folder.glob(f"{NEW}*"), *folder.glob(f"{GONE}*")]):
                disk.remove_tree(left)
    # Not that of health.json: the service writes it without the lock.
    written = (home.starts, home.trial, home.bad, home.reverting, home.highest, home.journal)
    halves = [path.with_name(path.name + HALF) for path in (home.current, home.previous, *written)]
    for half in (*halves, *sorted(home.releases.glob(f"*/*{HALF}"))):
        disk.delete(half)


def _is_being_built(folder: Path, now_s: float) -> bool:
    if (folder / COMPLETE_NAME).exists():
        return False
    return abs(now_s - folder.stat().st_mtime) < _UNFINISHED_RUNTIME_S
